"""Notices: machines that their cloud will take away, or may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import builders as b
import pytest

from dynamiccluster.decide import interruptions
from dynamiccluster.decide.lifecycle import NodeEvent, answer
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.command import Command, CommandKind, ReplyCode
from dynamiccluster.model.host import HostState
from dynamiccluster.model.memory import Backoff, ObservedClock
from dynamiccluster.model.menu import Menu
from dynamiccluster.model.offer import Notice, NoticeKind, Offer
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.worker_node import HoldWhy, NodeState, WorkerNode

SPOT = b.resource("r", offering="t/a/four/spot")
RECLAIM, REBALANCE = NoticeKind.RECLAIM, NoticeKind.REBALANCE


def picture(node: WorkerNode, *kinds: NoticeKind, **more: Any) -> Snapshot:
    snapshot = b.picture([node], **more)
    notices = tuple(Notice(node.instance_id, kind, b.NOW + 120) for kind in kinds)
    return replace(snapshot, clouds={"t": replace(snapshot.clouds["t"], notices=notices)})


def busy_picture(*kinds: NoticeKind, **more: Any) -> Snapshot:
    node = b.node("n1", NodeState.BUSY)
    hosts = [b.host_of(node, used=4, jobs=("7",))]
    return picture(node, *kinds, jobs=[b.running("7", node.host_name, wants=b.shape(4))], hosts=hosts, **more)


def decided(snapshot: Snapshot, of: Resource = SPOT) -> Plan:
    return b.plan(snapshot, b.policy(of))


def test_a_machine_that_will_be_taken_away_is_held_and_its_jobs_go_elsewhere() -> None:
    plan = decided(busy_picture(RECLAIM))
    node = plan.nodes["n1"]
    assert (node.state, node.hold_why) == (NodeState.HOLDING, HoldWhy.RECLAIM)
    assert [action.kind for action in plan.actions if action.node_id == "n1"] == [ActionKind.HOLD]
    assert node.todo == (ActionKind.HOLD, ActionKind.VACATE)
    assert "takes it away in 120 s" in node.reason


def test_nodes_for_its_jobs_are_launched_in_the_same_decision() -> None:
    plan = b.plan(busy_picture(RECLAIM), b.policy(replace(SPOT, offering=""), b.resource("other")))
    assert sum(b.launches(plan).values()) == 1
    assert not b.launches(b.plan(busy_picture(), b.policy(SPOT)))


def test_a_job_that_keeps_some_of_its_hosts_waits_until_it_is_requeued() -> None:
    node = b.node("n1", NodeState.BUSY)
    hosts = [b.host_of(node, used=4, jobs=("7",)), b.host("iron", used=4, jobs=("7",))]
    running = b.running("7", node.host_name, "iron", wants=b.shape(4, chunks=2, distinct=True))
    plan = b.plan(picture(node, RECLAIM, jobs=[running], hosts=hosts), b.policy(SPOT, b.resource("other")))
    assert not b.launches(plan)


def test_its_offering_is_left_alone_and_the_interruption_is_remembered() -> None:
    plan = decided(busy_picture(RECLAIM))
    assert plan.memory.backoffs["offering:t/a/four/spot"].until_obs > b.OBS
    assert plan.memory.interruptions["t/a/four/spot"].count == 1.0


def test_a_notice_counts_once_however_often_it_is_repeated() -> None:
    first = decided(busy_picture(RECLAIM))
    again = decided(b.after(busy_picture(RECLAIM), first))
    assert again.memory.interruptions == first.memory.interruptions
    assert [node.state for node in again.nodes.values() if node.node_id == "n1"] in ([], [NodeState.HOLDING])


def test_it_is_not_taken_back_when_work_waits_and_goes_once_it_is_empty() -> None:
    held = b.node("n1", NodeState.HELD, hold_why=HoldWhy.RECLAIM, hold_confirmed_at=b.NOW - 50)
    hosts = [b.host_of(held, held=b.MARK + held.host_name)]
    plan = decided(b.picture([held], b.jobs(1, b.shape(4)), hosts))
    assert plan.nodes["n1"].state is NodeState.REMOVING


@pytest.mark.parametrize("state", [NodeState.STARTING, NodeState.CONFIGURING, NodeState.JOINING])
def test_on_its_way_it_is_removed_at_once(state: NodeState) -> None:
    assert decided(picture(b.node("n1", state), RECLAIM)).nodes["n1"].state is NodeState.REMOVING


def test_a_young_spot_machine_that_is_taken_away_says_that_spot_is_short() -> None:
    menu = replace(b.resource("r"), menu=Menu(spot_settle_s=60.0, try_spot_s=15.0))
    offer = Offer("r", SPOT.capacity, "t/a/four/spot", market="spot")
    for age_s, short in ((30.0, True), (90.0, False)):
        node = b.node("n1", NodeState.BUSY, offer=offer, billed_from_at=b.NOW - age_s)
        assert ("spot:r" in decided(picture(node, RECLAIM), menu).memory.backoffs) is short


def test_at_risk_it_is_drained_where_the_resource_says_so() -> None:
    node = decided(busy_picture(REBALANCE), replace(SPOT, drain_at_risk=True)).nodes["n1"]
    assert (node.state, node.hold_why) == (NodeState.HOLDING, HoldWhy.RISK)
    assert node.todo == (ActionKind.HOLD,)
    kept = decided(busy_picture(REBALANCE))
    assert "n1" not in kept.nodes
    assert any("may be taken away" in event.text for event in kept.events)


def test_a_reclaim_after_a_rebalance_still_moves_the_jobs() -> None:
    rules = replace(SPOT, drain_at_risk=True)
    snapshot = busy_picture(REBALANCE)
    node = decided(b.after(busy_picture(REBALANCE, RECLAIM), decided(snapshot, rules)), rules).nodes["n1"]
    assert node.hold_why is HoldWhy.RECLAIM
    assert ActionKind.VACATE in node.todo


def test_notices_about_others_machines_and_while_observing_change_nothing() -> None:
    node = b.node("n1", NodeState.BUSY)
    stranger = replace(
        picture(node), clouds={"t": b.cloud_view([b.instance_of(node)], notices=(Notice("x", RECLAIM),))}
    )
    assert not decided(stranger).memory.noticed
    observing = decided(busy_picture(RECLAIM, memory=b.memory(observe_only=True)))
    assert not observing.nodes
    assert not observing.memory.noticed


def test_what_was_noticed_is_forgotten_with_the_node() -> None:
    plan = decided(busy_picture(memory=b.memory(noticed={"reclaim gone": b.OBS, "reclaim n1": b.OBS - 90000.0})))
    assert not plan.memory.noticed


@pytest.mark.parametrize(
    ("kind", "state"), [(CommandKind.RECLAIM, NodeState.HOLDING), (CommandKind.REBALANCE, NodeState.BUSY)]
)
def test_an_agent_on_the_machine_may_say_so_too(kind: CommandKind, state: NodeState) -> None:
    command = Command("1", kind, "agent", "r-n1")
    snapshot = replace(busy_picture(), commands=(command,))
    plan = decided(snapshot)
    assert plan.replies[0].code is ReplyCode.OK
    assert plan.nodes.get("n1", snapshot.nodes["n1"]).state is state
    unknown = decided(replace(snapshot, commands=(replace(command, target="nobody"),)))
    assert unknown.replies[0].code is ReplyCode.NOT_FOUND


def test_how_long_spot_nodes_lasted_counts_when_they_end() -> None:
    offer = Offer("r", SPOT.capacity, "t/a/four/spot", market="spot")
    node = b.node("n1", NodeState.FORGETTING, offer=offer, billed_from_at=b.NOW - 36000.0)
    plan = decided(b.picture([node], hosts=[], instances=[], memory=b.memory(backoffs={"x": Backoff(0.0, 0.0)})))
    assert plan.memory.interruptions["t/a/four/spot"].node_hours == pytest.approx(10.0)
    draft = b.draft(b.picture(memory=plan.memory))
    assert interruptions.rate_per_hour(draft, "t/a/four/spot") < interruptions.USUAL_PER_HOUR


def test_a_notice_of_a_machine_is_no_surprise_in_any_state() -> None:
    for event in (NodeEvent.RECLAIM, NodeEvent.AT_RISK):
        assert all(str(answer(state, event)) != "refuse" for state in NodeState)


def came_back(snapshot: Snapshot, plan: Plan, after_s: float) -> Plan:
    """The decision when the node's host is up again, with a job, and the cloud says nothing new."""
    node, at = snapshot.nodes["n1"], b.NOW + after_s
    hosts, running = [b.host_of(node, used=1, jobs=("7",))], [b.running("7", node.host_name)]
    later = b.after(
        snapshot,
        plan,
        scheduler=b.scheduler_view(running, hosts, at=at - 2),
        clouds={"t": b.cloud_view([b.instance_of(node)], at=at - 2)},
    )
    clocks = {"engine": ObservedClock(b.OBS + after_s, at), "scheduler": ObservedClock(b.OBS + after_s, at - 1)}
    later = replace(later, memory=replace(later.memory, clocks={**later.memory.clocks, **clocks}))
    return b.plan(later, b.policy(SPOT), at)


