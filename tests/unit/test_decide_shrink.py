"""Which nodes are let go, when, and above all which are not."""

from __future__ import annotations

from typing import Any

import pytest
from builders import (
    MARK,
    OBS,
    VIEW_AT,
    host_of,
    job,
    jobs,
    memory,
    node,
    picture,
    plan,
    policy,
    resource,
    running,
    shape,
)

from dynamiccluster.decide.shrink import idle_limit_s
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.host import HostState
from dynamiccluster.model.memory import Breaker, Nomination, Override
from dynamiccluster.model.resource import ResourceFlag, Timers
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S, A = NodeState, ActionKind
LONG = OBS - 600


def states(decided, *nodes) -> list[NodeState]:
    return [decided.nodes.get(n.node_id, n).state for n in nodes]


def lazy(node_id="n1", **more: Any):
    """A node that has been idle for long enough to go."""
    return node(node_id, **{"idle_since_obs": LONG, **more})


def held(node_id="n1", why=HoldWhy.SCALE_DOWN, state=S.HELD, **more: Any):
    return node(node_id, state, **{"hold_why": why, "hold_confirmed_at": VIEW_AT - 9, **more})


def marked(n, **more: Any):
    return host_of(n, held=f"{MARK}{n.node_id}", **more)


# -- idle ---------------------------------------------------------------------------------------------


def test_a_node_idle_for_long_enough_is_held_first() -> None:
    decided = plan(picture([lazy()]))
    assert decided.nodes["n1"].state is S.HOLDING
    assert decided.nodes["n1"].hold_why is HoldWhy.SCALE_DOWN
    assert [action.kind for action in decided.actions] == [A.HOLD]


@pytest.mark.parametrize(
    "more",
    [
        {"idle_since_obs": LONG + 1},
        {"idle_since_obs": None},
        {"acted_at": VIEW_AT},
        {"action_id": "a"},
        {"todo": (A.RELEASE,)},
        {"state": S.BUSY},
    ],
)
def test_not_before_and_not_while_anything_is_unclear(more) -> None:
    n = lazy(**more)
    assert (
        plan(picture([n], hosts=[host_of(n, used=1)] if n.state is S.BUSY else None)).nodes.get("n1", n).state
        is n.state
    )


def test_a_node_with_work_by_either_list_is_not_let_go() -> None:
    n = lazy()
    assert states(plan(picture([n], hosts=[host_of(n, jobs=("7",))])), n) == [S.BUSY]
    assert states(plan(picture([n], [running("7", n.host_name)])), n) == [S.BUSY]
    assert states(plan(picture([n], [running("7", n.host_name)], [host_of(n, held="mine")])), n) == [S.BUSY]


def test_without_a_view_of_the_scheduler_nothing_is_let_go() -> None:
    n = lazy()
    assert states(plan(picture([n], scheduler=None)), n) == [S.IDLE]


def test_a_node_that_the_scheduler_does_not_list_is_not_let_go() -> None:
    n = lazy()
    assert states(plan(picture([n], hosts=[])), n) == [S.IDLE]


def test_an_operators_own_mark_is_left_alone() -> None:
    n = lazy()
    assert states(plan(picture([n], hosts=[host_of(n, held="maintenance")])), n) == [S.IDLE]


def test_a_node_that_a_waiting_job_fits_is_kept() -> None:
    n = lazy()
    assert states(plan(picture([n], [job()])), n) == [S.IDLE]
    assert states(plan(picture([n], [job("1", shape(5))])), n) == [S.HOLDING]


def test_the_minimum_stays_and_the_longest_idle_go_first() -> None:
    nodes = [lazy("n1", idle_since_obs=LONG - 1), lazy("n2"), lazy("n3", idle_since_obs=LONG - 9), node("n4", S.BUSY)]
    hosts = [host_of(n, used=1 if n.state is S.BUSY else 0) for n in nodes]
    decided = plan(picture(nodes, hosts=hosts), policy(resource(min_nodes=2)))
    assert states(decided, *nodes) == [S.HOLDING, S.IDLE, S.HOLDING, S.BUSY]
    decided = plan(picture(nodes, hosts=hosts), policy(resource(min_nodes=9)))
    assert states(decided, *nodes) == [S.IDLE, S.IDLE, S.IDLE, S.BUSY]


def test_equally_idle_ones_go_by_name() -> None:
    nodes = [lazy("n2"), lazy("n1")]
    assert states(plan(picture(nodes), policy(resource(min_nodes=1))), *nodes) == [S.IDLE, S.HOLDING]


@pytest.mark.parametrize(
    ("nomination", "queue", "then"),
    [
        (Nomination(OBS + 1, "1"), [job("1", shape(9))], S.IDLE),
        (Nomination(0.0, "1"), [job("1", shape(9))], S.IDLE),
        (Nomination(OBS, "1"), [job("1", shape(9))], S.HOLDING),
        (Nomination(OBS + 1, "1"), [], S.HOLDING),
        (Nomination(OBS + 1, "1"), [job("2", shape(9))], S.HOLDING),
    ],
)
def test_a_new_node_is_kept_for_its_job_while_that_waits_and_for_a_time(nomination, queue, then) -> None:
    n = lazy()
    decided = plan(picture([n], queue, memory=memory(nominations={"n1": nomination})))
    assert states(decided, n) == [then]
    assert ("n1" in decided.memory.nominations) is (then is S.IDLE)


