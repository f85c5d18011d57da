"""From the text of ``scontrol -o show node|partition|config`` to hosts and what else the adapter wants to know. Pure.

Each line of nodes is ``Key=value`` words; free text (Reason, Comment, Extra) stands at its end, after everything
that is read here, so the first occurrence of a key is Slurm's own. Source: ``scontrol(1)`` of 22.05 and a real
22.05.8 cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState, Power
from dynamiccluster.schedulers.slurm.power_parse import power_of
from dynamiccluster.schedulers.slurm.shape_parse import gpus_of, mib, plain, tres

_REASON = re.compile(r" Reason=(.*?) \[([^\[\]@]*)@([^\[\]]*)\]", re.DOTALL)
_CRED_EXPIRE = re.compile(r"(?:^|,)cred_expire=(\d+)(?:,|$)")
_REQUEUE_WAIT_S = 121.0  # seen: cred_expire, 120 unless AuthInfo has it, and 1
_NO_NODES = "No nodes in the system"

_BASES = {
    "IDLE": HostState.UP,
    "ALLOCATED": HostState.UP,
    "MIXED": HostState.UP,
    "DOWN": HostState.DOWN,
    "ERROR": HostState.DOWN,
    "FUTURE": HostState.JOINING,
    "UNKNOWN": HostState.UNKNOWN,  # since slurmctld started, the daemon has not reported in
}
"""The first word of ``State=A+B+C``."""

_FLAGS = {
    "NOT_RESPONDING": HostState.UNKNOWN,  # for a moment; DOWN follows after SlurmdTimeout
    "POWERED_DOWN": HostState.UNKNOWN,  # the site's own power saving has it
    "POWERING_DOWN": HostState.UNKNOWN,
    "POWERING_UP": HostState.JOINING,
    "REBOOT_ISSUED": HostState.UNKNOWN,
}
"""Flags that say more about an UP node than its first word."""

RESERVED_HOLDS = ("maintenance reservation", "reserved")
"""Holds by a reservation that is in force: its own jobs may run there."""

_OTHER_HOLDS = {
    "FAIL": "expected to fail",
    "MAINTENANCE": RESERVED_HOLDS[0],
    "MAINT": RESERVED_HOLDS[0],
    "RESERVED": RESERVED_HOLDS[1],
    "REBOOT_REQUESTED": "reboot requested",
    "POWER_DOWN": "power down requested",
    "POWER_DRAIN": "power down requested",
    "BLOCKED": "blocked by an exclusive topology job",
}
"""Flags, other than DRAIN, of nodes that take no (ordinary) jobs though nobody of ours asked for it."""

_BUSY_BASES = frozenset({"ALLOCATED", "MIXED"})


@dataclass(frozen=True, slots=True)
class Nodes:
    """What one text of ``scontrol show node`` says."""

    hosts: tuple[Host, ...]
    dropped: tuple[str, ...]
    templates: Mapping[str, frozenset[str]]  # our FUTURE nodes by shape
    declared: frozenset[str]  # names that stand in slurm.conf, which must never be deleted
    seen: int  # lines, templates included


@dataclass(frozen=True, slots=True)
class Partitions:
    """What the adapter keeps of ``scontrol show partition``."""

    max_nodes: Mapping[str, int] = field(default_factory=dict)  # where there is such a limit
    by_feature: frozenset[str] = frozenset()  # partitions made of node sets: nodes belong to them by a feature
    qos: Mapping[str, str] = field(default_factory=dict)  # of partitions that have one


@dataclass(frozen=True, slots=True)
class Config:
    """What the adapter keeps of ``scontrol show config``."""

    memory_counts: bool = True
    max_node_count: int = 0  # 0 = not told
    version: str = ""
    requeue_wait_s: float = _REQUEUE_WAIT_S  # how long a requeued job may not begin
    limits_enforced: bool = False  # of accounts, users and QOS


def parse_nodes(text: str, is_ours: Callable[[str], bool], template_prefix: str) -> Nodes:
    """The hosts in the output of ``scontrol -F -o show node``; of templates of one shape only the first.

    ``is_ours``: whether a hold's text is our mark.

    :raises ValueError: the text was cut off, is blank (Slurm says so in words when there are none), or none of its
        lines can be read.
    """
    if text.strip() == _NO_NODES:
        return Nodes((), (), {}, frozenset(), 0)
    if not text.strip() or not text.endswith("\n"):
        raise ValueError("the list of nodes was cut off")
    hosts: list[Host] = []
    dropped: list[str] = []
    templates: dict[str, set[str]] = {}
    declared: set[str] = set()
    lines = [line for line in text.split("\n") if line]
    template_start = f"NodeName={template_prefix}"
    for line in lines:
        if line.startswith(template_start):
            name = line[len("NodeName=") :].partition(" ")[0]
            known = templates.setdefault(template_shape(name, template_prefix), set())
            known.add(name)
            if len(known) > 1:
                continue
        try:
            host, dynamic = _host(line, is_ours, template_prefix)
        except (ValueError, KeyError) as error:
            dropped.append(f"a node was left out: {error!r}; the line begins {line[:80]!r}")
            continue
        hosts.append(host)
        if not dynamic:
            declared.add(host.name)
    if not hosts:
        raise ValueError(f"none of {len(lines)} nodes can be read: {dropped[0]}")
    by_shape = {shape: frozenset(names) for shape, names in templates.items()}
    return Nodes(tuple(hosts), tuple(dropped), by_shape, frozenset(declared), len(lines))


def template_shape(name: str, prefix: str) -> str:
    """``PREFIX-SHAPE-007`` -> ``SHAPE``."""
    return name[len(prefix) :].strip("-").partition("-")[0]


def _host(line: str, is_ours: Callable[[str], bool], template_prefix: str) -> tuple[Host, bool]:
    values: dict[str, str] = {}
    for word in line.split(" "):
        key, equals, value = word.partition("=")
        if equals and key not in values:
            values[key] = value
    name = values["NodeName"]
    word = values["State"]
    base, *flag_words = word.split("+")
    flags = frozenset(flag_words)
    dynamic = "DYNAMIC_NORM" in flags or "DYNAMIC_FUTURE" in flags
    cores_used = int(values.get("CPUAlloc") or 0)
    busy = cores_used > 0 or base in _BUSY_BASES or "COMPLETING" in flags
    gpus, gpu_type = _gres(values.get("Gres", ""))
    hold = _hold(line, flags, is_ours)
    power = None if dynamic else power_of(base, flags, _reason(line)[0], is_ours)
    if hold is None and power is Power.OFF and base == "DOWN":  # an administrator's word
        hold = Hold(_reason(line)[0], False, _reason(line)[1])
    # FUTURE nodes of slurm.conf are shapes without machines; those created at run time are machines to come.
    template = name.startswith(template_prefix) or (base == "FUTURE" and not dynamic)
    host = Host(
        name,
        _state(base, flags, busy),
        Capacity(int(values["CPUTot"]), mib(values.get("RealMemory", "0")), gpus),
        Capacity(cores_used, mib(values.get("AllocMem", "0")), int(tres(values.get("AllocTRES", ""), "gres/gpu") or 0)),
        (),
        busy,
        frozenset(word for word in plain(values.get("AvailableFeatures", "")).split(",") if word),
        gpu_type,
        frozenset(word for word in plain(values.get("Partitions", "")).split(",") if word),
        hold,
        plain(values.get("NodeAddr", "")),
        f"{word}: {hold.mark}" if hold is not None and hold.mark and "INVALID_REG" in flags else word,
        template,
        power=power,
    )
    return host, dynamic


def _state(base: str, flags: frozenset[str], busy: bool) -> HostState:
    if "INVALID_REG" in flags and not busy:
        return HostState.DOWN  # has less than Slurm was told, be it FUTURE still (seen) or known: never used
    state = _BASES.get(base, HostState.UNKNOWN)
    if state is not HostState.UP:
        return state
    for flag, meaning in _FLAGS.items():
        if flag in flags:
            return meaning
    return HostState.UNKNOWN if "INVALID_REG" in flags else HostState.UP


def _hold(line: str, flags: frozenset[str], is_ours: Callable[[str], bool]) -> Hold | None:
    if "DRAIN" in flags or "DRAINING" in flags or "DRAINED" in flags:
        mark, who = _reason(line)
        return Hold(mark, is_ours(mark), who)
    for flag, meaning in _OTHER_HOLDS.items():
        if flag in flags:
            return Hold(meaning, False)
    return None


def _reason(line: str) -> tuple[str, str]:
    """The reason of a node's state, and who gave it."""
    found = _REASON.search(line)
    return (found[1], found[2]) if found else ("", "")


