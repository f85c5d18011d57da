"""Events: the history that people read, one sentence each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventKind(StrEnum):
    NODE = "node"  # a node changed state
    ACTION = "action"  # an action ended otherwise than expected
    RESOURCE = "resource"  # breaker, back-off, freeze, drain
    JOB = "job"  # something about one job (requeued, deleted, unstuck, can never run)
    COMMAND = "command"  # what an operator asked, and the answer
    SOURCE = "source"  # a source failed or came back
    SERVICE = "service"  # start, stop, reload, mode changes
    WARNING = "warning"  # somebody should look


@dataclass(frozen=True, slots=True)
class Event:
    at: float
    kind: EventKind
    text: str
    actor: str = "engine"
    node_id: str = ""
    host_name: str = ""
    resource: str = ""
    job_id: str = ""
    from_state: str = ""
    to_state: str = ""
    tick: int = 0
