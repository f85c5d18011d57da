"""Graphs from Graphite, which browsers get through us."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from live_api import Live, live

PLUGIN = {
    "plugins": {"g": {"class_name": "dynamiccluster.graphite.GraphiteReporter", "arguments": {"prefix": "lab.dc"}}}
}


class Graphite:
    """Answers ``/render`` with what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.kind = "application/json"
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                double.asked.append(query)
                body = json.dumps([{"target": one, "datapoints": [[1.0, 60]]} for one in query["target"]]).encode()
                self.send_response(200)
                self.send_header("Content-Type", double.kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def graphite() -> Iterator[Graphite]:
    double = Graphite()
    thread = threading.Thread(target=double.server.serve_forever)
    thread.start()
    yield double
    double.server.shutdown()
    thread.join()
    double.server.server_close()


@pytest.fixture
def api(tmp_path: Path, graphite: Graphite) -> Iterator[Live]:
    with live(tmp_path, graphite_url=graphite.url) as running:
        running.service.config = PLUGIN
        yield running


def test_figures_are_asked_for_under_our_prefix_only(api: Live, graphite: Graphite) -> None:
    assert api.ask("GET", "/api/v1/graphs").json == {"graphite": True, "prefix": "lab.dc", "render": True}
    answer = api.ask("GET", "/api/v1/graphs/render?target=nodes.busy&target=resource.*.cores&from=-2d")
    assert [one["target"] for one in answer.json] == ["lab.dc.nodes.busy", "lab.dc.resource.*.cores"]
    assert graphite.asked == [
        {
            "target": ["lab.dc.nodes.busy", "lab.dc.resource.*.cores"],
            "from": ["-2d"],
            "until": ["now"],
            "format": ["json"],
        }
    ]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "target=alias(secret.x,'y')",
        "target=a%0Ab%20c",
        "target=a&from=yesterday%26format=png",
        "target=a&until=1;2",
        "&".join(["target=a"] * 21),
        "target=" + "a" * 201,
    ],
)
def test_functions_and_odd_times_never_reach_graphite(api: Live, graphite: Graphite, query: str) -> None:
    assert api.ask("GET", f"/api/v1/graphs/render?{query}").status == 400
    assert graphite.asked == []


def test_what_is_no_json_is_not_passed_on(api: Live, graphite: Graphite) -> None:
    graphite.kind = "text/html"
    answer = api.ask("GET", "/api/v1/graphs/render?target=nodes.busy")
    assert (answer.status, answer.json["error"]["code"]) == (502, "graphite")


def test_a_graphite_that_is_down_is_a_502(tmp_path: Path) -> None:
    with live(tmp_path, graphite_url="http://127.0.0.1:1") as api:
        api.service.config = PLUGIN
        assert api.ask("GET", "/api/v1/graphs/render?target=nodes.busy").status == 502


def test_without_graphite_there_is_none(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        assert api.ask("GET", "/api/v1/graphs").json == {"graphite": False, "prefix": "", "render": False}
        assert api.ask("GET", "/api/v1/graphs/render?target=x").json["error"]["code"] == "not-configured"
