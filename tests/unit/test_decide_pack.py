"""Packing as the plan shows it: what is launched for a queue beside what is there already."""

from __future__ import annotations

import pytest
from builders import (
    NOW,
    draft,
    host,
    host_of,
    job,
    jobs,
    launches,
    node,
    picture,
    plan,
    policy,
    resource,
    shape,
)

from dynamiccluster.decide.demand import sort_out
from dynamiccluster.decide.grow import grow
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.host import HostState
from dynamiccluster.model.plan import Plan, Refusal, ShapeReport
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S = NodeState


def report(decided: Plan) -> ShapeReport:
    (only,) = decided.demand.reports
    return only


def placed(decided: Plan) -> tuple[int, int, int, int]:
    """Tasks on free nodes, on coming ones, on new ones, and without a place."""
    found = decided.demand.reports
    return (
        sum(r.on_free for r in found),
        sum(r.on_coming for r in found),
        sum(r.on_new for r in found),
        sum(r.unplaced for r in found),
    )


# -- serial jobs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "wants", "nodes"),
    [(1, shape(1), 1), (4, shape(1), 1), (5, shape(1), 2), (3, shape(3), 3), (4, shape(1, 4096), 2), (0, shape(1), 0)],
)
def test_serial_jobs_fill_new_nodes(count, wants, nodes) -> None:
    decided = plan(picture(jobs=jobs(count, wants)))
    assert sum(launches(decided).values()) == nodes
    assert placed(decided) == (0, 0, count, 0)


def test_free_nodes_are_used_before_anything_is_launched() -> None:
    decided = plan(picture([node()], jobs(6)))
    assert placed(decided) == (4, 0, 2, 0)
    assert launches(decided) == {"r": 1}


def test_hosts_that_are_not_ours_count_as_room() -> None:
    decided = plan(picture(jobs=jobs(6), hosts=[host("static", 8)]))
    assert placed(decided) == (6, 0, 0, 0)
    assert not launches(decided)


@pytest.mark.parametrize(
    "there",
    [
        host("h", held="maintenance"),
        host("h", state=HostState.DOWN),
        host("h", state=HostState.UNKNOWN),
        host("h", used=4),
        host("h", 1),
        host("h", queues=frozenset({"x"})),
        host("h", template=True),
        host("h", memory_mib=100),
    ],
)
def test_hosts_that_cannot_take_the_job_are_no_room(there) -> None:
    decided = plan(picture(jobs=[job("1", shape(2, 1024))], hosts=[there]))
    assert launches(decided) == {"r": 1}


def test_used_amounts_are_taken_off() -> None:
    there = host("h", 8, 8192, used=2, used_mib=6144)
    assert placed(plan(picture(jobs=jobs(6, shape(1, 1024)), hosts=[there]))) == (2, 0, 4, 0)


def test_a_job_without_memory_fits_where_memory_is_overcommitted() -> None:
    there = host("h", 8, 8192, used=2, used_mib=9000)
    assert placed(plan(picture(jobs=jobs(6), hosts=[there]))) == (6, 0, 0, 0)


def test_a_job_of_no_cores_needs_a_node_with_a_core_left() -> None:
    assert placed(plan(picture(jobs=[job("1", shape(0))], hosts=[host("h", used=4)]))) == (0, 0, 1, 0)
    assert placed(plan(picture(jobs=jobs(3, shape(0)), hosts=[host("h", used=3)]))) == (3, 0, 0, 0)


def test_gpus_are_counted_and_used_up() -> None:
    rules = policy(resource("g", 8, 65536, gpus=2))
    assert launches(plan(picture(jobs=jobs(5, shape(1, gpus=1))), rules)) == {"g": 3}
    there = host("h", 8, 65536, gpus=2, used_gpus=1)
    assert placed(plan(picture(jobs=jobs(3, shape(1, gpus=1)), hosts=[there]), rules)) == (1, 0, 2, 0)


def test_what_one_shape_leaves_on_a_new_node_another_uses() -> None:
    queue = [job("1", shape(3), priority=2.0), job("2", shape(1), priority=1.0)]
    decided = plan(picture(jobs=queue))
    assert launches(decided) == {"r": 1}
    assert placed(decided) == (0, 0, 2, 0)


def test_nodes_in_use_are_filled_before_empty_ones() -> None:
    used, empty = node("n1", S.BUSY), node("n2")
    seen = [host_of(empty), host_of(used, used=2)]
    snapshot = picture([empty, used], jobs(2), seen)
    need = grow(draft(snapshot), sort_out(snapshot.scheduler, policy()), act=True)
    assert need.wanted == {"n1"}