@pytest.mark.parametrize("by_agent", [True, False])
def test_a_reclaim_of_a_node_that_is_down_is_heeded_when_it_is_back(by_agent: bool) -> None:
    node = b.node("n1", NodeState.DOWN)
    kinds = () if by_agent else (RECLAIM,)
    snapshot = picture(node, *kinds, hosts=[b.host_of(node, state=HostState.DOWN)])
    commands = (Command("1", CommandKind.RECLAIM, "agent", "r-n1"),) if by_agent else ()
    plan = decided(replace(snapshot, commands=commands))
    assert plan.memory.interruptions["t/a/four/spot"].count == 1.0
    back = came_back(snapshot, plan, 10.0)
    assert (back.nodes["n1"].state, back.nodes["n1"].hold_why) == (NodeState.HOLDING, HoldWhy.RECLAIM)
    assert ActionKind.VACATE in back.nodes["n1"].todo
    assert back.memory.interruptions["t/a/four/spot"].count == pytest.approx(1.0, abs=0.01)
    assert list(back.memory.noticed) == ["reclaim n1"]


def test_a_reclaim_that_did_not_come_true_is_no_reason_to_hold_a_node_later() -> None:
    node = b.node("n1", NodeState.DOWN)
    snapshot = picture(node, RECLAIM, hosts=[b.host_of(node, state=HostState.DOWN)])
    back = came_back(snapshot, decided(snapshot), 3600.0)
    assert back.nodes["n1"].state is NodeState.BUSY