def _gres(text: str) -> tuple[int, str]:
    """``gpu:a100:2(S:0-1),gpu:v100:1,mps:100`` -> (3, "a100")."""
    total, kind = 0, ""
    for part in plain(text).split(","):
        part = part.partition("(")[0]
        if part.startswith("gpu"):
            number, name = gpus_of(f"gres:{part}")
            total, kind = total + number, kind or name
    return total, kind


def parse_partitions(text: str) -> Partitions:
    """The partitions in the output of ``scontrol -o show partition``."""
    max_nodes: dict[str, int] = {}
    by_feature: set[str] = set()
    qos: dict[str, str] = {}
    for line in text.splitlines():
        values = dict(word.partition("=")[::2] for word in line.split())
        name = values.get("PartitionName", "")
        if not name:
            continue
        if values.get("MaxNodes", "").isdigit():
            max_nodes[name] = int(values["MaxNodes"])
        if values.get("NodeSets", "ALL") != "ALL":  # 24.11.5 shows so what 22.05.8 shows as Nodes=ALL alone
            by_feature.add(name)
        if plain(values.get("QoS", "")):
            qos[name] = values["QoS"]
    return Partitions(max_nodes, frozenset(by_feature), qos)


def parse_config(text: str) -> Config:
    """The settings in the output of ``scontrol show config``."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values.setdefault(key.strip(), value.strip())
    most = values.get("MaxNodeCount", "")
    expire = _CRED_EXPIRE.search(values.get("AuthInfo", ""))
    return Config(
        "MEMORY" in values.get("SelectTypeParameters", "MEMORY").upper(),
        int(most) if most.isdigit() else 0,
        values.get("SLURM_VERSION", ""),
        float(expire[1]) + 1 if expire else _REQUEUE_WAIT_S,
        "limits" in values.get("AccountingStorageEnforce", ""),
    )
