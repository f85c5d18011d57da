"""``/metrics``, for Prometheus."""

from __future__ import annotations

from http import HTTPStatus

from dynamiccluster.api.declare import operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.problems import ApiError


class Metrics(ApiHandler):
    """Gauges, counters and histograms in Prometheus' text format. Reads like any other path."""

    @operation("figures for Prometheus", {"type": "string"}, media="text/plain", also=(404, 503))
    async def get(self) -> None:
        if self.context.metrics is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "not-found", "this service keeps no figures for Prometheus")
        kind, text = await self.context.metrics()
        self.set_header("Content-Type", kind)
        self.write(text)
