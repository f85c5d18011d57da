"""Resources: limits in force, what keeps them from growing, and what they cost."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from dynamiccluster.api import schemas
from dynamiccluster.api.pictures.common import capacity_doc
from dynamiccluster.api.schemas import instant
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import ErrorClass
from dynamiccluster.kit.clock import month
from dynamiccluster.model.memory import Backoff, Breaker
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Resource, ResourceFlag
from dynamiccluster.model.view import CloudView
from dynamiccluster.model.worker_node import COUNTED, WorkerNode

FLAG_NUMBER = {ResourceFlag.NORMAL: 0, ResourceFlag.FROZEN: 1, ResourceFlag.DRAINING: 2, ResourceFlag.DRAINED: 3}
"""The original's numbers."""

_PAUSE_WORDS = {
    ErrorClass.CAPACITY.value: "sold out",
    ErrorClass.QUOTA.value: "over quota",
    ErrorClass.THROTTLED.value: "slowed down",
}
"""Why a resource pauses, in people's words; all other classes are failures."""


def nodes_of(model: ReadModel, name: str) -> tuple[WorkerNode, ...]:
    return model.nodes_by_resource.get(name, ())


def limits_of(model: ReadModel, resource: Resource, current: int) -> tuple[ResourceFlag, int, int]:
    """Flag, minimum and maximum in force, with what an operator has done to them."""
    override = model.snapshot.memory.overrides.get(resource.name)
    if override is None:
        return ResourceFlag.NORMAL, resource.min_nodes, resource.max_nodes
    flag = override.flag
    if flag is ResourceFlag.DRAINING and current == 0:
        flag = ResourceFlag.DRAINED
    return flag, override.min_nodes, override.max_nodes


def resource_doc(model: ReadModel, resource: Resource) -> schemas.ResourceDoc:
    memory = model.snapshot.memory
    nodes = nodes_of(model, resource.name)
    current = sum(node.state in COUNTED for node in nodes)
    flag, smallest, largest = limits_of(model, resource, current)
    view = model.snapshot.clouds.get(resource.tenancy)
    scopes = (
        f"resource:{resource.name}",
        f"launch:{resource.name}",
        f"offering:{resource.offering}",
        f"tenancy:{resource.tenancy}",
    )
    return schemas.ResourceDoc(
        name=resource.name,
        cloud=resource.cloud,
        tenancy=resource.tenancy,
        priority=resource.priority,
        flag=flag.value,
        flag_number=FLAG_NUMBER[flag],
        min_nodes=smallest,
        max_nodes=largest,
        configured_min_nodes=resource.min_nodes,
        configured_max_nodes=resource.max_nodes,
        current_nodes=current,
        nodes_by_state=dict(Counter(node.state.value for node in nodes)),
        max_starting=resource.max_starting,
        capacity=capacity_doc(memory.capacity_of(resource)),
        features=sorted(resource.features),
        gpu_type=resource.gpu_type,
        queues=sorted(resource.queues),
        reservation=schemas.ReservationDoc(
            queue=resource.reservation.queue,
            account=resource.reservation.account,
            property=resource.reservation.property,
        ),
        price_per_hour=resource.price_per_hour,
        cost_per_hour=round(sum(model.price_of(node) for node in nodes if node.state in COUNTED), 6),
        breaker=_breaker_doc(memory.breakers.get(resource.name, Breaker())),
        backoffs=[_backoff_doc(scope, memory.backoffs[scope]) for scope in scopes if scope in memory.backoffs],
        quota=_quota_doc(model, resource.tenancy),
        strangers=view.strangers if view else 0,
        offers=[_offer_doc(model, offer) for offer in view.offers if offer.resource == resource.name] if view else [],
        announced=_announced(view, nodes) if view else 0,
    )


def _offer_doc(model: ReadModel, offer: Offer) -> schemas.OfferDoc:
    pause = model.snapshot.memory.backoffs.get(f"offering:{offer.offering}")
    return schemas.OfferDoc(
        offering=offer.offering,
        instance_type=offer.instance_type,
        zone=offer.zone,
        market=offer.market,
        capacity=capacity_doc(offer.capacity),
        gpu_type=offer.gpu_type,
        price_per_hour=offer.price_per_hour or None,
        pause=_PAUSE_WORDS.get(pause.error_class, "failed") if pause else "",
        until_at=instant(pause.until_at) if pause else None,
    )


