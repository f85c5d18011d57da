"""Demand: which waiting jobs count, how they are grouped, and in which order they are served."""

from __future__ import annotations

import pytest
from builders import host, job, jobs, launches, picture, plan, policy, resource, running, scheduler_view, shape

from dynamiccluster.decide import demand
from dynamiccluster.decide.demand import Segment, by_priority, sane, sort_out, whole
from dynamiccluster.model.job import JobState, Wait


def sorted_out(*listed, queues=()):
    return sort_out(scheduler_view(listed), policy(queues=queues))


def test_no_view_no_demand() -> None:
    queue = sort_out(None, policy())
    assert not queue.groups
    assert by_priority(queue) == []


def test_equal_shapes_are_one_group_also_when_they_are_different_objects() -> None:
    queue = sorted_out(job("1", shape(2)), job("2", shape(1)), job("3", shape(2)))
    assert [(g.shape.chunk.cores, [j.job_id for j in g.jobs], g.tasks) for g in queue.groups] == [
        (2, ["1", "3"], 2),
        (1, ["2"], 1),
    ]


def test_groups_and_their_jobs_by_priority_equal_ones_in_the_order_of_the_list() -> None:
    small, large = shape(1), shape(2)
    queue = sorted_out(
        job("1", small, priority=1.0),
        job("2", large, priority=5.0),
        job("3", small, priority=9.0),
        job("4", large, priority=5.0),
    )
    assert [[j.job_id for j in g.jobs] for g in queue.groups] == [["3", "1"], ["2", "4"]]
    assert queue.owners.tolist() == [0, 1, 1, 0]


def test_jobs_that_more_nodes_would_not_help_are_kept_apart_by_class() -> None:
    queue = sorted_out(
        job("1", wait=Wait.NO, reason="Dependency"),
        job("2", wait=Wait.NOT_YET, reason="BeginTime"),
        job("3"),
        running("4", "h"),
        job("5", state=JobState.UNKNOWN),
        job("6", wait=Wait.NO, stuck=True),
        job("7", stuck=True),
    )
    assert (queue.no, queue.not_yet, queue.stuck) == (["1", "6"], ["2"], ["6", "7"])
    assert [j.job_id for g in queue.groups for j in g.jobs] == ["3", "7"]


@pytest.mark.parametrize(
    ("tasks", "throttle", "running_tasks", "startable"),
    [(5, 0, 0, 5), (5, 3, 0, 3), (5, 3, 2, 1), (2, 9, 2, 2), (5, 3, 3, 0), (5, 3, 9, 0), (0, 0, 0, 0), (1, 1, 0, 1)],
)
def test_of_an_array_only_what_its_throttle_lets_start(tasks, throttle, running_tasks, startable) -> None:
    array = job("1", shape(4), tasks=tasks, throttle=throttle, running_tasks=running_tasks)
    queue = sorted_out(array, job("2", shape(4)))
    assert sum(g.tasks for g in queue.groups) == startable + 1
    assert queue.not_yet == ([] if startable else ["1"])
    assert launches(plan(picture(jobs=[array]))).get("r", 0) == startable


def test_only_monitored_queues_count() -> None:
    listed = [job("1", shape(queues=("a",))), job("2", shape(queues=("b", "a"))), job("3", shape(queues=("c",)))]
    queue = sorted_out(*listed, queues=("a",))
    assert [j.job_id for g in queue.groups for j in g.jobs] == ["1", "2"]
    assert queue.foreign == 1


def test_a_queue_that_is_nobodys_to_watch_is_only_counted() -> None:
    queue = sorted_out(job("1", shape(queues=("c",))), queues=("a",))
    assert not queue.groups
    assert queue.foreign == 1


@pytest.mark.parametrize(
    "wants",
    [
        shape(-1),
        shape(1, -1),
        shape(1, 0, -1),
        shape(1, chunks=0),
        shape(1, chunks=-3),
        shape(1, memory_per_host_mib=-1),
        shape(1 << 70),
        shape(1, 1 << 70),
        shape(1, 0, 1 << 40),
        shape(1, chunks=1 << 40),
        shape(1, memory_per_host_mib=1 << 62),
    ],
)
def test_nonsense_is_no_demand_and_harms_nobody_else(wants) -> None:
    assert not sane(wants)
    decided = plan(picture(jobs=[job("odd", wants), job("1", shape(4))]))
    assert launches(decided) == {"r": 1}
    assert decided.demand.held_back["no"] == ("odd",)


def test_large_but_possible_amounts_do_not_overflow() -> None:
    most = shape(demand.MOST, demand.MOST**2, demand.MOST, chunks=demand.MOST)
    assert sane(most)
    rules = policy(resource("huge", demand.MOST, demand.MOST**2, gpus=demand.MOST, max_nodes=3), resource())
    decided = plan(picture(jobs=[job("1", most, tasks=1 << 60), job("2", shape(4), tasks=1 << 60)]), rules)
    assert launches(decided) == {"r": 10, "huge": 3}
    there = host("h", demand.MOST, demand.MOST**2, gpus=demand.MOST)
    assert plan(picture(jobs=jobs(2, most), hosts=[there]), rules).demand.unplaced_tasks == 2


def test_whole_groups_and_exact_runs() -> None:
    a, b = shape(1), shape(2)
    queue = sorted_out(
        job("1", a, priority=9),
        job("2", a, priority=8, tasks=3),
        job("3", b, priority=7),
        job("4", a, priority=6),
    )
    assert list(whole(queue)) == [Segment(0, 5), Segment(1, 1)]
    assert by_priority(queue) == [Segment(0, 4), Segment(1, 1), Segment(0, 1)]


def test_a_long_queue_is_cut_into_bands_that_lose_nothing() -> None:
    kinds = [shape(1, walltime_s=i) for i in range(7)]
    count = demand.EXACT_JOBS + 12000
    queue = sorted_out(*(job(f"{i}", kinds[i % 7], priority=-float(i)) for i in range(count)))
    segments = by_priority(queue)
    assert sum(s.tasks for s in segments) == count
    assert [{s.group for s in segments[i : i + 7]} for i in (0, 7, 28)] == [set(range(7))] * 3
    assert sum(s.tasks for s in segments[:7]) == demand.FIRST_BAND
    assert sum(s.tasks for s in segments[28:35]) == 2 * demand.FIRST_BAND


def test_in_a_long_queue_high_priorities_still_win() -> None:
    listed = jobs(demand.EXACT_JOBS, shape(4, walltime_s=1), priority=1.0)
    listed += jobs(600, shape(4, walltime_s=2), first=9000, priority=5.0)
    decided = plan(picture(jobs=listed), policy(resource(max_nodes=300)))
    by_kind = {r.shape.walltime_s: r.on_new for r in decided.demand.reports}
    assert by_kind == {2: 300, 1: 0}
