"""What the REST API may ask of the running engine: the one door from outside."""

from __future__ import annotations

from typing import Protocol

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.command import Command, CommandReply
from dynamiccluster.model.event import NEWEST, EventQuery
from dynamiccluster.model.plan import JobAnswer, Plan
from dynamiccluster.store.base import EventPage


class Service(Protocol):
    """Implemented by ``engine/loop.Engine``; doubled in ``testing/`` for API tests. Called on the event loop."""

    @property
    def readmodel(self) -> ReadModel: ...

    async def command(self, command: Command) -> CommandReply:
        """Put an operator's command before the next decision; returns when it is *committed* or refused."""
        ...

    def nudge(self, source: str = "scheduler", *, note: str = "", actor: str = "") -> None:
        """Poll that source at once (submit hook). Cheap, returns at once, many nudges are one.

        ``note``: a sentence for the history, which says why ``actor`` nudges.
        """
        ...

    async def reload(self, actor: str) -> list[str]:
        """Read the configuration again. Returns the problems; with any, the old configuration stays in force."""
        ...

    async def dry_run(self) -> Plan:
        """What a decision on the present picture would do; nothing is stored or done. Does not hold up the loop."""
        ...

    def explain(self, job_id: str) -> JobAnswer | None:
        """Why a job waits, or where it runs; ``None`` if the scheduler does not list it."""
        ...

    async def events(self, query: EventQuery = NEWEST) -> EventPage: ...

    async def console_tail(self, node_id: str) -> str:
        """The last lines of a node's console, asked of its cloud now."""
        ...

    def config_document(self) -> dict[str, object]:
        """The configuration in force, without secrets, as plain data."""
        ...
