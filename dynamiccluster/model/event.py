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


ENGINE = "engine"
"""The actor of everything that nobody asked for."""


@dataclass(frozen=True, slots=True)
class Event:
    at: float
    kind: EventKind
    text: str
    actor: str = ENGINE
    node_id: str = ""
    host_name: str = ""
    resource: str = ""
    job_id: str = ""
    from_state: str = ""
    to_state: str = ""
    tick: int = 0


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which part of the history is wanted, newest first. Everything that is given must hold."""

    limit: int = 100
    before: int = 0  # sequence number: only older ones; 0 = from the newest
    node_id: str = ""  # node id or host name
    resource: str = ""
    job_id: str = ""
    kind: str = ""
    since_at: float = 0.0
    until_at: float = 0.0  # not newer; 0 = no such limit
    actor: str = ""
    text: str = ""  # to be found in the sentence, in upper or lower case
    by_people: bool = False  # only what somebody else than the engine did

    def wants(self, serial: int, event: Event) -> bool:
        """Whether the event is of that part, the limit apart."""
        return (
            (self.before <= 0 or serial < self.before)
            and (not self.node_id or self.node_id in (event.node_id, event.host_name))
            and (not self.resource or event.resource == self.resource)
            and (not self.job_id or event.job_id == self.job_id)
            and (not self.kind or event.kind == self.kind)
            and event.at >= self.since_at
            and (not self.until_at or event.at <= self.until_at)
            and (not self.actor or event.actor == self.actor)
            and (not self.text or self.text.lower() in event.text.lower())
            and not (self.by_people and event.actor == ENGINE)
        )


NEWEST = EventQuery()
