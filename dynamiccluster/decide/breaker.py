"""Failing resources: which of them may launch now, and how they come back by themselves.

Two memories, kept apart. A *breaker* per resource counts failures in a row and opens at a threshold; after a pause it
lets one trial node through. It counts two things: launches refused for other reasons than capacity and machines that
never join, until a node joins; and nodes that join but never get a job, until a node gets its first one. A *back-off*
per offering, resource or tenancy remembers "sold out", "over quota" and "slow down", and gives a cloud that refuses for
any other reason a short pause; it always expires. Both double with every repetition.
"""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState
from dynamiccluster.model.offer import SPOT
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.retry import Pause
from dynamiccluster.model.worker_node import NodeState

MARKETS = (SPOT, "on-demand")
"""How the names of offerings end where there are markets."""


def offering_key(resource: Resource, offering: str = "") -> str:
    """Where "sold out" is remembered: the offering that the cloud named, the resource's own, or the resource."""
    named = offering or resource.offering
    return f"offering:{named}" if named else f"resource:{resource.name}"


def unfit_key(resource: Resource) -> str:
    """Where is remembered that one offer of a menu does not go with the menu's configuration."""
    return f"unfit:{resource.name} {resource.offering}"


def spot_key(resource: Resource) -> str:
    """Where is remembered since when a menu lacks spot capacity."""
    return f"spot:{resource.name}"


def market_key(tenancy: str, offering: str) -> str:
    """Where "over quota" is remembered of one market of a tenancy; "" if the offering names no market."""
    market = offering.rpartition("/")[2]
    return f"market:{tenancy}/{market}" if market in MARKETS else ""


def launch_refused(draft: Draft, resource: Resource, error_class: str, error: str, offering: str = "") -> None:
    """Take in a refused launch, by class."""
    name = resource.name
    match error_class:
        case ErrorClass.CAPACITY:
            _back_off(draft, offering_key(resource, offering), error_class, error, name)
            if offering and offering != resource.offering:  # the cloud's own word for it, at which no gate looks
                _back_off(draft, f"resource:{name}", error_class, error, name)
        case ErrorClass.QUOTA:
            market = market_key(resource.tenancy, offering)
            _back_off(draft, market or f"resource:{name}", error_class, error, name)
        case ErrorClass.THROTTLED:
            _back_off(draft, f"tenancy:{resource.tenancy}", error_class, error, name)
        case ErrorClass.BAD_CONFIG if resource.menu is not None and resource.offering:
            # a type of another architecture than the image's, say: the others may do
            _back_off(draft, unfit_key(resource), error_class, error, name)
            if not _others_may_fit(draft, resource):
                failed(draft, name, error, at_once=True)
        case ErrorClass.AUTH | ErrorClass.BAD_CONFIG:
            failed(draft, name, error, at_once=True)
        case _:
            if _back_off(draft, f"launch:{name}", error_class, error, name):
                failed(draft, name, error)
    if error_class in (ErrorClass.CAPACITY, ErrorClass.QUOTA):
        _spot_is_lacking(draft, resource, error_class, error)
    breaker = draft.breakers.get(name)
    if breaker and breaker.state is BreakerState.HALF_OPEN:
        # whatever refused the trial, the trial is over: another may follow when its back-off allows
        draft.breakers[name] = replace(breaker, trial_node="")


def sold_out(draft: Draft, resource: Resource, error: str) -> None:
    """One of several offers that a launch named is empty; what came of the launch is another matter."""
    _back_off(draft, offering_key(resource), ErrorClass.CAPACITY, error or "sold out", resource.name)


def _others_may_fit(draft: Draft, resource: Resource) -> bool:
    """Whether a menu has offers that have not been refused as wrong a while ago."""
    view = draft.snapshot.clouds.get(resource.tenancy)
    offers = [offer for offer in view.offers if offer.resource == resource.name] if view else []
    return any(not _waits(draft, unfit_key(resource.offered(offer))) for offer in offers)


def _waits(draft: Draft, key: str) -> bool:
    backoff = draft.backoffs.get(key)
    return backoff is not None and draft.obs(ENGINE) < backoff.until_obs


def _spot_is_lacking(draft: Draft, resource: Resource, error_class: str, error: str) -> None:
    """From the first refusal on, work waits for spot capacity as long as the resource, or menu, says."""
    patience_s = resource.waits_s or (resource.menu.try_spot_s if resource.menu else 0.0)
    if not (resource.menu or patience_s) or not resource.offering.endswith(f"/{SPOT}"):
        return
    key, clock = spot_key(resource), draft.obs(ENGINE)
    known = draft.backoffs.get(key)
    wait_s = patience_s if known is None else max(known.until_obs - clock, 0.0)
    draft.backoffs[key] = Backoff(clock + wait_s, draft.now + wait_s, 1, error_class, error)
    draft.wake(draft.now + wait_s)