def _announced(view: CloudView, nodes: Iterable[WorkerNode]) -> int:
    ours = {node.instance_id for node in nodes}
    return len({notice.instance_id for notice in view.notices} & ours)


def _breaker_doc(breaker: Breaker) -> schemas.BreakerDoc:
    return schemas.BreakerDoc(
        state=breaker.state.value,
        failures=breaker.failures + breaker.useless,
        retry_at=instant(breaker.retry_at),
        error=breaker.error,
    )


def _backoff_doc(scope: str, backoff: Backoff) -> schemas.BackoffDoc:
    return schemas.BackoffDoc(
        scope=scope,
        until_at=instant(backoff.until_at),
        count=backoff.count,
        error_class=backoff.error_class,
        error=backoff.error,
        word=_PAUSE_WORDS.get(backoff.error_class, "failed"),
    )


def _quota_doc(model: ReadModel, tenancy: str) -> schemas.QuotaDoc | None:
    view = model.snapshot.clouds.get(tenancy)
    if view is None:
        return None
    quota = view.quota
    return schemas.QuotaDoc(
        max_instances=quota.max_instances,
        used_instances=quota.used_instances,
        max_cores=quota.max_cores,
        used_cores=quota.used_cores,
        max_memory_mib=quota.max_memory_mib,
        used_memory_mib=quota.used_memory_mib,
    )


def month_ends_at(at: float) -> float:
    """The first instant after the UTC month of ``at``."""
    day = datetime.fromtimestamp(at, tz=UTC)
    days = calendar.monthrange(day.year, day.month)[1]
    start = datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()
    return start + days * 86400.0


def cost_per_hour(model: ReadModel) -> float:
    """What all nodes cost that exist or may exist, as the budget limits count them."""
    return round(sum(costs_by_resource(model).values()), 6)


def costs_by_resource(model: ReadModel) -> Mapping[str, float]:
    """What the nodes of each resource cost in an hour; those of a menu each have a price of their own."""
    return model.once("costs by resource", lambda: _costs_by_resource(model))


def _costs_by_resource(model: ReadModel) -> Mapping[str, float]:
    costs: dict[str, float] = {}
    for node in model.snapshot.nodes.values():
        if node.state in COUNTED:
            costs[node.resource] = costs.get(node.resource, 0.0) + model.price_of(node)
    return costs


def cost_doc(model: ReadModel, now: float) -> schemas.CostDoc:
    """This month's money. The forecast is what is spent plus today's rate until the month ends."""
    spend, limits = model.snapshot.memory.spend, model.policy.limits
    this_month = month(now)
    current = spend.month == this_month
    spent = spend.amount if current else 0.0
    as_of = spend.as_of_at if current and spend.as_of_at else now
    rate = cost_per_hour(model)
    hours = max(0.0, month_ends_at(now) - as_of) / 3600.0
    forecast = spent + rate * hours
    beyond = []
    if limits.budget_per_hour and rate > limits.budget_per_hour:
        beyond.append("budget_per_hour")
    if limits.budget_per_month and spent >= limits.budget_per_month:
        beyond.append("budget_per_month")
    elif limits.budget_per_month and forecast > limits.budget_per_month:
        beyond.append("forecast")
    counts = Counter(node.resource for node in model.snapshot.nodes.values() if node.state in COUNTED)
    costs = costs_by_resource(model)
    resources = model.policy.resources.values()
    return schemas.CostDoc(
        month=this_month,
        spent=round(spent, 6),
        as_of_at=instant(as_of),
        cost_per_hour=rate,
        remaining_hours=round(hours, 3),
        forecast=round(forecast, 6),
        budget_per_hour=limits.budget_per_hour or None,
        budget_per_month=limits.budget_per_month or None,
        beyond_budget=beyond,
        resources={
            resource.name: schemas.CostByResource(
                nodes=counts[resource.name],
                price_per_hour=resource.price_per_hour,
                cost_per_hour=round(costs.get(resource.name, 0.0), 6),
            )
            for resource in resources
        },
        unpriced=[resource.name for resource in resources if not resource.billable and resource.menu is None],
    )
