"""``/dashboard``, and ``/`` which leads there: one plain page of status without scripts."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from dynamiccluster.api import original_shapes
from dynamiccluster.api.declare import operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pictures.common import history
from dynamiccluster.api.pictures.jobs import first_jobs
from dynamiccluster.api.pictures.nodes import first_nodes
from dynamiccluster.api.pictures.resources import resource_doc
from dynamiccluster.api.pictures.service import status_doc
from dynamiccluster.model.event import EventQuery

ROWS = 200  # nodes and jobs shown; the page says when there are more
REFRESH_S = 10


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


class Dashboard(ApiHandler):
    @operation("the page for people", {"type": "string"}, media="text/html", also=(503, 504))
    async def get(self) -> None:
        model, now = self.model, self.now
        events = await self.within_limit(self.context.service.events(EventQuery(limit=20)))
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header(
            "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        )
        self.write(
            _template().render(
                refresh_s=REFRESH_S,
                status=status_doc(model, now),
                resources=[resource_doc(model, one) for one in model.policy.resources.values()],
                nodes=first_nodes(model, now, ROWS),
                jobs=first_jobs(model, now, ROWS),
                events=history(events),
            )
        )