def reclaimed(draft: Draft, resource: Resource, offering: str, age_s: float) -> None:
    """A machine is taken away: its offering is short of machines. One so young that it never was stable says the same
    as a refused launch."""
    why = f"a machine was taken away after {age_s:.0f} s"
    _back_off(draft, f"offering:{offering}", ErrorClass.CAPACITY, why, resource.name)
    if resource.menu is not None and age_s < resource.menu.spot_settle_s:
        _spot_is_lacking(draft, resource, ErrorClass.CAPACITY, why)


def failed(draft: Draft, name: str, error: str, *, at_once: bool = False, useless: bool = False) -> None:
    """One more failure in a row of a resource; opens its breaker at the threshold, or at once.

    ``useless``: the node joined, so that the resource does launch, but it never got a job. These are counted apart.
    """
    rules = draft.policy.failure
    known = draft.breakers.get(name, Breaker())
    counted = replace(known, error=error, failures=known.failures + (not useless), useless=known.useless + useless)
    count = counted.useless if useless else counted.failures
    due = at_once or known.state is BreakerState.HALF_OPEN or count >= rules.breaker_failures
    if known.state is BreakerState.OPEN or not due:
        draft.breakers[name] = counted
        return
    opened = known.opened_count + 1
    pause_s = Pause(rules.breaker_open_s, rules.breaker_max_s).after(opened)
    draft.breakers[name] = replace(
        counted,
        state=BreakerState.OPEN,
        opened_count=opened,
        retry_obs=draft.obs(ENGINE) + pause_s,
        retry_at=draft.now + pause_s,
        trial_node="",
    )
    what = "useless node" if useless else "failure"
    draft.event(
        EventKind.RESOURCE,
        f"{name} is closed for {pause_s:.0f} s after {count} {what}(s) in a row; the last: {error}",
        resource=name,
    )


def succeeded(draft: Draft, name: str) -> None:
    """A node of the resource became usable: launching works, which does not say that jobs run there."""
    known = draft.breakers.get(name)
    if known is None:
        return
    if known.useless >= draft.policy.failure.breaker_failures:
        draft.breakers[name] = replace(known, failures=0)
    else:
        _works(draft, name, known, Breaker(useless=known.useless, error=known.error))


def worked(draft: Draft, name: str) -> None:
    """A node of the resource got its first job: its nodes are of use."""
    known = draft.breakers.get(name)
    if known is None or not known.useless:
        return
    if known.useless >= draft.policy.failure.breaker_failures:
        _works(draft, name, known, Breaker())
    else:
        _keep(draft, name, replace(known, useless=0))


def cannot_tell(draft: Draft, name: str) -> None:
    """The trial node is usable, and only work waits that needs several: one node cannot show whether jobs run there.

    So it is open again, and the next node without use closes it for longer.
    """
    known = draft.breakers[name]
    useless = min(known.useless, draft.policy.failure.breaker_failures - 1)
    rest = Breaker(useless=useless, opened_count=known.opened_count, error=known.error)
    _works(draft, name, known, rest)


def _works(draft: Draft, name: str, known: Breaker, rest: Breaker) -> None:
    _keep(draft, name, rest)
    if known.state is not BreakerState.CLOSED:
        draft.event(EventKind.RESOURCE, f"{name} works again and is open", resource=name)


def _keep(draft: Draft, name: str, breaker: Breaker) -> None:
    """Remember what still counts; a breaker that counts nothing is not kept."""
    if breaker.state is BreakerState.CLOSED and not breaker.failures and not breaker.useless:
        draft.breakers.pop(name, None)
    else:
        draft.breakers[name] = breaker


def launched(draft: Draft, resource: Resource) -> None:
    """The cloud accepted a launch: it is not sold out, and no longer throttled once that pause is over.

    During the pause it may be the answer to what was asked before.
    """
    for key in (*_own_keys(resource), *((spot_key(resource),) if resource.waits_s else ())):
        draft.backoffs.pop(key, None)
    throttled = draft.backoffs.get(f"tenancy:{resource.tenancy}")
    if throttled and draft.obs(ENGINE) >= throttled.until_obs:
        del draft.backoffs[f"tenancy:{resource.tenancy}"]


def reset(draft: Draft, resource: Resource) -> None:
    """An operator looked: forget failures and back-offs."""
    draft.breakers.pop(resource.name, None)
    markets = [market_key(resource.tenancy, f"/{market}") for market in MARKETS]
    offerings = [f"offering:{name}" for name in _offerings(draft, resource)]
    offerings += [f"unfit:{resource.name} {name}" for name in _offerings(draft, resource)]
    for key in (*_own_keys(resource), f"tenancy:{resource.tenancy}", spot_key(resource), *markets, *offerings):
        draft.backoffs.pop(key, None)


def _offerings(draft: Draft, resource: Resource) -> list[str]:
    """What a menu's cloud offers for it; nothing for other resources."""
    view = draft.snapshot.clouds.get(resource.tenancy)
    if resource.menu is None or view is None:
        return []
    return [offer.offering for offer in view.offers if offer.resource == resource.name]


def _own_keys(resource: Resource) -> tuple[str, ...]:
    """Back-offs of the resource itself, without its tenancy's."""
    keys = (offering_key(resource), unfit_key(resource), f"resource:{resource.name}", f"launch:{resource.name}")
    market = market_key(resource.tenancy, resource.offering)
    return (*keys, market) if market else keys


