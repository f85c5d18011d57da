"""The history, line by line in the log as well: what was decided about which node, resource or job."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dynamiccluster.model.event import Event, EventKind

log = logging.getLogger(__name__)


def write(events: Iterable[Event], tick: int) -> None:
    """One line for each event. Its ids go along as ``extra``, for layouts that show them (JSON lines)."""
    for event in events:
        level = logging.WARNING if event.kind is EventKind.WARNING else logging.INFO
        if log.isEnabledFor(level):
            log.log(level, "%s", _line(event), extra=_ids(event, tick))


def _line(event: Event) -> str:
    about = event.host_name or event.node_id or event.resource or (event.job_id and f"job {event.job_id}")
    states = f"{event.from_state or 'new'} -> {event.to_state}" if event.to_state else ""
    actor = "" if event.actor == "engine" else f"{event.actor}"
    return ": ".join(part for part in (about, states, event.text, actor and f"asked by {actor}") if part)


def _ids(event: Event, tick: int) -> dict[str, object]:
    return {
        "kind": str(event.kind),
        "node": event.node_id,
        "host": event.host_name,
        "resource": event.resource,
        "job": event.job_id,
        "actor": event.actor,
        "tick": event.tick or tick,
    }
