"""The letters of Grid Engine's states and what we make of them.

Source: ``sge_status(5)`` and ``qstat(1)`` of Son of Grid Engine 8.1.9, and a real cluster of that version. Both kinds
of state are concatenated letters in no fixed order (``dRr``, ``adu``), so each letter is looked at for itself.
``docs/schedulers/sge.md`` shows both tables.
"""

from __future__ import annotations

from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState

JOB_LETTERS = {
    "q": "queued",
    "w": "waiting",
    "h": "held, by somebody or by a dependency",
    "E": "could not be started",
    "d": "being deleted",
    "t": "being transferred to its host",
    "r": "running",
    "R": "put back, or started again",
    "s": "suspended by its user",
    "S": "suspended with its queue",
    "T": "suspended, since its host is overloaded",
    "z": "finished",
}

QUEUE_LETTERS = {
    "u": "its daemon cannot be reached",
    "a": "overloaded",
    "A": "so overloaded that jobs are suspended",
    "C": "suspended by a calendar",
    "s": "suspended",
    "S": "suspended for another queue",
    "d": "disabled",
    "D": "disabled by a calendar",
    "E": "in error",
    "c": "its configuration contradicts itself",
    "o": "no queue wants the host any more",
    "P": "closed for another queue",
}

_NO_NEW_JOBS = frozenset("CsSDcoP")
"""Closed to new jobs, for a while at least, and by nobody of ours: like a hold by somebody else."""


def job_state(letters: str) -> JobState:
    """Where the job is in its life."""
    known = set(letters)
    if not known or known - JOB_LETTERS.keys():
        return JobState.UNKNOWN
    if "z" in known:
        return JobState.DONE
    if "q" in known or "w" in known:
        return JobState.PENDING
    if "d" in known:
        return JobState.COMPLETING  # its host has yet to say that it has ended
    if known & set("sST"):
        return JobState.SUSPENDED
    if "t" in known:
        return JobState.STARTING
    return JobState.RUNNING if "r" in known else JobState.UNKNOWN


def words(letters: str, meanings: dict[str, str]) -> str:
    """The state for people: ``adu: disabled, its daemon cannot be reached`` (which is why no load is known: ``a``)."""
    telling = letters.replace("a", "") if "u" in letters else letters
    said = ", ".join(meanings.get(letter, f"{letter}?") for letter in telling)
    return f"{letters}: {said}" if letters else ""


def takes_jobs(letters: str) -> bool:
    """Whether a queue instance may get a new job as soon as it has room. An alarm passes with the load."""
    return not set(letters) & (_NO_NEW_JOBS | {"d", "E", "u"})


def is_closed(letters: str) -> bool:
    """Whether it is closed by something else than ``qmod -d``, an error or silence."""
    return bool(set(letters) & _NO_NEW_JOBS)


def host_state(instances: list[str], reported: bool, busy: bool) -> HostState:
    """What the states of all its queue instances say of a host.

    ``reported``: its daemon has reported in at least once. A daemon in silence is ``u`` in all instances, also for
    half a minute after qmaster has been restarted, when all hosts are. A host of which every instance is in error
    takes no job until somebody clears that, but those it runs go on: only without any it counts as down.
    """
    if any("u" in letters for letters in instances):
        return HostState.DOWN if reported else HostState.JOINING
    if not instances:
        return HostState.UP if reported else HostState.JOINING
    if all("E" in letters for letters in instances):
        return HostState.UNKNOWN if busy else HostState.DOWN
    if any(set(letters) - QUEUE_LETTERS.keys() for letters in instances):
        return HostState.UNKNOWN
    return HostState.UP
