"""What becomes of waiting jobs: limits of queues, named hosts, priorities that Maui does not tell, room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.schedulers.torque.queues_parse import QueueFacts, apply_queues, parse_queues
from dynamiccluster.schedulers.torque.waiting import (
    block,
    estimate_priorities,
    mark_stuck,
    maui_id,
    plain_id,
    settle_named,
)

RECORDED = Path(__file__).parents[1] / "recorded" / "torque"
BATCH = Shape(queues=("batch",), chunk=Capacity(2))
UP = Host("n1", HostState.UP, Capacity(4, 4000), features=frozenset({"fast"}))


def waiting(number: int, shape: Shape = BATCH, **changes: object) -> Job:
    job = Job(f"{number}.h", JobState.PENDING, shape, user="eve", wait=Wait.HELPS, submitted_at=float(number))
    return replace(job, **changes)  # type: ignore[arg-type]


def helped(jobs: list[Job]) -> list[str]:
    return [job.job_id for job in jobs if job.wait is Wait.HELPS]


def test_the_recorded_queues() -> None:
    found = parse_queues((RECORDED / "s1_qstat_Q_f.txt").read_text(encoding="utf-8"))
    assert found == {
        "batch": QueueFacts("batch"),
        "short": QueueFacts("short"),
        "long": QueueFacts("long", max_user_run=2),
    }


def test_queues_that_are_stopped_or_route_or_have_limits() -> None:
    text = (
        "Queue: a\n    queue_type = Execution\n    enabled = False\n    started = True\n    max_running = 3\n\n"
        "Queue: b\n    queue_type = Execution\n    started = False\n\n"
        "Queue: c\n    queue_type = Route\n    started = True\n\n"
        "Queue: d\n    queue_type = Execution\n    max_run = [u:PBS_GENERIC=2],[o:PBS_ALL=9],[u:bob=1]\n"
    )
    assert parse_queues(text) == {
        "a": QueueFacts("a", max_running=3),
        "b": QueueFacts("b", started=False),
        "c": QueueFacts("c", execution=False),
        "d": QueueFacts("d", max_running=9, max_user_run=2),
    }
    with pytest.raises(ValueError, match="no queue"):
        parse_queues("qstat: something\n")


def test_jobs_of_a_stopped_queue_get_no_nodes() -> None:
    (job,) = apply_queues([waiting(1)], {"batch": QueueFacts("batch", started=False)})
    assert (job.wait, job.reason) == (Wait.NO, "queue batch is stopped")
    (job,) = apply_queues([waiting(1)], {"batch": QueueFacts("batch", execution=False)})
    assert job.wait is Wait.NOT_YET
    assert helped(apply_queues([waiting(1)], {"other": QueueFacts("other", started=False)})) == ["1.h"]


def test_of_a_limited_queue_the_first_in_line_keep_their_hope() -> None:
    running = [waiting(9, state=JobState.RUNNING, wait=Wait.NO)]
    jobs = [*running, waiting(1), waiting(2, priority=9.0), waiting(3), waiting(4)]
    found = apply_queues(jobs, {"batch": QueueFacts("batch", max_running=3)})
    assert helped(found) == ["1.h", "2.h"]
    assert "max_running 3" in found[-1].reason
    assert helped(apply_queues(jobs, {"batch": QueueFacts("batch", max_user_run=2)})) == ["2.h"]
    others = [*running, waiting(1, user="bob"), waiting(2)]
    assert helped(apply_queues(others, {"batch": QueueFacts("batch", max_user_run=1)})) == ["1.h"]


def test_parts_of_one_job_count_once_and_share_its_fate() -> None:
    jobs = [waiting(1), waiting(1, job_id="1.h+1"), waiting(2), waiting(2, job_id="2.h+1")]
    assert helped(apply_queues(jobs, {"batch": QueueFacts("batch", max_running=1)})) == ["1.h", "1.h+1"]


def test_names_of_jobs() -> None:
    assert (plain_id("4[7].head.example.org+2"), maui_id("4[7].head.example.org+2")) == (
        "4[7].head.example.org",
        "4[7]",
    )


def test_jobs_that_maui_does_not_list_rank_with_their_neighbours() -> None:
    long = replace(BATCH, queues=("long",))
    jobs = [
        waiting(1, priority=50.0),
        waiting(2),
        waiting(9),
        waiting(10, priority=10.0),
        waiting(3, long, priority=99.0),
        waiting(8, long),
        waiting(7, replace(BATCH, queues=("none",))),
    ]
    estimate_priorities(jobs, [1, 2, 5, 6])
    assert [job.priority for job in jobs] == [50.0, 50.0, 10.0, 10.0, 99.0, 99.0, 10.0]
    alone = [waiting(1)]
    estimate_priorities(alone, [0])
    assert alone[0].priority == 0.0


NAMED = replace(BATCH, hosts=("n1",))


@pytest.mark.parametrize(
    ("host", "hope"),
    [
        (UP, True),
        (replace(UP, used=Capacity(3)), False),
        (replace(UP, state=HostState.DOWN), False),
        (replace(UP, hold=Hold("x", False)), False),
        (None, False),
    ],
)
def test_what_demands_a_host_gets_the_rest_only_while_that_host_is_free(host: Host | None, hope: bool) -> None:
    jobs = [waiting(1, NAMED), waiting(1, job_id="1.h+1"), waiting(2)]
    settle_named(jobs, {"n1": host} if host else {})
    assert jobs[0].wait is Wait.NO
    assert "demands the host n1" in jobs[0].reason
    assert helped(jobs) == (["1.h+1", "2.h"] if hope else ["2.h"])


def test_what_maui_blocks() -> None:
    jobs = [waiting(1), waiting(1, job_id="1.h+1"), waiting(2)]
    block(jobs, {"1.h": "Maui: held"})
    assert helped(jobs) == ["2.h"]
    assert jobs[1].reason == "Maui: held"


@pytest.mark.parametrize(
    ("shape", "hosts", "stuck"),
    [
        (BATCH, [UP], True),
        (BATCH, [], False),
        (BATCH, [replace(UP, used=Capacity(3))], False),
        (BATCH, [replace(UP, hold=Hold("x", True))], False),
        (BATCH, [replace(UP, state=HostState.JOINING)], False),
        (BATCH, [replace(UP, template=True)], False),
        (replace(BATCH, features=(("slow",),)), [UP], False),
        (replace(BATCH, features=(("fast",),)), [UP], True),
        (replace(BATCH, chunks=2, distinct=True), [UP], False),
        (replace(BATCH, chunks=2, distinct=True), [UP, UP], True),
        (replace(BATCH, chunks=2), [UP], True),
        (replace(BATCH, chunk=Capacity(1, 5000)), [UP], False),
        (replace(BATCH, chunk=Capacity(1, 0, 1)), [UP], False),
        (replace(BATCH, exclusive=True), [replace(UP, busy=True)], False),
    ],
)
def test_only_what_there_is_room_for_is_stuck(shape: Shape, hosts: list[Host], stuck: bool) -> None:
    jobs = [waiting(1, shape), waiting(2, shape)]
    mark_stuck(jobs, [0], hosts, 100.0, 20.0)
    assert [job.stuck for job in jobs] == [stuck, False]


def test_what_maui_may_not_have_seen_yet_is_not_stuck() -> None:
    jobs = [waiting(90), waiting(50, wait=Wait.NO)]
    mark_stuck(jobs, [0, 1], [UP], 100.0, 20.0)
    assert not any(job.stuck for job in jobs)