def advance(draft: Draft) -> None:
    """Let time pass: open breakers whose pause is over become half-open, back-offs that are long over are forgotten."""
    _forget_old(draft)
    clock = draft.obs(ENGINE)
    for name, breaker in draft.breakers.items():
        if breaker.state is BreakerState.OPEN:
            if clock >= breaker.retry_obs:
                draft.breakers[name] = replace(breaker, state=BreakerState.HALF_OPEN, trial_node="")
                draft.event(EventKind.RESOURCE, f"{name} may try one node", resource=name)
            else:
                draft.wake(draft.now + breaker.retry_obs - clock)
        elif breaker.state is BreakerState.HALF_OPEN and breaker.trial_node:
            trial = draft.nodes.get(breaker.trial_node)
            if trial is None or trial.state is NodeState.QUARANTINED:
                draft.breakers[name] = replace(breaker, trial_node="")
    for backoff in draft.backoffs.values():
        if clock < backoff.until_obs:
            draft.wake(draft.now + backoff.until_obs - clock)


def _forget_old(draft: Draft) -> None:
    """Drop back-offs that say nothing any more, and what is known of resources and tenancies that are not there."""
    resources = draft.policy.resources
    for name in [name for name in draft.breakers if name not in resources]:
        del draft.breakers[name]
    if not draft.backoffs:
        return
    gone = ("resource:", "launch:", "tenancy:", "spot:")
    there = {f"tenancy:{known.tenancy}" for known in resources.values()}
    for name in resources:
        there |= {f"resource:{name}", f"launch:{name}", f"spot:{name}"}
    for key, backoff in list(draft.backoffs.items()):
        if _over(draft, backoff) or (key.startswith(gone) and key not in there):
            del draft.backoffs[key]


def _over(draft: Draft, backoff: Backoff) -> bool:
    """Whether the back-off ended so long ago that the next refusal is a new story."""
    return draft.obs(ENGINE) >= backoff.until_obs + draft.policy.failure.backoff_max_s


def gate(draft: Draft, resource: Resource) -> Refusal | None:
    """Why this resource may not launch now, or ``None``."""
    if resource.capacity.cores < 1:
        return Refusal.NO_SIZE
    breaker = draft.breakers.get(resource.name)
    if breaker and (
        breaker.state is BreakerState.OPEN or (breaker.state is BreakerState.HALF_OPEN and breaker.trial_node)
    ):
        return Refusal.CLOSED
    clock = draft.obs(ENGINE)
    for key, refusal in (
        (f"tenancy:{resource.tenancy}", Refusal.THROTTLED),
        (offering_key(resource), Refusal.SOLD_OUT),
        (unfit_key(resource), Refusal.CLOSED),
        (f"resource:{resource.name}", Refusal.SOLD_OUT),
        (f"launch:{resource.name}", Refusal.FAILING),
        (market_key(resource.tenancy, resource.offering), Refusal.SOLD_OUT),
    ):
        backoff = draft.backoffs.get(key)
        if backoff and clock < backoff.until_obs:
            return refusal
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
    for key in (f"tenancy:{resource.tenancy}", *_own_keys(resource)):
        backoff = draft.backoffs.get(key)
        if backoff and clock < backoff.until_obs:
            found.append(draft.now + backoff.until_obs - clock)
    waits = [
        max(draft.backoffs[key].until_obs if key in draft.backoffs else 0.0 for key in keys)
        for keys in ((f"offering:{name}", f"unfit:{resource.name} {name}") for name in _offerings(draft, resource))
    ]
    if waits and min(waits) > clock:
        found.append(draft.now + min(waits) - clock)
    return max(found, default=0.0)


def _back_off(draft: Draft, key: str, error_class: str, error: str, name: str) -> bool:
    """Start or lengthen a pause; ``False`` if one is running: several refusals of one wave count once."""
    known = draft.backoffs.get(key)
    clock = draft.obs(ENGINE)
    if known and clock < known.until_obs:
        return False
    count = known.count + 1 if known and not _over(draft, known) else 1
    pause_s = _pause(draft, error_class).after(count)
    draft.backoffs[key] = Backoff(
        until_obs=clock + pause_s, until_at=draft.now + pause_s, count=count, error_class=error_class, error=error
    )
    draft.wake(draft.now + pause_s)
    draft.event(
        EventKind.RESOURCE, f"{name}: {error_class}, next try of {key} in {pause_s:.0f} s ({error})", resource=name
    )
    return True


def _pause(draft: Draft, error_class: str) -> Pause:
    rules = draft.policy.failure
    match error_class:
        case ErrorClass.CAPACITY | ErrorClass.QUOTA:
            return Pause(rules.backoff_s, rules.backoff_max_s)
        case ErrorClass.THROTTLED:
            return Pause(rules.throttle_s, rules.backoff_max_s)
        case ErrorClass.BAD_CONFIG:  # of one offer of a menu
            return Pause(rules.breaker_open_s, rules.breaker_max_s)
        case _:
            return Pause(rules.step_retry_s, rules.step_retry_max_s)
