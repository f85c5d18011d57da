"""Machines that carry our id and belong to no node: settled, abandoned, swept or adopted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import NOW, OBS, VIEW_AT, cloud_view, draft, instance_of, launch_of, memory, node, picture, policy

from dynamiccluster.decide import orphans, results
from dynamiccluster.decide.draft import Draft
from dynamiccluster.engine.recovery import lost_replies
from dynamiccluster.model.action import Action, ActionKind, ActionResult, Outcome
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.launch import Launch, LaunchState
from dynamiccluster.model.memory import Breaker, Miss
from dynamiccluster.model.worker_node import NodeState

S = NodeState
BEFORE = VIEW_AT - 20.0
LOST = NOW - 500.0


def settled(*nodes, rules=None, state=LaunchState.OPEN, **more) -> Draft:
    d = draft(picture(nodes, launches={"L": launch_of(*nodes, state=state)}, **more), rules)
    orphans.settle(d, act=True)
    return d


def lost(node_id="n1", **more):
    return node(node_id, S.UNSETTLED, **{"launch_id": "L", "state_since_at": LOST, **more})


# -- settling lost replies ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "since_s", "abandoned"), [(0, 0, False), (1, 200, False), (2, 119, False), (2, 120, True), (5, 500, True)]
)
def test_a_lost_launch_is_abandoned_after_enough_lists_and_long_enough(count, since_s, abandoned) -> None:
    misses = {"settle:L": Miss(count, OBS - since_s, BEFORE)} if count else {}
    d = settled(lost("n1"), lost("n2"), memory=memory(misses=misses))
    assert d.launches["L"].state is (LaunchState.ABANDONED if abandoned else LaunchState.OPEN)
    assert set(d.nodes) == (set() if abandoned else {"n1", "n2"})
    assert d.breakers.get("r", Breaker()).failures == (1 if abandoned else 0)
    assert ("settle:L" in d.misses) is not abandoned


def test_a_launch_that_the_service_s_own_end_cut_off_is_no_failure_of_the_resource() -> None:
    launches = {"L": launch_of(lost(), state=LaunchState.OPEN)}
    d = draft(picture([lost()], launches=launches, memory=memory(open_actions={"a1": "launch"})))
    (cut_off,) = lost_replies([Action("a1", ActionKind.LAUNCH, "r", launch_id="L", resource="r")], LOST)
    results.take_in(d, cut_off)
    misses = {"settle:L": Miss(2, OBS - 500, BEFORE)}
    d = draft(picture([lost()], launches=dict(d.launches), memory=memory(misses=misses)))
    orphans.settle(d, act=True)
    assert d.launches["L"].state is LaunchState.ABANDONED
    assert not d.breakers


def test_a_cloud_that_refuses_the_repeat_of_what_was_cut_off_fails() -> None:
    launches = {"L": replace(launch_of(lost(), state=LaunchState.OPEN), cut_off=True)}
    d = draft(picture([lost(action_id="a2")], launches=launches, memory=memory(open_actions={"a2": "launch"})))
    refused = ActionResult("a2", ActionKind.LAUNCH, Outcome.REFUSED, LOST, "auth", "no", launch_id="L", resource="r")
    results.take_in(d, refused)
    misses = {"settle:L": Miss(2, OBS - 500, BEFORE)}
    d = draft(picture([lost()], launches=dict(d.launches), memory=memory(misses=misses)))
    orphans.settle(d, act=True)
    assert d.launches["L"].state is LaunchState.ABANDONED
    assert d.breakers["r"].failures == 1


def test_lists_from_before_the_reply_was_lost_do_not_count() -> None:
    d = settled(lost(state_since_at=VIEW_AT), memory=memory(misses={"settle:L": Miss(9, OBS - 900, BEFORE)}))
    assert d.launches["L"].state is LaunchState.OPEN
    assert not settled(lost(), clouds={}).misses


def test_machines_that_are_bound_stay_when_the_rest_is_abandoned() -> None:
    bound = node("n2", S.STARTING, launch_id="L")
    d = settled(lost("n1"), bound, memory=memory(misses={"settle:L": Miss(2, OBS - 500, BEFORE)}))
    assert set(d.nodes) == {"n2"}
    assert d.nodes["n2"] is bound


@pytest.mark.parametrize("state", [S.REQUESTED, S.UNSETTLED])
def test_nothing_is_concluded_while_the_call_is_under_way(state) -> None:
    n = node("n1", state, launch_id="L", state_since_at=LOST, action_id="a1")
    d = settled(n, memory=memory(misses={"settle:L": Miss(9, OBS - 900, BEFORE)}))
    assert d.launches["L"].state is LaunchState.OPEN
    assert "n1" in d.nodes


def test_a_launch_whose_machines_are_all_bound_or_gone_is_settled() -> None:
    d = settled(node("n1", S.IDLE, launch_id="L"))
    assert (d.launches["L"].state, d.launches["L"].closed_at) == (LaunchState.SETTLED, NOW)


def test_not_while_its_reply_is_still_to_come() -> None:
    n = node("n1", S.STARTING, launch_id="L", action_id="a1")
    assert settled(n, memory=memory(open_actions={"a1": "launch"})).launches["L"].state is LaunchState.OPEN


AGAIN = policy(idempotent_clouds=frozenset({"t"}))


def test_where_that_is_safe_the_launch_is_repeated_under_its_own_id() -> None:
    nodes = [lost("n1"), lost("n2")]
    d = settled(*nodes, rules=AGAIN, memory=memory(step_retry_obs={"relaunch:L": OBS}))
    (action,) = d.actions
    assert (action.kind, action.launch_id) == (ActionKind.LAUNCH, "L")
    assert [spec.node_id for spec in action.specs] == ["n1", "n2"]
    assert {d.nodes[i].action_id for i in ("n1", "n2")} == {action.action_id}
    assert d.open_actions == {action.action_id: ActionKind.LAUNCH}
    assert not d.step_retry_obs


@pytest.mark.parametrize(
    ("rules", "due"),
    [(AGAIN, {}), (AGAIN, {"relaunch:L": OBS + 5}), (policy(), {"relaunch:L": OBS})],
)
def test_not_too_soon_not_twice_and_not_where_it_would_double(rules, due) -> None:
    d = settled(lost(), rules=rules, memory=memory(step_retry_obs=due))
    assert not d.actions
    assert d.wakes == ([NOW + 5] if due.get("relaunch:L") == OBS + 5 else [])


def test_a_launch_of_a_resource_that_left_the_configuration_is_not_repeated() -> None:
    n = node("n1", S.UNSETTLED, "old", launch_id="L", state_since_at=LOST)
    assert not settled(n, rules=AGAIN, memory=memory(step_retry_obs={"relaunch:L": OBS})).actions


@pytest.mark.parametrize(("closed_ago_s", "nodes", "kept"), [(604800, 0, True), (604801, 0, False), (604801, 1, True)])
def test_old_launches_are_forgotten_when_nothing_can_come_of_them(closed_ago_s, nodes, kept) -> None:
    there = [node("n1", launch_id="L")][:nodes]
    known = Launch("L", "r", "t", ("n1",), LaunchState.SETTLED, LOST, NOW - closed_ago_s)
    d = draft(picture(there, launches={"L": known}))
    d.put_launch(known)
    orphans.settle(d, act=True)
    assert ("L" in d.launches) is kept
    assert d.forgotten_launches == ([] if kept else ["L"])
    assert ("L" in d.changed_launches) is kept


# -- machines that nobody claims -----------------------------------------------------------------------


def unclaimed(*instances, nodes=(), launches=None, seen=1, rules=None, **more) -> Draft:
    """A second look (by default) at machines in the list."""
    misses = {f"orphan:{i.instance_id}": Miss(seen, OBS - 20, BEFORE) for i in instances} if seen else {}
    remembered = memory(misses=misses, **more.pop("memory", {}))
    listed = [*(instance_of(n) for n in nodes if n.instance_id), *instances]
    d = draft(picture(nodes, instances=listed, launches=launches or {}, memory=remembered, **more), rules)
    orphans.sweep_and_adopt(d)
    return d


def machine(instance_id="x1", **more):
    return Instance(instance_id, **{"state": InstanceState.ACTIVE, "launch_id": "L", "resource": "r", **more})


def over(state=LaunchState.ABANDONED, node_ids=("n1",), **more):
    return {"L": Launch("L", "r", "t", node_ids, state, LOST, LOST, **more)}


@pytest.mark.parametrize("state", [LaunchState.ABANDONED, LaunchState.SETTLED])
def test_a_late_machine_of_a_launch_that_is_over_is_swept_at_the_second_look(state) -> None:
    assert not unclaimed(machine(), launches=over(state), seen=0).actions
    d = unclaimed(machine(name="vm"), launches=over(state))
    (action,) = d.actions
    assert (action.kind, action.instance_id, action.tenancy) == (ActionKind.TERMINATE, "x1", "t")
    assert action.node_id == ""
    assert d.events[0].kind is EventKind.WARNING
    assert not d.nodes


def test_sweeping_is_not_repeated_at_once_but_it_is_repeated() -> None:
    due = {"step_retry_obs": {"sweep:x1": OBS + 1}}
    assert not unclaimed(machine(), launches=over(), memory=due).actions
    due = {"step_retry_obs": {"sweep:x1": OBS}}
    d = unclaimed(machine(), launches=over(), memory=due)
    assert len(d.actions) == 1
    assert d.step_retry_obs["sweep:x1"] == OBS + 300


def test_the_same_list_is_one_look() -> None:
    d = draft(
        picture([], instances=[machine()], launches=over(), memory=memory(misses={"orphan:x1": Miss(1, OBS, VIEW_AT)}))
    )
    orphans.sweep_and_adopt(d)
    assert not d.actions


def test_a_machine_of_an_unknown_launch_is_adopted_at_the_second_look() -> None:
    assert not unclaimed(machine(), seen=0).nodes
    d = unclaimed(machine(name="vm", host_name="wn-1", address="10.0.0.1", node_id="n1", created_at=LOST))
    (n,) = d.nodes.values()
    assert (n.node_id, n.state, n.adopted, n.instance_id) == ("n1", S.STARTING, True, "x1")
    assert (n.host_name, n.address, n.instance_name, n.created_at, n.billed_from_at) == (
        "wn-1",
        "10.0.0.1",
        "vm",
        LOST,
        LOST,
    )
    assert (d.launches["L"].state, d.launches["L"].adopted, d.launches["L"].node_ids) == (
        LaunchState.SETTLED,
        True,
        ("n1",),
    )
    assert not d.misses
    assert not d.actions


def test_a_machine_without_any_tag_but_ours_gets_an_id_and_a_launch() -> None:
    d = unclaimed(machine(launch_id="", name="vm"))
    (n,) = d.nodes.values()
    assert (n.host_name, n.created_at) == ("vm", NOW)
    assert d.launches == {f"adopted-{n.node_id}": d.launches[n.launch_id]}


def test_several_machines_of_one_unknown_launch_are_all_adopted() -> None:
    d = unclaimed(machine("x1", node_id="n1"), machine("x2", node_id="n2"), machine("x3"))
    assert {n.instance_id for n in d.nodes.values()} == {"x1", "x2", "x3"}
    assert set(d.launches["L"].node_ids) == set(d.nodes)
    later = unclaimed(machine("x4", node_id="n4"), launches={"L": d.launches["L"]})
    assert {n.instance_id for n in later.nodes.values()} == {"x4"}


def test_a_machine_of_an_adopted_node_that_is_gone_is_swept_not_adopted_again() -> None:
    d = unclaimed(machine(node_id="n1"), launches=over(LaunchState.SETTLED, adopted=True))
    assert not d.nodes
    assert len(d.actions) == 1


def test_a_tag_that_names_a_living_node_does_not_take_its_place() -> None:
    there = node("n1", instance_id="other")
    d = unclaimed(machine(node_id="n1", launch_id="M"), nodes=[there])
    assert d.nodes["n1"] is there
    assert len(d.nodes) == 2


@pytest.mark.parametrize("state", [InstanceState.TERMINATING, InstanceState.GONE])
def test_machines_that_are_ending_are_left_alone(state) -> None:
    d = unclaimed(machine(state=state), launches=over())
    assert not d.actions
    assert not d.misses


@pytest.mark.parametrize("tag", ["", "n1"])
def test_machines_that_a_waiting_node_will_get_are_left_alone(tag) -> None:
    waiting = node("n1", S.UNSETTLED, launch_id="L")
    d = unclaimed(machine(node_id=tag), nodes=[waiting], launches=over(LaunchState.OPEN))
    assert not d.actions
    assert set(d.nodes) == {"n1"}


def test_claimed_machines_are_nobodys_orphans_and_old_marks_are_cleared() -> None:
    n = node("n1")
    misses = {"orphan:i-n1": Miss(1, OBS, BEFORE), "orphan:vanished": Miss(1, OBS, BEFORE), "host:n1": Miss(1, OBS)}
    d = draft(picture([n], memory=memory(misses=misses)))
    orphans.sweep_and_adopt(d)
    assert set(d.misses) == {"host:n1"}


# -- ids ----------------------------------------------------------------------------------------------


def test_node_ids_grow_in_order_and_are_never_given_twice() -> None:
    d = draft(picture([node("abcd0002")]))
    ids = [orphans.new_node_id(d) for _ in range(40)]
    assert ids[:3] == ["abcd0001", "abcd0003", "abcd0004"]
    assert ids == sorted(ids)
    assert len(set(ids)) == 40
    assert ids[-1] == "abcd0019"
    assert d.memory.next_serial == 42


def test_a_list_of_another_tenancy_is_counted_on_its_own_clock() -> None:
    view = cloud_view([machine()], tenancy="u")
    d = draft(picture([], clouds={"u": view}, launches=over()))
    orphans.sweep_and_adopt(d)
    assert d.misses["orphan:x1"] == Miss(1, 0.0, VIEW_AT)
