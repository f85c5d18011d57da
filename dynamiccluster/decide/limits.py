"""Limits, stacked: how many nodes of a resource may still be asked for, and which limit says so.

The ledger counts what is there, what is on its way and what this very decision has added; strangers and intents
that the last list does not show yet are counted against the tenancy's quota. Reaching a limit never ends anything
that runs.
"""

from __future__ import annotations

import calendar
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dynamiccluster.decide import breaker
from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Resource, ResourceFlag
from dynamiccluster.model.worker_node import COMING, COUNTED, NodeState

PLENTY = 1 << 30

PASSING = frozenset(
    {
        Refusal.NO_VIEW,
        Refusal.THROTTLED,
        Refusal.FAILING,
        Refusal.LAUNCH_RATE,
        Refusal.MAX_STARTING,
        Refusal.AUTO_OFF,
    }
)
"""Limits that are over soon, or move on as nodes arrive: worth waiting for with a job that has its host already."""

BUDGET_HORIZON_S = 3600.0
"""A month's budget must also cover the coming hour of everything that would then be running."""


@dataclass(slots=True)
class Ledger:
    """Counts of one tick. ``take`` moves them; ``copy`` gives a second try the same start."""

    draft: Draft
    nodes: Counter[str] = field(default_factory=Counter)  # per resource, counted states
    coming: Counter[str] = field(default_factory=Counter)  # per resource, on their way
    cores: int = 0
    total: int = 0
    rate_per_hour: float = 0.0  # money
    quota_instances: dict[str, int] = field(default_factory=dict)  # tenancy -> still free
    quota_cores: dict[str, int] = field(default_factory=dict)
    quota_memory_mib: dict[str, int] = field(default_factory=dict)
    tokens: float = PLENTY
    trials: set[str] = field(default_factory=set)  # half-open resources whose one trial this tick has used
    gates: dict[str, Refusal | None] = field(default_factory=dict)  # by resource and offering

    def copy(self) -> Ledger:
        return Ledger(
            self.draft,
            Counter(self.nodes),
            Counter(self.coming),
            self.cores,
            self.total,
            self.rate_per_hour,
            dict(self.quota_instances),
            dict(self.quota_cores),
            dict(self.quota_memory_mib),
            self.tokens,
            set(self.trials),
            dict(self.gates),
        )

    def room(self, resource: Resource, gang: int = 1, *, by_hand: bool = False) -> tuple[int, Refusal | None]:
        """How many more nodes the resource may get, and the limit that binds.

        ``gang``: nodes that are of use only together; the launch rate lets a gang overdraw its bucket, and a gang
        larger than ``max_starting`` may start when nothing else of the resource does, or it never would.
        ``by_hand``: an operator asks; breaker, back-off, frozen flag and launch rate do not stand in the way.
        """
        if resource.tenancy not in self.draft.snapshot.clouds:
            return 0, Refusal.NO_VIEW
        if resource.menu is not None and not resource.offering:
            return 0, Refusal.NO_SIZE  # remembered from before the start, or by hand: there is no offer to launch
        if not by_hand:
            gate = f"{resource.name} {resource.offering}"  # of a menu, some offers may be closed
            if gate not in self.gates:
                self.gates[gate] = self._gate(resource)
            closed = self.gates[gate]
            if closed:
                return 0, closed
        bounds = self._bounds(resource, 1 if by_hand else gang)
        if not by_hand:
            if breaker.on_trial(self.draft, resource.name):
                bounds.append((0 if resource.name in self.trials else 1, Refusal.CLOSED))
            if self.tokens < PLENTY:
                free = int(self.tokens)
                bounds.append((max(free, gang) if free >= 1 else 0, Refusal.LAUNCH_RATE))
        return min(((max(count, 0), refusal) for count, refusal in bounds), key=lambda bound: bound[0])

    def lasting_room(self, resource: Resource) -> tuple[int, Refusal | None]:
        """The same without limits that are only passing: for how many more nodes there is hope at all."""
        closed = self._gate(resource)
        if closed and not passing(self.draft, resource.name, closed):
            return 0, closed
        bounds = [bound for bound in self._bounds(resource, 1) if bound[1] not in PASSING]
        return min(((max(count, 0), refusal) for count, refusal in bounds), key=lambda bound: bound[0])

    def take(self, resource: Resource, count: int) -> None:
        """Count nodes that this decision asks for."""
        self.nodes[resource.name] += count
        self.coming[resource.name] += count
        self.cores += count * resource.capacity.cores
        self.total += count
        self.rate_per_hour += count * resource.price_per_hour
        self.tokens -= count if self.tokens < PLENTY else 0
        if breaker.on_trial(self.draft, resource.name):
            self.trials.add(resource.name)
        for quota, each in (
            (self.quota_instances, 1),
            (self.quota_cores, resource.quota_use.cores),
            (self.quota_memory_mib, resource.quota_use.memory_mib),
        ):
            if resource.tenancy in quota:
                quota[resource.tenancy] -= count * each

    def _gate(self, resource: Resource) -> Refusal | None:
        flag = self.draft.flag(resource.name)
        if flag is ResourceFlag.FROZEN:
            return Refusal.FROZEN
        if flag in (ResourceFlag.DRAINING, ResourceFlag.DRAINED):
            return Refusal.DRAINING
        return breaker.gate(self.draft, resource)

    def _bounds(self, resource: Resource, gang: int) -> list[tuple[int, Refusal | None]]:
        limits = self.draft.policy.limits
        cores = max(resource.capacity.cores, 1)
        bounds: list[tuple[int, Refusal | None]] = [
            (PLENTY, None),
            (resource.max_nodes - self.nodes[resource.name], Refusal.MAX_NODES),
        ]
        if resource.max_starting:
            coming = self.coming[resource.name]
            free = resource.max_starting - coming
            bounds.append((free if coming else max(free, gang), Refusal.MAX_STARTING))
        if limits.max_nodes:
            bounds.append((limits.max_nodes - self.total, Refusal.CLUSTER_NODES))
        if limits.max_cores:
            bounds.append(((limits.max_cores - self.cores) // cores, Refusal.CLUSTER_CORES))
        for quota, each in (
            (self.quota_instances, 1),
            (self.quota_cores, max(resource.quota_use.cores, 1)),
            (self.quota_memory_mib, max(resource.quota_use.memory_mib, 1)),
        ):
            if resource.tenancy in quota:
                bounds.append((quota[resource.tenancy] // each, Refusal.QUOTA))
        if unaffordable(self.draft, resource):
            bounds.append((0, Refusal.NO_PRICE))
        elif resource.billable:
            bounds += self._budget_bounds(resource)
        return bounds

    def _budget_bounds(self, resource: Resource) -> list[tuple[int, Refusal | None]]:
        limits, price = self.draft.policy.limits, resource.price_per_hour
        bounds: list[tuple[int, Refusal | None]] = []
        if limits.budget_per_hour:
            left = limits.budget_per_hour - self.rate_per_hour
            bounds.append((_whole(left / price), Refusal.BUDGET_HOUR))
        if limits.budget_per_month:
            horizon_h = min(BUDGET_HORIZON_S, seconds_left_in_month(self.draft.now)) / 3600.0
            left = limits.budget_per_month - self.draft.memory.spend.amount - self.rate_per_hour * horizon_h
            bounds.append((_whole(left / (price * horizon_h)) if horizon_h > 0 else 0, Refusal.BUDGET_MONTH))
        return bounds


def unaffordable(draft: Draft, resource: Resource) -> bool:
    """Whether a node might cost more than a budget allows, because nobody knows what it costs."""
    limits = draft.policy.limits
    return resource.unpriced and bool(limits.budget_per_hour or limits.budget_per_month)


def passing(draft: Draft, name: str, refusal: Refusal) -> bool:
    """Whether a limit of a resource is over soon. What is closed for a trial opens with its first node."""
    return refusal in PASSING or (refusal is Refusal.CLOSED and breaker.on_trial(draft, name))


def _whole(amount: float) -> int:
    """Rounded down, forgiving the last bits of floating point."""
    return int(min(max(amount + 1e-9, 0.0), PLENTY))


def open_ledger(draft: Draft) -> Ledger:
    """Count what is there and on its way."""
    ledger = Ledger(draft)
    policy = draft.policy
    for node in draft.nodes.values():
        if node.state not in COUNTED:
            continue
        known = policy.resources.get(node.resource)
        ledger.nodes[node.resource] += 1
        ledger.total += 1
        kind = node.offer or known
        ledger.cores += kind.capacity.cores if kind else 0
        ledger.rate_per_hour += kind.price_per_hour if kind else 0.0
        if node.state in COMING:
            ledger.coming[node.resource] += 1
    for tenancy, view in draft.snapshot.clouds.items():
        quota = view.quota
        unseen_nodes, unseen_cores, unseen_memory_mib = _not_in_list(draft, tenancy)
        if quota.max_instances is not None:
            ledger.quota_instances[tenancy] = quota.max_instances - quota.used_instances - unseen_nodes
        if quota.max_cores is not None:
            ledger.quota_cores[tenancy] = quota.max_cores - quota.used_cores - unseen_cores
        if quota.max_memory_mib is not None:
            ledger.quota_memory_mib[tenancy] = quota.max_memory_mib - quota.used_memory_mib - unseen_memory_mib
    if policy.limits.launches_per_minute > 0:
        ledger.tokens = refilled_tokens(draft)
    return ledger


def rate_per_hour(draft: Draft) -> float:
    """What all nodes cost in an hour that exist or may exist, as the ledger counts it."""
    resources = draft.policy.resources
    priced = (node.offer or resources.get(node.resource) for node in draft.nodes.values() if node.state in COUNTED)
    return sum(kind.price_per_hour for kind in priced if kind)


def _not_in_list(draft: Draft, tenancy: str) -> tuple[int, int, int]:
    """Nodes, cores and MiB that we have asked for and that the tenancy's figures cannot contain yet."""
    view = draft.snapshot.clouds[tenancy]
    listed = {instance.instance_id for instance in view.instances if instance.state is not InstanceState.GONE}
    nodes = cores = memory_mib = 0
    for node in draft.nodes.values():
        if node.tenancy != tenancy or node.state not in COUNTED or node.instance_id in listed:
            continue
        if node.state is NodeState.TERMINATING:
            continue
        known = node.offer or draft.policy.resources.get(node.resource)
        nodes += 1
        cores += known.quota_use.cores if known else 0
        memory_mib += known.quota_use.memory_mib if known else 0
    return nodes, cores, memory_mib


def refilled_tokens(draft: Draft) -> float:
    """The launch-rate bucket as of now: it holds one minute's worth."""
    per_minute = draft.policy.limits.launches_per_minute
    burst = max(per_minute, 1.0)
    held = draft.memory.rate_tokens
    if held is None:
        return burst
    return min(burst, held + (draft.obs(ENGINE) - draft.memory.rate_as_of_obs) * per_minute / 60.0)


def seconds_left_in_month(at: float) -> float:
    """Seconds to the end of the UTC month."""
    moment = datetime.fromtimestamp(at, tz=UTC)
    days = calendar.monthrange(moment.year, moment.month)[1]
    end = datetime(moment.year, moment.month, days, 23, 59, 59, tzinfo=UTC).timestamp() + 1.0
    return max(end - at, 0.0)


def forecast(draft_spend: float, rate_per_hour: float, at: float) -> float:
    """Spend at the end of the month if everything that runs now runs on."""
    return draft_spend + rate_per_hour * seconds_left_in_month(at) / 3600.0
