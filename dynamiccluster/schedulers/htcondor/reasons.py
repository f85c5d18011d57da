"""HTCondor's numbers and words for jobs, and what they mean to us.

Source: HTCondor manual 23, "Job ClassAd Attributes" (JobStatus, JobUniverse, HoldReasonCode); reasons of the
negotiator: the texts of 23.9.6.
"""

from __future__ import annotations

from dynamiccluster.model.job import JobState, Wait

STATES: dict[int, JobState] = {
    1: JobState.PENDING,  # idle
    2: JobState.RUNNING,
    3: JobState.DONE,  # removed; with a host it is still being ended there
    4: JobState.DONE,  # completed
    5: JobState.PENDING,  # held
    6: JobState.COMPLETING,  # transferring output: its processes have ended, its slot is still claimed
    7: JobState.SUSPENDED,
}
"""``JobStatus``. Other numbers (0 unexpanded, 8 failed, 9 blocked) are not seen in queues of today."""

IDLE, REMOVED, HELD = 1, 3, 5

UNIVERSES: dict[int, str] = {
    5: "",  # vanilla, and with it container and docker
    10: "",  # java
    11: "",  # parallel: several machines at once
    13: "",  # vm
    7: "universe scheduler: runs on the submitting machine (DAGMan)",
    9: "universe grid: runs elsewhere",
    12: "universe local: runs on the submitting machine",
}
"""``JobUniverse`` -> why no worker node can run it; "" if one can."""

PARALLEL = 11

HOLD_REASONS: dict[int, str] = {
    1: "held by a person",
    3: "its policy holds it (periodic_hold)",
    4: "its credentials are not valid",
    5: "its policy is undefined",
    6: "its process could not be created",
    7: "its output file cannot be opened",
    8: "its input file cannot be opened",
    12: "its output could not be transferred",
    13: "its input could not be transferred",
    14: "its working directory cannot be used",
    15: "submitted on hold",
    16: "its input is being spooled",
    20: "its deferral time was missed",
    21: "the worker node holds it (WANT_HOLD)",
    22: "its user log cannot be written",
    23: "its user's account cannot be used",
    25: "its cron settings are not valid",
    26: "the system's policy holds it (SYSTEM_PERIODIC_HOLD)",
    27: "the system's policy is undefined",
    32: "its input is larger than allowed",
    33: "its output is larger than allowed",
    34: "it used more memory than it asked for",
    35: "its container image cannot be used",
    36: "its checkpoint failed",
    45: "the container runtime does not work",
    46: "it ran longer than allowed",
    47: "it executed longer than allowed",
}
"""``HoldReasonCode``, the common ones; HTCondor's own sentence (``HoldReason``) is shown where there is one."""

REJECTIONS: tuple[tuple[str, Wait], ...] = (
    ("no match found", Wait.HELPS),
    ("PREEMPTION_REQUIREMENTS", Wait.HELPS),  # matching slots are in use
    ("insufficient priority", Wait.HELPS),  # likewise, by users with better priority
    ("submitter limit", Wait.HELPS),  # the user's share of the pool is used up: it grows with the pool
    ("network share exceeded", Wait.HELPS),
    ("insufficient bandwidth", Wait.HELPS),
    ("concurrency limit", Wait.NO),  # a licence, say
)
"""Beginnings or parts of ``LastRejMatchReason``."""


def wait_of(rejection: str) -> Wait | None:
    """What the negotiator's reason means; ``None`` for one that is not known."""
    return next((wait for words, wait in REJECTIONS if words in rejection), None)


def hold_reason(code: int, sentence: str) -> str:
    """Why a job is held, for people."""
    known = HOLD_REASONS.get(code, f"code {code}" if code else "held")
    return f"Held: {sentence or known}"
