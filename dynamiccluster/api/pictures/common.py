"""Pieces that several documents share."""

from __future__ import annotations

from functools import lru_cache

from dynamiccluster.api import schemas
from dynamiccluster.api.schemas import instant
from dynamiccluster.model.action import Action, ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.event import Event
from dynamiccluster.store.base import EventPage


@lru_cache(maxsize=1024)
def capacity_doc(amount: Capacity) -> schemas.CapacityDoc:
    """Many nodes and jobs are of one size, and documents do not change."""
    return schemas.CapacityDoc(cores=amount.cores, memory_mib=amount.memory_mib, gpus=amount.gpus)


def action_doc(action: Action) -> schemas.ActionDoc:
    return schemas.ActionDoc(
        action_id=action.action_id,
        kind=action.kind.value,
        reason=action.reason,
        actor=action.actor,
        created_at=instant(action.created_at),
        node_id=action.node_id,
        host_name=action.host_name,
        resource=action.resource,
        count=len(action.specs) if action.kind is ActionKind.LAUNCH else 1,
    )


def event_doc(seq: int, event: Event) -> schemas.EventDoc:
    return schemas.EventDoc(
        seq=seq,
        at=instant(event.at),
        kind=event.kind.value,
        text=event.text,
        actor=event.actor,
        node_id=event.node_id,
        host_name=event.host_name,
        resource=event.resource,
        job_id=event.job_id,
        from_state=event.from_state,
        to_state=event.to_state,
    )


def history(page: EventPage) -> list[schemas.EventDoc]:
    return [event_doc(seq, event) for seq, event in page.events]


def age(at: float, now: float) -> float:
    """Seconds since ``at``, never negative (clocks may be set back), to the millisecond."""
    return round(max(0.0, now - at), 3)
