"""One tick as a whole: first start, modes, money, declared shapes, jobs given up by the scheduler, clocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import (
    NOW,
    OBS,
    VIEW_AT,
    actions,
    after,
    cloud_view,
    host,
    job,
    jobs,
    launches,
    memory,
    node,
    picture,
    plan,
    policy,
    resource,
    scheduler_view,
    shape,
)

from dynamiccluster.decide.draft import SOONEST_S, start
from dynamiccluster.decide.tick import shapes_fingerprint
from dynamiccluster.model.action import ActionKind, ActionResult, Outcome
from dynamiccluster.model.command import Command, CommandKind
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.memory import Backoff, Memory, ObservedClock, Spend
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.worker_node import NodeState

S, A = NodeState, ActionKind
NEW = memory(looked=False)


# -- the first start ----------------------------------------------------------------------------------


def test_beside_hosts_that_exist_already_it_only_observes_and_says_so() -> None:
    decided = plan(picture(jobs=jobs(9), hosts=[host("old")], memory=NEW))
    assert (decided.memory.looked, decided.memory.observe_only) == (True, True)
    assert not decided.actions
    assert decided.proposals == ("launch 2 node(s) of r: for waiting job(s) 1",)
    assert [e.kind for e in decided.events] == [EventKind.SERVICE]
    assert "observe-only" in decided.sentence


@pytest.mark.parametrize(
    "more",
    [
        {"hosts": []},
        {"hosts": [host("old")], "rules": {"observe_first": False}},
        {"hosts": [host("old")], "instances": [Instance("i", InstanceState.ACTIVE, resource="r")]},
        {"hosts": [host("old")], "nodes": [node("n1", S.STARTING)]},
        {"hosts": [host("old", template=True)]},
    ],
)
def test_on_an_empty_cluster_or_with_machines_of_ours_or_if_told_so_it_acts(more) -> None:
    rules = policy(**more.pop("rules", {}))
    decided = plan(picture(jobs=jobs(9), memory=NEW, **more), rules)
    assert (decided.memory.looked, decided.memory.observe_only) == (True, False)
    assert launches(decided)


@pytest.mark.parametrize("missing", [{"scheduler": None}, {"clouds": {}, "hosts": [host("old")]}])
def test_before_every_source_was_seen_nothing_is_done(missing) -> None:
    decided = plan(picture(jobs=jobs(9), memory=NEW, **missing), policy(resource(min_nodes=1)))
    assert decided.memory.looked is False
    assert not decided.actions
    assert not decided.nodes


def test_the_rule_applies_once_only() -> None:
    decided = plan(picture(jobs=jobs(9), hosts=[host("old", used=4)]))
    assert decided.memory.observe_only is False


def test_machines_of_ours_are_not_adopted_while_observing() -> None:
    orphan = Instance("x", InstanceState.ACTIVE, launch_id="L", resource="r")
    observing = memory(observe_only=True)
    first = plan(picture(instances=[orphan], memory=observing))
    assert not first.memory.misses


def test_observing_proposes_holds_too_and_changes_nothing() -> None:
    n = node(idle_since_obs=OBS - 9999)
    decided = plan(picture([n], memory=memory(observe_only=True)))
    assert not decided.nodes
    assert not decided.actions
    assert decided.proposals == ("hold r-n1: idle for 9999 s, no waiting job fits it",)


def test_observing_ends_when_told() -> None:
    command = Command("c", CommandKind.OBSERVE_OFF, "ann")
    decided = plan(picture(jobs=jobs(1), memory=memory(observe_only=True), commands=(command,)))
    assert decided.memory.observe_only is False
    assert launches(decided) == {"r": 1}


# -- modes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "chosen", "acts"),
    [(True, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
def test_automatic_mode_an_operators_choice_counts_before_the_configuration(configured, chosen, acts) -> None:
    snapshot = picture(jobs=jobs(1), memory=memory(auto_mode=chosen))
    decided = plan(snapshot, policy(resource(min_nodes=1), auto_mode=configured))
    assert bool(launches(decided)) is acts
    assert ("manual mode" in decided.sentence) is not acts


def test_a_command_counts_in_the_same_tick() -> None:
    command = Command("c", CommandKind.AUTO_OFF, "ann")
    assert not launches(plan(picture(jobs=jobs(1), commands=(command,))))


# -- declared shapes ----------------------------------------------------------------------------------


def test_shapes_are_declared_once_and_again_when_they_change() -> None:
    rules = policy(declare_shapes=True)
    first = plan(picture(), rules)
    (action,) = actions(first, A.DECLARE)
    assert action.resources == ("r",)
    done = ActionResult(action.action_id, A.DECLARE, Outcome.DONE, NOW)
    second = plan(replace(after(picture(), first), results=(done,)), rules)
    assert not actions(second, A.DECLARE)
    assert second.memory.declared == shapes_fingerprint(rules)
    larger = policy(resource(cores=8), declare_shapes=True)
    assert actions(plan(after(picture(), second), larger), A.DECLARE)


def test_declaring_is_not_repeated_while_under_way() -> None:
    rules = policy(declare_shapes=True)
    first = plan(picture(), rules)
    assert not actions(plan(after(picture(), first), rules), A.DECLARE)
    other = policy(resource(cores=8), declare_shapes=True)
    assert not actions(plan(after(picture(), first), other), A.DECLARE)


def test_declaring_that_failed_is_tried_again_after_its_pause() -> None:
    rules = policy(declare_shapes=True)
    wait = memory(step_retry_obs={"declare": OBS + 30})
    decided = plan(picture(memory=wait), rules)
    assert not actions(decided, A.DECLARE)
    assert decided.wake_at == NOW + 30
    assert actions(plan(picture(memory=memory(step_retry_obs={"declare": OBS})), rules), A.DECLARE)


def test_no_declaring_without_a_scheduler_or_where_it_needs_none() -> None:
    assert not plan(picture(scheduler=None), policy(declare_shapes=True)).actions
    assert not plan(picture()).actions


def test_only_what_a_scheduler_may_want_to_know_changes_the_fingerprint() -> None:
    known = shapes_fingerprint(policy())
    assert shapes_fingerprint(policy(resource(priority=5))) == known
    more = resource(max_nodes=99)  # a gang of 99 is refused where 98 of its shape are known
    for changed in (more, resource(cores=5), resource(features=frozenset({"a"})), resource(queue="q"), resource("s")):
        assert shapes_fingerprint(policy(changed)) != known
    ordered = resource(features=frozenset("abcdefgh"), queues=frozenset("hgfedcba"))
    again = resource(features=frozenset("hgfedcba"), queues=frozenset("abcdefgh"))
    assert shapes_fingerprint(policy(ordered)) == shapes_fingerprint(policy(again))


# -- jobs that the scheduler has given up on ------------------------------------------------------------


def test_stuck_jobs_are_given_back_once_in_a_while() -> None:
    snapshot = picture(jobs=[job("1", stuck=True), job("2", stuck=True)])
    first = plan(snapshot)
    (action,) = actions(first, A.UNSTICK)
    assert action.job_ids == ("1", "2")
    done = ActionResult(action.action_id, A.UNSTICK, Outcome.DONE, NOW)
    second = plan(replace(after(snapshot, first), results=(done,)), now=NOW + 1)
    assert not actions(second, A.UNSTICK)
    clocks = {**first.memory.clocks, "engine": ObservedClock(OBS + 60, NOW + 60)}
    third = plan(replace(after(snapshot, second), memory=replace(second.memory, clocks=clocks)), now=NOW + 60)
    assert actions(third, A.UNSTICK)


def test_a_new_stuck_job_does_not_wait_for_the_old_ones() -> None:
    known = memory(unstuck={"1": OBS - 5, "9": OBS - 99})
    decided = plan(picture(jobs=[job("1", stuck=True), job("2", stuck=True)], memory=known))
    (action,) = actions(decided, A.UNSTICK)
    assert action.job_ids == ("2",)
    assert decided.memory.unstuck == {"1": OBS - 5, "2": OBS}


def test_unsticking_waits_for_the_one_under_way_or_its_pause() -> None:
    stuck = [job("1", stuck=True)]
    assert not actions(plan(picture(jobs=stuck, memory=memory(open_actions={"a": "unstick"}))), A.UNSTICK)
    assert not actions(plan(picture(jobs=stuck, memory=memory(step_retry_obs={"unstick": OBS + 9}))), A.UNSTICK)


# -- money --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spend", "amount"),
    [
        (Spend("2027-01", 5.0, NOW - 1800, away=True), 6.0),
        (Spend("2026-12", 5.0, NOW - 1800, away=True), 1.0),
        (Spend(), 0.0),
        (Spend("2027-01", 5.0, NOW + 60, away=True), 5.0),
    ],
)
def test_spend_accrues_also_while_the_service_was_away(spend, amount) -> None:
    rules = policy(resource(price_per_hour=2.0))
    decided = plan(picture([node()], memory=memory(spend=spend)), rules)
    assert decided.memory.spend == Spend("2027-01", amount, NOW)


def test_no_nodes_no_costs() -> None:
    decided = plan(picture(memory=memory(spend=Spend("2027-01", 5.0, NOW - 1800))))
    assert decided.memory.spend.amount == 5.0


# -- clocks, wakes and the plan itself ------------------------------------------------------------------


def clock(last_at, **more):
    return memory(clocks={"scheduler": ObservedClock(OBS, last_at), "engine": ObservedClock(OBS, NOW - 5)}, **more)


@pytest.mark.parametrize(
    ("last_at", "moved_s"), [(VIEW_AT - 9, 10), (VIEW_AT - 9999, 30), (VIEW_AT + 1, 0), (VIEW_AT + 900, 0)]
)
def test_observed_time_moves_with_good_views_and_never_in_one_leap(last_at, moved_s) -> None:
    clocks = plan(picture(memory=clock(last_at))).memory.clocks
    assert clocks["scheduler"] == ObservedClock(OBS + moved_s, VIEW_AT + 1)
    assert clocks["engine"].total_s == OBS + 5


def test_a_clock_starts_at_nothing() -> None:
    fresh = start(picture(memory=Memory(generation="abcd")), policy(), NOW)
    assert fresh.clocks["scheduler"] == ObservedClock(0.0, VIEW_AT + 1)
    assert fresh.obs("cloud:nowhere") == 0.0
    stored = start(picture(memory=Memory(clocks={"engine": ObservedClock(7.0, 0.0)})), policy(), NOW)
    assert stored.clocks["engine"] == ObservedClock(7.0, NOW)


def test_the_next_decision_is_never_further_off_than_the_provision_interval() -> None:
    assert plan(picture()).wake_at == NOW + 60
    soon = memory(backoffs={"resource:r": Backoff(OBS + 7, NOW + 7)})
    assert plan(picture(memory=soon)).wake_at == NOW + 7
    at_once = memory(backoffs={"resource:r": Backoff(OBS + 1e-9, NOW)})
    assert plan(picture(memory=at_once)).wake_at == NOW + SOONEST_S


def test_old_marks_of_sweeping_are_dropped() -> None:
    marks = {"sweep:x": OBS - 1, "sweep:y": OBS + 1, "declare": OBS - 1}
    assert set(plan(picture(memory=memory(step_retry_obs=marks))).memory.step_retry_obs) == {"sweep:y", "declare"}


def test_action_ids_are_unique_over_ticks() -> None:
    snapshot = picture(jobs=jobs(40, shape(4)))
    first = plan(snapshot, policy(resource(max_nodes=3)))
    second = plan(after(snapshot, first), policy(resource(max_nodes=6)))
    ids = [action.action_id for p in (first, second) for action in p.actions]
    assert ids == ["abcd-8-0", "abcd-9-0"]


def test_a_plan_that_does_nothing_is_empty() -> None:
    quiet = plan(picture([node()]))
    assert quiet.empty
    assert quiet.memory.tick == 8
    assert not plan(picture(jobs=jobs(1))).empty
    assert Plan(memory=Memory()).empty


def test_the_sentence_says_what_waits_what_is_there_what_is_done_and_what_binds() -> None:
    snapshot = picture([node(of="s")], [*jobs(9, shape(4)), job("x", shape(1, hosts=("a",)))])
    said = plan(snapshot, policy(resource(max_nodes=2), resource("s", 1))).sentence
    assert said == (
        "decision 8: 10 waiting task(s) of 37 cores; nodes 1 idle, 2 starting; doing 1 launch; "
        "7 without a place (max-nodes)"
    )
    only = plan(picture(jobs=[job("x", shape(hosts=("a",)))])).sentence
    assert only == "decision 8: 1 waiting task(s) of 1 cores; nodes none; 1 without a place (named hosts)"


def test_a_lost_store_is_rebuilt_from_the_machines() -> None:
    machines = [Instance(f"x{i}", InstanceState.ACTIVE, "L", f"old{i}", "r", host_name=f"r-old{i}") for i in range(2)]
    hosts = [host("r-old0"), host("r-old1", used=1)]
    snapshot = picture(hosts=hosts, instances=machines, memory=memory(generation="wxyz", looked=False))
    decided = plan(snapshot)
    for step in range(1, 3):
        later = VIEW_AT + 20.0 * step
        snapshot = replace(
            after(snapshot, decided),
            scheduler=scheduler_view([], hosts, later),
            clouds={"t": cloud_view(machines, later)},
        )
        decided = plan(snapshot, now=later + 2)
    known = after(snapshot, decided).nodes
    assert set(known) == {"old0", "old1"}
    assert not launches(decided)
    assert {n.instance_id for n in known.values()} == {"x0", "x1"}
    assert not actions(decided, A.TERMINATE)
