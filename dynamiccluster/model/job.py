"""Jobs as the scheduler reports them, translated into one vocabulary for all schedulers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dynamiccluster.model.capacity import Capacity


class JobState(StrEnum):
    """Where a job is in its life. A word that no adapter knows becomes ``UNKNOWN``, never something cheerful."""

    PENDING = "pending"  # waits; ``Job.wait`` says whether more nodes would help
    STARTING = "starting"  # the scheduler has given it nodes and waits for them (Slurm CONFIGURING)
    RUNNING = "running"
    SUSPENDED = "suspended"  # keeps its nodes
    COMPLETING = "completing"  # its processes or epilog still occupy its nodes
    DONE = "done"  # ended, still listed
    UNKNOWN = "unknown"  # exists and may occupy nodes; never counted as demand, never as absent


OCCUPYING = frozenset({JobState.STARTING, JobState.RUNNING, JobState.SUSPENDED, JobState.COMPLETING, JobState.UNKNOWN})
"""States in which the hosts that a job names must be treated as busy."""


class Wait(StrEnum):
    """The class of a pending reason: would more nodes let this job start?"""

    HELPS = "more nodes would help"
    NOT_YET = "not yet"  # it will be able to start later (begin time, not yet judged, array throttle)
    NO = "more nodes would not help"  # held, dependency, licence, account limit, named host, closed queue


@dataclass(frozen=True, slots=True)
class Shape:
    """All that matters to where a job can be placed. Jobs with equal shapes are planned together.

    A job is ``chunks`` equal pieces of ``chunk`` each, all or nothing. ``distinct`` pieces need a host each
    (``-N 4``, one piece per host); otherwise several pieces of one job may share a host (``-n 64``).
    Adapters must share one ``Shape`` object among jobs of equal shape: grouping is by identity first.
    """

    queues: tuple[str, ...] = ()  # any of these will do; the first is the one shown
    account: str = ""
    chunk: Capacity = Capacity(1)
    chunks: int = 1
    distinct: bool = False
    memory_per_host_mib: int = 0  # needed once on every host used, besides ``chunk.memory_mib`` (Slurm --mem)
    exclusive: bool = False  # takes whole hosts
    features: tuple[tuple[str, ...], ...] = ()  # every group needs at least one of its words: (("a",), ("b", "c"))
    gpu_type: str = ""  # "" = any
    hosts: tuple[str, ...] = ()  # demands these very hosts, which no launch can provide
    walltime_s: int = 0  # requested; 0 = unlimited or unknown
    attributes: tuple[tuple[str, str], ...] = ()  # what it says of its machine in words of no scheduler (+VMAMI)

    @property
    def cores(self) -> int:
        """Cores of the whole job."""
        return self.chunk.cores * self.chunks


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the queue. An array is one ``Job`` per scheduler record, with the number of its waiting tasks."""

    job_id: str
    state: JobState
    shape: Shape
    name: str = ""
    user: str = ""
    priority: float = 0.0  # higher starts earlier
    submitted_at: float = 0.0
    wait: Wait = Wait.NO  # meaningful while PENDING
    reason: str = ""  # the scheduler's own word, shown to people
    tasks: int = 1  # waiting tasks that this record stands for (arrays), 1 otherwise
    throttle: int = 0  # at most so many tasks of this array at once; 0 = no throttle
    running_tasks: int = 0  # tasks of the same array that run already; they count against ``throttle``
    eligible_at: float = 0.0  # with ``NOT_YET``: when it may start; 0 = not known
    started_at: float = 0.0
    hosts: tuple[str, ...] = ()  # where it runs, or is about to
    rerunnable: bool = True
    stuck: bool = False  # the scheduler has given up on it and needs a word from us (Slurm BadConstraints)
    gang: str = ""  # jobs with the same word start together or not at all (components of one heterogeneous job)
    comment: str = ""  # what administrators, or we, wrote on it; read only where reasons are told to the queue

    @property
    def startable_tasks(self) -> int:
        """Tasks that could start now if there were nodes without end."""
        if self.throttle <= 0:
            return self.tasks
        return max(0, min(self.tasks, self.throttle - self.running_tasks))
