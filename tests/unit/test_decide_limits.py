"""Limits: each binds alone and together with others, and says that it was the one."""

from __future__ import annotations

import pytest
from builders import (
    NOW,
    OBS,
    cloud_view,
    draft,
    instance_of,
    job,
    jobs,
    launches,
    memory,
    node,
    picture,
    plan,
    policy,
    resource,
    shape,
)

from dynamiccluster.decide import limits as subject
from dynamiccluster.decide.limits import open_ledger
from dynamiccluster.decide.offers import with_offers
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState, ObservedClock, Override, Spend
from dynamiccluster.model.menu import Menu
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.resource import ResourceFlag
from dynamiccluster.model.view import Quota
from dynamiccluster.model.worker_node import NodeState

S = NodeState
TWO = [node("n1"), node("n2", S.STARTING)]
MONTH = "2027-01"


def room(rules, nodes=TWO, *, gang=1, by_hand=False, of="r", **more):
    ledger = open_ledger(draft(picture(nodes, **more), rules))
    return ledger.room(rules.resources[of], gang, by_hand=by_hand)


def quota(**more):
    return {"clouds": {"t": cloud_view([instance_of(n) for n in TWO], quota=Quota(**more))}}


def over(**more):
    return {"memory": memory(**more)}


PRICED = resource(price_per_hour=1.0)
SPENT = over(spend=Spend(MONTH, 6.0, NOW))
FAR = OBS + 100


@pytest.mark.parametrize(
    ("rules", "more", "expected"),
    [
        (policy(), {}, (8, Refusal.MAX_NODES)),
        (policy(resource(max_nodes=1)), {}, (0, Refusal.MAX_NODES)),
        (policy(resource(max_starting=3)), {}, (2, Refusal.MAX_STARTING)),
        (policy(limits=Limits(max_nodes=5)), {}, (3, Refusal.CLUSTER_NODES)),
        (policy(limits=Limits(max_cores=15)), {}, (1, Refusal.CLUSTER_CORES)),
        (policy(), quota(max_instances=7, used_instances=4), (3, Refusal.QUOTA)),
        (policy(), quota(max_cores=20, used_cores=11), (2, Refusal.QUOTA)),
        (policy(), quota(max_memory_mib=40000, used_memory_mib=16384), (2, Refusal.QUOTA)),
        (policy(PRICED, limits=Limits(budget_per_hour=6.5)), {}, (4, Refusal.BUDGET_HOUR)),
        (policy(PRICED, limits=Limits(budget_per_month=6.5)), {}, (4, Refusal.BUDGET_MONTH)),
        (policy(PRICED, limits=Limits(budget_per_month=9)), SPENT, (1, Refusal.BUDGET_MONTH)),
        (policy(limits=Limits(budget_per_hour=1, budget_per_month=1)), {}, (8, Refusal.MAX_NODES)),
        (policy(limits=Limits(launches_per_minute=3)), {}, (3, Refusal.LAUNCH_RATE)),
        (policy(), {"clouds": {}}, (0, Refusal.NO_VIEW)),
        (policy(), over(overrides={"r": Override(ResourceFlag.FROZEN, 2, 2)}), (0, Refusal.FROZEN)),
        (policy(), over(overrides={"r": Override(ResourceFlag.DRAINING, 0, 0)}), (0, Refusal.DRAINING)),
        (policy(), over(overrides={"r": Override(ResourceFlag.DRAINED, 0, 0)}), (0, Refusal.DRAINING)),
        (policy(), over(breakers={"r": Breaker(BreakerState.OPEN, retry_obs=FAR)}), (0, Refusal.CLOSED)),
        (policy(), over(breakers={"r": Breaker(BreakerState.HALF_OPEN)}), (1, Refusal.CLOSED)),
        (policy(), over(breakers={"r": Breaker(BreakerState.HALF_OPEN, trial_node="n2")}), (0, Refusal.CLOSED)),
        (policy(), over(breakers={"r": Breaker(failures=4)}), (8, Refusal.MAX_NODES)),
        (policy(), over(backoffs={"resource:r": Backoff(FAR, NOW)}), (0, Refusal.SOLD_OUT)),
        (policy(), over(backoffs={"resource:r": Backoff(OBS, NOW)}), (8, Refusal.MAX_NODES)),
        (policy(resource(offering="a")), over(backoffs={"offering:a": Backoff(FAR, NOW)}), (0, Refusal.SOLD_OUT)),
        (policy(), over(backoffs={"offering:a": Backoff(FAR, NOW)}), (8, Refusal.MAX_NODES)),
        (policy(), over(backoffs={"tenancy:t": Backoff(FAR, NOW)}), (0, Refusal.THROTTLED)),
        (policy(), over(backoffs={"tenancy:other": Backoff(FAR, NOW)}), (8, Refusal.MAX_NODES)),
    ],
)
def test_each_limit_binds_and_is_named(rules, more, expected) -> None:
    assert room(rules, **more) == expected


