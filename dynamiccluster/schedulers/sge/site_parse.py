"""What Grid Engine's configuration says that placement depends on: complexes, queues, parallel environments. Pure.

Sources: the output of ``qconf -sc``, ``-sq``, ``-sp``, ``-shgrp_tree`` and ``-su``; ``sge_complex(5)``,
``sge_queue_conf(5)``, ``sge_pe(5)``, ``sge_hostgroup(5)`` and ``sge_access_list(5)`` of 8.1.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dynamiccluster.schedulers.sge.records_parse import mib, seconds

_OVERRIDE = re.compile(r"\[([^\[\]=]+)=([^\[\]]*)\]")
_NONE = frozenset({"NONE", "none", "UNDEFINED", ""})
_UNLIMITED_SLOTS = 9_999_999


class Consumed(StrEnum):
    """How a job uses up a complex."""

    NOT = "NO"
    PER_SLOT = "YES"
    PER_JOB = "JOB"


_CONSUMED = {str(use): use for use in Consumed}


@dataclass(frozen=True, slots=True)
class Complex:
    """One line of the table of attributes that jobs may ask for."""

    name: str
    kind: str  # INT, DOUBLE, MEMORY, TIME, BOOL, STRING, CSTRING, RESTRING, HOST
    relation: str  # "<=", "==", "EXCL", ...
    requestable: str  # YES, NO, FORCED
    consumed: Consumed
    default: str  # what a job uses that does not ask


@dataclass(frozen=True, slots=True)
class ParallelEnvironment:
    """``slots_per_host``: an exact number; 0 = as the other two say."""

    name: str
    one_host: bool = False  # $pe_slots
    slots_per_host: int = 0
    slots: int = _UNLIMITED_SLOTS  # of all its jobs together


@dataclass(frozen=True, slots=True)
class ClusterQueue:
    """A queue with what it asks of jobs. Where hosts or host groups have values of their own, the mildest counts."""

    name: str
    order: int = 0
    hosts: frozenset[str] = frozenset()  # in its host list by name
    groups: frozenset[str] = frozenset()  # in its host list
    environments: frozenset[str] = frozenset()
    longest_s: int = 0  # h_rt; 0 = no limit
    most_mib: Mapping[str, float] = field(default_factory=dict)  # limits such as h_vmem
    projects: frozenset[str] = frozenset()  # only these; empty = all
    not_projects: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()  # names of access lists; empty = all
    not_users: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()  # complexes that it gives by itself
    slots: Mapping[str, int] = field(default_factory=dict)  # where a host has a number of its own
    mentions: frozenset[str] = frozenset()  # hosts with other values of their own


@dataclass(frozen=True, slots=True)
class Site:
    """All of it."""

    complexes: Mapping[str, Complex] = field(default_factory=dict)
    queues: Mapping[str, ClusterQueue] = field(default_factory=dict)
    environments: Mapping[str, ParallelEnvironment] = field(default_factory=dict)
    group_members: Mapping[str, frozenset[str]] = field(default_factory=dict)  # groups within a queue's host groups
    access_lists: Mapping[str, frozenset[str]] = field(default_factory=dict)  # users, and @unix-groups
    has_quotas: bool = False  # resource quota sets

    def queues_of_group(self, group: str) -> list[str]:
        """The queues that a host serves by being in this group."""
        return [
            queue.name
            for queue in self.queues.values()
            if group in queue.groups or any(group in self.group_members.get(top, ()) for top in queue.groups)
        ]


def parse_complexes(text: str) -> dict[str, Complex]:
    """``qconf -sc``, by name and by shortcut.

    :raises ValueError: it has no line that can be read.
    """
    found: dict[str, Complex] = {}
    for line in text.splitlines():
        words = line.split()
        if line.startswith("#") or len(words) < 7:
            continue
        name, shortcut, kind, relation, requestable, consumed, default, *_ = words
        use = _CONSUMED.get(consumed, Consumed.NOT)
        found[shortcut] = found[name] = Complex(name, kind, relation, requestable, use, default)
    if not found:
        raise ValueError("no attribute in the output of qconf -sc")
    return found


def parse_queues(text: str) -> dict[str, ClusterQueue]:
    """``qconf -sq '*'``, in the order in which the queues are tried.

    :raises ValueError: a value that cannot be read.
    """
    blocks = re.split(r"(?m)^(?=qname\s)", text.replace("\\\n", " "))
    queues = [_queue(_attributes(block)) for block in blocks if block.strip()]
    return {queue.name: queue for queue in sorted(queues, key=lambda queue: queue.order)}


def parse_environment(name: str, text: str) -> ParallelEnvironment:
    """``qconf -sp NAME``, or its allocation rule alone, as the documented command prints it.

    :raises ValueError: there is no allocation rule.
    """
    values = _attributes(text)
    rule = values.get("allocation_rule") or text.strip()
    slots = values.get("slots", "")
    most = int(slots) if slots.isdigit() else _UNLIMITED_SLOTS
    if rule in ("$fill_up", "$round_robin"):
        return ParallelEnvironment(name, slots=most)
    if rule == "$pe_slots":
        return ParallelEnvironment(name, one_host=True, slots=most)
    if rule.isdigit() and int(rule) > 0:
        return ParallelEnvironment(name, slots_per_host=int(rule), slots=most)
    raise ValueError(f"the allocation rule of {name} is {rule[:40]!r}")


def parse_group_tree(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Groups and hosts in the output of ``qconf -shgrp_tree GROUP``, the group itself included."""
    names = text.split()
    groups = frozenset(name for name in names if name.startswith("@"))
    return groups, frozenset(names) - groups


