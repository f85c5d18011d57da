"""Failing resources: which of them may launch now, and how they come back by themselves.

Two memories, kept apart. A *breaker* per resource counts failures in a row ("it does not work": launches refused
for other reasons than capacity, machines that never join, black holes) and opens at a threshold; after a pause it
lets one trial node through. A *back-off* per offering, resource or tenancy remembers "sold out", "over quota" and
"slow down", and always expires. Both double with every repetition.
"""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.retry import Pause

OPENS_AT_ONCE = frozenset({ErrorClass.AUTH, ErrorClass.BAD_CONFIG})
"""Errors that the next try would only repeat."""


def offering_key(resource: Resource, offering: str = "") -> str:
    """Where "sold out" is remembered: the offering that the cloud named, the resource's own, or the resource."""
    named = offering or resource.offering
    return f"offering:{named}" if named else f"resource:{resource.name}"


def launch_refused(draft: Draft, resource: Resource, error_class: str, error: str, offering: str = "") -> None:
    """Take in a refused launch, by class."""
    match error_class:
        case ErrorClass.CAPACITY:
            _back_off(draft, offering_key(resource, offering), error_class, error, resource.name)
        case ErrorClass.QUOTA:
            _back_off(draft, f"resource:{resource.name}", error_class, error, resource.name)
        case ErrorClass.THROTTLED:
            _back_off(draft, f"tenancy:{resource.tenancy}", error_class, error, resource.name)
        case _:
            failed(draft, resource.name, error, at_once=error_class in OPENS_AT_ONCE)
    breaker = draft.breakers.get(resource.name)
    if breaker and breaker.state is BreakerState.HALF_OPEN:
        # whatever refused the trial, the trial is over: another may follow when its back-off allows
        draft.breakers[resource.name] = replace(breaker, trial_node="")


def failed(draft: Draft, name: str, error: str, *, at_once: bool = False) -> None:
    """One more failure in a row of a resource; opens its breaker at the threshold, or at once."""
    rules = draft.policy.failure
    known = draft.breakers.get(name, Breaker())
    count = known.failures + 1
    trial_failed = known.state is BreakerState.HALF_OPEN
    if known.state is BreakerState.OPEN and not at_once:
        draft.breakers[name] = replace(known, failures=count, error=error)
        return
    if not (at_once or trial_failed or count >= rules.breaker_failures):
        draft.breakers[name] = replace(known, failures=count, error=error)
        return
    if known.state is BreakerState.OPEN:
        draft.breakers[name] = replace(known, failures=count, error=error)
        return
    opened = known.opened_count + 1
    pause_s = Pause(rules.breaker_open_s, rules.breaker_max_s).after(opened)
    draft.breakers[name] = Breaker(
        state=BreakerState.OPEN,
        failures=count,
        opened_count=opened,
        retry_obs=draft.obs(ENGINE) + pause_s,
        retry_at=draft.now + pause_s,
        error=error,
    )
    draft.event(
        EventKind.RESOURCE,
        f"{name} is closed for {pause_s:.0f} s after {count} failure(s) in a row; the last: {error}",
        resource=name,
    )


def succeeded(draft: Draft, name: str) -> None:
    """A node of the resource became usable: it works."""
    known = draft.breakers.pop(name, None)
    if known and known.state is not BreakerState.CLOSED:
        draft.event(EventKind.RESOURCE, f"{name} works again and is open", resource=name)


def launched(draft: Draft, resource: Resource) -> None:
    """The cloud accepted a launch: it is not sold out."""
    for key in (offering_key(resource), f"resource:{resource.name}"):
        draft.backoffs.pop(key, None)


def reset(draft: Draft, resource: Resource) -> None:
    """An operator looked: forget failures and back-offs."""
    draft.breakers.pop(resource.name, None)
    for key in (offering_key(resource), f"resource:{resource.name}", f"tenancy:{resource.tenancy}"):
        draft.backoffs.pop(key, None)


def advance(draft: Draft) -> None:
    """Let time pass: open breakers whose pause is over become half-open."""
    clock = draft.obs(ENGINE)
    for name, breaker in draft.breakers.items():
        if breaker.state is BreakerState.OPEN:
            if clock >= breaker.retry_obs:
                draft.breakers[name] = replace(breaker, state=BreakerState.HALF_OPEN, trial_node="")
                draft.event(EventKind.RESOURCE, f"{name} may try one node", resource=name)
            else:
                draft.wake(draft.now + breaker.retry_obs - clock)
        elif breaker.state is BreakerState.HALF_OPEN and breaker.trial_node not in draft.nodes:
            draft.breakers[name] = replace(breaker, trial_node="")
    for backoff in draft.backoffs.values():
        if clock < backoff.until_obs:
            draft.wake(draft.now + backoff.until_obs - clock)


def gate(draft: Draft, resource: Resource) -> Refusal | None:
    """Why this resource may not launch now, or ``None``."""
    breaker = draft.breakers.get(resource.name)
    if breaker and (
        breaker.state is BreakerState.OPEN or (breaker.state is BreakerState.HALF_OPEN and breaker.trial_node)
    ):
        return Refusal.CLOSED
    clock = draft.obs(ENGINE)
    throttled = draft.backoffs.get(f"tenancy:{resource.tenancy}")
    if throttled and clock < throttled.until_obs:
        return Refusal.THROTTLED
    for key in (offering_key(resource), f"resource:{resource.name}"):
        sold_out = draft.backoffs.get(key)
        if sold_out and clock < sold_out.until_obs:
            return Refusal.SOLD_OUT
    return None


def on_trial(draft: Draft, name: str) -> bool:
    """Whether the resource may launch one node only."""
    breaker = draft.breakers.get(name)
    return breaker is not None and breaker.state is BreakerState.HALF_OPEN


def retry_at(draft: Draft, resource: Resource) -> float:
    """When the gate opens again at the earliest; 0 if it is open or nobody knows."""
    breaker = draft.breakers.get(resource.name)
    found = [breaker.retry_at] if breaker and breaker.state is BreakerState.OPEN else []
    clock = draft.obs(ENGINE)
    for key in (f"tenancy:{resource.tenancy}", offering_key(resource), f"resource:{resource.name}"):
        backoff = draft.backoffs.get(key)
        if backoff and clock < backoff.until_obs:
            found.append(draft.now + backoff.until_obs - clock)
    return max(found, default=0.0)


def _back_off(draft: Draft, key: str, error_class: str, error: str, name: str) -> None:
    rules = draft.policy.failure
    known = draft.backoffs.get(key)
    clock = draft.obs(ENGINE)
    if known and clock < known.until_obs:
        return  # several refusals of one wave count once
    count = known.count + 1 if known else 1
    first_s = rules.throttle_s if error_class == ErrorClass.THROTTLED else rules.backoff_s
    pause_s = Pause(first_s, rules.backoff_max_s).after(count)
    draft.backoffs[key] = Backoff(
        until_obs=clock + pause_s, until_at=draft.now + pause_s, count=count, error_class=error_class, error=error
    )
    draft.wake(draft.now + pause_s)
    draft.event(
        EventKind.RESOURCE, f"{name}: {error_class}, next try of {key} in {pause_s:.0f} s ({error})", resource=name
    )
