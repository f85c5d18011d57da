"""The simulated queue behaves like a batch scheduler."""

from __future__ import annotations

import pytest

from dynamiccluster.embedded.agenda import Agenda
from dynamiccluster.embedded.hosts import HostAttributes
from dynamiccluster.embedded.jobs import Cause, JobRequest
from dynamiccluster.embedded.queue import BatchQueue
from dynamiccluster.embedded.rules import Daemon, QueueRules
from dynamiccluster.errors import BusyError, NotFoundError
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState, Shape, Wait
from dynamiccluster.model.resource import Reservation

ONE_CORE = Shape(chunk=Capacity(1, 1000))
WHOLE_NODE = Shape(chunk=Capacity(4, 4000))


def queue_with(*hosts: str, rules: QueueRules | None = None, attributes: HostAttributes | None = None) -> BatchQueue:
    queue = BatchQueue(Agenda(1000.0), rules or QueueRules())
    for name in hosts:
        queue.add_host(name, "", attributes or HostAttributes(Capacity(4, 8000)))
        queue.daemon_up(name, Daemon(f"machine-{name}"))
    return queue


def pass_time(queue: BatchQueue, seconds: float) -> None:
    queue.agenda.advance(queue.agenda.now + seconds)


def test_a_job_waits_is_judged_runs_and_ends() -> None:
    queue = queue_with()
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 60.0))]
    assert (job.state, job.wait) == (JobState.PENDING, Wait.NOT_YET)
    pass_time(queue, 10)
    assert (job.wait, job.reason) == (Wait.HELPS, "Resources")
    queue.add_host("a", "10.0.0.1", HostAttributes(Capacity(4, 8000)))
    assert queue.hosts["a"].state is HostState.JOINING
    queue.daemon_up("a", Daemon("m"))
    pass_time(queue, 10)
    assert job.state is JobState.RUNNING
    assert list(job.placement) == ["a"]
    pass_time(queue, 70)
    assert job.job_id in queue.ended
    assert queue.hosts["a"].used == Capacity()
    pass_time(queue, 200)
    assert not queue.jobs


def test_priority_goes_first_and_small_jobs_pass_a_blocked_one() -> None:
    queue = queue_with("a")
    low = queue.submit(JobRequest(WHOLE_NODE, 100.0))
    high = queue.submit(JobRequest(WHOLE_NODE, 100.0, priority=5.0))
    gang = queue.submit(JobRequest(Shape(chunk=Capacity(1), chunks=2, distinct=True), 10.0, priority=9.0))
    pass_time(queue, 6)
    assert queue.jobs[gang].state is JobState.PENDING
    assert queue.jobs[high].state is JobState.RUNNING
    assert queue.jobs[low].reason == "Priority"


def test_pieces_share_hosts_unless_they_are_distinct() -> None:
    queue = queue_with("a", "b")
    spread = queue.jobs[queue.submit(JobRequest(Shape(chunk=Capacity(1), chunks=6), 10.0))]
    pass_time(queue, 6)
    assert sorted(spread.placement.values()) == [2, 4]


def test_exclusive_jobs_take_an_empty_host_whole() -> None:
    queue = queue_with("a")
    first = queue.jobs[queue.submit(JobRequest(Shape(chunk=Capacity(1), exclusive=True), 50.0))]
    second = queue.jobs[queue.submit(JobRequest(ONE_CORE, 10.0))]
    pass_time(queue, 6)
    assert first.state is JobState.RUNNING
    assert second.state is JobState.PENDING
    assert queue.hosts["a"].used == Capacity(4, 8000)


