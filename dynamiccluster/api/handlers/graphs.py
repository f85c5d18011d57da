"""Graphs that Graphite keeps, of the cluster and of single nodes: asked for here, so that browsers ask no other host.

What is asked of Graphite is made here from a short list of names; of a request nothing gets there but the stretch of
time and words that were found in that list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from pydantic import ValidationError
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from dynamiccluster.api import schemas_watch
from dynamiccluster.api.declare import LONGEST, Param, operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.problems import ApiError, bad_field, not_found
from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.node_graphs import NodeGraphs, node_graphs, targets
from dynamiccluster.model.worker_node import ORIGINAL_GROUP

RENDER_S = 10.0
MOST_BYTES = 8 * 1024 * 1024
MOST_TARGETS = 20
MOST_POINTS = 720
"""Of one series: a chart is not wider. Graphite puts together what is more."""

_PLUGIN = re.compile(r"(?:^|\.)graphite(?:$|\.)", re.IGNORECASE)
_GROUPS = "|".join(("total", *dict.fromkeys(ORIGINAL_GROUP.values()), r"\*"))
_TARGET = re.compile(
    rf"(?:nodes|cores)\.(?:{_GROUPS})|jobs\.queued|resource\.(?:[A-Za-z0-9_-]{{1,100}}|\*)\.(?:nodes|cores)"
)
"""The figures that the plug-in sends."""

_TIME = re.compile(r"(?:now|-\d{1,5}(?:s|min|h|d|w|mon|y)|\d{9,11})")


@dataclass(frozen=True, slots=True)
class Reporting:
    """What is known of the plug-in that sends figures to Graphite."""

    prefix: str
    nodes: NodeGraphs  # of the nodes' own collectors


def reporting(config: Mapping[str, object]) -> Reporting | None:
    """What the configuration says of it; ``None`` without such a plug-in."""
    plugins = config.get("plugins")
    for plugin in plugins.values() if isinstance(plugins, Mapping) else ():
        if isinstance(plugin, Mapping) and _PLUGIN.search(str(plugin.get("class_name", ""))):
            arguments = plugin.get("arguments")
            given = arguments if isinstance(arguments, Mapping) else {}
            try:
                nodes = node_graphs(given.get("node_graphs", "collectd"))
            except BadConfigError:
                nodes = {}  # a plug-in of the site's own may use the word otherwise
            return Reporting(str(given.get("prefix") or "headnode.dynamiccluster"), nodes)
    return None


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
    f"at most {MOST_TARGETS} names of figures that we send, with * where any fits",
    {"type": "array", "items": {"type": "string", "pattern": f"^(?:{_TARGET.pattern})$"}, "maxItems": MOST_TARGETS},
    "names of figures, without the prefix: `nodes.busy`, `resource.*.cores`",
    repeated=True,
)
GRAPH: Param[str] = Param(
    "graph",
    str.strip,
    "",
    "the name of a graph of nodes",
    {"type": "string", "maxLength": LONGEST},
    "which: one of `node_graphs`",
)
FROM = _time("from", "-6h", "from then on")
UNTIL = _time("until", "now", "until then")


class _GraphsHandler(ApiHandler):
    @property
    def reporting(self) -> Reporting | None:
        return reporting(self.context.service.config_document())

    def configured(self) -> tuple[Reporting, str]:
        """What is known of the plug-in, and Graphite's web address; else 404."""
        known, url = self.reporting, self.context.settings.graphite_url
        if known is None or not url:
            text = "no graphs from Graphite: it takes the plug-in graphite and admin-server graphite_url"
            raise ApiError(HTTPStatus.NOT_FOUND, "not-configured", text)
        return known, url

    async def figures(self, url: str, asked: Sequence[str]) -> list[schemas_watch.FiguresDoc]:
        """What Graphite has of these targets in the stretch of time that is asked for."""
        query = [("target", one) for one in asked]
        query += [("from", self.asked(FROM)), ("until", self.asked(UNTIL))]
        query += [("format", "json"), ("maxDataPoints", str(MOST_POINTS))]
        request = HTTPRequest(
            f"{url.rstrip('/')}/render?{urlencode(query)}",
            connect_timeout=RENDER_S,
            request_timeout=RENDER_S,
            follow_redirects=False,
        )
        async with self.context.graphite.one():
            client: AsyncHTTPClient = SimpleAsyncHTTPClient(force_instance=True, max_body_size=MOST_BYTES)
            try:
                answer = await client.fetch(request)
            except (TimeoutError, HTTPClientError, OSError) as error:
                raise ApiError(HTTPStatus.BAD_GATEWAY, "graphite", f"Graphite did not answer: {error}") from error
            finally:
                client.close()
        try:
            return schemas_watch.FIGURES.validate_json(answer.body)
        except ValidationError as error:
            text = "Graphite answered with something else than figures"
            raise ApiError(HTTPStatus.BAD_GATEWAY, "graphite", text) from error


class Graphs(_GraphsHandler):
    @operation("whether figures go to Graphite, and whether its graphs can be asked for here", schemas_watch.GraphsDoc)
    def get(self) -> None:
        known, url = self.reporting, self.context.settings.graphite_url
        self.answer(
            schemas_watch.GraphsDoc(
                graphite=known is not None,
                prefix=known.prefix if known else "",
                render=bool(known and url),
                node_graphs=list(known.nodes) if known and url else [],
            )
        )


class Render(_GraphsHandler):
    """The cluster's own figures."""

    @operation(
        "figures of the cluster from Graphite",
        schemas_watch.FiguresList,
        takes=(TARGETS, FROM, UNTIL),
        also=(404, 502, 503),
    )
    async def get(self) -> None:
        known, url = self.configured()
        wanted = self.asked(TARGETS)
        if not wanted:
            raise bad_field("target", TARGETS.expected)
        asked = [f"{known.prefix}.{one}" for one in wanted]
        self.answer(schemas_watch.FiguresList(asked=asked, figures=await self.figures(url, asked)))


class NodeFigures(_GraphsHandler):
    """What the collector on a worker node has told Graphite of it."""

    @operation(
        "figures of one worker node from Graphite: load, memory, network, disk",
        schemas_watch.FiguresList,
        takes=(GRAPH, FROM, UNTIL),
        also=(404, 502, 503),
    )
    async def get(self, name: str) -> None:
        known, url = self.configured()
        node = self.model.node(name)
        if node is None:
            raise not_found("worker node", name)
        patterns = known.nodes.get(self.asked(GRAPH))
        if patterns is None:
            raise bad_field("graph", f"one of {', '.join(known.nodes) or 'none, as none is configured'}")
        asked = targets(patterns, node.host_name)
        found = await self.figures(url, asked) if asked else []
        self.answer(schemas_watch.FiguresList(asked=list(asked), figures=found))
