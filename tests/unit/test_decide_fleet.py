"""Launches that name several offers: which ones, and what is recorded of the one that the cloud takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import builders as b
import pytest

from dynamiccluster.decide.menus import MOST_DEARER, MOST_INSTEAD
from dynamiccluster.model.action import Action, ActionKind, ActionResult, LaunchedInstance, Outcome
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.job import Job
from dynamiccluster.model.launch import LaunchState
from dynamiccluster.model.memory import Backoff
from dynamiccluster.model.menu import Menu, SpotStrategy
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.worker_node import NodeState


def offer(kind: str, cores: int, price: float, market: str = "spot", zone: str = "a", **more: Any) -> Offer:
    fields = {"capacity": Capacity(cores, cores * 4096), "offering": f"t/{zone}/{kind}/{market}", **more}
    return Offer("m", instance_type=kind, zone=zone, market=market, price_per_hour=price, **fields)


FIRST = offer("c", 4, 0.10)
THERE = offer("c", 4, 0.11, zone="b")
ROOMY = offer("r", 4, 0.14, capacity=Capacity(4, 65536))
SMALL = offer("two", 2, 0.05)
LARGE = offer("eight", 8, 0.12)
LEAN = offer("lean", 4, 0.05, capacity=Capacity(4, 8192))
DEAR = offer("dear", 4, FIRST.price_per_hour * MOST_DEARER + 0.01)
OWN = offer("c", 4, 0.10, market="on-demand")
GPU = offer("g", 4, 0.12, capacity=Capacity(4, 16384, 1), gpu_type="t4")
UNPRICED = offer("what", 4, 0.0)
EVERY = (FIRST, THERE, ROOMY, SMALL, LARGE, LEAN, DEAR, OWN, GPU, UNPRICED)
WORK = b.shape(4, 16384)


def menu(**how: Any) -> Resource:
    how = {"fleet": True, "spot_strategy": SpotStrategy.PRICE_CAPACITY_OPTIMIZED, **how}
    return replace(b.resource("m", max_nodes=100), capacity=Capacity(), menu=Menu(**how))


def picture(waiting: Iterable[Job], offers: Iterable[Offer] = EVERY, **more: Any) -> Snapshot:
    snapshot = b.picture(jobs=waiting, **more)
    view = snapshot.clouds["t"]
    return replace(snapshot, clouds={"t": replace(view, offers=tuple(offers))})


def launched(plan: Plan) -> list[Action]:
    return b.actions(plan, ActionKind.LAUNCH)


def named(plan: Plan) -> list[str]:
    (action,) = launched(plan)
    assert action.offer is not None
    return [one.offering for one in (action.offer, *action.offer.instead)]


# -- what a launch names --------------------------------------------------------------------------------------


def test_a_launch_names_what_does_as_well_the_best_first() -> None:
    plan = b.plan(picture(b.jobs(1, WORK)), b.policy(menu()))
    assert named(plan) == [FIRST.offering, THERE.offering, ROOMY.offering]


def test_only_menus_that_launch_so_do() -> None:
    assert named(b.plan(picture(b.jobs(1, WORK)), b.policy(menu(fleet=False)))) == [FIRST.offering]


def test_what_is_sold_out_is_not_named() -> None:
    memory = b.memory(backoffs={f"offering:{THERE.offering}": Backoff(b.OBS + 100, b.NOW + 100)})
    plan = b.plan(picture(b.jobs(1, WORK), memory=memory), b.policy(menu()))
    assert named(plan) == [FIRST.offering, ROOMY.offering]


@pytest.mark.parametrize("limits", [Limits(budget_per_hour=9.0), Limits(budget_per_month=900.0)], ids=["hour", "month"])
def test_where_there_is_a_budget_nothing_dearer_is_named(limits: Limits) -> None:
    cheaper = offer("d", 4, 0.09, capacity=Capacity(4, 65536))
    strategy = SpotStrategy.CAPACITY_OPTIMIZED_PRIORITIZED
    first = replace(FIRST, priority=-5)
    plan = b.plan(
        picture(b.jobs(1, WORK), [first, THERE, ROOMY, cheaper]), b.policy(menu(spot_strategy=strategy), limits=limits)
    )
    assert named(plan) == [FIRST.offering, cheaper.offering]


def test_what_counts_more_against_the_quota_is_not_named() -> None:
    greedy = replace(THERE, billed=Capacity(8, 16384))
    assert named(b.plan(picture(b.jobs(1, WORK), [FIRST, greedy]), b.policy(menu()))) == [FIRST.offering]


def test_what_really_has_less_than_it_is_said_to_have_is_not_named() -> None:
    joining = b.node("n1", NodeState.JOINING, of="m", offer=ROOMY)
    learned = b.plan(
        picture((), nodes=[joining], hosts=[b.host("m-n1", 4, 15000)]),
        b.policy(menu()),
    )
    assert list(learned.memory.learned) == ["m 4/65536/0"]
    plan = b.plan(picture(b.jobs(1, WORK), memory=learned.memory), b.policy(menu()))
    assert named(plan) == [FIRST.offering, THERE.offering]


def test_a_launch_names_no_more_than_so_many() -> None:
    many = [offer("c", 4, 0.1, zone=f"z{number:02}") for number in range(40)]
    assert len(named(b.plan(picture(b.jobs(1, WORK), many), b.policy(menu())))) == 1 + MOST_INSTEAD


def test_on_demand_machines_and_nodes_of_one_job_are_asked_for_by_one_offer() -> None:
    plan = b.plan(picture(b.jobs(1, WORK), [OWN, replace(OWN, offering="t/b/c/on-demand")]), b.policy(menu()))
    assert len(named(plan)) == 1
    plan = b.plan(picture(b.jobs(1, b.shape(4, 16384, chunks=3, distinct=True))), b.policy(menu()))
    (action,) = launched(plan)
    assert action.whole
    assert named(plan) == [FIRST.offering]


def test_minimum_sizes_name_several_too() -> None:
    plan = b.plan(picture((), [FIRST, THERE]), b.policy(replace(menu(), min_nodes=1)))
    assert named(plan) == [FIRST.offering, THERE.offering]


# -- what comes of it -----------------------------------------------------------------------------------------

ASKED = replace(FIRST, instead=(THERE, ROOMY))


def answered(*instances: LaunchedInstance, outcome: Outcome = Outcome.DONE, **more: Any) -> Plan:
    """After the answer to a launch of two nodes."""
    nodes = [b.node(f"n{number}", NodeState.REQUESTED, of="m", action_id="a1", offer=FIRST) for number in (1, 2)]
    nodes = [replace(node, launch_id="l") for node in nodes]
    launch = replace(b.launch_of(nodes[0], state=LaunchState.OPEN, offer=ASKED), launch_id="l", node_ids=("n1", "n2"))
    result = ActionResult(
        "a1", ActionKind.LAUNCH, outcome, b.NOW, launch_id="l", resource="m", instances=instances, **more
    )  # fmt: skip
    snapshot = picture((), nodes=nodes, launches={"l": launch})
    return b.plan(replace(snapshot, results=(result,)), b.policy(menu()))


def test_a_node_is_what_the_cloud_says_it_gave() -> None:
    plan = answered(
        LaunchedInstance("i-1", "n1", offering=ROOMY.offering), LaunchedInstance("i-2", "n2", offering=FIRST.offering)
    )
    assert [plan.nodes[name].offer for name in ("n1", "n2")] == [ROOMY, FIRST]


def test_a_machine_of_an_offer_that_nobody_named_is_taken_for_no_larger_than_what_was_asked() -> None:
    told, untold = LARGE.offering, "t/z/never.heard/spot"
    plan = answered(LaunchedInstance("i-1", "n1", offering=told), LaunchedInstance("i-2", "n2", offering=untold))
    assert plan.nodes["n1"].offer == LARGE, "it is in the cloud's list"
    assert plan.nodes["n2"].offer == replace(FIRST, offering=untold)


def test_what_was_sold_out_is_remembered_for_each_and_closes_nothing_else() -> None:
    plan = answered(
        outcome=Outcome.REFUSED,
        error_class="capacity",
        message="none",
        offering=FIRST.offering,
        sold_out=(FIRST.offering, THERE.offering, ROOMY.offering),
    )
    expected = {f"offering:{one.offering}" for one in (FIRST, THERE, ROOMY)} | {"spot:m"}
    assert set(plan.memory.backoffs) == expected


def test_what_was_sold_out_is_remembered_where_others_gave_all_machines() -> None:
    plan = answered(
        LaunchedInstance("i-1", "n1", offering=ROOMY.offering),
        LaunchedInstance("i-2", "n2", offering=ROOMY.offering),
        error_class="capacity",
        sold_out=(FIRST.offering,),
    )
    assert set(plan.memory.backoffs) == {f"offering:{FIRST.offering}"}
    assert {node.state for node in plan.nodes.values()} == {NodeState.STARTING}


def test_a_part_says_which_offer_ran_out() -> None:
    plan = answered(
        LaunchedInstance("i-1", "n1", offering=ROOMY.offering),
        error_class="capacity",
        message="no more",
        offering=ROOMY.offering,
    )
    assert set(plan.memory.backoffs) == {f"offering:{ROOMY.offering}", "spot:m"}


def test_after_a_lost_reply_the_list_says_what_a_node_is() -> None:
    node = b.node("n1", NodeState.UNSETTLED, of="m", offer=FIRST)
    launch = b.launch_of(node, state=LaunchState.OPEN, offer=ASKED)
    seen = replace(b.instance_of(node, InstanceState.PENDING), instance_id="i-1", offering=ROOMY.offering)
    snapshot = picture((), nodes=[node], launches={launch.launch_id: launch})
    view = replace(snapshot.clouds["t"], instances=(seen,))
    plan = b.plan(replace(snapshot, clouds={"t": view}), b.policy(menu()))
    assert plan.nodes["n1"].instance_id == "i-1"
    assert plan.nodes["n1"].offer == ROOMY