def test_a_reclaim_of_a_machine_that_was_not_bound_yet_is_heeded_once_it_is() -> None:
    node = b.node("n1", NodeState.UNSETTLED)
    snapshot = picture(node, RECLAIM)
    notices = (Notice("i-n1", RECLAIM, b.NOW + 120),)
    snapshot = replace(snapshot, clouds={"t": b.cloud_view([b.instance_of(node)], notices=notices)})
    first = decided(snapshot)
    second = decided(b.after(snapshot, first))
    assert NodeState.REMOVING in {plan.nodes["n1"].state for plan in (first, second) if "n1" in plan.nodes}


def test_for_a_job_that_cannot_be_moved_no_node_is_launched_again_and_again() -> None:
    """A false reclaim of a node whose job cannot be requeued: it runs on, and needs no other node."""

    def asked(held_s: float) -> int:
        held = b.node(
            "n1",
            NodeState.HOLDING,
            hold_why=HoldWhy.RECLAIM,
            hold_confirmed_at=b.NOW - 50,
            state_since_obs=b.OBS - held_s,
        )
        hosts = [b.host_of(held, used=4, busy=True, held=b.MARK + held.host_name)]
        running = b.running("7", held.host_name, wants=b.shape(4))
        plan = b.plan(b.picture([held], jobs=[running], hosts=hosts), b.policy(b.resource("r")))
        return sum(b.launches(plan).values())

    assert asked(30.0) == 1
    assert asked(3600.0) == 0
