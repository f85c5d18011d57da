"""``/dashboard``, and ``/`` which leads there: the built dashboard, or one plain page of status without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from dynamiccluster.api import original_shapes
from dynamiccluster.api.built import STATIC, Built, built
from dynamiccluster.api.declare import operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pictures.common import history
from dynamiccluster.api.pictures.jobs import first_jobs
from dynamiccluster.api.pictures.nodes import first_nodes
from dynamiccluster.api.pictures.resources import resource_doc
from dynamiccluster.api.pictures.service import status_doc
from dynamiccluster.api.problems import ApiError
from dynamiccluster.api.tokens import Role
from dynamiccluster.model.event import EventQuery

ROWS = 200  # nodes and jobs shown; the page says when there are more
REFRESH_S = 10

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing but our own files, nothing inline, nobody else's frame."""

FOR_EVER = "public, max-age=31536000, immutable"
"""For files whose names change with their content."""


@cache
def _template() -> Template:
    where = FileSystemLoader(Path(__file__).parent.parent / "templates")
    return Environment(loader=where, autoescape=True, undefined=StrictUndefined).get_template("status.html")


class Home(ApiHandler):
    """``/``: for browsers that were given no path."""

    @operation("leads to `/dashboard`", original_shapes.LOCATION, status=302)
    def get(self) -> None:
        self.set_status(HTTPStatus.FOUND)
        self.set_header("Location", "/dashboard")
        self.plain({"location": "/dashboard"})  # JSON like all else here, for scripts that do not follow


class Page(ApiHandler):
    """Files of the dashboard hold no data, so that whoever must log in first can be shown where."""

    open_to_all: ClassVar[bool] = True

    def files(self) -> Mapping[str, Built]:
        return built(Path(self.context.settings.static_folder or STATIC))

    def send_file(self, file: Built, caching: str) -> None:
        self.set_header("Content-Type", file.media)
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", caching)
        self.set_header("Etag", file.etag)
        self.set_header("Vary", "Accept-Encoding")
        if file.etag in self.request.headers.get("If-None-Match", ""):
            self.set_status(HTTPStatus.NOT_MODIFIED)
            return
        if file.packed and "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.write(file.packed)
        else:
            self.write(file.content)


class Dashboard(Page):
    @operation("the page for people", {"type": "string"}, media="text/html", also=(503, 504))
    async def get(self) -> None:
        index = self.files().get("index.html")
        if index is not None:
            self.send_file(index, "no-cache")
            return
        if self.caller.role < Role.VIEWER:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "token-needed", "send 'Authorization: Bearer TOKEN'")
        await self._plain_page()

    async def _plain_page(self) -> None:
        model, now = self.model, self.now
        events = await self.within_limit(self.context.service.events(EventQuery(limit=20)))
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header(
            "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        )
        self.write(
            _template().render(
                refresh_s=REFRESH_S,
                status=status_doc(model, now, self.context.plugins()),
                resources=[resource_doc(model, one) for one in model.policy.resources.values()],
                nodes=first_nodes(model, now, ROWS),
                jobs=first_jobs(model, now, ROWS),
                events=history(events),
            )
        )


class DashboardFile(Page):
    """Below ``/dashboard/``: a file of the build, or an address inside the dashboard, which the one page shows."""

    def get(self, name: str) -> None:
        files = self.files()
        file, index = files.get(name), files.get("index.html")
        if index is None:
            self.set_status(HTTPStatus.FOUND)
            self.set_header("Location", "/dashboard")
        elif file is not None:
            self.send_file(file, FOR_EVER if name.startswith("assets/") else "no-cache")
        elif name.startswith("assets/"):
            raise ApiError(HTTPStatus.NOT_FOUND, "not-found", "this build has no such file: load the dashboard anew")
        else:
            self.send_file(index, "no-cache")
