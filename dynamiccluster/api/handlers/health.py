"""``/healthz`` and ``/readyz``, for whatever watches the service."""

from __future__ import annotations

from http import HTTPStatus

from dynamiccluster import __version__
from dynamiccluster.api import schemas
from dynamiccluster.api.declare import operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pictures.service import not_ready


class Health(ApiHandler):
    """The process is alive and its loop turns: that this is answered is the proof."""

    @operation("the process is alive", schemas.HealthDoc)
    def get(self) -> None:
        self.answer(schemas.HealthDoc(version=__version__))


class Ready(ApiHandler):
    """503 with the reasons until the scheduler and a cloud have been seen and the store works."""

    @operation("503 with `reasons` until scheduler and a cloud were seen and the store works", schemas.ReadyDoc)
    def get(self) -> None:
        reasons = not_ready(self.model)
        self.set_status(HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK)
        self.answer(schemas.ReadyDoc(ready=not reasons, reasons=reasons))
