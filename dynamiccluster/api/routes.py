"""The table of paths."""

from __future__ import annotations

import logging
import re

from tornado.web import Application, RequestHandler

from dynamiccluster.api.handlers import (
    about,
    dashboard,
    graphs,
    health,
    jobs,
    metrics,
    nodes,
    notices,
    power,
    resources,
    service,
    session,
    watch,
)
from dynamiccluster.api.handlers.base import ApiHandler, Context, NotFoundHandler

log = logging.getLogger(__name__)

Route = tuple[str, type[ApiHandler]]
"""A path with ``{name}`` for any one word, or ``{name:a|b}`` for one of these."""

ORIGINAL: tuple[Route, ...] = (
    ("/dashboard", dashboard.Dashboard),
    ("/workernode", nodes.WorkerNodes),
    ("/workernode/{host}", nodes.WorkerNodeOne),
    ("/workernode/{host}/{action}", nodes.WorkerNodeAction),
    ("/job", jobs.QueuedJobs),
    ("/job/{id}", jobs.QueuedJobOne),
    ("/server/config", service.ServerConfig),
    ("/server/status", service.ServerStatus),
    ("/server/queues", service.ServerQueues),
    ("/server/auto", service.ServerAuto),
    ("/resource", resources.OriginalResources),
    ("/resource/{name}", resources.OriginalResourceOne),
    ("/resource/{name}/{action}", resources.OriginalResourceAction),
)

OURS: tuple[Route, ...] = (
    ("/", dashboard.Home),
    ("/healthz", health.Health),
    ("/readyz", health.Ready),
    ("/metrics", metrics.Metrics),
    ("/api/v1/openapi.json", about.OpenApi),
    ("/api/v1/session", session.LogIn),
    ("/api/v1/overview", watch.Overview),
    ("/api/v1/status", service.Status),
    ("/api/v1/attention", watch.Attention),
    ("/api/v1/live", watch.Live),
    ("/api/v1/history", watch.History),
    ("/api/v1/graphs", graphs.Graphs),
    ("/api/v1/graphs/render", graphs.Render),
    ("/api/v1/nodes", nodes.Nodes),
    ("/api/v1/nodes/{node}", nodes.NodeOne),
    ("/api/v1/nodes/{node}/console", nodes.NodeConsole),
    ("/api/v1/nodes/{node}/figures", graphs.NodeFigures),
    ("/api/v1/nodes/{node}/{action:hold|unhold|vacate}", nodes.NodeAction),
    ("/api/v1/nodes/{node}/notice", notices.NodeNotice),
    ("/api/v1/adopt", nodes.Adopt),
    ("/api/v1/jobs", jobs.Jobs),
    ("/api/v1/jobs/{id}", jobs.JobOne),
    ("/api/v1/resources", resources.Resources),
    ("/api/v1/resources/{name}", resources.ResourceOne),
    ("/api/v1/resources/{name}/launch", resources.ResourceLaunch),
    ("/api/v1/resources/{name}/{action:freeze|restore|drain|reset}", resources.ResourceAction),
    ("/api/v1/events", service.Events),
    ("/api/v1/audit", service.Audit),
    ("/api/v1/plan", service.DryRun),
    ("/api/v1/costs", service.Costs),
    ("/api/v1/sources", service.Sources),
    ("/api/v1/plugins", service.Plugins),
    ("/api/v1/config", service.ServerConfig),
    ("/api/v1/auto", service.Auto),
    ("/api/v1/observe", service.Observe),
    ("/api/v1/nudge", service.Nudge),
    ("/api/v1/power", power.Power),
    ("/api/v1/reload", service.Reload),
)


PAGES = ((r"/dashboard/(.*)", dashboard.DashboardFile),)
"""Tornado's expressions. Files and addresses of the dashboard are no part of the API, so not of its document."""


def pattern(path: str) -> str:
    """The path as Tornado's expression."""
    parts = re.split(r"(\{[^}]*\})", path)
    return "".join(_group(part) if part.startswith("{") else re.escape(part) for part in parts)


def _group(part: str) -> str:
    _, _, valid = part[1:-1].partition(":")
    return f"({valid or '[^/]+'})"


def build(context: Context) -> Application:
    """The application that serves every path."""
    given = {"context": context}
    return Application(
        [(pattern(path), handler, given) for path, handler in ORIGINAL + OURS]
        + [(path, handler, given) for path, handler in PAGES],
        default_handler_class=NotFoundHandler,
        default_handler_args=given,
        log_function=_log,
        compress_response=False,
    )


def _log(handler: RequestHandler) -> None:
    """One quiet line per request; paths are hostile, so they are escaped and cut."""
    request = handler.request
    milliseconds = 1000.0 * request.request_time()
    log.debug("%d %s %a %.1f ms", handler.get_status(), request.method, request.path[:200], milliseconds)
