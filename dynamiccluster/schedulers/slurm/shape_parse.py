"""From the request columns of ``squeue`` to a :class:`~dynamiccluster.model.job.Shape`. Pure.

``squeue`` cannot tell ``-n 8`` (anywhere) from ``-N 1 -n 8`` (one host). What it calls the number of nodes of a
waiting job is the least that the largest known node allows; the ``node=`` part of the requested TRES is what was
asked for. So a job of several tasks is taken as one piece where some known host could hold it whole (which is
right for both, since a FUTURE node stands for each shape that can be had), and as spread tasks where none could
(``-N 1`` would have been refused at ``sbatch``). Seen with 22.05.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dynamiccluster.kit.hostlist import expand
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host
from dynamiccluster.model.job import Shape

SHAPE_FIELDS = (
    "Partition",
    "Account",
    "NumNodes",
    "NumTasks",
    "NumCPUs",
    "cpus-per-task",
    "NTPerNode",
    "MinCpus",
    "MinMemory",
    "tres-alloc",
    "tres-per-job",
    "tres-per-node",
    "tres-per-task",
    "tres-per-socket",
    "mem-per-tres",
    "Feature",
    "OverSubscribe",
    "ReqNodes",
    "TimeLimit",
)
"""``squeue -O`` names, in the order in which :func:`parse_shape` wants their values."""

NOTHING = frozenset({"", "(null)", "N/A", "n/a", "NONE", "None"})
"""Slurm's ways to say that there is nothing."""

_MIB = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}
_COUNT = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_GPU = re.compile(r"gres[:/]gpu(?::([A-Za-z][\w.-]*))?(?:[:=](\d+))?(?![\w:])")


@dataclass(frozen=True, slots=True)
class Kind:
    """What some known hosts have in common, as far as it decides whether a job fits on one of them."""

    total: Capacity
    features: frozenset[str]
    gpu_type: str
    queues: frozenset[str]


def kinds_of(hosts: Iterable[Host]) -> frozenset[Kind]:
    return frozenset(Kind(host.total, host.features, host.gpu_type, host.queues) for host in hosts)


def plain(text: str) -> str:
    """``text``, or "" for one of Slurm's ways to say that there is nothing."""
    return "" if text in NOTHING else text


def count(text: str) -> int:
    """``12``, ``2K``; nothing is 0.

    :raises ValueError: it is not a number.
    """
    if text in NOTHING:
        return 0
    if text[-1] in _COUNT:
        return int(float(text[:-1]) * _COUNT[text[-1]])
    return int(text)


