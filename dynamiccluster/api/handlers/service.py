"""The service itself: ``/server`` and what stands under ``/api/v1`` beside nodes, jobs and resources."""

from __future__ import annotations

from http import HTTPStatus

from dynamiccluster.api import schemas
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pictures.common import history
from dynamiccluster.api.pictures.resources import cost_doc
from dynamiccluster.api.pictures.service import auto_mode, plan_doc, source_docs, status_doc
from dynamiccluster.api.problems import ApiError, bad_field, not_found
from dynamiccluster.api.redact import redact
from dynamiccluster.api.tokens import Role
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.event import EventKind, EventQuery


class ServerConfig(ApiHandler):
    def get(self) -> None:
        self.plain(redact(self.context.service.config_document()))


class ServerStatus(ApiHandler):
    """The original's ``torque`` says whether the scheduler answers, whichever it is; ``maui`` its priorities."""

    def get(self) -> None:
        model = self.model
        status = model.sources.get("scheduler")
        answers = bool(status and status.ok)
        view = model.snapshot.scheduler
        priorities = answers and view is not None and "priorities" not in view.stale_facets
        self.plain({"auto_mode": auto_mode(model), "cluster": {"torque": answers, "maui": priorities}})


class ServerQueues(ApiHandler):
    """Tasks are actions under way; results are what waits to be taken in."""

    def get(self) -> None:
        self.plain({"tasks": len(self.model.open_actions), "results": self.model.inbox_length})


class ServerAuto(ApiHandler):
    needs = Role.ADMIN

    async def put(self) -> None:
        await self.carry_out(CommandKind.AUTO_ON)
        self.plain({"success": True})

    async def delete(self) -> None:
        await self.carry_out(CommandKind.AUTO_OFF)
        self.plain({"success": True})


class Status(ApiHandler):
    def get(self) -> None:
        self.answer(status_doc(self.model, self.now))


class Sources(ApiHandler):
    def get(self) -> None:
        self.answer(schemas.SourceList(sources=source_docs(self.model, self.now)))


class Costs(ApiHandler):
    def get(self) -> None:
        self.answer(cost_doc(self.model, self.now))


class DryRun(ApiHandler):
    """What a decision on the present picture would do."""

    async def get(self) -> None:
        plan = await self.within_limit(self.context.service.dry_run())
        self.answer(plan_doc(self.model, plan))


class Events(ApiHandler):
    takes = frozenset({"limit", "before", "node", "resource", "job", "kind", "since"})

    async def get(self) -> None:
        kind = self.word("kind")
        if kind and kind not in set(EventKind):
            raise bad_field("kind", f"one of {', '.join(EventKind)}")
        query = EventQuery(
            limit=self.number("limit", 100, 1, 1000),
            before=self.number("before", 0, 0, 10**15 - 1),
            node_id=self.word("node"),
            resource=self.word("resource"),
            job_id=self.word("job"),
            kind=kind,
            since_at=self.instant("since"),
        )
        page = await self.within_limit(self.context.service.events(query))
        self.answer(schemas.EventList(events=history(page), next_before=page.next_before))


class Auto(ApiHandler):
    needs = Role.ADMIN

    async def put(self) -> None:
        self.changed(await self.carry_out(CommandKind.AUTO_ON))

    async def delete(self) -> None:
        self.changed(await self.carry_out(CommandKind.AUTO_OFF))


class Observe(ApiHandler):
    needs = Role.ADMIN

    async def put(self) -> None:
        self.changed(await self.carry_out(CommandKind.OBSERVE_ON))

    async def delete(self) -> None:
        self.changed(await self.carry_out(CommandKind.OBSERVE_OFF))


class Nudge(ApiHandler):
    def post(self) -> None:
        source = self.body(schemas.NudgeRequest).source
        if source not in self.model.sources and source != "scheduler":
            raise not_found("source", source, f"there are {', '.join(sorted({*self.model.sources, 'scheduler'}))}")
        self.context.service.nudge(source)
        self.answer(schemas.ChangeDoc(message=f"{source} will be polled at once"))


class Reload(ApiHandler):
    needs = Role.ADMIN

    async def post(self) -> None:
        problems = await self.within_limit(self.context.service.reload(self.caller.name))
        if problems:
            text = "the old configuration stays in force: " + "; ".join(problems)
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad-config", text)
        self.answer(schemas.ChangeDoc(message="the new configuration is in force"))