# -- nodes on their way -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.REQUESTED, S.UNSETTLED, S.STARTING, S.CONFIGURING, S.JOINING])
def test_nodes_on_their_way_are_room_that_will_come(state) -> None:
    decided = plan(picture([node("n1", state)], jobs(6), instances=[]))
    assert placed(decided)[1:] == (4, 2, 0)
    assert launches(decided) == {"r": 1}


def test_coming_nodes_of_another_kind_block_nothing() -> None:
    rules = policy(resource("a", queue="a"), resource("b", 16))
    snapshot = picture([node("n1", S.STARTING, "a"), node("n2", S.STARTING, "b")], jobs(2, shape(16)))
    decided = plan(snapshot, rules)
    assert placed(decided) == (0, 1, 1, 0)
    assert launches(decided) == {"b": 1}


def test_coming_nodes_of_a_resource_that_left_the_configuration_are_not_counted_on() -> None:
    snapshot = picture([node("n1", S.STARTING, "old")], jobs(1))
    assert launches(plan(snapshot)) == {"r": 1}


def test_nodes_in_trouble_or_on_their_way_out_are_no_room() -> None:
    for state in (S.DOWN, S.FAILED, S.REMOVING, S.TERMINATING, S.QUARANTINED):
        seen = [host_of(node("n1"), state=HostState.DOWN)]
        decided = plan(picture([node("n1", state)], jobs(1), seen))
        assert launches(decided) == {"r": 1}, state


def test_an_operator_hold_keeps_a_node_out() -> None:
    held = node("n1", S.HELD, hold_why=HoldWhy.OPERATOR, hold_confirmed_at=NOW - 50)
    decided = plan(picture([held], jobs(1), [host_of(held, held="dynamiccluster:c1:n1")]))
    assert launches(decided) == {"r": 1}


def test_a_node_held_for_scale_down_is_taken_back() -> None:
    held = node("n1", S.HELD, hold_why=HoldWhy.SCALE_DOWN, hold_confirmed_at=NOW - 50)
    decided = plan(picture([held], jobs(4), [host_of(held, held="dynamiccluster:c1:n1")]))
    assert not launches(decided)
    assert placed(decided) == (4, 0, 0, 0)
    assert decided.nodes["n1"].state is S.IDLE
    assert [action.kind for action in decided.actions] == [ActionKind.RELEASE]


def test_nodes_are_taken_back_in_a_fixed_order() -> None:
    nodes = [node(f"n{i:02}", S.HELD, hold_why=HoldWhy.SCALE_DOWN, hold_confirmed_at=NOW - 50) for i in range(30)]
    hosts = [host_of(n, held=f"dynamiccluster:c1:{n.node_id}") for n in nodes]
    decided = plan(picture(nodes, jobs(120), hosts))
    assert [event.node_id for event in decided.events] == [n.node_id for n in nodes]


def test_free_nodes_come_before_taking_back_held_ones() -> None:
    held = node("n1", S.HELD, hold_why=HoldWhy.SCALE_DOWN, hold_confirmed_at=NOW - 50)
    free = node("n2")
    snapshot = picture([held, free], jobs(4), [host_of(held, held="dynamiccluster:c1:n1"), host_of(free)])
    decided = plan(snapshot)
    assert "n1" not in decided.nodes or decided.nodes["n1"].state is not S.IDLE
    assert placed(decided) == (4, 0, 0, 0)


def test_a_free_node_still_being_released_by_us_is_room() -> None:
    releasing = node("n1", S.IDLE, todo=(ActionKind.RELEASE,), action_id="a")
    snapshot = picture([releasing], jobs(1), [host_of(releasing, held="dynamiccluster:c1:n1")])
    assert not launches(plan(snapshot))


# -- gangs --------------------------------------------------------------------------------------------


def test_pieces_anywhere_share_nodes() -> None:
    decided = plan(picture(jobs=jobs(2, shape(1, chunks=6))))
    assert launches(decided) == {"r": 3}
    assert report(decided).on_new == 2


def test_distinct_pieces_get_a_host_each() -> None:
    assert launches(plan(picture(jobs=[job("1", shape(1, chunks=3, distinct=True))]))) == {"r": 3}


def test_distinct_gangs_share_hosts_with_each_other() -> None:
    assert launches(plan(picture(jobs=jobs(4, shape(1, chunks=3, distinct=True))))) == {"r": 3}


def test_distinct_gangs_on_free_hosts() -> None:
    hosts = [host("a", 4), host("b", 2), host("c", 1)]
    decided = plan(picture(jobs=jobs(4, shape(1, chunks=2, distinct=True)), hosts=hosts), policy(resource(max_nodes=0)))
    assert report(decided).on_free == 3  # a+b, a+b, a+c


