"""The inbox: everything that has happened since the last tick."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from dynamiccluster.errors import DynamicClusterError, TransientError
from dynamiccluster.model.action import ActionResult
from dynamiccluster.model.command import Command, CommandReply
from dynamiccluster.model.event import Event
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.view import CloudView, SchedulerView

MOST_COMMANDS = 1000
MOST_NOTES = 1000
"""What may wait while the store does not work. Results need no limit: nothing new is started in that time."""


@dataclass(slots=True)
class Asked:
    """A command and whoever waits for its answer."""

    command: Command
    reply: asyncio.Future[CommandReply]


@dataclass(slots=True)
class Inbox:
    """Filled by pollers, actuator and API; emptied by the loop. Used on the event loop only."""

    scheduler: SchedulerView | None = None  # last good
    clouds: dict[str, CloudView] = field(default_factory=dict)  # last good, by tenancy
    results: list[ActionResult] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    notes: list[Event] = field(default_factory=list)  # for the history: sources, reloads
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def put_scheduler(self, view: SchedulerView) -> None:
        self.scheduler = view
        self.news.set()

    def put_cloud(self, view: CloudView) -> None:
        self.clouds[view.tenancy] = view
        self.news.set()

    def put_result(self, result: ActionResult) -> None:
        self.results.append(result)
        self.news.set()

    def put_note(self, note: Event) -> None:
        """Beyond :data:`MOST_NOTES` the newest are left out (the log has them)."""
        if len(self.notes) < MOST_NOTES:
            self.notes.append(note)
        self.news.set()

    def ask(self, command: Command) -> asyncio.Future[CommandReply]:
        """``TransientError`` if too many wait already."""
        if len(self.asked) >= MOST_COMMANDS:
            raise TransientError(f"{len(self.asked)} commands wait already; nothing was changed")
        reply: asyncio.Future[CommandReply] = asyncio.get_running_loop().create_future()
        self.asked.append(Asked(command, reply))
        self.news.set()
        return reply

    def __len__(self) -> int:
        return len(self.results) + len(self.asked) + len(self.notes)


def answer_all(asked: Iterable[Asked], plan: Plan) -> None:
    """Tell whoever asked what the committed plan replies."""
    replies = {reply.command_id: reply for reply in plan.replies}
    for one in asked:
        reply = replies.get(one.command.command_id)
        if one.reply.done():
            continue
        if reply is not None:
            one.reply.set_result(reply)
        else:
            one.reply.set_exception(DynamicClusterError(f"{one.command.kind} was taken in but not answered"))
