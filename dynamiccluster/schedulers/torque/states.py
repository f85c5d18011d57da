"""Torque's words for states, holds and reasons, and what we make of each: the one place where they are translated.

Sources: outputs of 6.1.3 and 4.2.10 (``tests/recorded``), ``pbs_job.h`` and ``pbs_nodes.h`` of Torque for the codes
that were not seen, ``qstat(1B)`` of OpenPBS for its own. ``docs/schedulers/torque.md`` shows the same as tables.
"""

from __future__ import annotations

from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState, Wait

JOB_STATES = {
    "Q": JobState.PENDING,
    "H": JobState.PENDING,
    "W": JobState.PENDING,
    "T": JobState.PENDING,  # on its way into, out of, or between queues
    "R": JobState.RUNNING,
    "E": JobState.COMPLETING,
    "C": JobState.DONE,
    "S": JobState.SUSPENDED,
}
"""``job_state`` of Torque."""

OPENPBS_STATES = JOB_STATES | {
    "U": JobState.SUSPENDED,  # the workstation is in use
    "B": JobState.UNKNOWN,  # an array of which some runs: its tasks are records of their own
    "F": JobState.DONE,
    "M": JobState.DONE,  # moved to another server
    "X": JobState.DONE,  # a task of an array that has ended
}
"""``job_state`` of OpenPBS."""

RUNNING_SUBSTATES = {
    "40": JobState.STARTING,  # sent to its MOM
    "41": JobState.STARTING,  # prologue
    "42": JobState.RUNNING,
    "43": JobState.SUSPENDED,
    "45": JobState.SUSPENDED,  # OpenPBS: by its scheduler
}
"""``substate`` of a job in state R, where it says more; others mean what the state says."""

QUEUED_SUBSTATES = {
    "0": (Wait.NOT_YET, "arriving"),
    "1": (Wait.NOT_YET, "arriving"),
    "2": (Wait.NOT_YET, "leaving for another server"),
    "3": (Wait.NOT_YET, "leaving for another server"),
    "10": (Wait.HELPS, ""),
    "11": (Wait.HELPS, ""),  # files are fetched when it is chosen
    "13": (Wait.NOT_YET, "waits for its synchronous partners"),
    "14": (Wait.NOT_YET, "files are staged in"),
    "15": (Wait.NOT_YET, "files are staged in, then it runs"),
    "16": (Wait.HELPS, ""),
    "17": (Wait.NOT_YET, "its checkpoint is copied, then it runs"),
    "18": (Wait.HELPS, ""),
    "20": (Wait.NO, "held"),
    "21": (Wait.NO, "waits for its synchronous partners"),
    "22": (Wait.NO, "waits for a dependency"),
    "30": (Wait.NOT_YET, "waits for its time"),
    "37": (Wait.NOT_YET, "staging in failed, tried again later"),
    "60": (Wait.NOT_YET, "being put back into the queue"),
    "61": (Wait.NOT_YET, "being put back into the queue"),
    "62": (Wait.NOT_YET, "being put back into the queue"),
    "63": (Wait.NOT_YET, "being put back into the queue"),
}
"""``substate`` of a job in state Q, W or T: would more nodes help, and the reason if not."""

HOLDS = {
    "u": "held by its user",
    "o": "held by an operator",
    "s": "held by the system",
    "p": "held for a bad password",
    "t": "held for a moment",
    "a": "held with its array",
}
"""Letters of ``Hold_Types`` that keep a job back until somebody lifts them. ``n`` is no hold."""

SLOT_LIMIT = "l"
"""The letter of the array's own ``%N`` (6.x). In 4.2 such tasks have no letter at all."""

ARRAY_LIMIT = "its array runs as many tasks as it may"

HELPED_COMMENTS = (
    "Not enough of the right type of nodes",
    "Not enough total nodes",
    "Not enough free nodes",
    "No available resources on nodes",
    "Insufficient amount of",
    "Server reports zero nodes up",
    "would conflict with reservation or top job",
    "Draining system to allow starving job",
    "Can Never Run",  # OpenPBS: with the nodes there are
    "Not enough",
)
"""What a job's ``comment`` says when more nodes would help (``pbs_sched``, OpenPBS)."""

LATER_COMMENTS = (
    "primetime",
    "rimetime",
    "edicated time",
    "Job is being considered",
)
"""... when time alone will help."""

REFUSED_COMMENTS = (
    "running limit",
    "running job limit",
    "job limit",
    "imit has been reached",
    "has reached",
    "would exceed",
    "Queue not started",
    "Queue not an execution queue",
    "Scheduling is turned off",
    "license",
)
"""... when nodes are not what it lacks."""

NODE_STATES = {
    "free": HostState.UP,
    "job-exclusive": HostState.UP,  # all of its slots are taken
    "job-sharing": HostState.UP,
    "busy": HostState.UP,  # its load is too high for new jobs
    "job-busy": HostState.UP,  # OpenPBS: as job-exclusive
    "resv-exclusive": HostState.UP,
    "reserve": HostState.UP,
    "offline": HostState.UP,  # a hold, whatever else
    "time-shared": HostState.UP,
    "cluster": HostState.UP,
    "down": HostState.DOWN,
    "MOM-list-not-sent": HostState.JOINING,  # new to the server, which tells nobody of it for 10 to 12 s
    "initializing": HostState.JOINING,
    "provisioning": HostState.JOINING,
    "wait-provisioning": HostState.JOINING,
    "state-unknown": HostState.UNKNOWN,
    "unknown": HostState.UNKNOWN,
    "<unknown>": HostState.UNKNOWN,
    "stale": HostState.DOWN,  # OpenPBS: its MOM does not report it any more
    "unresolvable": HostState.DOWN,
    "sleep": HostState.UNKNOWN,
    "maintenance": HostState.UNKNOWN,
    "network_failure": HostState.DOWN,
    "noconfig": HostState.UNKNOWN,
}
"""Words of a node's ``state``; of several the worst counts (:data:`WORST_FIRST`). Others count as unknown."""

WORST_FIRST = (HostState.JOINING, HostState.DOWN, HostState.UNKNOWN, HostState.UP)

OTHER_HOLDS = {"reserve": "reserved by the server", "maintenance": "in maintenance", "resv-exclusive": "reserved"}
"""Words of nodes that take no ordinary job though they are not offline."""


def hold_of(letters: str, in_array: bool, depends: str) -> tuple[Wait, str]:
    """What keeps a job in state H back. ``letters``: its ``Hold_Types``, "" if it has none."""
    real = [letter for letter in letters if letter in HOLDS]
    if real == ["s"] and depends:
        return Wait.NO, f"depends on {depends}"
    if real:
        return Wait.NO, " and ".join(HOLDS[letter] for letter in real)
    if SLOT_LIMIT in letters or (in_array and not letters):
        return Wait.NOT_YET, ARRAY_LIMIT
    return Wait.NO, f"held ({letters})" if letters and letters != "n" else "held"


def wait_of_comment(comment: str) -> Wait | None:
    """Whether more nodes would help, by what the scheduler wrote on the job; ``None`` if that does not tell."""
    if not comment.startswith(("Not Running", "Can Never Run")):
        return None
    for words, wait in ((REFUSED_COMMENTS, Wait.NO), (LATER_COMMENTS, Wait.NOT_YET), (HELPED_COMMENTS, Wait.HELPS)):
        if any(word in comment for word in words):
            return wait
    return None
