"""From a job's ``Resource_List`` to shapes. Pure.

Torque asks for nodes as ``nodes=2:ppn=4:bigmem+node07:ppn=1``, parts joined by ``+`` that each want different hosts of
their own; for processors anywhere as ``procs=6``; for processors on one host as ``ncpus=3``. A part that differs from
the others is a shape of its own, since one shape is pieces that are all alike. Forms seen with 6.1.3 and 4.2.10:
``1:ppn=2:bigmem``, ``node02:ppn=1+1:ppn=2``, ``50:ppn=4``, ``1``; others are from ``pbs_resources(7B)``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape

_SIZE = re.compile(r"(\d+)([kmgtpKMGTP]?)([bBwW]?)")
_MIB = {"": 1 / (1 << 20), "k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0**2, "p": 1024.0**3}
_WORD_BYTES = 8

_GPU_MODES = frozenset(
    {"default", "shared", "exclusive", "exclusive_thread", "exclusive_process", "prohibited", "reseterr"}
)
"""Words beside ``gpus=`` that are no properties of nodes."""

_ALONE = frozenset({"singlejob", "singletask"})
"""Values of ``naccesspolicy`` for which a job has its nodes to itself."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of ``nodes=``."""

    count: int = 1
    cores: int = 1
    gpus: int = 0
    properties: tuple[str, ...] = ()
    host: str = ""


@functools.lru_cache(maxsize=4096)
def mib(text: str) -> int:
    """``512mb``, ``2gb``, ``24684092kb``, ``536870912b``, ``100mw``, in MiB, rounded up; nothing is 0.

    :raises ValueError: it is not a size.
    """
    if not text:
        return 0
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:40]!r} is not an amount of memory")
    amount = int(found[1]) * _MIB[found[2].lower()] * (_WORD_BYTES if found[3] in ("w", "W") else 1)
    return -int(-amount // 1)


@functools.lru_cache(maxsize=4096)
def seconds(text: str) -> int:
    """``01:00:00``, ``90:00``, ``3600``, ``1:00:00:00``; nothing is 0, which means no limit.

    :raises ValueError: it is not a time.
    """
    total = 0
    for part, unit in zip(reversed(text.strip().split(":")), (1, 60, 3600, 86400), strict=False):
        total += int(float(part or 0)) * unit
    return total


def shapes_of(
    resources: Mapping[str, str],
    queue: str,
    account: str = "",
    *,
    known_hosts: Collection[str] = (),
    distinct: bool = True,
    exclusive: bool = False,
) -> tuple[Shape, ...]:
    """What a job needs, one shape for each kind of piece.

    ``known_hosts``: words of ``nodes=`` that are names of hosts; all others are properties. ``distinct``: whether
    ``nodes=2`` means two different hosts.

    :raises ValueError: an amount that cannot be read.
    """
    parts, spread = _parts(resources, known_hosts)
    exclusive = exclusive or resources.get("naccesspolicy", "").lower() in _ALONE
    total = sum(part.count * part.cores for part in parts)
    job_mib, core_mib = mib(resources.get("mem", "")), mib(resources.get("pmem", ""))
    walltime_s = seconds(resources.get("walltime", ""))
    shapes = []
    for part in parts:
        memory_mib = max(core_mib * part.cores, -(-job_mib * part.cores // total) if total else 0)
        shapes.append(
            Shape(
                queues=(queue,) if queue else (),
                account=account,
                chunk=Capacity(part.cores, memory_mib, part.gpus),
                chunks=part.count,
                distinct=distinct and part.count > 1 and not spread,
                exclusive=exclusive,
                features=tuple((word,) for word in part.properties),
                hosts=(part.host,) if part.host else (),
                walltime_s=walltime_s,
            )
        )
    return tuple(shapes)


def _parts(resources: Mapping[str, str], known_hosts: Collection[str]) -> tuple[list[_Part], bool]:
    """The parts of the request, and whether its pieces may share hosts."""
    nodes = resources.get("nodes", "")
    procs, ncpus = _number(resources, "procs"), _number(resources, "ncpus")
    bare = not nodes or nodes.isdigit()
    extra = _queue_property(resources, known_hosts)
    if procs > 0 and (bare and int(nodes or 1) == 1):
        return [_Part(count=procs, properties=extra)], True
    if ncpus > 0 and (bare and int(nodes or 1) == 1):
        return [_Part(cores=ncpus, properties=extra)], False
    parts = [_part(text, known_hosts) for text in (nodes or "1").split("#")[0].split("+")]
    if extra:
        parts = [replace(part, properties=tuple(dict.fromkeys((*part.properties, *extra)))) for part in parts]
    return _joined(parts), False


def _joined(parts: Sequence[_Part]) -> list[_Part]:
    """Equal parts as one: ``1:ppn=2+3:ppn=2`` is ``4:ppn=2``."""
    if len(parts) == 1:
        return list(parts)
    counts: dict[_Part, int] = {}
    for part in parts:
        kind = replace(part, count=1)
        counts[kind] = counts.get(kind, 0) + part.count
    return [replace(kind, count=count) for kind, count in counts.items()]


def _part(text: str, known_hosts: Collection[str]) -> _Part:
    first, *others = text.strip().split(":")
    count, cores, gpus, host = 1, 1, 0, ""
    properties: list[str] = []
    if first.isdigit():
        count = int(first)
    else:
        others.insert(0, first)
    for word in others:
        key, equals, value = word.partition("=")
        if equals and key == "ppn":
            cores = int(value)
        elif equals and key == "gpus":
            gpus = int(value)
        elif equals or not word or (gpus and word in _GPU_MODES):
            continue  # mics=, and what other schedulers understand
        elif word in known_hosts:
            host = word
        else:
            properties.append(word)
    if count < 1 or cores < 1 or gpus < 0:
        raise ValueError(f"nodes={text[:60]!r} asks for nothing")
    return _Part(count, cores, gpus, tuple(properties), host)


def _queue_property(resources: Mapping[str, str], known_hosts: Collection[str]) -> tuple[str, ...]:
    """A property that the queue adds by ``resources_default.neednodes = PROPERTY``, the way to tie a queue to nodes."""
    needed = resources.get("neednodes", "")
    if not needed or needed == resources.get("nodes") or not re.fullmatch(r"[A-Za-z][\w.-]*", needed):
        return ()
    return () if needed in known_hosts else (needed,)


def _number(resources: Mapping[str, str], name: str) -> int:
    text = resources.get(name, "")
    return int(text) if text else 0