def test_a_gang_is_completed_by_new_nodes() -> None:
    decided = plan(picture([node()], [job("1", shape(1, chunks=10))]))
    assert launches(decided) == {"r": 2}
    assert placed(decided) == (0, 0, 1, 0)


def test_a_distinct_gang_is_completed_by_new_nodes() -> None:
    decided = plan(picture([node("n1"), node("n2")], [job("1", shape(4, chunks=5, distinct=True))]))
    assert launches(decided) == {"r": 3}


def test_a_gang_that_the_limit_does_not_hold_gets_nothing_at_all() -> None:
    decided = plan(picture([node()], [job("1", shape(4, chunks=4))]), policy(resource(max_nodes=3)))
    assert not launches(decided)
    assert placed(decided) == (0, 0, 0, 1)
    assert report(decided).refusals == {"r": Refusal.MAX_NODES}


def test_a_gang_spans_resources_when_none_holds_it_alone() -> None:
    rules = policy(resource("a", max_nodes=2), resource("b", 8, max_nodes=2, priority=1))
    decided = plan(picture(jobs=[job("1", shape(4, chunks=5, distinct=False))]), rules)
    assert launches(decided) == {"a": 2, "b": 2}


def test_a_distinct_gang_spans_resources() -> None:
    rules = policy(resource("a", max_nodes=2), resource("b", 8, max_nodes=0), resource("c", max_nodes=3, priority=1))
    wants = shape(1, chunks=5, distinct=True)
    assert launches(plan(picture(jobs=[job("1", wants)]), rules)) == {"a": 2, "c": 3}
    assert not launches(plan(picture(jobs=[job("1", shape(1, chunks=6, distinct=True))]), rules))


def test_spanning_respects_limits_that_resources_share() -> None:
    rules = policy(resource("a", max_nodes=2), resource("b", max_nodes=2), limits=Limits(max_nodes=3))
    assert not launches(plan(picture(jobs=[job("1", shape(4, chunks=4))]), rules))
    assert launches(plan(picture(jobs=[job("1", shape(4, chunks=3))]), rules)) == {"a": 2, "b": 1}


def test_what_is_bought_for_one_gang_serves_the_next() -> None:
    rules = policy(resource("full", max_nodes=0), resource("r2", 8, max_nodes=2))
    hosts = [host("a", 4), host("b", 6)]
    decided = plan(picture(jobs=jobs(3, shape(2, chunks=3, distinct=True)), hosts=hosts), rules)
    assert launches(decided) == {"r2": 2}
    assert placed(decided)[3] == 0


def test_a_gang_needs_free_hosts_and_two_resources() -> None:
    rules = policy(resource("a", 1, max_nodes=1), resource("b", 4, max_nodes=1))
    decided = plan(picture(jobs=[job("1", shape(1, chunks=7))], hosts=[host("h", 1), host("i", 1)]), rules)
    assert launches(decided) == {"a": 1, "b": 1}


def test_an_exclusive_gang_is_completed_too() -> None:
    decided = plan(picture([node("n1"), node("n2")], [job("1", shape(2, chunks=5, exclusive=True))]))
    assert launches(decided) == {"r": 1}


def test_several_gangs_span_one_after_the_other() -> None:
    rules = policy(resource("a", max_nodes=3), resource("b", max_nodes=3))
    decided = plan(picture(jobs=jobs(3, shape(4, chunks=2))), rules)
    assert launches(decided) == {"a": 3, "b": 3}
    assert placed(decided) == (0, 0, 3, 0)


def test_jobs_are_counted_by_the_farthest_stage_they_need() -> None:
    coming = node("n2", S.STARTING)
    decided = plan(picture([node("n1"), coming], jobs(3, shape(1, chunks=3))))
    assert placed(decided) == (1, 1, 1, 0)
    assert launches(decided) == {"r": 1}


# -- exclusive ----------------------------------------------------------------------------------------


def test_exclusive_jobs_get_a_whole_node_each_new_and_free() -> None:
    wants = shape(1, exclusive=True)
    assert launches(plan(picture(jobs=jobs(3, wants)))) == {"r": 3}
    assert placed(plan(picture([node("n1"), node("n2")], jobs(3, wants)))) == (2, 0, 1, 0)


def test_an_exclusive_job_does_not_go_where_another_runs() -> None:
    busy = node("n1", S.BUSY)
    decided = plan(picture([busy], [job("1", shape(1, exclusive=True))], [host_of(busy, used=1)]))
    assert launches(decided) == {"r": 1}


