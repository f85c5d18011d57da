"""The table of paths."""

from __future__ import annotations

import logging

from tornado.web import Application, RequestHandler

from dynamiccluster.api.handlers import dashboard, health, jobs, nodes, power, resources, service
from dynamiccluster.api.handlers.base import ApiHandler, Context, NotFoundHandler

log = logging.getLogger(__name__)

_ONE = "([^/]+)"

ORIGINAL: tuple[tuple[str, type[ApiHandler]], ...] = (
    ("/dashboard", dashboard.Dashboard),
    ("/workernode", nodes.WorkerNodes),
    (f"/workernode/{_ONE}", nodes.WorkerNodeOne),
    (f"/workernode/{_ONE}/{_ONE}", nodes.WorkerNodeAction),
    ("/job", jobs.QueuedJobs),
    (f"/job/{_ONE}", jobs.QueuedJobOne),
    ("/server/config", service.ServerConfig),
    ("/server/status", service.ServerStatus),
    ("/server/queues", service.ServerQueues),
    ("/server/auto", service.ServerAuto),
    ("/resource", resources.OriginalResources),
    (f"/resource/{_ONE}", resources.OriginalResourceOne),
    (f"/resource/{_ONE}/{_ONE}", resources.OriginalResourceAction),
)

OURS: tuple[tuple[str, type[ApiHandler]], ...] = (
    ("/", dashboard.Home),
    ("/healthz", health.Health),
    ("/readyz", health.Ready),
    ("/api/v1/status", service.Status),
    ("/api/v1/nodes", nodes.Nodes),
    (f"/api/v1/nodes/{_ONE}", nodes.NodeOne),
    (f"/api/v1/nodes/{_ONE}/console", nodes.NodeConsole),
    (f"/api/v1/nodes/{_ONE}/(hold|unhold|vacate)", nodes.NodeAction),
    ("/api/v1/adopt", nodes.Adopt),
    ("/api/v1/jobs", jobs.Jobs),
    (f"/api/v1/jobs/{_ONE}", jobs.JobOne),
    ("/api/v1/resources", resources.Resources),
    (f"/api/v1/resources/{_ONE}", resources.ResourceOne),
    (f"/api/v1/resources/{_ONE}/launch", resources.ResourceLaunch),
    (f"/api/v1/resources/{_ONE}/(freeze|restore|drain|reset)", resources.ResourceAction),
    ("/api/v1/events", service.Events),
    ("/api/v1/plan", service.DryRun),
    ("/api/v1/costs", service.Costs),
    ("/api/v1/sources", service.Sources),
    ("/api/v1/config", service.ServerConfig),
    ("/api/v1/auto", service.Auto),
    ("/api/v1/observe", service.Observe),
    ("/api/v1/nudge", service.Nudge),
    ("/api/v1/power", power.Power),
    ("/api/v1/reload", service.Reload),
)


def build(context: Context) -> Application:
    """The application that serves every path."""
    given = {"context": context}
    return Application(
        [(path, handler, given) for path, handler in ORIGINAL + OURS],
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