def test_the_tightest_of_several_is_named() -> None:
    rules = policy(resource(max_nodes=9, max_starting=4), limits=Limits(max_nodes=4, max_cores=400))
    assert room(rules) == (2, Refusal.CLUSTER_NODES)
    assert room(rules, **quota(max_instances=3, used_instances=2)) == (1, Refusal.QUOTA)


def test_without_any_limit_there_is_plenty() -> None:
    assert room(policy(resource(max_nodes=1 << 40)), []) == (subject.PLENTY, None)


def test_a_resource_whose_size_is_not_known_has_room_for_none() -> None:
    rules = policy(resource(cores=0, memory_mib=0), limits=Limits(max_cores=5))
    assert room(rules) == (0, Refusal.NO_SIZE)


def test_intents_that_the_list_does_not_show_count_against_the_quota() -> None:
    unseen = [node("n3", S.REQUESTED), node("n4", S.UNSETTLED), node("n5", S.STARTING)]
    view = cloud_view([instance_of(n) for n in TWO], quota=Quota(10, 2, 100, 8, 10**6, 0))
    assert room(policy(resource(max_nodes=99)), [*TWO, *unseen], clouds={"t": view}) == (5, Refusal.QUOTA)


def test_strangers_use_up_the_quota_too() -> None:
    view = cloud_view([instance_of(n) for n in TWO], quota=Quota(10, 9), strangers=7)
    assert room(policy(), clouds={"t": view}) == (1, Refusal.QUOTA)


def test_what_is_terminating_or_listed_as_gone_is_counted_once() -> None:
    ending, other = node("n3", S.TERMINATING), node("n4", S.TERMINATING, tenancy="elsewhere")
    gone = node("n5", S.STARTING)
    listed = [*(instance_of(n) for n in TWO), instance_of(gone, InstanceState.GONE)]
    view = cloud_view(listed, quota=Quota(max_instances=10, used_instances=3))
    assert room(policy(resource(max_nodes=99)), [*TWO, ending, other, gone], clouds={"t": view}) == (6, Refusal.QUOTA)


def test_nodes_of_a_resource_that_left_the_configuration_still_count() -> None:
    old = [node(f"o{i}", S.STARTING, "old") for i in range(3)]
    view = cloud_view([], quota=Quota(max_instances=4, max_cores=100))
    assert room(policy(), old, clouds={"t": view}) == (1, Refusal.QUOTA)
    assert room(policy(limits=Limits(max_nodes=5)), old) == (2, Refusal.CLUSTER_NODES)


def test_states_that_no_longer_count() -> None:
    leaving = [node("n3", S.FORGETTING)]
    assert room(policy(limits=Limits(max_nodes=4)), [*TWO, *leaving]) == (2, Refusal.CLUSTER_NODES)


def test_taking_moves_every_count() -> None:
    rules = policy(
        resource(max_starting=8, price_per_hour=1.0),
        limits=Limits(max_nodes=20, max_cores=90, launches_per_minute=7, budget_per_hour=50),
    )
    snapshot = picture(TWO, **quota(max_instances=20, max_cores=99, max_memory_mib=10**6))
    ledger = open_ledger(draft(snapshot, rules))
    twin = ledger.copy()
    ledger.take(rules.resources["r"], 3)
    assert (ledger.nodes["r"], ledger.coming["r"], ledger.total, ledger.cores) == (5, 4, 5, 20)
    assert (ledger.rate_per_hour, ledger.tokens) == (5.0, 4.0)
    assert (ledger.quota_instances["t"], ledger.quota_cores["t"]) == (17, 87)
    assert ledger.quota_memory_mib["t"] == 10**6 - 3 * 8192
    assert (twin.nodes["r"], twin.total, twin.tokens, twin.quota_instances["t"]) == (2, 2, 7.0, 20)


def test_a_gang_may_overdraw_the_launch_rate_but_not_an_empty_bucket() -> None:
    rules = policy(resource(max_nodes=99), limits=Limits(launches_per_minute=3))
    assert room(rules, gang=10) == (10, Refusal.LAUNCH_RATE)
    assert room(rules, gang=10, **over(rate_tokens=0.9, rate_as_of_obs=OBS)) == (0, Refusal.LAUNCH_RATE)


def test_the_bucket_fills_up_with_observed_time_to_one_minutes_worth() -> None:
    rules = policy(limits=Limits(launches_per_minute=6))

    def tokens(held, since_s):
        return subject.refilled_tokens(draft(picture(**over(rate_tokens=held, rate_as_of_obs=OBS - since_s)), rules))

    assert subject.refilled_tokens(draft(picture(), rules)) == 6
    assert tokens(0.0, 30) == 3
    assert tokens(-6.0, 30) == -3
    assert tokens(5.0, 600) == 6
    slow = policy(limits=Limits(launches_per_minute=0.5))
    assert subject.refilled_tokens(draft(picture(), slow)) == 1


