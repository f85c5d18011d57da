"""From a request to a :class:`~dynamiccluster.model.job.Shape`. Pure.

What LSF leaves to its configuration is settled so, and can be told otherwise (``docs/schedulers/lsf.md``): amounts of
memory are MB (``LSF_UNIT_FOR_LIMITS`` absent), and ``rusage[mem=]`` is reserved once on each host
(``RESOURCE_RESERVE_PER_TASK`` absent) unless the string says ``/task`` or ``/host``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape
from dynamiccluster.schedulers.lsf.record import Request
from dynamiccluster.schedulers.lsf.resreq_parse import Clauses, Requirement, parse_resreq

UNREADABLE = "unreadable resource requirement: "
"""Begins the word that no node has, so that nothing is launched for a request that nobody understands."""

_PREFERENCE = re.compile(r"\+\d*$")


@dataclass(frozen=True, slots=True)
class Rules:
    """How this site's LSF means what it says."""

    unit: str = "M"  # of amounts of memory
    per_slot: bool = False  # rusage[mem=] is for each slot, not for each host
    everywhere: frozenset[str] = frozenset()  # resources that every host has
    queue_prefix: str = "queue_"  # names of resources by which queues choose their hosts begin so


def parse_shape(request: Request, rules: Rules, known_hosts: Collection[str] = ()) -> Shape:
    """The shape that a request asks for. A requirement that cannot be read becomes a word that nothing has.

    ``known_hosts``: names of hosts, to tell them from names of groups in ``-m``.

    :raises ValueError: an amount is no number.
    """
    slots = int(request.slots.partition("-")[0] or 1) if len(request.slots) < 20 else 1 << 62
    if slots < 1:
        raise ValueError(f"{request.slots!r} slots")
    try:
        wanted = parse_resreq(request.resreq, rules.unit)
    except ValueError as error:
        word = f"{UNREADABLE}{error}"
        wanted = Requirement(words=(frozenset({word}),))
    gpus = wanted.gpus or (int(request.gpus) if request.gpus.isdecimal() and len(request.gpus) < 10 else 0)
    per_piece, distinct = _piece(wanted, slots)
    pieces = -(-slots // per_piece)
    per_slot = wanted.mem_per in ("task", "slot") or (not wanted.mem_per and rules.per_slot)
    memory_mib, per_host_mib = _memory(wanted, per_piece, per_slot, distinct or pieces == 1)
    if wanted.mem_per == "job":
        memory_mib = max(-(-wanted.mem_mib // pieces), wanted.least_mem_mib if pieces == 1 or distinct else 0)
        per_host_mib = 0
    return Shape(
        queues=(request.queue,),
        account=request.account,
        chunk=Capacity(per_piece, memory_mib, gpus),
        chunks=pieces,
        distinct=distinct,
        memory_per_host_mib=per_host_mib,
        exclusive=request.exclusive,
        features=_features(wanted.words, rules),
        hosts=_hosts(request.hosts, known_hosts) or tuple(sorted(wanted.hosts)),
        walltime_s=int(float(request.run_limit_min or 0) * 60),
    )


def _piece(wanted: Requirement, slots: int) -> tuple[int, bool]:
    """Slots that must be together on one host, and whether each such piece needs a host of its own."""
    if wanted.one_host:
        return slots, False
    if wanted.ptile:
        return min(wanted.ptile, slots), slots > wanted.ptile
    if wanted.block:
        return min(wanted.block, slots), False
    return 1, False


def _memory(wanted: Requirement, per_piece: int, per_slot: bool, alone: bool) -> tuple[int, int]:
    """Memory of one piece, and memory needed once on every host used beside that, in MiB.

    ``alone``: no other piece of the job is on the host. What ``select`` wants a host to have covers what the job
    reserves there.
    """
    reserved_mib = wanted.mem_mib * per_piece if per_slot else wanted.mem_mib
    if alone:
        return max(reserved_mib, wanted.least_mem_mib), 0
    if per_slot:
        return reserved_mib, max(0, wanted.least_mem_mib - reserved_mib)
    return 0, max(reserved_mib, wanted.least_mem_mib)


def _features(words: Clauses, rules: Rules) -> tuple[tuple[str, ...], ...]:
    """Without what every host has, and without what only says which queue the host serves."""
    groups = []
    for clause in words:
        if clause & rules.everywhere or any(word.startswith(rules.queue_prefix) for word in clause):
            continue
        groups.append(tuple(sorted(clause)))
    return tuple(sorted(groups))


def _hosts(asked: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    """The hosts that a job insists on. A group, or ``others``, may come to contain a new node: then none."""
    names = tuple(_PREFERENCE.sub("", name.rstrip("!")) for name in asked)
    return names if names and all(name in known for name in names) else ()
