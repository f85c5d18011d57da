"""Hosts that the scheduler switches on and off: launched by name, ended, withdrawn and offered again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import (
    MARK,
    NOW,
    OBS,
    VIEW_AT,
    actions,
    after,
    cloud_view,
    host,
    instance_of,
    job,
    launches,
    memory,
    node,
    picture,
    plan,
    policy,
    resource,
    running,
    scheduler_view,
    shape,
)

from dynamiccluster.decide.tick import answer
from dynamiccluster.model.action import ActionKind, ActionResult, Outcome
from dynamiccluster.model.command import Command, CommandKind, ReplyCode
from dynamiccluster.model.host import Host, HostState, Power
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState, Override
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.resource import Provisioning, Resource, ResourceFlag
from dynamiccluster.model.view import Quota
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S, A = NodeState, ActionKind
STATES = {
    Power.WANTED: HostState.JOINING,
    Power.ON: HostState.UP,
    Power.LEAVING: HostState.UNKNOWN,
    Power.OFF: HostState.UNKNOWN,
    Power.GIVEN_UP: HostState.DOWN,
}


def power_resource(name: str = "p", max_nodes: int = 4, **more: Any) -> Resource:
    return resource(name, max_nodes=max_nodes, provisioning=Provisioning.SCHEDULER, **more)


def switched(number: int, power: Power, of: str = "p", **more: Any) -> Host:
    fields: dict[str, Any] = {"state": STATES[power], "queues": frozenset({"cloud"}), **more}
    return host(f"{of}-{number:04d}", power=power, **fields)


def fleet(*powers: Power, of: str = "p") -> list[Host]:
    return [switched(number, power, of) for number, power in enumerate(powers, 1)]


def given(job_id: str, *hosts: str, **more: Any) -> Job:
    """A job that has its hosts and waits for their machines."""
    return job(job_id, state=JobState.STARTING, wait=Wait.NO, hosts=hosts, **more)


def words(decided: Plan, kind: ActionKind) -> list[tuple[tuple[str, ...], str]]:
    return [(action.host_names, action.mark.removeprefix(MARK)) for action in actions(decided, kind)]


def specs(decided: Plan) -> list[str]:
    return [spec.host_name for action in actions(decided, A.LAUNCH) for spec in action.specs]


RULES = policy(power_resource())
OFF, ON, WANTED, LEAVING, GIVEN_UP = Power.OFF, Power.ON, Power.WANTED, Power.LEAVING, Power.GIVEN_UP


# -- launching ----------------------------------------------------------------------------------------


def test_a_wanted_host_gets_a_node_of_its_name() -> None:
    seen = picture(hosts=fleet(OFF, WANTED, OFF, OFF), jobs=[given("7", "p-0002")])
    decided = plan(seen, RULES)
    assert specs(decided) == ["p-0002"]
    assert actions(decided, A.LAUNCH)[0].resource == "p"
    (made,) = decided.nodes.values()
    assert (made.host_name, made.instance_name, made.state) == ("p-0002", "p-0002", S.REQUESTED)
    assert "7" in made.reason
    assert not words(decided, A.WITHDRAW)


def test_a_host_that_is_on_its_way_is_not_launched_again() -> None:
    seen = picture(hosts=fleet(WANTED), jobs=[given("7", "p-0001")])
    first = plan(seen, RULES)
    assert not actions(plan(after(seen, first), RULES), A.LAUNCH)


def test_a_host_switched_on_by_hand_gets_its_node_without_any_job() -> None:
    assert specs(plan(picture(hosts=fleet(WANTED)), RULES)) == ["p-0001"]


@pytest.mark.parametrize("state", [S.TERMINATING, S.FORGETTING, S.UNSETTLED, S.FAILED])
def test_a_host_whose_old_node_is_not_gone_waits(state) -> None:
    old = node("n1", state, of="p", host_name="p-0001")
    assert not actions(plan(picture([old], hosts=fleet(WANTED)), RULES), A.LAUNCH)


def test_a_host_whose_name_a_machine_of_ours_still_has_waits() -> None:
    stray = instance_of(node("n9", of="p", host_name="p-0001"))
    assert not actions(plan(picture(hosts=fleet(WANTED), instances=[stray]), RULES), A.LAUNCH)
    gone = replace(stray, state=InstanceState.GONE)
    assert specs(plan(picture(hosts=fleet(WANTED), instances=[gone]), RULES)) == ["p-0001"]


@pytest.mark.parametrize("name", ["p-1", "p-00001", "p-0000", "p-x001", "p-²", "q-0001", "p0001"])
def test_other_names_are_not_ours(name) -> None:
    strange = host(name, state=HostState.JOINING, power=WANTED)
    decided = plan(picture(hosts=[strange]), RULES)
    assert not actions(decided, A.LAUNCH)
    assert not actions(decided, A.WITHDRAW)


def test_a_host_that_the_scheduler_does_not_switch_is_not_launched() -> None:
    assert not actions(plan(picture(hosts=[host("p-0001", state=HostState.JOINING)]), RULES), A.LAUNCH)


@pytest.mark.parametrize("rules", [replace(RULES, auto_mode=False), replace(RULES, resources={})])
def test_nothing_is_launched_in_manual_mode_or_without_the_resource(rules) -> None:
    decided = plan(picture(hosts=fleet(WANTED, OFF)), rules)
    assert not decided.actions


def test_observe_only_says_what_it_would_do() -> None:
    decided = plan(picture(hosts=fleet(WANTED), memory=memory(observe_only=True)), RULES)
    assert not decided.actions
    assert any("launch 1 node(s) of p" in line for line in decided.proposals)


def test_first_start_beside_its_own_switched_hosts_only_is_no_reason_to_observe() -> None:
    seen = picture(hosts=fleet(WANTED, OFF), memory=memory(looked=False))
    assert specs(plan(seen, RULES)) == ["p-0001"]
    beside = picture(hosts=[*fleet(WANTED), host("static")], memory=memory(looked=False))
    assert plan(beside, RULES).memory.observe_only


# -- limits -------------------------------------------------------------------------------------------


def test_hosts_of_the_more_important_job_come_first() -> None:
    rules = policy(power_resource(max_starting=1))
    jobs = [given("1", "p-0001", priority=1.0), given("2", "p-0002", priority=9.0)]
    decided = plan(picture(hosts=fleet(WANTED, WANTED), jobs=jobs), rules)
    assert specs(decided) == ["p-0002"]
    assert not actions(decided, A.WITHDRAW)  # its turn comes


def test_what_a_lasting_limit_forbids_goes_back_to_the_queue_with_all_hosts_of_the_job() -> None:
    rules = policy(power_resource(), limits=Limits(max_nodes=1))
    seen = picture(hosts=fleet(WANTED, WANTED, OFF, OFF), jobs=[given("1", "p-0001", "p-0002")])
    decided = plan(seen, rules)
    assert not actions(decided, A.LAUNCH)
    assert words(decided, A.WITHDRAW) == [(("p-0001", "p-0002", "p-0004"), "cluster-nodes")]  # one could be had
    assert any("jobs go elsewhere" in event.text for event in decided.events)


def test_jobs_that_share_hosts_stand_and_fall_together() -> None:
    rules = policy(power_resource(), limits=Limits(max_nodes=2))
    jobs = [given("1", "p-0001", "p-0002"), given("2", "p-0002", "p-0003"), given("3", "p-0004", priority=-5.0)]
    decided = plan(picture(hosts=fleet(WANTED, WANTED, WANTED, WANTED), jobs=jobs), rules)
    assert specs(decided) == ["p-0004"]
    assert words(decided, A.WITHDRAW) == [(("p-0001", "p-0002", "p-0003"), "cluster-nodes")]


def test_a_host_beyond_the_maximum_is_refused() -> None:
    decided = plan(picture(hosts=[switched(5, WANTED), switched(6, OFF)]), RULES)
    assert not actions(decided, A.LAUNCH)
    assert words(decided, A.WITHDRAW) == [(("p-0005", "p-0006"), "max-nodes")]


def sold_out(**more: Any):
    return memory(backoffs={"resource:p": Backoff(OBS + 100.0, NOW + 100.0, error_class="capacity")}, **more)


def test_a_resource_that_is_sold_out_is_closed_word_by_word() -> None:
    old = node("n1", S.TERMINATING, of="p", host_name="p-0004")
    seen = picture([old], hosts=fleet(WANTED, OFF, OFF, LEAVING), jobs=[given("1", "p-0001")], memory=sold_out())
    first = plan(seen, RULES)
    assert words(first, A.WITHDRAW) == [(("p-0001", "p-0002", "p-0003"), "sold-out")]
    assert first.memory.switched == {"p-0001": 0.0, "p-0002": 0.0, "p-0003": 0.0}
    (said,) = actions(first, A.WITHDRAW)
    waiting = plan(after(seen, first), RULES)
    assert not actions(waiting, A.WITHDRAW)  # the first is under way
    done = ActionResult(said.action_id, A.WITHDRAW, Outcome.DONE, NOW)
    second = plan(replace(after(seen, first), results=(done,)), RULES)
    assert words(second, A.WITHDRAW) == [(("p-0004",), "leaving")]
    assert second.memory.switched == {"p-0001": NOW, "p-0002": NOW, "p-0003": NOW, "p-0004": 0.0}


def test_nothing_is_launched_for_a_host_from_a_view_before_our_last_word() -> None:
    seen = picture(hosts=fleet(WANTED), memory=memory(switched={"p-0001": VIEW_AT + 1.0}))
    decided = plan(seen, RULES)
    assert not decided.actions
    later = replace(seen, scheduler=scheduler_view((), fleet(WANTED), at=VIEW_AT + 2.0))
    decided = plan(later, RULES)
    assert specs(decided) == ["p-0001"]
    assert not decided.memory.switched


def test_a_word_that_failed_is_said_again_after_a_pause() -> None:
    seen = picture(hosts=fleet(OFF, OFF, OFF, OFF), memory=sold_out())
    first = plan(seen, RULES)
    (said,) = actions(first, A.WITHDRAW)
    failed = ActionResult(said.action_id, A.WITHDRAW, Outcome.REFUSED, NOW, error_class="transient", message="away")
    later = scheduler_view((), fleet(OFF, OFF, OFF, OFF), at=NOW + 1.0)
    second = plan(replace(after(seen, first), results=(failed,), scheduler=later), RULES, NOW + 2.0)
    assert not actions(second, A.WITHDRAW)
    assert any("away" in event.text for event in second.events)
    assert second.wake_at is not None
    assert second.wake_at <= NOW + 12.0
    again = after(replace(seen, scheduler=scheduler_view((), later.hosts, at=NOW + 12.0)), second)
    assert words(plan(again, RULES, NOW + 14.0), A.WITHDRAW)


def test_a_word_without_an_answer_after_a_restart_is_forgotten() -> None:
    seen = picture(hosts=fleet(WANTED), memory=memory(switched={"p-0001": 0.0}))
    assert plan(seen, RULES).memory.switched == {}


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"breakers": {"p": Breaker(BreakerState.OPEN, retry_obs=OBS + 100.0)}}, "closed"),
        ({"overrides": {"p": Override(ResourceFlag.FROZEN, 0, 0)}}, "frozen"),
        ({"overrides": {"p": Override(ResourceFlag.DRAINING, 0, 0)}}, "draining"),
        ({"backoffs": {"tenancy:t": Backoff(OBS + 9.0, NOW + 9.0, error_class="throttled")}}, None),
        ({"backoffs": {"launch:p": Backoff(OBS + 9.0, NOW + 9.0, error_class="transient")}}, None),
    ],
)
def test_what_lasts_closes_a_resource_and_what_passes_does_not(more, word) -> None:
    decided = plan(picture(hosts=fleet(OFF, OFF), memory=memory(**more)), RULES)
    assert words(decided, A.WITHDRAW) == ([(("p-0001", "p-0002"), word)] if word else [])
    asked = plan(picture(hosts=fleet(WANTED), memory=memory(**more)), RULES)
    assert not actions(asked, A.LAUNCH)
    assert bool(words(asked, A.WITHDRAW)) is bool(word)


def test_on_trial_the_first_host_is_launched_and_the_others_wait() -> None:
    half_open = memory(breakers={"p": Breaker(BreakerState.HALF_OPEN)})
    seen = picture(hosts=fleet(WANTED, WANTED, OFF, OFF), jobs=[given("1", "p-0001", "p-0002")], memory=half_open)
    decided = plan(seen, RULES)
    assert specs(decided) == ["p-0001"]
    assert not actions(decided, A.WITHDRAW)
    assert decided.memory.breakers["p"].trial_node
    waiting = plan(after(seen, decided), RULES)
    assert not actions(waiting, A.LAUNCH)
    assert not actions(waiting, A.WITHDRAW)


def test_no_more_hosts_are_offered_than_could_be_launched() -> None:
    full = {"t": cloud_view(quota=Quota(max_instances=10, used_instances=8))}
    decided = plan(picture(hosts=fleet(OFF, OFF, OFF, OFF), clouds=full), RULES)
    assert words(decided, A.WITHDRAW) == [(("p-0003", "p-0004"), "quota")]


# -- offering again -----------------------------------------------------------------------------------


def held_by_us(number: int, power: Power = OFF) -> Host:
    return switched(number, power, held=f"{MARK}sold-out")


def test_what_was_withdrawn_is_offered_when_a_machine_can_be_had() -> None:
    hosts = [held_by_us(1), held_by_us(2), switched(3, GIVEN_UP), switched(4, OFF, held="by an operator")]
    decided = plan(picture(hosts=hosts), RULES)
    assert words(decided, A.OFFER) == [(("p-0001", "p-0002", "p-0003"), "")]
    assert not actions(decided, A.WITHDRAW)


@pytest.mark.parametrize(
    "seen",
    [
        picture(hosts=[held_by_us(1)], memory=sold_out()),
        picture(hosts=[switched(1, GIVEN_UP)], memory=sold_out()),
        picture(hosts=[held_by_us(1)], clouds={}),  # whether the old machine is gone is not known
        picture(hosts=[held_by_us(1, LEAVING)]),
        picture([node("n1", S.TERMINATING, of="p", host_name="p-0001")], hosts=[held_by_us(1)]),
        picture(hosts=[held_by_us(1)], instances=[instance_of(node("n9", of="p", host_name="p-0001"))]),
        picture(hosts=[held_by_us(5)]),
    ],
)
def test_what_cannot_be_had_is_neither_offered_nor_withdrawn_twice(seen) -> None:
    decided = plan(seen, RULES)
    assert not actions(decided, A.OFFER)
    assert not actions(decided, A.WITHDRAW)


def test_refusals_are_said_before_offers_and_one_at_a_time() -> None:
    rules = policy(power_resource("p"), power_resource("o"))
    hosts = [switched(1, OFF), switched(1, OFF, of="o", held=f"{MARK}closed")]
    seen = picture(hosts=hosts, memory=sold_out())
    first = plan(seen, rules)
    assert words(first, A.WITHDRAW) == [(("p-0001",), "sold-out")]
    assert not actions(first, A.OFFER)
    done = ActionResult(actions(first, A.WITHDRAW)[0].action_id, A.WITHDRAW, Outcome.DONE, NOW)
    assert words(plan(replace(after(seen, first), results=(done,)), rules), A.OFFER) == [(("o-0001",), "")]


# -- what the power says of a node --------------------------------------------------------------------


@pytest.mark.parametrize("power", [LEAVING, OFF])
@pytest.mark.parametrize("state", [S.STARTING, S.CONFIGURING, S.JOINING, S.IDLE, S.BUSY, S.HOLDING, S.HELD, S.DOWN])
def test_a_node_whose_host_is_switched_off_is_ended(state, power) -> None:
    one = node("n1", state, of="p", host_name="p-0001")
    decided = plan(picture([one], hosts=fleet(power)), RULES)
    assert decided.nodes["n1"].state is S.REMOVING
    assert [action.host_name for action in actions(decided, A.HOST_REMOVE)] == ["p-0001"]
    assert "p" not in decided.memory.breakers


def test_it_is_not_ended_while_a_job_is_listed_there() -> None:
    one = node("n1", S.BUSY, of="p", host_name="p-0001")
    decided = plan(picture([one], hosts=fleet(LEAVING), jobs=[running("1", "p-0001")]), RULES)
    assert decided.nodes.get("n1", one).state is S.BUSY
    used = plan(picture([one], hosts=[switched(1, LEAVING, used=1)]), RULES)
    assert used.nodes.get("n1", one).state is S.BUSY


def test_a_view_from_before_our_last_command_says_nothing_of_the_power() -> None:
    one = node("n1", S.JOINING, of="p", host_name="p-0001", acted_at=NOW)
    assert "n1" not in plan(picture([one], hosts=fleet(OFF)), RULES).nodes


def test_a_host_given_up_before_its_machine_came_counts_against_the_resource() -> None:
    one = node("n1", S.JOINING, of="p", host_name="p-0001")
    decided = plan(picture([one], hosts=fleet(GIVEN_UP)), RULES)
    assert decided.nodes["n1"].state is S.REMOVING
    assert decided.memory.breakers["p"].failures == 1


@pytest.mark.parametrize("state", [S.IDLE, S.BUSY, S.HELD, S.DOWN])
def test_a_host_switched_off_and_on_unseen_needs_a_new_machine(state) -> None:
    one = node("n1", state, of="p", host_name="p-0001")
    seen = picture([one], hosts=fleet(WANTED), jobs=[given("1", "p-0001")])
    decided = plan(seen, RULES)
    assert decided.nodes["n1"].state is S.REMOVING  # failed, and cleaned up in the same decision
    assert not actions(decided, A.LAUNCH)
    assert not actions(decided, A.EVACUATE)


def test_a_machine_that_does_not_come_in_time_gives_its_job_back() -> None:
    late = node("n1", S.JOINING, of="p", host_name="p-0001", state_since_obs=OBS - 5000.0)
    decided = plan(picture([late], hosts=fleet(WANTED), jobs=[given("1", "p-0001")]), RULES)
    assert decided.nodes["n1"].state is S.REMOVING
    assert decided.memory.breakers["p"].failures == 1
    assert not decided.nodes["n1"].first_job_at


def test_what_removal_told_the_scheduler_is_remembered_beyond_the_node() -> None:
    one = node("n1", S.REMOVING, of="p", host_name="p-0001", todo=(A.HOST_REMOVE,), action_id="a1")
    done = ActionResult("a1", A.HOST_REMOVE, Outcome.DONE, NOW - 1.0, node_id="n1", resource="p")
    decided = plan(picture([one], hosts=fleet(LEAVING), results=(done,)), RULES)
    assert decided.memory.switched == {"p-0001": NOW - 1.0}


def test_the_host_of_a_node_on_its_way_out_is_given_to_no_job() -> None:
    one = node("n1", S.TERMINATING, of="p", host_name="p-0001")
    decided = plan(picture([one], hosts=fleet(LEAVING)), RULES)
    assert words(decided, A.WITHDRAW) == [(("p-0001",), "leaving")]


def test_the_scheduler_alone_ends_idleness() -> None:
    idle = node("n1", S.IDLE, of="p", host_name="p-0001", idle_since_obs=0.0, first_job_at=0.0, starved_obs=0.0)
    decided = plan(picture([idle], hosts=fleet(ON), jobs=[job("1", shape(queues=("cloud",)))]), RULES)
    assert decided.nodes.get("n1", idle).state is S.IDLE


def test_an_operator_is_told_to_ask_the_scheduler() -> None:
    asked = Command("x", CommandKind.LAUNCH, "ada", target="p")
    decided = plan(picture(hosts=fleet(OFF), commands=(asked,)), RULES)
    assert not actions(decided, A.LAUNCH)
    assert decided.replies[0].code is ReplyCode.NOT_ALLOWED
    assert "nodename=p-0001 state=POWER_UP" in decided.replies[0].message


def test_a_draining_resource_holds_its_nodes_all_the_same() -> None:
    idle = node("n1", S.IDLE, of="p", host_name="p-0001")
    draining = memory(overrides={"p": Override(ResourceFlag.DRAINING, 0, 0)})
    decided = plan(picture([idle], hosts=fleet(ON), memory=draining), RULES)
    assert (decided.nodes["n1"].state, decided.nodes["n1"].hold_why) == (S.HOLDING, HoldWhy.DRAIN)


# -- jobs ---------------------------------------------------------------------------------------------

BOTH = policy(power_resource(), resource("r"))


def test_jobs_of_queues_whose_nodes_the_scheduler_picks_make_no_demand() -> None:
    seen = picture(hosts=fleet(OFF, OFF), jobs=[job("1", shape(queues=("cloud",)))])
    decided = plan(seen, BOTH)
    assert not actions(decided, A.LAUNCH)
    assert decided.demand.held_back["by the scheduler"] == ("1",)


@pytest.mark.parametrize(
    ("queues", "template", "more"),
    [
        (("cloud", "q"), False, {}),  # the job may run elsewhere, too
        (("cloud",), True, {}),  # a shape of ours is declared in the queue
        (("cloud",), False, {"queues": frozenset({"cloud"})}),  # the configuration says so
        ((), False, {}),
    ],
)
def test_jobs_that_nodes_of_ours_could_run_do(queues, template, more) -> None:
    hosts = fleet(OFF)
    if template:
        hosts.append(host("t-1", template=True, queues=frozenset({"cloud"})))
    rules = policy(power_resource(), resource("r", **more))
    assert launches(plan(picture(hosts=hosts, jobs=[job("1", shape(queues=queues))]), rules)) == {"r": 1}


def test_demand_never_launches_a_resource_of_the_schedulers() -> None:
    decided = plan(picture(hosts=[], jobs=[job("1")]), RULES)
    assert not actions(decided, A.LAUNCH)
    assert decided.demand.reports[0].refusals == {"p": "by-scheduler"}


def test_a_minimum_is_left_to_the_scheduler() -> None:
    assert not actions(plan(picture(hosts=fleet(OFF)), policy(power_resource(min_nodes=1))), A.LAUNCH)


def asked_about(seen: Snapshot, job_id: str = "1"):
    decided = plan(seen, RULES)
    assert seen.scheduler is not None
    (one,) = [job for job in seen.scheduler.jobs if job.job_id == job_id]
    return answer(after(seen, decided), RULES, NOW, decided.demand, one)


def test_a_job_of_the_schedulers_own_queue_has_an_answer() -> None:
    waiting = job("1", shape(queues=("cloud",)))
    told = asked_about(picture(hosts=fleet(OFF), jobs=[waiting]))
    assert "itself picks" in told.summary
    assert told.refusals.keys() == {"p"}
    closed = asked_about(picture(hosts=fleet(OFF), jobs=[waiting], memory=sold_out()))
    assert closed.limit == "sold-out"
    assert closed.earliest_retry_at == NOW + 100.0
    large = asked_about(picture(hosts=fleet(OFF), jobs=[job("1", shape(99, queues=("cloud",)))]))
    assert "too few cores" in large.refusals["p"]


def test_a_job_that_waits_for_machines_hears_which() -> None:
    told = asked_about(picture(hosts=fleet(WANTED), jobs=[given("1", "p-0001")]))
    assert "p-0001 (requested)" in told.summary
