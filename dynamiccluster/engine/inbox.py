"""The inbox: everything that has happened since the last tick."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from dynamiccluster.model.action import ActionResult
from dynamiccluster.model.command import Command, CommandReply
from dynamiccluster.model.event import Event
from dynamiccluster.model.view import CloudView, SchedulerView


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
        self.notes.append(note)
        self.news.set()

    def ask(self, command: Command) -> asyncio.Future[CommandReply]:
        reply: asyncio.Future[CommandReply] = asyncio.get_running_loop().create_future()
        self.asked.append(Asked(command, reply))
        self.news.set()
        return reply

    def __len__(self) -> int:
        return len(self.results) + len(self.asked) + len(self.notes)
