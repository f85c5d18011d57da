"""Descriptions of nodes, and the FUTURE nodes that stand for shapes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dynamiccluster.errors import BadConfigError, NotFoundError
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host
from dynamiccluster.schedulers.slurm.calls import SlurmCalls
from dynamiccluster.schedulers.slurm.nodes_parse import Nodes

log = logging.getLogger(__name__)

_TOUCH = "touch"
"""Shape name of a template that lives for a moment only, see :meth:`Templates.refresh_partitions`."""


@dataclass(frozen=True, slots=True)
class NodeAttributes:
    """What Slurm is told of a node."""

    capacity: Capacity
    gpu_type: str
    features: frozenset[str]

    def words(self) -> tuple[str, ...]:
        """As arguments of ``scontrol create``."""
        words = [f"CPUs={self.capacity.cores}"]
        if self.capacity.memory_mib:
            words.append(f"RealMemory={self.capacity.memory_mib}")
        if self.features:
            words.append(f"Feature={','.join(sorted(self.features))}")
        if self.capacity.gpus:
            kind = f"{self.gpu_type}:" if self.gpu_type else ""
            words.append(f"Gres=gpu:{kind}{self.capacity.gpus}")
        return tuple(words)

    def digest(self) -> str:
        """The same for the same attributes, wherever it is computed; fit for a node's name."""
        return hashlib.sha256(" ".join(self.words()).encode()).hexdigest()[:8]


class Templates:
    """FUTURE nodes named ``PREFIX-SHAPE-NUMBER``. They are kept for ever: a job may wait for their shape."""

    def __init__(self, calls: SlurmCalls, read: Callable[[], Nodes], prefix: str, limit: int) -> None:
        self._calls = calls
        self._read = read
        self._prefix = prefix
        self._limit = limit

    def provide(self, wanted: Sequence[tuple[NodeAttributes, int]], max_node_count: int) -> None:
        """Have at least so many templates of each shape, as far as Slurm's node table has room.

        :raises BadConfigError: there is no room, or Slurm does not know the GPUs; other shapes are provided all the
            same.
        """
        numbers: dict[NodeAttributes, int] = {}
        problems: list[str] = []
        for attributes, number in wanted:
            if attributes.capacity.cores <= 0:
                problems.append("a resource without cores cannot be declared to Slurm")
            elif number > 0:
                numbers[attributes] = max(numbers.get(attributes, 0), min(number, self._limit))
        nodes = self._read()
        numbers = _within(numbers, max_node_count, nodes, sum(number for _, number in wanted))
        missing = {
            attributes: self._names(attributes, number) - nodes.templates.get(attributes.digest(), frozenset())
            for attributes, number in numbers.items()
        }
        for attributes, names in missing.items():
            if names:
                self._calls.create(names, *attributes.words())
        if any(missing.values()):
            nodes = self._read()
        for attributes in numbers:
            problem = self._problem(attributes, nodes)
            if problem:
                problems.append(problem)
        if problems:
            raise BadConfigError("; ".join(dict.fromkeys(problems)))

    def keep_shape(self, host: Host, nodes: Nodes, anybody_waits: Callable[[], bool]) -> None:
        """Before ``host`` goes: if no template can stand for it, leave one behind for the jobs that wait."""
        if any(_stands_for(other, host) for other in nodes.hosts if other.template) or not anybody_waits():
            return
        attributes = NodeAttributes(host.total, host.gpu_type, host.features)
        names = self._names(attributes, 1) - nodes.templates.get(attributes.digest(), frozenset())
        if names:
            self._calls.create(names, *attributes.words())

    def refresh_partitions(self) -> None:
        """Have Slurm count anew which nodes belong to which partition.

        It does so whenever a node is created, but not when a node's features change (seen with 22.05.8 and 24.11.5).
        """
        name = f"{self._prefix}-{_TOUCH}-0"
        self._remove(name)  # somebody may have been killed between the next two lines
        self._calls.create([name], "CPUs=1")
        self._remove(name)

    def _names(self, attributes: NodeAttributes, number: int) -> frozenset[str]:
        return frozenset(f"{self._prefix}-{attributes.digest()}-{at:04d}" for at in range(1, number + 1))

    def _problem(self, attributes: NodeAttributes, nodes: Nodes) -> str:
        """Slurm may say nothing when it leaves out a node (22.05.8) or its GPUs (24.11.5, too): look."""
        names = nodes.templates.get(attributes.digest(), frozenset())
        made = next((host for host in nodes.hosts if host.name in names), None)
        described = " ".join(attributes.words())
        if made is None:
            return f"no room for a node of shape {described}: MaxNodeCount in slurm.conf is too small"
        if made.total.gpus < attributes.capacity.gpus:
            for name in names:  # it would stand for a shape without GPUs
                self._remove(name)
            return f"Slurm does not know the GPUs of {described}: GresTypes=gpu is missing in slurm.conf"
        return ""

    def _remove(self, name: str) -> None:
        try:
            self._calls.tell("delete", f"nodename={name}")
        except NotFoundError:
            return


def _within(
    numbers: dict[NodeAttributes, int], max_node_count: int, nodes: Nodes, most_nodes: int
) -> dict[NodeAttributes, int]:
    """Fewer templates per shape where all of them would take the room of real nodes."""
    if not numbers or max_node_count <= 0:
        return numbers
    standing = sum(1 for host in nodes.hosts if host.name in nodes.declared)
    room = max(len(numbers), max_node_count - standing - most_nodes)
    if sum(numbers.values()) <= room:
        return numbers
    share = room // len(numbers)
    log.warning(
        "MaxNodeCount=%d leaves room for %d templates per shape: jobs of more nodes are refused by sbatch; "
        "%d would be enough for all",
        max_node_count,
        share,
        standing + most_nodes + sum(numbers.values()),
    )
    return {attributes: min(number, share) for attributes, number in numbers.items()}


def _stands_for(template: Host, host: Host) -> bool:
    return (
        template.total.holds(host.total)
        and template.features >= host.features
        and template.queues >= host.queues
        and (not host.gpu_type or template.gpu_type == host.gpu_type)
    )