@pytest.mark.parametrize(("joined_ago_s", "then"), [(3599, S.IDLE), (3600, S.HOLDING)])
def test_minimum_lifetime(joined_ago_s, then) -> None:
    n = lazy(joined_obs=OBS - joined_ago_s)
    rules = policy(resource(timers=Timers(min_lifetime_s=3600)))
    assert states(plan(picture([n]), rules), n) == [then]


@pytest.mark.parametrize(
    ("of", "queues", "limit_s"),
    [
        ({}, set(), 600),
        ({"queue_idle_s": (("q", 900.0),)}, {"q"}, 900),
        ({"queue_idle_s": (("q", 60.0),)}, {"q"}, 60),
        ({"queue_idle_s": (("q", 60.0), ("x", 90.0))}, {"q", "x"}, 90),
        ({"queue_idle_s": (("x", 90.0),)}, {"q"}, 600),
        ({"queue_idle_s": (("x", 90.0),), "queue": "x"}, set(), 90),
    ],
)
def test_idle_limits_per_queue_the_longest_that_applies(of, queues, limit_s) -> None:
    assert idle_limit_s(resource(**of), frozenset(queues)) == limit_s


def test_the_queues_of_the_host_count_before_those_of_the_resource() -> None:
    n = lazy(idle_since_obs=OBS - 100)
    rules = policy(resource(queue_idle_s=(("x", 50.0), ("q", 5000.0)), queues=frozenset({"q"})))
    assert states(plan(picture([n], hosts=[host_of(n, queues=frozenset({"x"}))]), rules), n) == [S.HOLDING]
    assert states(plan(picture([n]), rules), n) == [S.IDLE]


# -- from held to removed ----------------------------------------------------------------------------


@pytest.mark.parametrize("why", [HoldWhy.SCALE_DOWN, HoldWhy.DRAIN, HoldWhy.DELETE, HoldWhy.FAULT])
def test_a_node_shown_held_and_empty_is_removed(why) -> None:
    n = held(why=why)
    drains = memory(overrides=DRAINING) if why is HoldWhy.DRAIN else memory()
    decided = plan(picture([n], hosts=[marked(n)], memory=drains))
    assert states(decided, n) == [S.REMOVING]
    assert [action.kind for action in decided.actions] == [A.HOST_REMOVE]


@pytest.mark.parametrize("why", [HoldWhy.OPERATOR, HoldWhy.VACATE])
def test_an_operators_hold_lasts(why) -> None:
    n = held(why=why)
    assert states(plan(picture([n], hosts=[marked(n)])), n) == [S.HELD]


def test_needed_again_before_it_is_removed() -> None:
    n = held()
    decided = plan(picture([n], [job()], [marked(n)]))
    assert states(decided, n) == [S.IDLE]
    assert [action.kind for action in decided.actions] == [A.RELEASE]


@pytest.mark.parametrize(
    ("why", "more", "then"),
    [
        (HoldWhy.SCALE_DOWN, {}, S.IDLE),
        (HoldWhy.SCALE_DOWN, {"hold_confirmed_at": 0.0}, S.HOLDING),
        (HoldWhy.SCALE_DOWN, {"acted_at": VIEW_AT}, S.HOLDING),
        (HoldWhy.SCALE_DOWN, {"action_id": "a"}, S.HOLDING),
        (HoldWhy.SCALE_DOWN, {"todo": (A.HOLD,), "retry_obs": OBS + 9}, S.HOLDING),
        (HoldWhy.DRAIN, {}, S.HOLDING),
        (HoldWhy.DELETE, {}, S.HOLDING),
    ],
)
def test_a_job_that_was_there_first_ends_a_hold_for_scale_down(why, more, then) -> None:
    n = held(why=why, state=S.HOLDING, **more)
    decided = plan(picture([n], [running("7", n.host_name)], [marked(n, jobs=("7",))]))
    assert states(decided, n) == [then]


# -- black holes --------------------------------------------------------------------------------------


def starving(since_s=None, **more: Any):
    return node("n1", **{"first_job_at": 0.0, "starved_obs": None if since_s is None else OBS - since_s, **more})


@pytest.mark.parametrize(
    ("since_s", "queue", "then", "starved_obs"),
    [
        (None, [job()], S.IDLE, OBS),
        (1799, [job()], S.IDLE, OBS - 1799),
        (1800, [job()], S.HOLDING, OBS - 1800),
        (1799, [], S.IDLE, None),
        (None, [], S.IDLE, None),
    ],
)
def test_a_node_that_never_gets_a_job_though_jobs_that_fit_wait_is_a_fault(since_s, queue, then, starved_obs) -> None:
    n = starving(since_s)
    decided = plan(picture([n], queue))
    found = decided.nodes.get("n1", n)
    assert (found.state, found.starved_obs) == (then, starved_obs)
    if then is S.HOLDING:
        assert found.hold_why is HoldWhy.FAULT
        assert decided.memory.breakers["r"] == Breaker(useless=1, error=found.reason)