def mib(text: str) -> int:
    """``100M``, ``1.50G``, ``500Mc``, ``0``, in MiB, rounded up.

    :raises ValueError: it is not an amount of memory.
    """
    text = text.rstrip("cn")
    if text in NOTHING or text == "0":
        return 0
    factor = _MIB.get(text[-1])
    amount = float(text) if factor is None else float(text[:-1]) * factor
    return -int(-amount // 1)


def seconds(text: str) -> int:
    """``[D-]H:M:S``, ``M:S``; without a limit (or none given) 0.

    :raises ValueError: it is neither.
    """
    if text in NOTHING or text in ("UNLIMITED", "NOT_SET", "INVALID", "Partition_Limit"):
        return 0
    days, _, rest = text.rpartition("-")
    total = 0
    for part in rest.split(":"):
        total = total * 60 + int(part)
    return total + int(days or 0) * 86400


def tres(text: str, name: str) -> str:
    """The value of ``name`` in ``cpu=1,mem=100M,node=1``; "" if it is not there."""
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key == name:
            return value
    return ""


def feature_groups(text: str) -> tuple[tuple[str, ...], ...]:
    """A constraint such as ``(a|b)&c`` as groups of which each needs one word.

    Square brackets (all nodes alike) are taken as alternatives. Where numbers are attached (``[a*2&b*4]``: so
    many nodes of each) every word is taken as an alternative, since no single node has them all.
    """
    text = plain(text)
    if not text:
        return ()
    if "*" in text:
        words = re.findall(r"[^\[\]()&|*\s]+(?=\*)", text) or re.findall(r"[^\[\]()&|*\s]+", text)
        return (tuple(dict.fromkeys(words)),)
    groups: list[tuple[str, ...]] = []
    for piece in text.split("&"):
        words = [word for word in re.split(r"[\[\]()|]", piece) if word]
        if words:
            groups.append(tuple(words))
    return tuple(groups)


def host_names(text: str) -> tuple[str, ...]:
    """Slurm's host list expression ``a1,n[1-3,07],r[1-2]c[1-2]`` as names, in order.

    :raises ValueError: a damaged expression, or one with more than 100,000 names.
    """
    return expand(plain(text))


def gpus_of(text: str) -> tuple[int, str]:
    """Number and type of GPUs in ``gres:gpu:a100:2,gres:mps:50``; the first type named counts."""
    total, kind = 0, ""
    if "gpu" not in text:
        return total, kind
    for found in _GPU.finditer(text):
        total += int(found[2] or 1)
        kind = kind or (found[1] or "")
    return total, kind


def parse_shape(fields: Sequence[str], kinds: Iterable[Kind] = (), memory_counts: bool = True) -> Shape:
    """What a job needs. ``fields`` as in :data:`SHAPE_FIELDS`.

    ``kinds``: the known hosts, templates included. ``memory_counts``: whether this Slurm hands out memory
    (``SelectTypeParameters`` with ``MEMORY``); if not, a memory of 0 says nothing.

    :raises ValueError: a value that cannot be read.
    """
    return _Request(fields, memory_counts).shape(tuple(kinds))


class _Request:
    """The columns as numbers, and the way from them to a shape."""

    def __init__(self, fields: Sequence[str], memory_counts: bool) -> None:
        (
            partitions,
            account,
            nodes,
            tasks,
            cpus,
            cpus_per_task,
            tasks_per_node,
            min_cpus,
            min_memory,
            requested,
            per_job,
            per_node,
            per_task,
            per_socket,
            memory_per_tres,
            features,
            sharing,
            hosts,
            walltime,
        ) = fields
        self.queues = tuple(plain(partitions).split(",")) if plain(partitions) else ()
        self.account = plain(account)
        self.least_nodes = max(1, count(nodes))
        self.asked_nodes = max(1, count(tres(requested, "node")))
        self.tasks = max(1, count(tasks))
        self.cpus = max(1, count(cpus))
        self.task_cores = max(1, count(cpus_per_task))
        self.tasks_per_node = count(tasks_per_node)
        self.min_cpus = count(min_cpus)
        self.features = feature_groups(features)
        self.hosts = host_names(hosts)
        self.walltime_s = seconds(walltime)
        amount, total = mib(min_memory), mib(tres(requested, "mem"))
        self.core_memory = self.host_memory = self.job_memory = 0
        if plain(memory_per_tres):
            self.job_memory = total
        elif amount and total == amount * self.cpus and self.cpus > 1:
            self.core_memory = amount
        else:
            self.host_memory = amount
        all_memory = memory_counts and amount == 0 and total > 0 and not self.job_memory  # --mem=0
        self.exclusive = all_memory or sharing in ("NO", "USER", "EXCLUSIVE", "MCS", "TOPO")
        self._read_gpus(requested, per_job, per_node, per_task, per_socket)

    def _read_gpus(self, requested: str, per_job: str, per_node: str, per_task: str, per_socket: str) -> None:
        self.gpu_type = ""
        self.job_gpus, _ = gpus_of("gres/gpu=" + tres(requested, "gres/gpu")) if "gres/gpu=" in requested else (0, "")
        counts: list[int] = []
        for text in (per_node, per_task, per_job, per_socket):
            number, kind = gpus_of(text)
            counts.append(number)
            self.gpu_type = self.gpu_type or kind
        self.node_gpus, self.task_gpus, asked, socket_gpus = counts
        self.job_gpus = max(self.job_gpus, asked, socket_gpus, self.task_gpus * self.tasks)

    def shape(self, kinds: Sequence[Kind]) -> Shape:
        if self.tasks_per_node:
            return self._on_hosts(-(-self.tasks // self.tasks_per_node))
        if self.asked_nodes > 1:
            shape = self._on_hosts(self.asked_nodes)
            for nodes in range(self.asked_nodes + 1, self.least_nodes + 1):  # -N 2-4
                if _fits(shape, kinds):
                    break
                shape = self._on_hosts(nodes)
            return shape
        whole = self._on_hosts(1)
        if self.tasks == 1 or self.node_gpus:
            return whole
        if self.least_nodes == 1 and (_fits(whole, kinds) or not kinds):
            return whole
        return self._spread()

    def _on_hosts(self, nodes: int) -> Shape:
        """One piece per host."""
        tasks = -(-self.tasks // nodes)
        cores = max(tasks * self.task_cores, -(-self.cpus // nodes), self.min_cpus)
        memory = self.host_memory + self.core_memory * cores + -(-self.job_memory // nodes)
        gpus = self.node_gpus or self.task_gpus * tasks or -(-self.job_gpus // nodes)
        return self._made(Capacity(cores, memory, gpus), nodes, nodes > 1, 0)

    def _spread(self) -> Shape:
        """One piece per task, wherever there is room."""
        cores = max(self.task_cores, -(-self.cpus // self.tasks))
        memory = self.core_memory * cores + -(-self.job_memory // self.tasks)
        gpus = self.task_gpus or -(-self.job_gpus // self.tasks)
        return self._made(Capacity(cores, memory, gpus), self.tasks, False, self.host_memory)

    def _made(self, chunk: Capacity, chunks: int, distinct: bool, host_memory: int) -> Shape:
        return Shape(
            self.queues,
            self.account,
            chunk,
            chunks,
            distinct,
            host_memory,
            self.exclusive,
            self.features,
            self.gpu_type,
            self.hosts,
            self.walltime_s,
        )


def _fits(shape: Shape, kinds: Sequence[Kind]) -> bool:
    """Whether some known host, if empty, holds one piece."""
    return any(
        kind.total.holds(shape.chunk)
        and (not kind.queues or not kind.queues.isdisjoint(shape.queues))
        and (not shape.gpu_type or shape.gpu_type == kind.gpu_type)
        and all(any(word in kind.features for word in group) for group in shape.features)
        for kind in kinds
    )