@pytest.mark.parametrize(
    ("shape", "starts"),
    [
        (Shape(queues=("q",), account="x", features=(("ssd",),)), True),
        (Shape(queues=("other",), account="x", features=(("ssd",),)), False),
        (Shape(queues=("q",), account="y", features=(("ssd",),)), False),
        (Shape(queues=("q",), account="x"), False),
        (Shape(queues=("q",), account="x", features=(("ssd",),), gpu_type="v100"), False),
        (Shape(queues=("q",), account="x", features=(("ssd",),), hosts=("z",)), False),
        (Shape(queues=("q",), account="x", features=(("ssd",),), memory_per_host_mib=9000), False),
    ],
)
def test_a_reserved_host_serves_only_those_it_is_for(shape: Shape, starts: bool) -> None:
    mine = HostAttributes(
        Capacity(4, 8000), frozenset({"ssd"}), queues=frozenset({"q"}), reservation=Reservation("q", "x", "ssd")
    )
    queue = queue_with("a", attributes=mine)
    job = queue.jobs[queue.submit(JobRequest(shape, 50.0))]
    pass_time(queue, 6)
    assert (job.state is JobState.RUNNING) is starts


def test_array_tasks_keep_to_the_throttle_and_end_their_record() -> None:
    queue = queue_with("a")
    record = queue.jobs[queue.submit(JobRequest(ONE_CORE, 50.0, tasks=5, throttle=2))]
    pass_time(queue, 6)
    assert (record.tasks, record.running_tasks) == (3, 2)
    assert (record.wait, record.reason) == (Wait.NOT_YET, "JobArrayTaskLimit")
    pass_time(queue, 400)
    assert record.job_id in queue.ended
    assert sum(job.array_id == record.job_id for job in queue.ended.values()) == 5


def test_held_dependent_and_later_jobs_say_why_they_wait() -> None:
    queue = queue_with("a")
    held = queue.jobs[queue.submit(JobRequest(ONE_CORE, 10.0, held_s=100.0))]
    after = queue.jobs[queue.submit(JobRequest(ONE_CORE, 10.0, follows=1))]
    later = queue.jobs[queue.submit(JobRequest(ONE_CORE, 10.0, begin_in_s=60.0))]
    pass_time(queue, 6)
    assert [(job.wait, job.reason) for job in (held, after, later)] == [
        (Wait.NO, "JobHeldUser"),
        (Wait.NO, "Dependency"),
        (Wait.NOT_YET, "BeginTime"),
    ]
    pass_time(queue, 200)
    assert {held.job_id, after.job_id, later.job_id} <= set(queue.ended)


def test_a_stuck_job_waits_for_a_word() -> None:
    queue = queue_with()
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 10.0))]
    queue.stick(job.job_id)
    queue.add_host("a", "", HostAttributes(Capacity(4, 8000)))
    queue.daemon_up("a", Daemon("m"))
    pass_time(queue, 60)
    assert job.state is JobState.PENDING
    queue.unstick([job.job_id, "no such job"])
    pass_time(queue, 6)
    assert job.state is JobState.RUNNING


def test_a_hold_keeps_jobs_away_and_belongs_to_its_owner() -> None:
    queue = queue_with("a")
    queue.hold("a", "ours")
    queue.hold("a", "ours")
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 10.0))]
    pass_time(queue, 30)
    assert job.state is JobState.PENDING
    with pytest.raises(BusyError):
        queue.hold("a", "theirs")
    with pytest.raises(BusyError):
        queue.release("a", "theirs")
    with pytest.raises(NotFoundError):
        queue.hold("b", "ours")
    queue.release("a", "ours")
    queue.release("a", "ours")
    pass_time(queue, 6)
    assert job.state is JobState.RUNNING


def test_a_host_with_jobs_is_not_removed() -> None:
    queue = queue_with("a")
    queue.submit(JobRequest(ONE_CORE, 10.0))
    pass_time(queue, 6)
    with pytest.raises(BusyError):
        queue.remove_host("a")
    pass_time(queue, 30)
    queue.remove_host("a")
    queue.remove_host("a")
    assert not queue.hosts


def test_jobs_of_a_lost_host_are_requeued_after_notice_and_entered_in_the_account() -> None:
    queue = queue_with("a")
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 500.0))]
    pass_time(queue, 6)
    queue.daemon_lost("a", "machine-a", Cause.TERMINATED)
    pass_time(queue, 40)
    assert (queue.hosts["a"].state, job.state) == (HostState.UNKNOWN, JobState.RUNNING)
    pass_time(queue, 100)
    assert (queue.hosts["a"].state, job.state) == (HostState.DOWN, JobState.PENDING)
    assert [(entry.cause, entry.living) for entry in job.interruptions] == [(Cause.TERMINATED, True)]
    queue.daemon_up("a", Daemon("another"))
    pass_time(queue, 600)
    assert job.job_id in queue.ended
    assert job.starts == 2


