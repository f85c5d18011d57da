"""Graphs that Graphite keeps: whether figures go there, and its renderings, so that browsers ask no other host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from dynamiccluster.api import schemas_watch
from dynamiccluster.api.declare import Param, operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.problems import ApiError, bad_field

RENDER_S = 10.0
MOST_BYTES = 8 * 1024 * 1024
MOST_TARGETS = 20
_PLUGIN = re.compile(r"(?:^|\.)graphite(?:$|\.)", re.IGNORECASE)
_TARGET = re.compile(r"[A-Za-z0-9_.*{},?-]{1,200}")
_TIME = re.compile(r"(?:now|-\d{1,5}(?:s|min|h|d|w|mon|y)|\d{9,11})")


def _targets(text: str) -> tuple[str, ...]:
    found = tuple(text.split("\n"))
    if len(found) > MOST_TARGETS or not all(_TARGET.fullmatch(one) for one in found):
        raise ValueError(text)
    return found


def _time(name: str, default: str, about: str) -> Param[str]:
    def read(text: str) -> str:
        if not _TIME.fullmatch(text):
            raise ValueError(text)
        return text

    schema = {"type": "string", "pattern": f"^{_TIME.pattern}$", "default": default}
    return Param(name, read, default, "now, -6h, -2d or epoch seconds", schema, about)


TARGETS: Param[tuple[str, ...]] = Param(
    "target",
    _targets,
    (),
    f"at most {MOST_TARGETS} names of figures, with * where any fits",
    {"type": "array", "items": {"type": "string", "pattern": f"^{_TARGET.pattern}$"}, "maxItems": MOST_TARGETS},
    "names of figures, without the prefix: `nodes.busy`, `resource.*.cores`",
    repeated=True,
)
FROM = _time("from", "-6h", "from then on")
UNTIL = _time("until", "now", "until then")


def prefix_of(config: Mapping[str, object]) -> str:
    """Under which name figures go to Graphite; "" if they do not."""
    plugins = config.get("plugins")
    for plugin in plugins.values() if isinstance(plugins, Mapping) else ():
        if isinstance(plugin, Mapping) and _PLUGIN.search(str(plugin.get("class_name", ""))):
            arguments = plugin.get("arguments")
            given = arguments.get("prefix") if isinstance(arguments, Mapping) else None
            return str(given or "headnode.dynamiccluster")
    return ""


class _GraphsHandler(ApiHandler):
    @property
    def prefix(self) -> str:
        return prefix_of(self.context.service.config_document())


class Graphs(_GraphsHandler):
    @operation("whether figures go to Graphite, and whether its graphs can be asked for here", schemas_watch.GraphsDoc)
    def get(self) -> None:
        prefix, url = self.prefix, self.context.settings.graphite_url
        self.answer(schemas_watch.GraphsDoc(graphite=bool(prefix), prefix=prefix, render=bool(prefix and url)))


class Render(_GraphsHandler):
    """Asks Graphite's ``/render`` for our own figures and passes its answer on."""

    @operation(
        "figures from Graphite: `[{target, datapoints: [[value, at], ...]}]`",
        {"type": "array"},
        takes=(TARGETS, FROM, UNTIL),
        also=(404, 502),
    )
    async def get(self) -> None:
        prefix, url = self.prefix, self.context.settings.graphite_url
        targets = self.asked(TARGETS)
        if not (prefix and url):
            text = "no graphs from Graphite: it takes the plug-in graphite and admin-server graphite_url"
            raise ApiError(HTTPStatus.NOT_FOUND, "not-configured", text)
        if not targets:
            raise bad_field("target", TARGETS.expected)
        query = [("target", f"{prefix}.{one}") for one in targets]
        query += [("from", self.asked(FROM)), ("until", self.asked(UNTIL)), ("format", "json")]
        request = HTTPRequest(
            f"{url.rstrip('/')}/render?{urlencode(query)}",
            connect_timeout=RENDER_S,
            request_timeout=RENDER_S,
            follow_redirects=False,
        )
        client: AsyncHTTPClient = SimpleAsyncHTTPClient(force_instance=True, max_body_size=MOST_BYTES)
        try:
            answer = await client.fetch(request)
        except (TimeoutError, HTTPClientError, OSError) as error:
            raise ApiError(HTTPStatus.BAD_GATEWAY, "graphite", f"Graphite did not answer: {error}") from error
        finally:
            client.close()
        if not answer.headers.get("Content-Type", "").startswith("application/json"):
            raise ApiError(HTTPStatus.BAD_GATEWAY, "graphite", "Graphite answered with something else than JSON")
        self.write(answer.body)
