"""The first look, and money when the machine's clock jumps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import NOW, OBS, cloud_view, host, jobs, launches, memory, node, picture, plan, policy, resource
from engine_harness import Rig, on_virtual_time
from engine_harness import policy as rig_policy
from engine_harness import resource as rig_resource

from dynamiccluster.engine.recovery import memory_on_this_clock
from dynamiccluster.errors import StoreError
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.memory import ObservedClock, Spend
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.worker_node import NodeState

DAY_S = 86400.0
NEW = memory(looked=False)
TWO = policy(resource("r"), resource("s", tenancy="broken"))
PRICED = policy(resource(price_per_hour=2.0))


# -- the first look -------------------------------------------------------------------------------------------


def test_an_empty_cluster_does_not_wait_for_a_tenancy_that_never_answers() -> None:
    decided = plan(picture(jobs=jobs(1), memory=NEW), TWO)
    assert decided.memory.looked
    assert launches(decided) == {"r": 1}


def test_beside_hosts_of_unknown_origin_it_waits_and_says_for_whom() -> None:
    decided = plan(picture(jobs=jobs(1), hosts=[host("old")], memory=NEW), TWO)
    assert not decided.memory.looked
    assert not launches(decided)
    assert "waiting for a first view of cloud:broken" in decided.sentence
    unseen = plan(picture(memory=NEW, scheduler=None, clouds={}))
    assert "waiting for a first view of scheduler, cloud:t" in unseen.sentence


def test_machines_of_ours_in_one_tenancy_are_answer_enough() -> None:
    view = {"t": cloud_view([Instance("i", InstanceState.ACTIVE, resource="r")])}
    decided = plan(picture(hosts=[host("old")], clouds=view, memory=NEW), TWO)
    assert (decided.memory.looked, decided.memory.observe_only) == (True, False)


def test_nothing_is_said_of_waiting_once_it_has_looked() -> None:
    assert "first view" not in plan(picture(clouds={})).sentence


# -- money ----------------------------------------------------------------------------------------------------


def at(later_s: float, spend: Spend) -> Plan:
    """One node of 2.0 per hour, decided upon so much later than the last tick, which was at NOW."""
    return plan(picture([node()], memory=memory(spend=spend)), PRICED, NOW + later_s)


@pytest.mark.parametrize(("later_s", "amount"), [(36.0, 5.02), (60.0, 5.0 + 1 / 30), (10 * DAY_S, 5.0 + 1 / 30)])
def test_a_clock_that_jumps_forward_costs_nothing(later_s, amount) -> None:
    assert at(later_s, Spend("2027-01", 5.0, NOW)).memory.spend.amount == pytest.approx(amount)


def test_time_without_the_service_costs_what_it_cost() -> None:
    woken = memory_on_this_clock(memory(spend=Spend("2027-01", 5.0, NOW)), NOW + DAY_S)
    first = plan(picture([node()], memory=woken), PRICED, NOW + DAY_S)
    assert first.memory.spend == Spend("2027-01", 53.0, NOW + DAY_S)


@on_virtual_time
async def test_time_without_a_store_costs_what_it_cost() -> None:
    async with Rig(rig_policy(rig_resource(price_per_hour=6.0, min_nodes=1))) as rig:
        await rig.until(lambda: rig.states() == [NodeState.IDLE])
        before = rig.engine.readmodel.snapshot.memory.spend
        rig.store.failure = StoreError("disk full")
        await rig.sleep(3600.0)
        rig.store.failure = None
        await rig.sleep(120.0)
        after = rig.engine.readmodel.snapshot.memory.spend
        assert not after.away
        assert after.amount - before.amount == pytest.approx(6.0 * (after.as_of_at - before.as_of_at) / 3600.0)
        assert after.as_of_at - before.as_of_at > 3600.0


def test_a_clock_that_jumps_back_does_not_undo_the_later_month() -> None:
    spend = at(0.0, Spend("2027-02", 500.0, NOW + 20 * DAY_S)).memory.spend
    assert spend == Spend("2027-02", 500.0, NOW)
    clocks = {"engine": ObservedClock(OBS, NOW)}
    again = plan(picture([node()], memory=memory(spend=spend, clocks=clocks)), PRICED, NOW + 36.0)
    assert again.memory.spend == replace(spend, amount=500.02, as_of_at=NOW + 36.0)


def test_a_new_month_starts_with_nothing() -> None:
    spend = at(20 * DAY_S, Spend("2027-01", 500.0, NOW)).memory.spend
    assert spend.month == "2027-02"
    assert spend.amount == pytest.approx(1 / 30)
