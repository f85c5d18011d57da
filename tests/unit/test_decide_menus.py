"""Menus: which of a cloud's offers are launched for the waiting jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import builders as b

from dynamiccluster.api.pictures.resources import cost_doc, cost_per_hour
from dynamiccluster.decide import interruptions, tick
from dynamiccluster.decide.offers import with_offers
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.action import ActionKind, ActionResult, Outcome
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import Command, CommandKind, ReplyCode
from dynamiccluster.model.job import Job
from dynamiccluster.model.launch import LaunchState
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState, Interruptions, Memory
from dynamiccluster.model.menu import Menu, OnDemandStrategy, SpotStrategy
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.plan import Plan, Refusal, Snapshot
from dynamiccluster.model.policy import Limits, Policy
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import Quota
from dynamiccluster.model.worker_node import NodeState


def offer(kind: str, cores: int, price: float, market: str = "spot", zone: str = "a", **more: Any) -> Offer:
    fields = {"capacity": Capacity(cores, cores * 4096), "offering": f"t/{zone}/{kind}/{market}", **more}
    return Offer("m", instance_type=kind, zone=zone, market=market, price_per_hour=price, **fields)


SPOT_4, SPOT_16 = offer("four", 4, 0.1), offer("sixteen", 16, 0.3)
OWN_4, OWN_16 = offer("four", 4, 0.4, "on-demand"), offer("sixteen", 16, 1.4, "on-demand")
ALL = (SPOT_4, SPOT_16, OWN_4, OWN_16)


def menu(most: int = 100, least: int = 0, **how: Any) -> Resource:
    base = b.resource("m", max_nodes=most, min_nodes=least)
    return replace(base, capacity=Capacity(), menu=Menu(**how))


def picture(waiting: Iterable[Job], offers: Iterable[Offer], **more: Any) -> Snapshot:
    quota = more.pop("quota", Quota())
    snapshot = b.picture(jobs=waiting, **more)
    view = snapshot.clouds["t"]
    return replace(snapshot, clouds={"t": replace(view, offers=tuple(offers), quota=quota)})


def sold_out(*offers: Offer, **more: Any) -> Any:
    backoffs = {f"offering:{each.offering}": Backoff(b.OBS + 100, b.NOW + 100) for each in offers}
    return b.memory(backoffs={**backoffs, **more.pop("backoffs", {})}, **more)


def bought(plan: Plan) -> Counter[str]:
    found: Counter[str] = Counter()
    for action in b.actions(plan, ActionKind.LAUNCH):
        assert action.offer is not None
        found[action.offer.offering] += len(action.specs)
    return found


def buy(waiting: Iterable[Job], *offers: Offer, of: Resource | None = None, **more: Any) -> Counter[str]:
    limits = more.pop("limits", Limits())
    return bought(b.plan(picture(waiting, offers, **more), b.policy(of or menu(), limits=limits)))


# -- choosing -----------------------------------------------------------------------------------------------


def test_the_cheapest_for_all_of_the_work_is_taken() -> None:
    assert buy(b.jobs(4, b.shape(4)), *ALL) == {SPOT_16.offering: 1}
    assert buy(b.jobs(1, b.shape(4)), *ALL) == {SPOT_4.offering: 1}


def test_shapes_are_chosen_for_together() -> None:
    waiting = [*b.jobs(2, b.shape(6)), *b.jobs(4, b.shape(1), first=10)]
    assert buy(waiting, SPOT_16, offer("eight", 8, 0.2), offer("two", 2, 0.06)) == {SPOT_16.offering: 1}


def test_what_was_chosen_goes_with_the_launch_the_node_and_its_host() -> None:
    plan = b.plan(picture(b.jobs(1, b.shape(4)), ALL), b.policy(menu()))
    (node,), (launch,) = plan.nodes.values(), plan.launches.values()
    assert node.offer == launch.offer == SPOT_4
    added = replace(node, state=NodeState.CONFIGURING, todo=(ActionKind.HOST_ADD,), action_id="", instance_id="i-1")
    later = b.plan(picture((), ALL, nodes=[added]), b.policy(menu()))
    (action,) = b.actions(later, ActionKind.HOST_ADD)
    assert action.offer == SPOT_4


def test_the_next_decision_buys_nothing_again() -> None:
    waiting = [*b.jobs(7, b.shape(3, 9000)), *b.jobs(11, b.shape(1, 500), first=100), *b.jobs(2, b.shape(16), first=50)]
    snapshot, rules = picture(waiting, ALL), b.policy(menu())
    first = b.plan(snapshot, rules)
    assert bought(first)
    assert not bought(b.plan(b.after(snapshot, first), rules))


def test_jobs_that_no_offer_holds_are_refused_by_what_is_nearest() -> None:
    report = b.plan(picture(b.jobs(1, b.shape(32)), ALL), b.policy(menu())).demand.reports[0]
    assert report.refusals == {"m": Refusal.CORES}
    assert report.never


def test_a_menu_whose_cloud_tells_nothing_has_no_size_yet() -> None:
    report = b.plan(picture(b.jobs(1), ()), b.policy(menu())).demand.reports[0]
    assert report.refusals == {"m": Refusal.NO_SIZE}


def test_types_of_gpu_are_told_apart() -> None:
    a100 = offer("a", 8, 2.0, gpu_type="a100", capacity=Capacity(8, 32768, 1))
    t4 = offer("t", 8, 0.5, gpu_type="t4", capacity=Capacity(8, 32768, 1))
    assert buy(b.jobs(1, b.shape(1, gpus=1, gpu_type="a100")), a100, t4) == {a100.offering: 1}
    assert buy(b.jobs(1, b.shape(1, gpus=1)), a100, t4) == {t4.offering: 1}


def test_an_unknown_price_comes_last() -> None:
    assert buy(b.jobs(1), replace(SPOT_4, price_per_hour=0.0), SPOT_16) == {SPOT_16.offering: 1}


def test_gangs_get_nodes_of_one_kind() -> None:
    assert buy(b.jobs(1, b.shape(4, chunks=4, distinct=True)), *ALL) == {SPOT_4.offering: 4}
    assert buy(b.jobs(1, b.shape(4, chunks=4)), *ALL) == {SPOT_16.offering: 1}


# -- limits -------------------------------------------------------------------------------------------------


def test_where_there_may_be_few_nodes_they_are_large() -> None:
    small = offer("four", 4, 0.01)
    assert buy(b.jobs(8, b.shape(4)), small, SPOT_16) == {small.offering: 8}
    assert buy(b.jobs(8, b.shape(4)), small, SPOT_16, of=menu(2)) == {SPOT_16.offering: 2}


def test_the_budget_counts_what_each_offer_costs() -> None:
    limits = Limits(budget_per_hour=0.65)
    assert buy(b.jobs(30, b.shape(4)), SPOT_16, limits=limits) == {SPOT_16.offering: 2}
    costly = b.node("n1", of="m", offer=OWN_16)
    assert buy(b.jobs(30, b.shape(16)), SPOT_16, nodes=[costly], limits=Limits(budget_per_hour=2.0)) == {
        SPOT_16.offering: 2
    }


def test_a_quota_of_cores_is_filled_with_what_fits_into_it() -> None:
    quota = Quota(max_cores=10, used_cores=0)
    assert buy(b.jobs(30, b.shape(4)), SPOT_4, SPOT_16, quota=quota) == {SPOT_4.offering: 2}


# -- markets ------------------------------------------------------------------------------------------------


def test_what_is_sold_out_in_one_zone_is_taken_in_another() -> None:
    elsewhere = offer("four", 4, 0.11, zone="b")
    assert buy(b.jobs(1, b.shape(4)), SPOT_4, elsewhere) == {SPOT_4.offering: 1}
    assert buy(b.jobs(1, b.shape(4)), SPOT_4, elsewhere, memory=sold_out(SPOT_4)) == {elsewhere.offering: 1}


def test_spot_is_waited_for_as_long_as_the_menu_says() -> None:
    waiting, spot = b.jobs(1, b.shape(4)), (SPOT_4, SPOT_16)
    plan = b.plan(picture(waiting, ALL, memory=sold_out(*spot)), b.policy(menu()))
    assert not bought(plan)
    assert plan.demand.reports[0].refusals == {"m": Refusal.SOLD_OUT}
    begun = {"spot:m": Backoff(b.OBS + 5, b.NOW + 5)}
    assert not buy(waiting, *ALL, memory=sold_out(*spot, backoffs=begun))
    over = {"spot:m": Backoff(b.OBS - 1, b.NOW - 1)}
    assert buy(waiting, *ALL, memory=sold_out(*spot, backoffs=over)) == {OWN_4.offering: 1}
    assert not buy(waiting, *ALL, memory=sold_out(*spot, backoffs=over), of=menu(on_demand=False))


def test_a_menu_that_never_tries_spot_takes_the_others() -> None:
    assert buy(b.jobs(1, b.shape(4)), *ALL, of=menu(try_spot_s=-1.0)) == {OWN_4.offering: 1}


def test_what_no_spot_offer_holds_is_not_kept_waiting() -> None:
    assert buy(b.jobs(1, b.shape(16)), SPOT_4, OWN_4, OWN_16) == {OWN_16.offering: 1}


def refused(error_class: str, asked: Offer, named: str = "", **more: Any) -> Plan:
    node = b.node("n1", NodeState.REQUESTED, of="m", action_id="a1", offer=asked)
    launch = b.launch_of(node, state=LaunchState.OPEN, offer=asked)
    result = ActionResult(
        "a1", ActionKind.LAUNCH, Outcome.REFUSED, b.NOW, error_class, "no", launch_id=launch.launch_id, resource="m",
        offering=named,
    )  # fmt: skip
    snapshot = picture(b.jobs(1, b.shape(4)), ALL, nodes=[node], launches={launch.launch_id: launch}, **more)
    return b.plan(replace(snapshot, results=(result,)), b.policy(menu()))


def test_a_refused_offer_is_left_alone_and_the_next_is_taken_at_once() -> None:
    plan = refused("capacity", SPOT_4)
    assert f"offering:{SPOT_4.offering}" in plan.memory.backoffs
    assert "resource:m" not in plan.memory.backoffs
    assert plan.memory.backoffs["spot:m"].until_obs == b.OBS + 15.0
    assert bought(plan) == {SPOT_16.offering: 1}


def test_a_quota_of_one_market_leaves_the_other_open() -> None:
    over = b.memory(backoffs={"spot:m": Backoff(b.OBS - 1, b.NOW - 1)})
    plan = refused("quota", SPOT_4, SPOT_4.offering, memory=over)
    assert "market:t/spot" in plan.memory.backoffs
    assert bought(plan) == {OWN_4.offering: 1}


# -- strategies ---------------------------------------------------------------------------------------------


def test_spot_strategies() -> None:
    calm = offer("calm", 4, 0.2)
    wild = offer("wild", 4, 0.1)
    fine = offer("fine", 4, 0.3, priority=-1)
    memory = b.memory(interruptions={wild.offering: Interruptions(20.0, 100.0, b.OBS)})

    def taken(strategy: SpotStrategy) -> Counter[str]:
        return buy(b.jobs(1, b.shape(4)), calm, wild, fine, of=menu(spot_strategy=strategy), memory=memory)

    assert taken(SpotStrategy.LOWEST_PRICE) == {wild.offering: 1}
    assert taken(SpotStrategy.CAPACITY_OPTIMIZED) == {calm.offering: 1}
    assert taken(SpotStrategy.CAPACITY_OPTIMIZED_PRIORITIZED) == {fine.offering: 1}
    assert taken(SpotStrategy.PRICE_CAPACITY_OPTIMIZED) == {wild.offering: 1}
    often = b.memory(interruptions={wild.offering: Interruptions(200.0, 50.0, b.OBS)})
    strategy = menu(spot_strategy=SpotStrategy.PRICE_CAPACITY_OPTIMIZED)
    assert buy(b.jobs(1, b.shape(4)), calm, wild, fine, of=strategy, memory=often) == {calm.offering: 1}


def test_diversified_spreads_over_offers_of_about_the_same_price() -> None:
    zones = [offer("four", 4, price, zone=zone) for zone, price in (("a", 0.1), ("b", 0.11), ("c", 0.2))]
    taken = buy(b.jobs(6, b.shape(4)), *zones, of=menu(spot_strategy=SpotStrategy.DIVERSIFIED))
    assert taken == {zones[0].offering: 3, zones[1].offering: 3}


def test_on_demand_strategies() -> None:
    cheap = offer("cheap", 4, 0.1, "on-demand", priority=5)
    liked = offer("liked", 4, 0.3, "on-demand", priority=1)
    for strategy, expected in ((OnDemandStrategy.LOWEST_PRICE, cheap), (OnDemandStrategy.PRIORITIZED, liked)):
        assert buy(b.jobs(1, b.shape(4)), cheap, liked, of=menu(on_demand_strategy=strategy)) == {expected.offering: 1}


def test_interruptions_fade() -> None:
    often = Interruptions(10.0, 100.0, b.OBS)
    draft = b.draft(picture((), (), memory=b.memory(interruptions={"x": often})), b.policy())
    rate = interruptions.rate_per_hour(draft, "x")
    assert rate > 10 * interruptions.USUAL_PER_HOUR == 10 * interruptions.rate_per_hour(draft, "y")
    old = replace(often, as_of_obs=b.OBS - 20 * interruptions.HALF_LIFE_S)
    draft = b.draft(picture((), (), memory=b.memory(interruptions={"x": old})), b.policy())
    assert interruptions.rate_per_hour(draft, "x") < 1.1 * interruptions.USUAL_PER_HOUR


# -- nodes nobody asked for by a job ----------------------------------------------------------------------


def test_minimum_sizes_and_operators_get_the_best_offer() -> None:
    assert buy((), *ALL, of=menu(least=2)) == {SPOT_4.offering: 2}
    command = Command("1", CommandKind.LAUNCH, "me", "m", 3)
    plan = b.plan(replace(picture((), ALL), commands=(command,)), b.policy(menu()))
    assert bought(plan) == {SPOT_4.offering: 3}
    plan = b.plan(replace(picture((), ()), commands=(command,)), b.policy(menu()))
    assert plan.replies[0].code is ReplyCode.NOT_ALLOWED


def test_nodes_on_their_way_count_with_their_own_size() -> None:
    coming = b.node("n1", NodeState.STARTING, of="m", offer=SPOT_16)
    assert not buy(b.jobs(4, b.shape(4)), *ALL, nodes=[coming])


def test_what_nodes_really_have_is_learnt_for_each_size() -> None:
    nodes = [
        b.node("n1", NodeState.JOINING, of="m", offer=SPOT_4),
        b.node("n2", NodeState.JOINING, of="m", offer=SPOT_16),
    ]
    hosts = [b.host("m-n1", 4, 15000), b.host("m-n2", 16, 65536)]
    plan = b.plan(picture((), ALL, nodes=nodes, hosts=hosts), b.policy(menu()))
    assert list(plan.memory.learned) == ["m 4/16384/0"]
    later = buy(b.jobs(1, b.shape(4, 16000)), *ALL, memory=plan.memory)
    assert later == {SPOT_16.offering: 1}


# -- what is known survives ---------------------------------------------------------------------------------


def test_what_clouds_told_is_known_after_a_restart() -> None:
    one = replace(b.resource("r"), capacity=Capacity(), price_per_hour=0.0)
    told = Offer("r", Capacity(8, 16000), price_per_hour=0.5)
    rules = Policy("c1", {"r": one, "m": menu()})
    plan = b.plan(picture((), (told, *ALL)), rules)
    filled = with_offers(rules, {}, plan.memory.offers).resources
    assert (filled["r"].capacity, filled["r"].price_per_hour) == (told.capacity, 0.5)
    assert (filled["m"].capacity, filled["m"].price_per_hour) == (OWN_16.capacity, 0.0)


def test_people_are_shown_what_each_node_costs() -> None:
    nodes = {name: b.node(name, of="m", offer=kind) for name, kind in {"n1": OWN_4, "n2": OWN_16}.items()}
    model = ReadModel(b.NOW, Snapshot(1, Memory(), nodes=nodes), b.policy(menu()))
    assert [model.price_of(node) for node in nodes.values()] == [0.4, 1.4]
    assert cost_per_hour(model) == 1.8
    assert cost_doc(model, b.NOW).resources["m"].cost_per_hour == 1.8
    assert model.capacity_of(nodes["n2"]) == OWN_16.capacity


def test_a_trial_is_of_a_size_that_holds_the_work_that_waits() -> None:
    half_open = b.memory(breakers={"m": Breaker(BreakerState.HALF_OPEN)})
    assert buy(b.jobs(1, b.shape(16, chunks=2, distinct=True)), *ALL, memory=half_open) == {SPOT_16.offering: 1}


# -- prices that nobody knows ---------------------------------------------------------------------------------

BUDGET = Limits(budget_per_hour=1.0)


def test_what_has_no_price_is_not_bought_where_there_is_a_budget() -> None:
    for limits in (BUDGET, Limits(budget_per_month=100.0)):
        snapshot = picture(b.jobs(5, b.shape(64)), [offer("huge", 64, 0.0)])
        rules = b.policy(menu(), limits=limits)
        plan = b.plan(snapshot, rules)
        assert not bought(plan)
        assert plan.demand.reports[0].refusals == {"m": Refusal.NO_PRICE}
        told = tick.answer(b.after(snapshot, plan), rules, b.NOW, plan.demand, b.job("1", b.shape(64)))
        assert told.limit == "no-price"
        assert "price" in told.summary


def test_without_a_budget_it_is_bought() -> None:
    assert buy(b.jobs(1, b.shape(64)), offer("huge", 64, 0.0)) == {offer("huge", 64, 0.0).offering: 1}


def test_what_has_no_price_does_not_stand_in_the_way_of_what_has_one() -> None:
    unpriced = (offer("four", 4, 0.0), offer("sixteen", 16, 0.0, zone="b"), offer("four", 4, 0.0, "on-demand"))
    limits = Limits(budget_per_hour=1.0)
    assert buy(b.jobs(1, b.shape(4)), *unpriced, OWN_4, limits=limits) == {OWN_4.offering: 1}
    assert buy(b.jobs(1, b.shape(4)), *unpriced, SPOT_4, limits=limits) == {SPOT_4.offering: 1}
    assert buy((), *unpriced, OWN_4, of=menu(least=1), limits=limits) == {OWN_4.offering: 1}


def test_an_operator_is_told_that_a_price_is_lacking() -> None:
    snapshot = replace(
        picture((), [offer("huge", 64, 0.0)]),
        commands=(Command("c", CommandKind.LAUNCH, "op", "m", 1),),
    )
    (reply,) = b.plan(snapshot, b.policy(menu(), limits=BUDGET)).replies
    assert reply.code is not ReplyCode.OK
    assert "price" in reply.message


# -- offers that are wrong for the menu --------------------------------------------------------------------------


def all_refused(snapshot: Snapshot, plan: Plan, error_class: str) -> Snapshot:
    """The next picture: all launches are refused for that reason."""
    results = [
        ActionResult(
            action_id=action.action_id,
            kind=action.kind,
            outcome=Outcome.REFUSED,
            finished_at=b.NOW,
            error_class=error_class,
            message="the image is of another architecture",
            launch_id=action.launch_id,
            resource=action.resource,
            offering=action.offer.offering,
        )
        for action in b.actions(plan, ActionKind.LAUNCH)
        if action.offer is not None
    ]
    return replace(b.after(snapshot, plan), results=tuple(results))


def test_a_type_that_does_not_go_with_the_image_closes_itself_only() -> None:
    arm, other = offer("arm", 4, 0.1, "on-demand"), offer("intel", 4, 0.2, "on-demand")
    rules, snapshot = b.policy(menu()), picture(b.jobs(1, b.shape(4)), [arm, other])
    first = b.plan(snapshot, rules)
    assert bought(first) == {arm.offering: 1}
    snapshot = all_refused(snapshot, first, "bad-config")
    second = b.plan(snapshot, rules)
    assert bought(second) == {other.offering: 1}
    assert "m" not in second.memory.breakers
    assert second.memory.backoffs[f"unfit:m {arm.offering}"].until_obs - b.OBS == rules.failure.breaker_open_s


def test_a_menu_none_of_whose_offers_goes_with_its_configuration_is_closed() -> None:
    rules = b.policy(menu())
    snapshot = picture(b.jobs(1, b.shape(4)), [offer("one", 4, 0.1, "on-demand"), offer("two", 4, 0.2, "on-demand")])
    for _ in range(3):
        plan = b.plan(snapshot, rules)
        snapshot = all_refused(snapshot, plan, "bad-config")
    assert plan.memory.breakers["m"].state is BreakerState.OPEN
    assert not bought(plan)


def test_what_is_wrong_for_one_menu_may_be_right_for_another() -> None:
    arm = offer("arm", 4, 0.1, "on-demand")
    rules, snapshot = b.policy(menu()), picture(b.jobs(1, b.shape(4)), [arm])
    plan = b.plan(all_refused(snapshot, b.plan(snapshot, rules), "bad-config"), rules)
    assert f"offering:{arm.offering}" not in plan.memory.backoffs


def test_an_operator_who_looked_has_wrong_offers_tried_again() -> None:
    arm = offer("arm", 4, 0.1, "on-demand")
    rules, snapshot = b.policy(menu()), picture(b.jobs(1, b.shape(4)), [arm])
    snapshot = all_refused(snapshot, b.plan(snapshot, rules), "bad-config")
    snapshot = replace(snapshot, commands=(Command("c", CommandKind.RESET, "op", "m"),))
    plan = b.plan(snapshot, rules)
    assert not plan.memory.backoffs
    assert not plan.memory.breakers


# -- without an offer ----------------------------------------------------------------------------------------------


def test_a_menu_is_never_launched_without_an_offer() -> None:
    """After a restart its size is remembered before its cloud tells the offers anew."""
    remembered = {"m": Offer("m", Capacity(8, 16000))}
    half_open = {"m": Breaker(BreakerState.HALF_OPEN, failures=5)}
    for known in (b.memory(offers=remembered), b.memory(offers=remembered, breakers=half_open)):
        snapshot = picture(b.jobs(1, b.shape(4)), (), memory=known)
        snapshot = replace(snapshot, commands=(Command("c", CommandKind.LAUNCH, "op", "m", 1),))
        rules = with_offers(b.policy(menu(least=2)), snapshot.clouds, remembered)
        plan = b.plan(snapshot, rules)
        assert not plan.launches
        (reply,) = plan.replies
        assert reply.code is ReplyCode.NOT_ALLOWED
        assert "size" in reply.message


def test_where_the_configuration_has_the_word_on_prices_none_is_nothing() -> None:
    """A type `aws` resource of several zones without `price_per_hour`: budgets leave it alone, as its key says."""
    huge = offer("huge", 64, 0.0)
    assert buy(b.jobs(1, b.shape(64)), huge, of=menu(priced=False), limits=BUDGET) == {huge.offering: 1}
