"""Components of one job that start together or not at all, and hosts that are free for a limited time."""

from __future__ import annotations

from dataclasses import replace

import builders as b
import pytest
from builders import NOW, OBS, actions, host, host_of, job, jobs, launches, node, picture, plan, policy, resource, shape

from dynamiccluster.decide.tick import answer
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.job import Wait
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.policy import Limits

SMALL, BIG = shape(2), shape(4, features=(("big",),))
RULES = policy(resource("r", 4, max_nodes=4), resource("b", 4, max_nodes=1, features=frozenset({"big"}), priority=1))


def het(number: int, small: int = 1, big: int = 1, priority: float = 0.0):
    """A job of so many components of each shape."""
    shapes = [SMALL] * small + [BIG] * big
    return [
        job(f"{number}+{at}", wants, gang=str(number), priority=priority or -number) for at, wants in enumerate(shapes)
    ]


def test_components_that_all_find_a_place_are_served() -> None:
    decided = plan(picture(jobs=het(1, small=2)), RULES)
    assert launches(decided) == {"r": 1, "b": 1}
    assert decided.demand.unplaced_tasks == 0


def test_no_node_for_a_job_one_component_of_which_gets_none() -> None:
    snapshot = picture(jobs=het(1, small=2, big=2))
    decided = plan(snapshot, RULES)
    assert launches(decided) == {}
    assert decided.demand.unplaced_tasks == 4
    assert [report.unplaced for report in decided.demand.reports] == [2, 2]
    small, big = (answer(snapshot, RULES, NOW, decided.demand, snapshot.scheduler.jobs[at]) for at in (0, 3))
    assert small.limit == Refusal.COMPONENTS
    assert "together or not at all" in small.summary
    assert big.limit == Refusal.MAX_NODES


def test_what_a_broken_job_leaves_goes_to_others() -> None:
    listed = [*het(1, small=2, big=2, priority=9), *het(2, small=1, big=1, priority=5), *jobs(2, SMALL, first=10)]
    decided = plan(picture(jobs=listed), RULES)
    assert launches(decided) == {"r": 2, "b": 1}
    small = next(report for report in decided.demand.reports if report.shape == SMALL)
    assert (small.on_new, small.unplaced) == (3, 2)
    assert small.job_ids[-2:] == ("1+0", "1+1")


def test_nodes_that_are_up_are_not_kept_for_a_broken_job() -> None:
    idle = node(idle_since_obs=OBS - 5000.0)
    broken = plan(picture([idle], het(1, small=1, big=2), [host_of(idle)]), RULES)
    assert actions(broken, ActionKind.HOLD)
    whole = plan(picture([idle], het(1, small=1, big=1), [host_of(idle)]), RULES)
    assert not actions(whole, ActionKind.HOLD)


def test_many_broken_jobs_end_in_few_passes() -> None:
    listed = [component for number in range(1, 40) for component in het(number, small=1, big=1)]
    decided = plan(picture(jobs=listed), RULES)
    counts = launches(decided)
    assert counts in ({"r": 1, "b": 1}, {})
    assert decided.demand.unplaced_tasks >= 76


@pytest.mark.parametrize(("walltime_s", "free"), [(600, True), (601, False), (0, False)])
def test_a_host_that_is_free_for_some_time_takes_jobs_that_end_in_it(walltime_s: int, free: bool) -> None:
    reserved = replace(host("static", 4), free_for_s=600.0)
    decided = plan(picture(jobs=[job("1", shape(4, walltime_s=walltime_s))], hosts=[reserved]), RULES)
    assert launches(decided) == ({} if free else {"r": 1})


def test_jobs_of_different_length_find_different_hosts() -> None:
    hosts = [replace(host("a", 4), free_for_s=600.0), replace(host("b", 4), free_for_s=7200.0)]
    lengths = [600, 3600, 86400]
    listed = [job(str(at), shape(4, walltime_s=length)) for at, length in enumerate(lengths)]
    decided = plan(picture(jobs=listed, hosts=hosts), RULES)
    assert [(r.on_free, r.on_new) for r in decided.demand.reports] == [(1, 0), (1, 0), (0, 1)]


def test_a_host_that_is_kept_is_not_removed_and_takes_jobs() -> None:
    idle = node(idle_since_obs=OBS - 5000.0)
    kept = replace(host_of(idle), kept="reservation course")
    assert not plan(picture([idle], hosts=[kept]), RULES).actions
    assert actions(plan(picture([idle], hosts=[replace(kept, kept="")]), RULES), ActionKind.HOLD)
    assert launches(plan(picture([idle], [job("1", SMALL)], [kept]), RULES)) == {}


def test_a_component_that_cannot_start_yet_is_not_served() -> None:
    waiting = job("1+1", BIG, gang="1", wait=Wait.NOT_YET)
    assert launches(plan(picture(jobs=[job("2", SMALL), waiting]), RULES)) == {"r": 1}


def test_machines_for_one_job_on_several_hosts_are_asked_for_all_or_none() -> None:
    wide = b.shape(4, chunks=3, distinct=True)
    waiting = [*b.jobs(1, wide), *b.jobs(2, b.shape(4), first=10)]
    plan = b.plan(b.picture(jobs=waiting), b.policy(b.resource()))
    asked = {(len(action.specs), action.whole) for action in b.actions(plan, ActionKind.LAUNCH)}
    assert asked == {(3, True), (2, False)}
    assert {(len(launch.node_ids), launch.whole) for launch in plan.launches.values()} == asked


def test_where_a_job_needs_more_than_one_request_none_of_them_is_whole() -> None:
    wide = b.shape(4, chunks=3, distinct=True)
    rules = b.policy(b.resource(), limits=Limits(launch_batch=2))
    plan = b.plan(b.picture(jobs=b.jobs(1, wide)), rules)
    assert [action.whole for action in b.actions(plan, ActionKind.LAUNCH)] == [False, False]