def test_the_rate_holds_over_ticks() -> None:
    rules = policy(limits=Limits(launches_per_minute=2))
    first = plan(picture(jobs=jobs(5, shape(4))), rules)
    assert launches(first) == {"r": 2}
    assert first.memory.rate_tokens == 0
    (report,) = first.demand.reports
    assert report.refusals == {"r": Refusal.LAUNCH_RATE}


def test_half_open_lets_one_node_through_and_remembers_it() -> None:
    rules = policy(resource(), resource("s", priority=1))
    snapshot = picture(jobs=jobs(3, shape(4)), **over(breakers={"r": Breaker(BreakerState.HALF_OPEN, 5, 1)}))
    decided = plan(snapshot, rules)
    assert launches(decided) == {"r": 1, "s": 2}
    trial = decided.memory.breakers["r"].trial_node
    assert decided.nodes[trial].resource == "r"


def test_by_hand_only_hard_limits_stand_in_the_way() -> None:
    rules = policy(limits=Limits(launches_per_minute=1, max_nodes=5))
    blocked = over(
        breakers={"r": Breaker(BreakerState.OPEN, retry_obs=FAR)},
        backoffs={"tenancy:t": Backoff(FAR, NOW)},
        rate_tokens=0.0,
        rate_as_of_obs=OBS,
    )
    assert room(rules, **blocked)[0] == 0
    assert room(rules, by_hand=True, **blocked) == (3, Refusal.CLUSTER_NODES)
    assert room(rules, by_hand=True, clouds={}) == (0, Refusal.NO_VIEW)


def test_an_override_replaces_the_configured_maximum_in_planning() -> None:
    snapshot = picture(
        [node()], [job("1", shape(4, chunks=2))], **over(overrides={"r": Override(ResourceFlag.FROZEN, 1, 1)})
    )
    assert not launches(plan(snapshot))


def test_seconds_left_and_forecast_at_the_end_of_a_month() -> None:
    end = 1_801_440_000.0  # 2027-02-01 00:00 UTC
    assert subject.seconds_left_in_month(end - 1.5) == 1.5
    assert subject.seconds_left_in_month(end) == 28 * 86400
    assert subject.forecast(10.0, 2.0, end - 7200) == 14.0


def test_the_monthly_budget_looks_no_further_than_the_month() -> None:
    rules = policy(PRICED, limits=Limits(budget_per_month=3.0))
    almost_over = 1_801_440_000.0 - 1800
    spent = memory(spend=Spend(MONTH, 1.0, almost_over), clocks={"engine": ObservedClock(OBS, almost_over)})
    ledger = open_ledger(draft(picture(TWO, memory=spent), rules, almost_over))
    assert ledger.room(PRICED) == (2, Refusal.BUDGET_MONTH)


def test_an_absurdly_cheap_resource_does_not_overflow() -> None:
    cheap = resource(price_per_hour=1e-300)
    assert room(policy(cheap, limits=Limits(budget_per_hour=5.0)), []) == (10, Refusal.MAX_NODES)


def test_a_quota_is_used_up_by_what_the_cloud_counts_not_by_what_jobs_may_use() -> None:
    """EC2 counts 8 vCPUs of a machine whose four cores are given to jobs without hyper-threading."""
    told = Offer("r", Capacity(4, 15000), billed=Capacity(8, 16384))
    view = cloud_view(quota=Quota(None, 0, 32, 0), offers=(told,))
    wanted = jobs(20, shape(4))
    for sized in (resource(cores=4, max_nodes=50), resource(cores=0, memory_mib=0, max_nodes=50)):
        rules = with_offers(policy(sized), {"t": view})
        assert launches(plan(picture(jobs=wanted, clouds={"t": view}), rules)) == {"r": 4}


def test_a_size_configured_smaller_than_the_cloud_tells_counts_as_told() -> None:
    view = cloud_view(quota=Quota(None, 0, 32, 0, 100_000, 0), offers=(Offer("r", Capacity(16, 64_000)),))
    rules = with_offers(policy(resource(cores=14, memory_mib=60_000, max_nodes=50)), {"t": view})
    waiting = node("n1", S.STARTING, instance_id="i-unlisted")
    assert launches(plan(picture(jobs=jobs(20, shape(14)), clouds={"t": view}), rules)) == {"r": 1}  # of memory
    assert not launches(plan(picture([waiting], jobs=jobs(20, shape(14)), clouds={"t": view}), rules))


def test_each_offer_of_a_menu_counts_for_itself() -> None:
    offer = Offer("r", Capacity(4, 15000), "t/a/x/on-demand", market="on-demand", billed=Capacity(8, 16384))
    view = cloud_view(quota=Quota(None, 0, 32, 0), offers=(offer,))
    rules = with_offers(policy(resource(cores=0, memory_mib=0, max_nodes=50, menu=Menu())), {"t": view})
    coming = node("n1", S.STARTING, instance_id="i-unlisted", offer=offer)
    snapshot = picture([coming], jobs=jobs(20, shape(4)), clouds={"t": view})
    assert launches(plan(snapshot, rules)) == {"r": 3}
