"""Resources that fail in less obvious ways: named offerings, throttles of long ago, refusals in quick succession, nodes
that join and never get a job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import (
    NOW,
    OBS,
    actions,
    after,
    draft,
    host_of,
    job,
    memory,
    node,
    picture,
    plan,
    policy,
    resource,
    running,
)

from dynamiccluster.decide import breaker
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.action import Action, ActionKind, ActionResult, Outcome
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState
from dynamiccluster.model.plan import Plan, Refusal, Snapshot
from dynamiccluster.model.worker_node import NodeState

R = resource()
OPEN, HALF, CLOSED = BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED


def at(seconds: float = 0.0, nodes=(), rules=None, **more):
    made = draft(picture(nodes, memory=memory(**more)), rules or policy(R))
    made.clocks["engine"] = replace(made.clocks["engine"], total_s=OBS + seconds)
    return made


def pass_time(d, seconds: float) -> None:
    clock = d.clocks["engine"]
    d.clocks["engine"] = replace(clock, total_s=clock.total_s + seconds)


def refused(action: Action, error_class: ErrorClass, now: float, offering: str = "") -> ActionResult:
    return ActionResult(
        action.action_id,
        action.kind,
        Outcome.REFUSED,
        now,
        error_class,
        "no",
        launch_id=action.launch_id,
        resource=action.resource,
        offering=offering,
    )


def hammered(ticks: int, error_class: ErrorClass, offering: str = "") -> tuple[int, Plan]:
    """How many launches so many ticks of 0.1 s ask for if all of them are refused."""
    snapshot: Snapshot = picture(jobs=[job("1")])
    count, now, results = 0, NOW, []
    decided = plan(snapshot)
    for _ in range(ticks):
        now += 0.1
        decided = plan(replace(snapshot, results=tuple(results)), now=now)
        asked = actions(decided, ActionKind.LAUNCH)
        count += len(asked)
        results = [refused(action, error_class, now, offering) for action in asked]
        snapshot = after(snapshot, decided)
    return count, decided


# -- sold out, in the cloud's own words ---------------------------------------------------------------------


def test_an_offering_in_the_clouds_words_backs_the_resource_off_too() -> None:
    d = at()
    breaker.launch_refused(d, R, ErrorClass.CAPACITY, "none left", "zone-a/m5")
    assert set(d.backoffs) == {"offering:zone-a/m5", "resource:r"}
    assert breaker.gate(d, R) is Refusal.SOLD_OUT
    assert breaker.gate(d, resource("s", offering="zone-a/m5")) is Refusal.SOLD_OUT


def test_its_own_offering_backs_off_only_that() -> None:
    d = at()
    breaker.launch_refused(d, resource(offering="z"), ErrorClass.CAPACITY, "none left", "z")
    assert set(d.backoffs) == {"offering:z"}


def test_a_cloud_that_names_an_offering_of_its_own_is_not_hammered() -> None:
    count, _ = hammered(50, ErrorClass.CAPACITY, "zone-a/m5")
    assert count == 1


# -- back-offs that are over --------------------------------------------------------------------------------


def test_a_throttle_of_yesterday_is_forgotten() -> None:
    d = at()
    for _ in range(3):
        breaker.launch_refused(d, R, ErrorClass.THROTTLED, "slow")
        assert d.backoffs["tenancy:t"].count == 1
        pass_time(d, 86400)


def test_a_launch_accepted_after_the_throttle_ended_forgets_it() -> None:
    d = at(31, backoffs={"tenancy:t": Backoff(OBS + 30, NOW + 30, 4, "throttled")})
    breaker.launched(d, R)
    assert not d.backoffs


def test_what_was_asked_before_the_throttle_does_not_end_it() -> None:
    known = {"tenancy:t": Backoff(OBS + 30, NOW + 30, 4, "throttled")}
    d = at(10, backoffs=known)
    breaker.launched(d, R)
    assert d.backoffs == known


def test_a_back_off_soon_after_another_doubles() -> None:
    d = at(1800, backoffs={"resource:r": Backoff(OBS + 1, NOW + 1, 2)})
    breaker.launch_refused(d, R, ErrorClass.CAPACITY, "none left")
    assert d.backoffs["resource:r"].count == 3


@pytest.mark.parametrize(("seconds", "kept"), [(1899, True), (1900, False)])
def test_back_offs_long_over_are_dropped(seconds, kept) -> None:
    d = at(seconds, backoffs={"offering:z": Backoff(OBS + 100, NOW + 100)})
    breaker.advance(d)
    assert bool(d.backoffs) is kept


def test_what_is_known_of_resources_and_tenancies_that_left_is_dropped() -> None:
    gone = {"resource:x": Backoff(OBS + 9, NOW + 9), "launch:x": Backoff(OBS + 9, NOW + 9)}
    kept = {"resource:r": Backoff(OBS + 9, NOW + 9), "tenancy:t": Backoff(OBS + 9, NOW + 9)}
    d = at(
        backoffs={**gone, **kept, "tenancy:u": Backoff(OBS + 9, NOW + 9)},
        breakers={"x": Breaker(OPEN, 5, 1, OBS + 9, NOW + 9), "r": Breaker(failures=1)},
    )
    breaker.advance(d)
    assert d.backoffs == kept
    assert set(d.breakers) == {"r"}


# -- refusals in quick succession ---------------------------------------------------------------------------


def test_a_cloud_that_stutters_for_a_second_is_not_closed_for_half_an_hour() -> None:
    count, decided = hammered(20, ErrorClass.TRANSIENT)
    assert count == 1
    assert decided.memory.breakers["r"] == Breaker(failures=1, error="no")


def test_the_pause_after_a_failed_launch_is_short_and_doubles() -> None:
    d, pauses = at(), []
    for _ in range(4):
        breaker.launch_refused(d, R, ErrorClass.TRANSIENT, "oops")
        breaker.launch_refused(d, R, ErrorClass.TRANSIENT, "oops")  # the same wave
        pauses.append(d.backoffs["launch:r"].until_obs - d.obs("engine"))
        assert breaker.gate(d, R) is Refusal.FAILING
        assert breaker.retry_at(d, R) == NOW + pauses[-1]
        pass_time(d, pauses[-1])
        assert breaker.gate(d, R) is None
    assert pauses == [10, 20, 40, 80]
    assert d.breakers["r"].failures == 4


def test_a_wave_of_refusals_counts_once_the_fifth_wave_closes() -> None:
    d = at()
    for wave in range(5):
        assert d.breakers.get("r", Breaker()).state is CLOSED, wave
        for _ in range(9):
            breaker.launch_refused(d, R, ErrorClass.BUG, "oops")
        pass_time(d, 300)
    assert d.breakers["r"].state is OPEN
    assert d.breakers["r"].failures == 5


def test_an_accepted_launch_or_a_reset_ends_the_short_pause() -> None:
    for forget in (breaker.launched, breaker.reset):
        d = at()
        breaker.launch_refused(d, R, ErrorClass.TRANSIENT, "oops")
        forget(d, R)
        assert not d.backoffs


# -- nodes that join and never get a job --------------------------------------------------------------------


def test_joining_does_not_clear_uselessness() -> None:
    d = at()
    for count in range(1, 6):
        breaker.failed(d, "r", "no job ever", useless=True)
        assert d.breakers["r"].useless == count
        assert d.breakers["r"].failures == 0
        if count < 5:
            breaker.failed(d, "r", "no boot")
            breaker.succeeded(d, "r")
    assert d.breakers["r"].state is OPEN
    assert "5 useless node(s) in a row" in d.events[-1].text


def test_a_first_job_clears_uselessness_and_nothing_else() -> None:
    d = at(breakers={"r": Breaker(failures=2, useless=3, error="x"), "s": Breaker(useless=1)})
    breaker.worked(d, "r")
    breaker.worked(d, "s")
    breaker.worked(d, "t")
    assert d.breakers == {"r": Breaker(failures=2, error="x")}
    assert not d.events


@pytest.mark.parametrize("state", [OPEN, HALF])
def test_what_closed_for_uselessness_opens_with_a_job_not_with_a_join(state) -> None:
    known = Breaker(state, 1, 1, OBS + 9, NOW + 9, "n1" if state is HALF else "", "no job ever", useless=5)
    d = at(nodes=[node("n1")], breakers={"r": known})
    breaker.succeeded(d, "r")
    assert d.breakers["r"] == replace(known, failures=0)
    assert breaker.gate(d, R) is Refusal.CLOSED
    assert not d.events
    breaker.worked(d, "r")
    assert not d.breakers
    assert d.events[-1].text == "r works again and is open"


def test_a_resource_that_closed_for_failures_opens_with_a_join_and_keeps_count_of_useless_nodes() -> None:
    d = at(breakers={"r": Breaker(HALF, 5, 1, trial_node="n1", useless=2, error="x")})
    breaker.succeeded(d, "r")
    assert d.breakers["r"] == Breaker(useless=2, error="x")
    assert d.events[-1].text == "r works again and is open"


def test_a_useless_trial_closes_it_again_for_longer() -> None:
    d = at(breakers={"r": Breaker(HALF, 0, 1, trial_node="n1", useless=5)})
    breaker.failed(d, "r", "no job ever", useless=True)
    assert d.breakers["r"] == Breaker(OPEN, 0, 2, OBS + 3600, NOW + 3600, error="no job ever", useless=6)


def test_the_facts_tell_the_breaker_of_a_join_and_of_a_first_job() -> None:
    known = {"breakers": {"r": Breaker(useless=2)}}
    n = node("n1", NodeState.JOINING)
    joined = plan(picture([n], hosts=[host_of(n)], memory=memory(**known)))
    assert joined.nodes["n1"].state is NodeState.IDLE
    assert joined.memory.breakers["r"].useless == 2
    idle = node("n1", NodeState.IDLE, first_job_at=0.0)
    worked = plan(picture([idle], [running("9", idle.host_name)], memory=memory(**known)))
    assert "r" not in worked.memory.breakers


def test_a_quarantined_trial_does_not_keep_the_resource_closed() -> None:
    d = at(nodes=[node("n1", NodeState.QUARANTINED)], breakers={"r": Breaker(HALF, 5, 1, trial_node="n1")})
    breaker.advance(d)
    assert breaker.gate(d, R) is None
