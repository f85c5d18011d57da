"""What this API is, for programs: its OpenAPI document."""

from __future__ import annotations

import json
from functools import cache

from dynamiccluster.api import openapi
from dynamiccluster.api.declare import operation
from dynamiccluster.api.handlers.base import ApiHandler


@cache
def _document() -> str:
    from dynamiccluster.api.routes import ORIGINAL, OURS

    return json.dumps(openapi.document(ORIGINAL + OURS))


class OpenApi(ApiHandler):
    @operation("this API as an OpenAPI 3.1 document", {"type": "object"})
    def get(self) -> None:
        self.write(_document())