def test_where_the_scheduler_does_not_requeue_somebody_must() -> None:
    queue = queue_with("a", rules=QueueRules(requeue_on_death=False))
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 50.0))]
    pass_time(queue, 6)
    queue.daemon_lost("a", "machine-a", Cause.NODE_LOST)
    pass_time(queue, 1000)
    assert job.state is JobState.RUNNING
    with pytest.raises(BusyError):
        queue.remove_host("a")
    queue.requeue([job.job_id], Cause.EVACUATED)
    assert job.state is JobState.PENDING
    assert [entry.cause for entry in job.interruptions] == [Cause.NODE_LOST]


def test_a_silent_daemon_does_not_stop_its_jobs() -> None:
    queue = queue_with("a")
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 50.0))]
    pass_time(queue, 6)
    queue.daemon_silent("a", 60.0)
    pass_time(queue, 40)
    assert queue.hosts["a"].state is HostState.UNKNOWN
    pass_time(queue, 40)
    assert queue.hosts["a"].state is HostState.UP
    assert job.job_id in queue.ended
    assert not job.interruptions


def test_deleted_jobs_leave_their_hosts() -> None:
    queue = queue_with("a")
    running = queue.submit(JobRequest(WHOLE_NODE, 500.0))
    waiting = queue.submit(JobRequest(WHOLE_NODE, 500.0))
    pass_time(queue, 6)
    queue.delete([running, waiting, "no such job"])
    assert not queue.hosts["a"].runs
    assert all(job.deleted for job in queue.ended.values())
    pass_time(queue, 20)
    assert all(job.state is JobState.DONE for job in queue.jobs.values())


def test_a_deaf_host_looks_well_and_never_works() -> None:
    queue = queue_with()
    queue.add_host("a", "", HostAttributes(Capacity(4, 8000)))
    queue.daemon_up("a", Daemon("m", deaf=True))
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 10.0))]
    pass_time(queue, 600)
    assert queue.hosts["a"].state is HostState.UP
    assert job.state is JobState.PENDING


def test_a_machine_may_show_less_memory_than_declared() -> None:
    queue = queue_with()
    told = HostAttributes(Capacity(4, 8000))
    queue.add_host("a", "", told)
    queue.daemon_up("a", Daemon("m", memory_share=0.9))
    assert queue.hosts["a"].attributes.capacity == Capacity(4, 7200)
    queue.add_host("a", "", told)
    assert queue.hosts["a"].attributes.capacity == Capacity(4, 7200)


def test_a_job_started_on_a_dead_host_hangs_until_the_scheduler_notices() -> None:
    queue = queue_with("a")
    queue.daemon_lost("a", "machine-a", Cause.NODE_LOST)
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 10.0))]
    pass_time(queue, 20)
    assert job.state is JobState.RUNNING
    pass_time(queue, 80)
    assert job.state is JobState.RUNNING
    pass_time(queue, 30)
    assert job.state is JobState.PENDING
    assert [entry.living for entry in job.interruptions] == [False]


def test_lists_may_show_a_start_late_but_not_beyond_the_acknowledgement_of_a_hold() -> None:
    queue = queue_with("a", rules=QueueRules(show_s=30.0))
    job = queue.jobs[queue.submit(JobRequest(ONE_CORE, 500.0))]
    queue.schedule_now()
    assert (job.state, job.hidden) == (JobState.RUNNING, True)
    queue.acknowledged("no such host")
    queue.acknowledged("a")
    assert not job.hidden
    other = queue.jobs[queue.submit(JobRequest(ONE_CORE, 500.0))]
    pass_time(queue, 6)
    assert other.hidden
    pass_time(queue, 30)
    assert not other.hidden
