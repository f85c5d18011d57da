"""Jobs of the simulated queue, with an account of everything that happened to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dynamiccluster.model.job import Job, JobState, Shape, Wait


class Cause(StrEnum):
    """Why a run of a job came to an early end."""

    NODE_LOST = "node lost"  # the machine or its daemon died by itself
    TERMINATED = "machine terminated"  # somebody asked the cloud to end the machine under it
    VACATED = "vacated"  # sent back to the queue on a person's demand
    EVACUATED = "evacuated"  # requeued because its host was believed dead
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Interruption:
    """One early end of one run, as it really was (not as anybody's view showed it)."""

    at: float
    job_id: str
    host_name: str
    resource: str
    cause: Cause
    living: bool  # whether the machine was running at that moment
    silent_s: float  # how long its daemon had not answered the scheduler; 0 = it answered
    hosts: tuple[str, ...] = ()  # all of the run's


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a user hands in."""

    shape: Shape
    run_s: float  # how long each task really takes
    user: str = "alice"
    name: str = "job"
    priority: float = 0.0
    tasks: int = 1  # more than one: an array
    throttle: int = 0
    rerunnable: bool = True
    held_s: float = 0.0  # the user holds it for so long after submitting
    begin_in_s: float = 0.0  # not before so many seconds after submitting
    follows: int = 0  # depends on the submission so many places before it; 0 = on none


@dataclass(slots=True)
class BatchJob:
    """One record of the queue: a job, an array's waiting tasks together, or one started task of an array."""

    job_id: str
    serial: int
    request: JobRequest
    submitted_at: float
    state: JobState = JobState.PENDING
    tasks: int = 1  # waiting tasks
    array_id: str = ""  # of a task: the record it was split from
    running_tasks: int = 0  # of an array record
    next_task: int = 1  # of an array record
    held: bool = False
    eligible_at: float = 0.0
    after: str = ""  # id of the job it waits for
    stuck: bool = False
    wait: Wait = Wait.NOT_YET
    reason: str = "None"
    placement: dict[str, int] = field(default_factory=dict)  # host name -> pieces
    hidden: bool = False  # started, and the lists do not show it yet
    started_at: float = 0.0
    ended_at: float = 0.0
    run_serial: int = 0  # tells the end of this run from the end of an earlier one
    starts: int = 0
    deleted: bool = False
    interruptions: list[Interruption] = field(default_factory=list)
    picture: Job | None = None  # cached; dropped whenever something shown in it changes

    @property
    def order(self) -> tuple[float, float, int]:
        """Sort key of the waiting line: priority, then age."""
        return (-self.request.priority, self.submitted_at, self.serial)

    def split_task(self) -> BatchJob:
        """The next task of this array as a record of its own, one fewer waiting here."""
        task = BatchJob(
            f"{self.job_id}_{self.next_task}",
            self.serial,
            self.request,
            self.submitted_at,
            array_id=self.job_id,
            eligible_at=self.eligible_at,
        )
        self.next_task += 1
        self.tasks -= 1
        return task
