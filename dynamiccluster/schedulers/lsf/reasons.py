"""LSF's words for job states and pending reasons, in ours. Pure tables.

Sources: the texts of ``lsb_pendreason`` in OpenLava's ``lsb.reason.c`` (2.x to 4.x), the same family of texts in LSF
(``lsbatch.h``, and what sites report of 10.1), STAT of ``bjobs(1)``. Those marked "seen" were met on a real
OpenLava 4.0. LSF puts a detail in brackets behind some texts and a full stop behind others; both are taken off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum

from dynamiccluster.model.job import JobState, Wait

STATES = {
    "PEND": JobState.PENDING,  # seen
    "PSUSP": JobState.PENDING,  # seen: held by its owner or an administrator
    "FWD_PEND": JobState.PENDING,  # waits in another cluster
    "WAIT": JobState.STARTING,  # member of a chunk that has been sent to a host and waits for its turn there
    "PROV": JobState.STARTING,  # its host is being provisioned by LSF itself
    "RUN": JobState.RUNNING,  # seen
    "USUSP": JobState.SUSPENDED,
    "SSUSP": JobState.SUSPENDED,
    "ZOMBI": JobState.COMPLETING,  # killed, and its host does not answer
    "UNKWN": JobState.UNKNOWN,  # its host does not answer
    "DONE": JobState.DONE,  # seen
    "EXIT": JobState.DONE,  # seen
    "POST_DONE": JobState.DONE,
    "POST_ERR": JobState.DONE,
    "NULL": JobState.UNKNOWN,
    "ERROR": JobState.UNKNOWN,
}

HELD_STATES = frozenset({"PSUSP", "FWD_PEND"})
"""Waiting, but not for nodes of ours, whatever the reasons say."""


class Weight(IntEnum):
    """What one reason says. Of several the lowest number decides: reasons of hosts stand beside those of the job."""

    BLOCKED = 0  # the job, its user or its queue may not, wherever it is to run
    LATER = 1  # the job will be able to, whatever the hosts say
    HELPS = 2  # this host cannot take it, another one could
    HOST_LATER = 3  # this host will be able to take it in a moment
    HOST_NO = 4  # this host never can, and a new one would not be different


_WAITS = {
    Weight.BLOCKED: Wait.NO,
    Weight.LATER: Wait.NOT_YET,
    Weight.HELPS: Wait.HELPS,
    Weight.HOST_LATER: Wait.NOT_YET,
    Weight.HOST_NO: Wait.NO,
}

NOT_JUDGED = "New job is waiting for scheduling"
ARRAY_LIMIT = "The job array has reached its job slot limit"

WEIGHTS = {
    # about the job
    NOT_JUDGED: Weight.LATER,  # seen
    "The job has a specified start time": Weight.LATER,  # seen
    "Job dependency condition not satisfied": Weight.BLOCKED,  # seen
    "Dependency condition invalid or never satisfied": Weight.BLOCKED,  # seen
    "Event is rejected by eeventd due to syntax error": Weight.BLOCKED,
    "Migrating job is waiting for rescheduling": Weight.LATER,
    "Preempted job is waiting to be resumed": Weight.LATER,
    "Requeue the job for the next run": Weight.LATER,
    "Requeued job is waiting for rescheduling": Weight.LATER,
    "The job has been requeued": Weight.LATER,
    "The schedule of the job is postponed for a while": Weight.LATER,
    "Waiting for re-scheduling after switching queue": Weight.LATER,
    "Waiting for re-scheduling after parameters have been changed": Weight.LATER,
    "Waiting for scheduling after resumed by user": Weight.LATER,
    "Waiting for scheduling after resumed by administrator or user": Weight.LATER,
    "System is not ready for scheduling after reconfiguration": Weight.LATER,
    "System is unable to schedule the job": Weight.BLOCKED,
    ARRAY_LIMIT: Weight.LATER,
    "The job array has reached its running element limit": Weight.LATER,
    "The job's pre-exec command exited with non-zero status": Weight.LATER,
    "Unable to access job file": Weight.BLOCKED,
    "Unable to set job's environment variables": Weight.BLOCKED,
    "Unable to determine job's home/working directories": Weight.BLOCKED,
    "Unable to open job's I/O buffers": Weight.BLOCKED,
    "Job execution initialization failed": Weight.BLOCKED,
    "Unable to copy restarting job's checkpoint files": Weight.BLOCKED,
    "Checkpoint directory is invalid": Weight.BLOCKED,
    "Failed to get user password": Weight.BLOCKED,
    "The job was suspended by the user while pending": Weight.BLOCKED,  # seen
    "Job was suspended by the user while pending": Weight.BLOCKED,
    "The job was suspended by LSF admin or root while pending": Weight.BLOCKED,
    # about the queue
    "The queue is inactivated by the administrator": Weight.BLOCKED,
    "The queue is inactivated by its time windows": Weight.BLOCKED,
    "The queue has reached its job slot limit": Weight.BLOCKED,
    "The queue has not enough job slots for the parallel job": Weight.BLOCKED,
    "User has reached the per-user job slot limit of the queue": Weight.BLOCKED,
    "Not enough per-user job slots of the queue for the parallel job": Weight.BLOCKED,
    "The queue's pre-exec command exited with non-zero status": Weight.LATER,
    "Job will not finish before queue's run window is closed": Weight.BLOCKED,
    "Job no longer satisfies queue PROCLIMIT configuration": Weight.BLOCKED,
    "Not enough hosts to meet the queue's spanning requirement": Weight.HELPS,
    # about the user and other limits
    "The user has reached his/her job slot limit": Weight.BLOCKED,
    "One of the user's groups has reached its job slot limit": Weight.BLOCKED,
    "The user has not enough job slots for the parallel job": Weight.BLOCKED,
    "One of user's groups has not enough job slots for the parallel job": Weight.BLOCKED,
    "Unable to determine user account for execution": Weight.BLOCKED,
    "The user has no permission to run the job on remote host/cluster": Weight.BLOCKED,
    "Not allowed due to resource limit": Weight.BLOCKED,
    "The job group limit has been reached": Weight.BLOCKED,
    "The specified job group has reached its job limit": Weight.BLOCKED,
    "Number of jobs exceeds quota": Weight.BLOCKED,
    # about hosts: another one would do
    "Job slot limit reached": Weight.HELPS,  # seen
    "Not enough job slot(s)": Weight.HELPS,
    "Not enough hosts to meet the job's spanning requirement": Weight.HELPS,
    "Not enough processors to meet the job's spanning requirement": Weight.HELPS,
    "Not enough processors to meet the queue's spanning requirement": Weight.HELPS,
    "Not enough slots or resources for whole duration of the job": Weight.HELPS,
    "Job's resource requirements not satisfied": Weight.HELPS,  # seen; which node would do is for select[] to say
    "Queue's resource requirements not satisfied": Weight.HELPS,
    "Job's requirements for resource reservation not satisfied": Weight.HELPS,
    "Queue's requirements for resource reservation not satisfied": Weight.HELPS,
    "Job's requirement for exclusive execution not satisfied": Weight.HELPS,
    "Running an exclusive job": Weight.HELPS,
    "An exclusive job has reserved the host": Weight.HELPS,
    "Unable to lock host for exclusively executing the job": Weight.HELPS,
    "Higher or equal priority jobs suspended by host load": Weight.HELPS,
    "Higher or equal priority jobs already suspended by system": Weight.HELPS,
    "Load threshold reached": Weight.HELPS,
    "External load index is beyond threshold": Weight.HELPS,
    "There are too many login users (ls)": Weight.HELPS,
    "The idle time (it) is not long enough": Weight.HELPS,
    "Load information unavailable": Weight.HELPS,  # seen: a host that boots, or is dead
    "LIM is unreachable now": Weight.HELPS,
    "Unable to reach slave batch server": Weight.HELPS,
    "Failed in talking to server to start the job": Weight.HELPS,
    "Failed in receiving the reply from server when starting the job": Weight.HELPS,
    "Slave batch server failed to accept job": Weight.HELPS,
    "Unable to allocate memory to run job": Weight.HELPS,
    "Unable to fork process to run job": Weight.HELPS,
    "Unable to communicate with job process": Weight.HELPS,
    "Closed by LSF administrator": Weight.HELPS,
    "Host is locked": Weight.HELPS,
    "Host is locked by LSF administrator": Weight.HELPS,
    "Host is locked by master LIM": Weight.HELPS,
    "Dispatch windows closed": Weight.HELPS,
    "Job will not finish on the host before queue's run window is closed": Weight.HELPS,
    "Not usable to the queue": Weight.HELPS,
    "Host or host group is not used by the queue": Weight.HELPS,
    "User has no access to the host partition": Weight.HELPS,
    "Not the same type as the submission host": Weight.HELPS,
    "Not specified in job submission": Weight.HELPS,  # an -m of groups; a job that names hosts is known by these
    "The specified first exection host is not eligible for this job at this time": Weight.HELPS,
    "Queue's per-host job slot limit reached": Weight.HELPS,
    "Queue's per-CPU job slot limit reached": Weight.HELPS,
    "User's per-CPU job slot limit reached": Weight.HELPS,
    "User group's per-CPU job slot limit reached": Weight.HELPS,
    "Host's per-user job slot limit reached": Weight.HELPS,
    "Individual host based reasons": Weight.HELPS,  # LSF 10.1 with pending reasons of level 0 or 1
    # about hosts: the same one will do
    "Just started a job recently": Weight.HOST_LATER,
    "Cleaning up zombie job": Weight.HOST_LATER,
    "Unable to get the PID of the restarting job": Weight.HOST_LATER,
    # about hosts: none will do
    "There is no such user account": Weight.HOST_NO,
    "Can't run jobs submitted by root": Weight.HOST_NO,
    "Job will not finish on the host before job's termination deadline": Weight.HOST_NO,
    "Bad host name, host group name or cluster name": Weight.HOST_NO,
}

_PATTERNS = (
    (re.compile(r"(Job|Queue)('s)? requirements for reserving resource \(.*\) not satisfied"), Weight.HELPS),
    (re.compile(r"The .* is beyond threshold|External load index \(.*\) is beyond threshold"), Weight.HELPS),
    (re.compile(r"The available .* is low"), Weight.HELPS),
    (re.compile(r"Resource( \(.*\))? limit defined .* has been reached"), Weight.BLOCKED),
    (re.compile(r"The job was suspended by .* while pending"), Weight.BLOCKED),  # derivatives of OpenLava
    (re.compile(r"Closed by .* administrator|Host is locked by .* administrator"), Weight.HELPS),
    (re.compile(r"The (queue|user|user group|project|cluster|job group) .*\blimit\b.*"), Weight.BLOCKED),
)

_DETAIL = re.compile(r" \((?:Resource|Limit Name|Host)[^()]*\)$")
_HOSTS = re.compile(r"^(.*?)\s*:\s*((?:\d+ hosts?)|[\w.,\s-]*)$", re.DOTALL)


def reasons_in(text: str) -> list[str]:
    """The reasons of one job, without hosts: ``Job slot limit reached: 2 hosts;`` and so on, in lines or in one."""
    found = []
    for part in text.replace("\n", ";").split(";"):
        part = part.strip()
        if not part:
            continue
        with_hosts = _HOSTS.match(part)
        found.append(plain_reason(with_hosts[1] if with_hosts else part))
    return found


def plain_reason(text: str) -> str:
    """Without LSF's detail in brackets and the full stop."""
    return _DETAIL.sub("", text.strip()).rstrip(".").rstrip()


def weight_of(reason: str) -> Weight | None:
    """What a reason (without hosts) says; ``None`` for a text that was unknown when these tables were written."""
    found = WEIGHTS.get(reason)
    if found is not None:
        return found
    return next((weight for pattern, weight in _PATTERNS if pattern.fullmatch(reason)), None)


def wait_of(reasons: Iterable[str], *, element: bool) -> tuple[Wait, str, frozenset[str]]:
    """The class of a waiting job, the reason that decides, and the reasons that are not known.

    ``element``: of an array, whose limit OpenLava tells by a reason without words (seen). A job without reasons has
    not been judged yet. An unknown reason counts as one of a host: better a node too many than a job that waits for
    ever.
    """
    best: tuple[Weight, str] | None = None
    unknown = set()
    for reason in reasons:
        if not reason:
            weight: Weight | None = Weight.LATER if element else Weight.HELPS
            reason = ARRAY_LIMIT if element else reason
        else:
            weight = weight_of(reason)
        if weight is None:
            unknown.add(reason)
            weight = Weight.HELPS
        if best is None or weight < best[0]:
            best = weight, reason
    if best is None:
        return Wait.NOT_YET, NOT_JUDGED, frozenset()
    return _WAITS[best[0]], best[1], frozenset(unknown)
