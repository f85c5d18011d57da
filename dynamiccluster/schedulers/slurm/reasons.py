"""Slurm's words for job states and pending reasons, in ours. Pure tables.

Source: ``squeue(1)`` of 22.05, sections JOB STATE CODES and JOB REASON CODES, and the strings of
``job_reason_string``, those of 24.11 included; each reason marked "seen" was met on a real 22.05.8 cluster.
"""

from __future__ import annotations

import re

from dynamiccluster.model.job import JobState, Wait

STATES = {
    "PENDING": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.PENDING,
    "RESV_DEL_HOLD": JobState.PENDING,
    "SPECIAL_EXIT": JobState.PENDING,
    "CONFIGURING": JobState.STARTING,
    "RUNNING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SUSPENDED": JobState.SUSPENDED,
    "STOPPED": JobState.SUSPENDED,
    "COMPLETING": JobState.COMPLETING,
    "SIGNALING": JobState.COMPLETING,
    "STAGE_OUT": JobState.COMPLETING,
    "BOOT_FAIL": JobState.DONE,
    "CANCELLED": JobState.DONE,
    "COMPLETED": JobState.DONE,
    "DEADLINE": JobState.DONE,
    "FAILED": JobState.DONE,
    "NODE_FAIL": JobState.DONE,
    "OUT_OF_MEMORY": JobState.DONE,
    "PREEMPTED": JobState.DONE,
    "REVOKED": JobState.DONE,
    "TIMEOUT": JobState.DONE,
}

HELD_STATES = frozenset({"REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"})
"""Waiting, but only until a person or another cluster releases the job."""

STUCK_REASON = "BadConstraints"
"""No node of the shape existed for a moment: Slurm has set the priority to 0 and waits for ``scontrol release``."""

BEGIN_REASON = "BeginTime"
"""It may not start yet: the user said so, or it was requeued (begin time = requeue time + 121 s).

A job just submitted with ``--begin`` shows what stood in its way at that moment instead (seen).
"""

_WAITS = {
    "None": Wait.NOT_YET,  # seen: submitted a moment ago, not judged yet
    "Resources": Wait.HELPS,  # seen: first in line
    "Priority": Wait.HELPS,  # seen: behind another; may hide a licence or a limit, which is looked for
    "PartitionConfig": Wait.HELPS,  # seen: partition without nodes, or with too few
    "PartitionNodeLimit": Wait.HELPS,  # seen: more nodes than there are; beyond MaxNodes see the job parser
    "NodeDown": Wait.HELPS,
    STUCK_REASON: Wait.HELPS,  # seen
    BEGIN_REASON: Wait.NOT_YET,  # seen
    "JobArrayTaskLimit": Wait.NOT_YET,  # seen
    "Cleaning": Wait.NOT_YET,
    "Prolog": Wait.NOT_YET,
    "FedJobLock": Wait.NOT_YET,
    "MpiPortsBusy": Wait.NOT_YET,
    "SchedDefer": Wait.NOT_YET,
    "BurstBufferOperation": Wait.NOT_YET,
    "BurstBufferStageIn": Wait.NOT_YET,
    "BurstBufferResources": Wait.NO,
    "JobHeldUser": Wait.NO,  # seen
    "JobHeldAdmin": Wait.NO,  # seen
    "JobHoldMaxRequeue": Wait.NO,
    "Dependency": Wait.NO,  # seen
    "DependencyNeverSatisfied": Wait.NO,  # seen
    "Licenses": Wait.NO,  # seen
    "Reservation": Wait.NO,  # seen: waits for its window
    "ReservationDeleted": Wait.NO,
    "ReservationInvalid": Wait.NO,
    "PartitionDown": Wait.NO,  # seen
    "PartitionInactive": Wait.NO,
    "PartitionTimeLimit": Wait.NO,  # seen
    "AccountNotAllowed": Wait.NO,
    "AccountingPolicy": Wait.NO,
    "DeadLine": Wait.NO,
    "FrontEndDown": Wait.NO,
    "InactiveLimit": Wait.NO,
    "InvalidAccount": Wait.NO,
    "InvalidQOS": Wait.NO,
    "JobLaunchFailure": Wait.NO,
    "NonZeroExitCode": Wait.NO,
    "OutOfMemory": Wait.NO,
    "SystemFailure": Wait.NO,
    "TimeLimit": Wait.NO,
}

_BEGINNINGS = (
    ("ReqNodeNotAvail, Reserved for maintenance", Wait.NOT_YET),
    ("ReqNodeNotAvail", Wait.HELPS),  # seen: the shape stands only on nodes that are down, drained or FUTURE
    ("Nodes required for job are DOWN", Wait.HELPS),  # seen: the same
    ("QOS", Wait.NO),  # seen: QOSMaxJobsPerUserLimit, QOSGrpCpuLimit
    ("Assoc", Wait.NO),  # seen: AssocMaxJobsLimit
    ("Max", Wait.NO),  # MaxMemPerLimit, MaxBBPerJobLimit, MaxPoweredUpNodes
    ("RaisedSignal", Wait.NO),
    ("job requeued in held state", Wait.NO),  # seen
    ("launch failed requeued held", Wait.NO),  # seen
    ("user env retrieval failed", Wait.NO),
)


_SEVERAL = re.compile(r",(?! )")
"""Between the reasons of a record that stands for several tasks of an array: ``JobArrayTaskLimit,None`` (seen)."""


def wait_of(state: str, reason: str) -> Wait | None:
    """The class of a pending reason; ``None`` for a word that Slurm had not when this table was written.

    Of several reasons the most hopeful counts.
    """
    if state in HELD_STATES:
        return Wait.NO
    waits = [_wait_of_one(word) for word in _SEVERAL.split(reason)]
    if None in waits:
        return None
    return next(wait for wait in (Wait.HELPS, Wait.NOT_YET, Wait.NO) if wait in waits)


def _wait_of_one(reason: str) -> Wait | None:
    found = _WAITS.get(reason)
    if found is not None:
        return found
    for beginning, wait in _BEGINNINGS:
        if reason.startswith(beginning):
            return wait
    return None


def limit_group(reason: str, user: str, account: str, qos: str) -> tuple[str, str, str] | None:
    """Whose other jobs are under the same limit as a job with this reason; ``None`` if only the job itself is.

    The answer is (user, account, QOS) with "" for whatever the limit does not look at.
    """
    if "PerJob" in reason or "PerNode" in reason or "Wall" in reason or "Min" in reason:
        return None  # about the size of this job alone
    if reason.startswith("QOSGrp"):
        return ("", "", qos)
    if reason.startswith("QOSMax") and "PerAccount" in reason:
        return ("", account, qos)
    if reason.startswith(("QOSMax", "QOSJobLimit", "QOSResourceLimit")):
        return (user, "", qos)
    if reason.startswith("AssocGrp"):
        return ("", account, "")
    if reason.startswith("Assoc"):
        return (user, account, "")
    return None
