"""Resources that fail close themselves, say so, and come back with one node; sold out, quota and throttle are apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import NOW, OBS, draft, memory, node, picture, policy, resource

from dynamiccluster.decide import breaker
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.policy import FailurePolicy
from dynamiccluster.model.worker_node import NodeState

R = resource()
OPEN, HALF, CLOSED = BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED


def at(seconds=0.0, rules=None, nodes=(), **more):
    """A draft so many observed seconds later."""
    made = draft(picture(nodes, memory=memory(**more)), rules or policy(R))
    made.clocks["engine"] = replace(made.clocks["engine"], total_s=OBS + seconds)
    return made


def test_it_opens_at_the_threshold_not_before() -> None:
    d = at()
    for count in range(1, 5):
        breaker.failed(d, "r", f"no {count}")
        assert d.breakers["r"] == Breaker(CLOSED, count, error=f"no {count}")
        assert breaker.gate(d, R) is None
    breaker.failed(d, "r", "no 5")
    assert d.breakers["r"] == Breaker(OPEN, 5, 1, OBS + 1800, NOW + 1800, error="no 5")
    assert breaker.gate(d, R) is Refusal.CLOSED
    assert breaker.retry_at(d, R) == NOW + 1800
    assert "r is closed for 1800 s after 5 failure(s)" in d.events[-1].text


@pytest.mark.parametrize("error_class", [ErrorClass.AUTH, ErrorClass.BAD_CONFIG])
def test_some_errors_open_it_at_once(error_class) -> None:
    d = at()
    breaker.launch_refused(d, R, error_class, "who are you")
    assert d.breakers["r"].state is OPEN


@pytest.mark.parametrize("error_class", [ErrorClass.TRANSIENT, ErrorClass.BUG, "something else"])
def test_other_errors_count_towards_the_threshold(error_class) -> None:
    d = at()
    breaker.launch_refused(d, R, error_class, "oops")
    assert d.breakers["r"] == Breaker(CLOSED, 1, error="oops")
    assert d.backoffs == {"launch:r": Backoff(OBS + 10, NOW + 10, 1, str(error_class), "oops")}


def test_more_failures_while_open_do_not_lengthen_the_pause() -> None:
    d = at(breakers={"r": Breaker(OPEN, 5, 1, OBS + 50, NOW + 50)})
    breaker.failed(d, "r", "late")
    breaker.failed(d, "r", "later", at_once=True)
    assert d.breakers["r"] == Breaker(OPEN, 7, 1, OBS + 50, NOW + 50, error="later")
    assert not d.events


def test_after_the_pause_one_trial_is_allowed() -> None:
    known = Breaker(OPEN, 5, 1, OBS + 50, NOW + 50)
    d = at(49, breakers={"r": known})
    breaker.advance(d)
    assert d.breakers["r"] is known
    assert d.wakes == [NOW + 1]
    d = at(50, breakers={"r": known})
    breaker.advance(d)
    assert d.breakers["r"].state is HALF
    assert breaker.gate(d, R) is None
    assert breaker.on_trial(d, "r")
    assert breaker.retry_at(d, R) == 0
    assert d.events[-1].text == "r may try one node"


def test_while_the_trial_is_under_way_nothing_else_is_launched() -> None:
    d = at(nodes=[node("n1", NodeState.STARTING)], breakers={"r": Breaker(HALF, 5, 1, trial_node="n1")})
    breaker.advance(d)
    assert breaker.gate(d, R) is Refusal.CLOSED


def test_a_trial_node_that_vanished_makes_way_for_another() -> None:
    d = at(breakers={"r": Breaker(HALF, 5, 1, trial_node="n1")})
    breaker.advance(d)
    assert breaker.gate(d, R) is None


@pytest.mark.parametrize(("opened", "pause_s"), [(1, 3600), (2, 7200), (3, 14400), (9, 14400)])
def test_a_failed_trial_doubles_the_pause_up_to_a_limit(opened, pause_s) -> None:
    d = at(breakers={"r": Breaker(HALF, 5, opened, trial_node="n1")})
    breaker.failed(d, "r", "again")
    assert d.breakers["r"] == Breaker(OPEN, 6, opened + 1, OBS + pause_s, NOW + pause_s, error="again")


def test_success_forgets_everything_and_says_so_only_if_it_was_closed() -> None:
    d = at(breakers={"r": Breaker(HALF, 5, 2, trial_node="n1")})
    breaker.succeeded(d, "r")
    assert "r" not in d.breakers
    assert d.events[-1].text == "r works again and is open"
    d = at(breakers={"r": Breaker(CLOSED, 3)})
    breaker.succeeded(d, "r")
    breaker.succeeded(d, "r")
    assert "r" not in d.breakers
    assert not d.events


@pytest.mark.parametrize(
    ("error_class", "key", "pause_s", "refusal"),
    [
        (ErrorClass.CAPACITY, "resource:r", 180, Refusal.SOLD_OUT),
        (ErrorClass.QUOTA, "resource:r", 180, Refusal.SOLD_OUT),
        (ErrorClass.THROTTLED, "tenancy:t", 30, Refusal.THROTTLED),
    ],
)
def test_capacity_quota_and_throttle_back_off_and_never_touch_the_breaker(error_class, key, pause_s, refusal) -> None:
    d = at()
    breaker.launch_refused(d, R, error_class, "none left")
    assert not d.breakers
    assert d.backoffs == {key: Backoff(OBS + pause_s, NOW + pause_s, 1, str(error_class), "none left")}
    assert breaker.gate(d, R) is refusal
    assert breaker.retry_at(d, R) == NOW + pause_s
    assert d.wakes == [NOW + pause_s]
    d.clocks["engine"] = replace(d.clocks["engine"], total_s=OBS + pause_s)
    assert breaker.gate(d, R) is None
    assert breaker.retry_at(d, R) == 0


def test_throttling_slows_the_whole_tenancy_and_no_other() -> None:
    d = at()
    breaker.launch_refused(d, R, ErrorClass.THROTTLED, "slow down")
    assert breaker.gate(d, resource("s")) is Refusal.THROTTLED
    assert breaker.gate(d, resource("s", tenancy="u")) is None


def test_resources_that_share_an_offering_share_its_back_off() -> None:
    d = at()
    breaker.launch_refused(d, resource(offering="zone-a"), ErrorClass.CAPACITY, "none left")
    assert breaker.gate(d, resource("s", offering="zone-a")) is Refusal.SOLD_OUT
    assert breaker.gate(d, resource("s", offering="zone-b")) is None


def test_back_off_doubles_with_each_wave_up_to_a_limit_and_counts_a_wave_once() -> None:
    d = at()
    pauses = []
    for _ in range(6):
        breaker.launch_refused(d, R, ErrorClass.CAPACITY, "none left")
        breaker.launch_refused(d, R, ErrorClass.CAPACITY, "none left")  # the same wave
        clock = d.clocks["engine"].total_s
        pauses.append(d.backoffs["resource:r"].until_obs - clock)
        d.clocks["engine"] = replace(d.clocks["engine"], total_s=d.backoffs["resource:r"].until_obs)
    assert pauses == [180, 360, 720, 1440, 1800, 1800]


def test_an_accepted_launch_ends_the_back_off() -> None:
    d = at(backoffs={"resource:r": Backoff(OBS + 9, NOW), "tenancy:t": Backoff(OBS + 9, NOW)})
    breaker.launched(d, R)
    assert set(d.backoffs) == {"tenancy:t"}


def test_advance_wakes_when_a_back_off_ends() -> None:
    d = at(backoffs={"resource:r": Backoff(OBS + 9, NOW), "resource:s": Backoff(OBS, NOW)})
    breaker.advance(d)
    assert d.wakes == [NOW + 9]


def test_a_trial_refused_for_capacity_is_over_and_another_may_follow_later() -> None:
    d = at(breakers={"r": Breaker(HALF, 5, 1, trial_node="n1")})
    breaker.launch_refused(d, R, ErrorClass.CAPACITY, "none left")
    assert d.breakers["r"] == Breaker(HALF, 5, 1)
    assert breaker.gate(d, R) is Refusal.SOLD_OUT


def test_reset_forgets_breaker_and_back_offs_of_this_resource() -> None:
    other = {"resource:s": Backoff(OBS + 9, NOW)}
    d = at(
        breakers={"r": Breaker(OPEN, 5, 1, OBS + 9), "s": Breaker(OPEN, 5, 1, OBS + 9)},
        backoffs={"resource:r": Backoff(OBS + 9, NOW), "tenancy:t": Backoff(OBS + 9, NOW), **other},
    )
    breaker.reset(d, R)
    assert breaker.gate(d, R) is None
    assert set(d.breakers) == {"s"}
    assert d.backoffs == other


def test_the_latest_of_several_reasons_is_the_time_to_retry() -> None:
    d = at(
        breakers={"r": Breaker(OPEN, 5, 1, OBS + 50, NOW + 50)},
        backoffs={"resource:r": Backoff(OBS + 90, NOW + 90), "tenancy:t": Backoff(OBS + 20, NOW + 20)},
    )
    assert breaker.retry_at(d, R) == NOW + 90


def test_own_thresholds_of_a_site() -> None:
    d = at(rules=policy(R, failure=FailurePolicy(breaker_failures=1, breaker_open_s=60)))
    breaker.failed(d, "r", "x")
    assert d.breakers["r"].retry_obs == OBS + 60
