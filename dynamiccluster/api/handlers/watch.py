"""For those who watch: everything on one page, what needs attention, figures over time, and news as they come."""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus

from tornado.iostream import StreamClosedError

from dynamiccluster.api import schemas_watch
from dynamiccluster.api.auth import Via
from dynamiccluster.api.declare import instant, number, operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pictures.attention import attention_docs
from dynamiccluster.api.pictures.resources import cost_doc
from dynamiccluster.api.pictures.service import status_doc
from dynamiccluster.api.problems import ApiError, bad_field
from dynamiccluster.api.schemas import instant as as_instant
from dynamiccluster.api.tokens import Role
from dynamiccluster.api.versions import Topic
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.job import JobState
from dynamiccluster.model.worker_node import COUNTED

log = logging.getLogger(__name__)

SINCE = instant("since", "from then on, in epoch seconds; absent: the last hour")
UNTIL = instant("until", "until then, in epoch seconds; absent: now")
POINTS = number("points", 360, 10, 2000, "rows at most, about")

LOOK_EVERY_S = 1.0
"""News are sent so often at most: people cannot read faster, and a busy engine decides several times a second."""

HEARTBEAT_S = 15.0
"""Below the idle limits of common proxies (30 to 60 s)."""

MOST_STREAMS = 64
"""Each takes a connection of ``max_connections`` for as long as somebody looks."""


class Overview(ApiHandler):
    @operation("the first page: status, money, what needs attention", schemas_watch.OverviewDoc)
    def get(self) -> None:
        model, now = self.model, self.now
        version = self.context.versions.version(model)

        def make() -> schemas_watch.OverviewDoc:
            jobs, plugins = model.jobs_by_state, tuple(self.context.plugins())
            return schemas_watch.OverviewDoc(
                version=version,
                status=status_doc(model, now, plugins),
                costs=cost_doc(model, now),
                attention=attention_docs(model, now, plugins, self.context.lost_nodes()),
                running_jobs=jobs.get(JobState.RUNNING.value, 0),
                pending_jobs=jobs.get(JobState.PENDING.value, 0),
                nodes=sum(node.state in COUNTED for node in model.snapshot.nodes.values()),
                resources=len(model.policy.resources),
            )

        self.versioned(make, *Topic, fresh=True)


class Attention(ApiHandler):
    @operation("what somebody should look at, the most urgent first", schemas_watch.AttentionList)
    def get(self) -> None:
        context = self.context
        found = attention_docs(self.model, self.now, context.plugins(), context.lost_nodes())
        self.answer(schemas_watch.AttentionList(attention=found))


class History(ApiHandler):
    @operation("figures over time, in columns for charts", schemas_watch.HistoryDoc, takes=(SINCE, UNTIL, POINTS))
    def get(self) -> None:
        until = self.asked(UNTIL) or self.now
        since = self.asked(SINCE) or max(0.0, until - 3600.0)
        if since >= until:
            raise bad_field("since", "an instant before `until`")
        self.answer(self.context.series.between(since, until, self.asked(POINTS)))


class Live(ApiHandler):
    """Server-sent events. Says what has changed and nothing else: who shows it asks for it, with the ETag it has."""

    streams = 0

    @operation(
        "server-sent events: what has changed, as it changes",
        {"type": "string"},
        also=(503,),
        media="text/event-stream",
    )
    async def get(self) -> None:
        if self.caller.via is not Via.SOCKET:
            self.context.gate.check_origin(self.request)  # pages of others would learn nothing, but take our streams
        if Live.streams >= MOST_STREAMS:
            text = f"{MOST_STREAMS} others watch already: ask /api/v1/overview every ten seconds instead"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-watchers", text, retry_after_s=60.0)
        self.set_header("Content-Type", "text/event-stream; charset=UTF-8")
        self.set_header("X-Accel-Buffering", "no")  # or nginx keeps news to itself
        if self.request.method == "HEAD":
            self.set_header("Transfer-Encoding", "chunked")  # as of a stream: its length cannot be told
            await self.flush()
            return
        Live.streams += 1
        try:
            await self._stream()
        except (ApiError, StreamClosedError) as error:
            log.debug("a stream of news ends: %s", error)  # who watched has gone, or may not watch any more
        finally:
            Live.streams -= 1

    async def _stream(self) -> None:
        loop = asyncio.get_running_loop()
        versions, closing = self.context.versions, self.context.closing
        seen: dict[Topic, int] = {}
        spoke_s = loop.time()
        self.write("retry: 3000\n\n")
        while not closing.is_set():
            model = self.model
            counts = versions.look(model)
            changed = [topic.value for topic in Topic if counts[topic] != seen.get(topic)]
            if changed or loop.time() - spoke_s >= HEARTBEAT_S:
                if self.context.gate.caller(self.request, changing=False).role < Role.VIEWER:
                    return  # the session has ended
                spoke_s, seen = loop.time(), counts
                self.write(_news(model, versions.version(model), changed) if changed else ": still here\n\n")
                await self.send()
            try:
                await asyncio.wait_for(closing.wait(), LOOK_EVERY_S)
            except TimeoutError:
                continue


def _news(model: ReadModel, version: str, changed: list[str]) -> str:
    told = {"version": version, "tick": model.tick, "at": as_instant(model.at), "changed": changed}
    return f"event: picture\nid: {version}\ndata: {json.dumps(told)}\n\n"
