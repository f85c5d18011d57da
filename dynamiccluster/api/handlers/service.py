"""The service itself: ``/server`` and what stands under ``/api/v1`` beside nodes, jobs and resources."""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

from dynamiccluster.api import original_shapes, schemas, schemas_plan
from dynamiccluster.api.declare import instant, number, one_of, operation, word
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pictures.common import history
from dynamiccluster.api.pictures.resources import cost_doc
from dynamiccluster.api.pictures.service import auto_mode, plan_doc, plugin_docs, source_docs, status_doc
from dynamiccluster.api.problems import ApiError, not_found
from dynamiccluster.api.redact import redact
from dynamiccluster.api.tokens import Role
from dynamiccluster.api.versions import Topic
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.event import EventKind, EventQuery

EVENTS_LIMIT = number("limit", 100, 1, 1000, "events of one page")
BEFORE = number("before", 0, 0, 10**15 - 1, "only older ones: `next_before` of the page before")
NODE = word("node", "of this node: id or host name, also of one that has left")
RESOURCE = word("resource", "of this resource")
JOB = word("job", "of this job")
KIND = one_of("kind", EventKind, "of this kind")
SINCE = instant("since", "not older, in epoch seconds")
UNTIL = instant("until", "not newer, in epoch seconds")
ACTOR = word("actor", "of this actor: `engine`, `token ops`, `ada (uid 1000)`")
TEXT = word("q", "with this text in the sentence")
EVENT_PARAMS = (EVENTS_LIMIT, BEFORE, NODE, RESOURCE, JOB, KIND, SINCE, UNTIL, ACTOR, TEXT)


class ServerConfig(ApiHandler):
    @operation("the configuration in force, without secrets", original_shapes.CONFIG)
    def get(self) -> None:
        self.plain(redact(self.context.service.config_document()))


class ServerStatus(ApiHandler):
    """The original's ``torque`` says whether the scheduler answers, whichever it is; ``maui`` its priorities."""

    @operation(
        "automatic mode, and whether scheduler (`torque`) and priorities (`maui`) answer", original_shapes.SERVER_STATUS
    )
    def get(self) -> None:
        model = self.model
        status = model.sources.get("scheduler")
        answers = bool(status and status.ok)
        view = model.snapshot.scheduler
        priorities = answers and view is not None and "priorities" not in view.stale_facets
        self.plain({"auto_mode": auto_mode(model), "cluster": {"torque": answers, "maui": priorities}})


class ServerQueues(ApiHandler):
    """Tasks are actions under way; results are what waits to be taken in."""

    @operation("`tasks`: actions under way; `results`: not yet taken in", original_shapes.SERVER_QUEUES)
    def get(self) -> None:
        self.plain({"tasks": len(self.model.open_actions), "results": self.model.inbox_length})


class ServerAuto(ApiHandler):
    @operation("automatic mode on", original_shapes.SUCCESS, role=Role.ADMIN)
    async def put(self) -> None:
        await self.carry_out(CommandKind.AUTO_ON)
        self.plain({"success": True})

    @operation("automatic mode off", original_shapes.SUCCESS, role=Role.ADMIN)
    async def delete(self) -> None:
        await self.carry_out(CommandKind.AUTO_OFF)
        self.plain({"success": True})


class Status(ApiHandler):
    @operation("mode, the last decision's sentence, sources, demand, supply", schemas.StatusDoc)
    def get(self) -> None:
        self.versioned(lambda: status_doc(self.model, self.now, self.context.plugins()), *Topic, fresh=True)


class Sources(ApiHandler):
    @operation("age and error of each source", schemas.SourceList)
    def get(self) -> None:
        self.answer(schemas.SourceList(sources=source_docs(self.model, self.now)))


class Plugins(ApiHandler):
    @operation(
        "each plug-in: its last good look, failures in a row and their error; built-in ones too", schemas.PluginList
    )
    def get(self) -> None:
        self.answer(schemas.PluginList(plugins=plugin_docs(self.context.plugins(), self.now)))


class Costs(ApiHandler):
    @operation("spent this month, cost per hour, forecast, budgets", schemas.CostDoc)
    def get(self) -> None:
        self.answer(cost_doc(self.model, self.now))


class DryRun(ApiHandler):
    """What a decision on the present picture would do."""

    @operation("what a decision would do now; nothing is stored or done", schemas_plan.PlanDoc, also=(503, 504))
    async def get(self) -> None:
        plan = await self.within_limit(self.context.service.dry_run())
        self.answer(plan_doc(self.model, plan))


class Events(ApiHandler):
    by_people: ClassVar[bool] = False

    @operation("the history, newest first", schemas.EventList, takes=EVENT_PARAMS, also=(503, 504))
    async def get(self) -> None:
        query = EventQuery(
            limit=self.asked(EVENTS_LIMIT),
            before=self.asked(BEFORE),
            node_id=self.asked(NODE),
            resource=self.asked(RESOURCE),
            job_id=self.asked(JOB),
            kind=self.asked(KIND),
            since_at=self.asked(SINCE),
            until_at=self.asked(UNTIL),
            actor=self.asked(ACTOR),
            text=self.asked(TEXT),
            by_people=self.by_people,
        )

        async def make() -> schemas.EventList:
            page = await self.within_limit(self.context.service.events(query))
            return schemas.EventList(events=history(page), next_before=page.next_before)

        await self.versioned_later(make, Topic.EVENTS)


class Audit(Events):
    """What people asked for, and what they were answered."""

    by_people = True


class Auto(ApiHandler):
    @operation("automatic mode on", schemas.ChangeDoc, role=Role.ADMIN)
    async def put(self) -> None:
        self.changed(await self.carry_out(CommandKind.AUTO_ON))

    @operation("automatic mode off", schemas.ChangeDoc, role=Role.ADMIN)
    async def delete(self) -> None:
        self.changed(await self.carry_out(CommandKind.AUTO_OFF))


class Observe(ApiHandler):
    @operation("observe-only on", schemas.ChangeDoc, role=Role.ADMIN)
    async def put(self) -> None:
        self.changed(await self.carry_out(CommandKind.OBSERVE_ON))

    @operation("observe-only off", schemas.ChangeDoc, role=Role.ADMIN)
    async def delete(self) -> None:
        self.changed(await self.carry_out(CommandKind.OBSERVE_OFF))


class Nudge(ApiHandler):
    @operation(
        "poll a source at once: `scheduler` or `cloud:TENANCY`; 404 lists the sources there are",
        schemas.ChangeDoc,
        body=schemas.NudgeRequest,
        also=(404,),
    )
    def post(self) -> None:
        source = self.body(schemas.NudgeRequest).source
        if source not in self.model.sources and source != "scheduler":
            raise not_found("source", source, f"there are {', '.join(sorted({*self.model.sources, 'scheduler'}))}")
        self.context.service.nudge(source)
        self.answer(schemas.ChangeDoc(message=f"{source} will be polled at once"))


class Reload(ApiHandler):
    @operation(
        "read the configuration again; 400 `bad-config` leaves the old one in force", schemas.ChangeDoc, role=Role.ADMIN
    )
    async def post(self) -> None:
        problems = await self.within_limit(self.context.service.reload(self.caller.name))
        if problems:
            text = "the old configuration stays in force: " + "; ".join(problems)
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad-config", text)
        self.answer(schemas.ChangeDoc(message="the new configuration is in force"))
