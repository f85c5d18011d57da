"""From what the commands of Maui (and Moab) print to priorities, reservations and the reasons of holds. Pure.

Maui names jobs without the server's name: ``4[7]`` for Torque's ``4[7].head``. Recorded with Maui 3.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_PRIORITY = re.compile(r"(?:Moab\.)?(\d+(?:\[\d+\])?)(?:\.\S+)?\*?\s+(-?\d+)\*?(?:\s|$)")
_HOLDS = re.compile(r"^Holds:\s*(.*?)\s*(?:\(hold reason:\s*(\S+?)\s*\))?\s*$", re.MULTILINE)
_DEFERRED = re.compile(r"job is deferred\.\s+Reason:\s*(\S+)\s*(\(.*)?")
_HELD = re.compile(r"^State:\s+Hold\b|non-idle state 'Hold'", re.MULTILINE)
_LIMIT = re.compile(r"(violates [^\n)]*limit[^\n)]*)")
_CREATED = re.compile(r"reservation '([^']+)' created")
_HOST = re.compile(r"^([\w.-]+):\d+\s*$", re.MULTILINE)

_OWN_HOLDS = frozenset({"Defer", "Batch"})
"""Holds that Maui itself puts on a job. ``Batch`` follows after DEFERCOUNT deferrals."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """One line of ``showres -n``: a reservation on one node."""

    node: str
    kind: str  # Job, User, Group, ...
    reservation_id: str  # NAME.NUMBER for those that people make

    @property
    def by_people(self) -> bool:
        """Not one that it makes for a job."""
        return self.kind != "Job"

    @property
    def name(self) -> str:
        """What it was named by: by default the account or queue that it is for."""
        return self.reservation_id.rpartition(".")[0] or self.reservation_id


class Verdict(StrEnum):
    """Why a job does not run, as ``checkjob`` tells it."""

    GIVEN_UP = "given up for lack of nodes"  # deferred: it is not looked at for an hour
    BLOCKED = "blocked"  # for a reason that nodes do not cure
    WAITS = "waits"  # looked at, and nothing to be done


def parse_priorities(text: str) -> dict[str, float]:
    """Priority by Maui's name of a job, from ``diagnose -p``: the jobs that it considers for starting now.

    :raises ValueError: it is not such a list.
    """
    if "PRIORITY" not in text and "job priority information" not in text:
        raise ValueError(f"diagnose -p did not list priorities: {text.strip()[:80]!r}")
    found = {}
    for line in text.splitlines():
        match = _PRIORITY.match(line.strip())
        if match:
            found[match[1]] = float(match[2])
    return found


def parse_reservations(text: str) -> tuple[Reservation, ...]:
    """The lines of ``showres -n``.

    :raises ValueError: it is not such a list.
    """
    if "reserv" not in text.lower():
        raise ValueError(f"showres -n did not list reservations: {text.strip()[:80]!r}")
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 7 and words[4].isdigit() and words[0] != "NodeName":
            found.append(Reservation(words[0], words[1], words[2]))
    return tuple(found)


def alone_on(reservations: Iterable[Reservation], node: str) -> list[str]:
    """Ids of the reservations made by people that are on this node and on no other."""
    nodes: dict[str, set[str]] = {}
    for each in reservations:
        if each.by_people:
            nodes.setdefault(each.reservation_id, set()).add(each.node)
    return [name for name, on in nodes.items() if on == {node}]


def parse_created(text: str) -> tuple[str, frozenset[str]]:
    """Id of the reservation that ``setres`` says it has made, and the nodes it is on (none if it does not say).

    :raises ValueError: it has not made one.
    """
    found = _CREATED.search(text)
    if found is None:
        raise ValueError(" ".join(text.split())[:300] or "no answer")
    return found[1], frozenset(_HOST.findall(text))


def parse_job(text: str) -> tuple[Verdict, str]:
    """Why a job does not run, and in Maui's words, from ``checkjob``.

    A job that was deferred for lack of nodes is released again; one that somebody holds, or that was deferred for
    another reason, is not.
    """
    if _HELD.search(text):
        return Verdict.BLOCKED, "held"
    holds = _HOLDS.search(text)
    kinds = set(re.split(r"[,:\s]+", holds[1])) - {""} if holds else set()
    deferred = _DEFERRED.search(text)
    reason = (holds[2] or "") if holds else ""
    reason = reason or (deferred[1] if deferred else "")
    if kinds and not kinds <= _OWN_HOLDS:
        return Verdict.BLOCKED, f"held ({', '.join(sorted(kinds))})"
    if kinds or deferred:
        if reason == "NoResources":
            return Verdict.GIVEN_UP, reason
        return Verdict.BLOCKED, f"deferred: {reason or 'no reason given'}"
    limit = _LIMIT.search(text)
    if limit:
        return Verdict.BLOCKED, " ".join(limit[1].split())
    return Verdict.WAITS, ""