def test_nothing_goes_where_an_exclusive_job_was_placed() -> None:
    queue = [job("1", shape(1, exclusive=True), priority=2.0), job("2", shape(1), priority=1.0)]
    decided = plan(picture([node()], queue))
    assert placed(decided) == (1, 0, 1, 0)


def test_exclusive_gangs_anywhere_take_whole_nodes_of_their_own() -> None:
    wants = shape(2, chunks=3, exclusive=True)  # two pieces per node of four cores: two nodes per job
    assert launches(plan(picture(jobs=jobs(2, wants)))) == {"r": 4}
    nodes = [node(f"n{i}") for i in range(4)]
    decided = plan(picture(nodes, jobs(3, wants)))
    assert placed(decided) == (2, 0, 1, 0)
    assert launches(decided) == {"r": 2}


def test_exclusive_distinct_gangs() -> None:
    wants = shape(1, chunks=2, distinct=True, exclusive=True)
    decided = plan(picture([node(f"n{i}") for i in range(3)], jobs(2, wants)))
    assert placed(decided) == (1, 0, 1, 0)
    assert launches(decided) == {"r": 1}  # the third free node completes the second gang


# -- memory per host ----------------------------------------------------------------------------------


def test_memory_per_host_is_paid_by_every_serial_job() -> None:
    assert launches(plan(picture(jobs=jobs(4, shape(1, memory_per_host_mib=4096))))) == {"r": 2}


def test_a_gang_pays_memory_per_host_once_on_one_host() -> None:
    wants = shape(1, chunks=4, memory_per_host_mib=8192)
    assert launches(plan(picture(jobs=[job("1", wants)]))) == {"r": 1}


def test_two_gangs_on_one_host_pay_memory_per_host_twice() -> None:
    rules = policy(resource(cores=16, memory_mib=8192))
    wants = shape(1, chunks=2, memory_per_host_mib=4096)
    assert launches(plan(picture(jobs=jobs(6, wants)), rules)) == {"r": 3}
    there = host("h", 16, 8192)
    assert placed(plan(picture(jobs=jobs(3, wants), hosts=[there]), rules)) == (2, 0, 1, 0)


def test_a_gang_that_spans_hosts_pays_memory_on_each() -> None:
    wants = shape(1, 1024, chunks=6, memory_per_host_mib=4096)
    assert launches(plan(picture(jobs=[job("1", wants)]))) == {"r": 2}
    assert launches(plan(picture(jobs=jobs(2, wants)))) == {"r": 4}
    free = [node(f"n{i}") for i in range(4)]
    assert placed(plan(picture(free, jobs(3, wants)))) == (2, 0, 1, 0)


# -- priority order -----------------------------------------------------------------------------------


def test_where_a_limit_binds_the_higher_priority_gets_the_node() -> None:
    queue = [
        job("low", shape(4, walltime_s=1), priority=1.0),
        job("high", shape(4, walltime_s=2), priority=3.0),
        job("low too", shape(4, walltime_s=2), priority=0.5),
    ]
    decided = plan(picture(jobs=queue), policy(resource(max_nodes=2)))
    by_first = {r.job_ids: (r.on_new, r.unplaced) for r in decided.demand.reports}
    assert by_first == {("high", "low too"): (1, 1), ("low",): (1, 0)}


def test_a_group_without_room_on_the_rows_is_asked_again_when_there_are_new_ones() -> None:
    queue = [
        job("1", shape(8), priority=9.0),  # fits no node of r, has no place
        job("2", shape(4), priority=8.0),
        job("3", shape(8), priority=7.0),
    ]
    decided = plan(picture(jobs=queue), policy(resource(max_nodes=1)))
    assert placed(decided) == (0, 0, 1, 2)


def test_large_demand_over_several_equal_resources_in_large_steps() -> None:
    rules = policy(*(resource(f"r{i}", max_nodes=100) for i in range(3)))
    decided = plan(picture(jobs=jobs(250, shape(4))), rules)
    counts = launches(decided)
    assert sum(counts.values()) == 250
    assert max(counts.values()) <= 100
    assert max(counts.values()) - min(counts.values()) <= 50


def test_thousands_of_rows_and_jobs_are_placed_without_loss() -> None:
    hosts = [host(f"h{i:04}", 4, used=i % 4) for i in range(2000)]
    queue = jobs(6000, shape(1)) + jobs(20, shape(4, walltime_s=9), first=7000)
    decided = plan(picture(jobs=queue, hosts=hosts))
    free, coming, new, lacking = placed(decided)
    assert free + coming + new + lacking == 6020
    assert free == 5000  # every free core


def test_an_array_without_waiting_tasks_is_no_demand() -> None:
    decided = plan(picture(jobs=[job("1", tasks=0)]))
    assert not decided.demand.reports