@pytest.mark.parametrize(
    ("more", "timers"), [({"first_job_at": 1.0}, {}), ({"joined_at": 0.0}, {}), ({}, {"first_job_s": 0.0})]
)
def test_not_one_that_had_a_job_or_where_the_rule_is_off(more, timers) -> None:
    n = starving(99999, **more)
    decided = plan(picture([n], [job()]), policy(resource(timers=Timers(**timers))))
    assert states(decided, n) == [S.IDLE]


# -- draining -----------------------------------------------------------------------------------------


DRAINING = {"r": Override(ResourceFlag.DRAINING, 0, 0)}


def test_a_draining_resource_lets_its_nodes_go_as_they_empty() -> None:
    idle, busy = node("n1"), node("n2", S.BUSY)
    hosts = [host_of(idle), host_of(busy, used=1)]
    decided = plan(picture([idle, busy], jobs(9), hosts, memory=memory(overrides=DRAINING)))
    assert states(decided, idle, busy) == [S.HOLDING, S.HOLDING]
    assert {n.hold_why for n in decided.nodes.values()} == {HoldWhy.DRAIN}
    assert not [action for action in decided.actions if action.kind is A.LAUNCH]
    assert decided.memory.overrides["r"].flag is ResourceFlag.DRAINING


def test_an_empty_draining_resource_is_drained() -> None:
    decided = plan(picture(memory=memory(overrides=DRAINING)))
    assert decided.memory.overrides["r"] == Override(ResourceFlag.DRAINED, 0, 0)


def test_frozen_resources_are_not_drained() -> None:
    frozen = {"r": Override(ResourceFlag.FROZEN, 0, 0)}
    assert plan(picture(memory=memory(overrides=frozen))).memory.overrides == frozen


def test_nodes_of_a_resource_that_left_the_configuration_drain() -> None:
    n = node("n1", of="old")
    assert plan(picture([n])).nodes["n1"].hold_why is HoldWhy.DRAIN


# -- failed nodes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "host_state", "on_it", "then"),
    [
        ({}, HostState.DOWN, (), S.REMOVING),
        ({"dead": True}, HostState.UP, (), S.REMOVING),
        ({"dead": True}, HostState.UP, ("7",), S.EVACUATING),
        ({}, HostState.DOWN, ("7",), S.EVACUATING),
        ({}, HostState.UNKNOWN, ("7",), S.FAILED),  # it may be alive: left alone
    ],
)
def test_failed_nodes_leave_the_jobs_of_dead_ones_first(more, host_state, on_it, then) -> None:
    n = node("n1", S.FAILED, **more)
    decided = plan(picture([n], hosts=[host_of(n, state=host_state, jobs=on_it)], instances=[]))
    assert states(decided, n) == [then]


# -- manual mode --------------------------------------------------------------------------------------


def test_in_manual_mode_nothing_is_let_go_by_itself() -> None:
    nodes = [lazy("n1"), node("n2", S.FAILED, dead=True), held("n3", HoldWhy.OPERATOR)]
    hosts = [host_of(nodes[0]), host_of(nodes[1], state=HostState.DOWN), marked(nodes[2])]
    decided = plan(picture(nodes, hosts=hosts), policy(auto_mode=False))
    assert states(decided, *nodes) == [S.IDLE, S.FAILED, S.HELD]
    assert not decided.actions


@pytest.mark.parametrize(
    ("why", "state", "more", "then"),
    [
        (HoldWhy.DELETE, S.HELD, {}, S.REMOVING),
        (HoldWhy.DRAIN, S.HELD, {}, S.REMOVING),
        (HoldWhy.SCALE_DOWN, S.HELD, {}, S.IDLE),
        (HoldWhy.FAULT, S.HELD, {}, S.IDLE),
        (HoldWhy.SCALE_DOWN, S.HOLDING, {"acted_at": VIEW_AT}, S.IDLE),
        (HoldWhy.SCALE_DOWN, S.HOLDING, {"hold_confirmed_at": 0.0}, S.HOLDING),
        (HoldWhy.DELETE, S.HOLDING, {"acted_at": VIEW_AT}, S.HOLDING),
    ],
)
def test_in_manual_mode_only_what_an_operator_asked_for_goes_on(why, state, more, then) -> None:
    n = held(why=why, state=state, **more)
    drains = memory(overrides=DRAINING) if why is HoldWhy.DRAIN else memory()
    snapshot = picture([n], hosts=[marked(n)], memory=drains)
    assert states(plan(snapshot, policy(auto_mode=False)), n) == [then]


def test_draining_goes_on_in_manual_mode() -> None:
    n = node()
    decided = plan(picture([n], memory=memory(overrides=DRAINING)), policy(auto_mode=False))
    assert states(decided, n) == [S.HOLDING]