def parse_list(text: str) -> list[str]:
    """One name a line: ``qconf -spl``, ``-shgrpl``, ``-sh`` and the like."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def parse_group(text: str) -> frozenset[str]:
    """The direct members in the output of ``qconf -shgrp GROUP``."""
    return _names(_attributes(text.replace("\\\n", " ")).get("hostlist", ""))


def parse_access_list(text: str) -> frozenset[str]:
    """``qconf -su LIST``: users, and groups of the system with ``@``."""
    return _names(_attributes(text.replace("\\\n", " ")).get("entries", ""))


def parse_complex_values(text: str) -> dict[str, str]:
    """What a host gives, from the output of ``qconf -se HOST``."""
    value = _attributes(text.replace("\\\n", " ")).get("complex_values", "")
    if value in _NONE:
        return {}
    pairs = (word.partition("=") for word in re.split(r"[,\s]+", value) if word)
    return {name: given for name, _, given in pairs}


def _attributes(text: str) -> dict[str, str]:
    """Lines of ``keyword value``."""
    pairs = (line.split(None, 1) for line in text.splitlines() if line and not line.startswith(("#", " ")))
    return {pair[0]: pair[1].strip() if len(pair) > 1 else "" for pair in pairs if pair}


def _queue(values: Mapping[str, str]) -> ClusterQueue:
    name = values["qname"]
    hosts = _names(values.get("hostlist", ""))
    own_slots = _OVERRIDE.findall(values.get("slots", ""))
    mentions = {
        place
        for key, value in values.items()
        for place, _ in _OVERRIDE.findall(value)
        if key != "slots" and place[0] != "@"
    }
    return ClusterQueue(
        name,
        int(_choices(values.get("seq_no", "0"))[0] or 0),
        frozenset(host for host in hosts if not host.startswith("@")),
        frozenset(host for host in hosts if host.startswith("@")),
        _any_of(values, "pe_list"),
        _longest(values.get("h_rt", "INFINITY")),
        {
            key: max(mib(choice) for choice in _choices(value))
            for key, value in values.items()
            if key in ("h_vmem", "s_vmem", "h_rss", "s_rss", "h_data", "s_data") and "INFINITY" not in value
        },
        _all_of(values, "projects"),
        _in_all(values, "xprojects"),
        _all_of(values, "user_lists"),
        _in_all(values, "xuser_lists"),
        frozenset(word.partition("=")[0] for word in _any_of(values, "complex_values")),
        {host: int(number) for host, number in own_slots if host[0] != "@" and number.isdigit()},
        frozenset(mentions),
    )


def _names(value: str) -> frozenset[str]:
    return frozenset() if value in _NONE else frozenset(name for name in re.split(r"[,\s]+", value) if name)


def _choices(value: str) -> list[str]:
    """``1,[n1=4],[@g=2]`` -> the default and what hosts and groups have instead."""
    default = value.partition("[")[0].strip().rstrip(",").strip()
    return [default, *(own.strip() for _, own in _OVERRIDE.findall(value))]


def _any_of(values: Mapping[str, str], key: str) -> frozenset[str]:
    """Names that are there anywhere in the queue."""
    return frozenset(name for choice in _choices(values.get(key, "")) for name in _names(choice))


def _all_of(values: Mapping[str, str], key: str) -> frozenset[str]:
    """Names that are let in; all are (nothing), where that is so anywhere in the queue."""
    choices = [_names(choice) for choice in _choices(values.get(key, ""))]
    return frozenset() if not all(choices) else frozenset().union(*choices)


def _in_all(values: Mapping[str, str], key: str) -> frozenset[str]:
    """Names that are kept out everywhere in the queue."""
    first, *others = (_names(choice) for choice in _choices(values.get(key, "")))
    return first.intersection(*others)


def _longest(value: str) -> int:
    limits = [seconds(choice) for choice in _choices(value)]
    return 0 if 0 in limits else max(limits)
