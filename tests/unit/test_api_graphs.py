"""Graphs from Graphite, which browsers get through us."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from live_api import Live, live

from dynamiccluster.api.handlers.base import AT_ONCE
from dynamiccluster.api.problems import ApiError
from dynamiccluster.api.turns import Few
from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.node_graphs import COLLECTORS, node_graphs, targets
from dynamiccluster.plugins.graphite import GraphiteReporter

PLUGIN = {
    "plugins": {"g": {"class_name": "dynamiccluster.graphite.GraphiteReporter", "arguments": {"prefix": "lab.dc"}}}
}


class Graphite:
    """Answers ``/render`` with what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.body = b""
        self.go_on = threading.Event()
        self.go_on.set()
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                double.asked.append(query)
                double.go_on.wait(20)
                found = [{"target": one, "tags": {}, "datapoints": [[1.0, 60]]} for one in query["target"]]
                body = double.body or json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def graphite() -> Iterator[Graphite]:
    double = Graphite()
    thread = threading.Thread(target=double.server.serve_forever, args=(0.01,))
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
    assert api.ask("GET", "/api/v1/graphs").json == {
        "graphite": True,
        "prefix": "lab.dc",
        "render": True,
        "node_graphs": ["load", "memory", "network", "disk"],
    }
    answer = api.ask("GET", "/api/v1/graphs/render?target=nodes.busy&target=resource.*.cores&from=-2d")
    assert [one["target"] for one in answer.json["figures"]] == ["lab.dc.nodes.busy", "lab.dc.resource.*.cores"]
    assert graphite.asked == [
        {
            "target": ["lab.dc.nodes.busy", "lab.dc.resource.*.cores"],
            "from": ["-2d"],
            "until": ["now"],
            "format": ["json"],
            "maxDataPoints": ["720"],
        }
    ]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "target=alias(secret.x,'y')",
        "target=a%0Ab%20c",
        "target=nodes.busy&target=secret.password",
        "target=nodes.*.x",
        "target=nodes.busy%0Asecret.x",
        "target=*",
        "target=nodes.{busy,../../secret}",
        "target=nodes.busy&from=yesterday%26format=png",
        "target=nodes.busy&until=1;2",
        "&".join(["target=nodes.busy"] * 21),
        "target=resource." + "a" * 101 + ".nodes",
    ],
)
def test_functions_and_odd_times_never_reach_graphite(api: Live, graphite: Graphite, query: str) -> None:
    assert api.ask("GET", f"/api/v1/graphs/render?{query}").status == 400
    assert graphite.asked == []


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'[{"target": "a", "datapoints": "b"}]', b'[{"datapoints": []}]'])
def test_what_are_no_figures_is_not_passed_on(api: Live, graphite: Graphite, body: bytes) -> None:
    graphite.body = body
    answer = api.ask("GET", "/api/v1/graphs/render?target=nodes.busy")
    assert (answer.status, answer.json["error"]["code"]) == (502, "graphite")


def test_values_that_json_does_not_have_are_none(api: Live, graphite: Graphite) -> None:
    graphite.body = b'[{"target": "a", "datapoints": [[1e9999, 60], [NaN, 120], [null, 180], [2, 240]]}]'
    answer = api.ask("GET", "/api/v1/graphs/render?target=nodes.busy")
    assert answer.json["figures"] == [{"target": "a", "datapoints": [[None, 60], [None, 120], [None, 180], [2.0, 240]]}]


# -- single nodes ------------------------------------------------------------------------------------------


def test_a_nodes_figures_are_those_of_its_collector(api: Live, graphite: Graphite) -> None:
    answer = api.ask("GET", "/api/v1/nodes/dc-fast-00000001/figures?graph=network&from=-15min")
    asked = ["collectd.dc-fast-00000001.interface-*.if_octets.*"]
    assert (answer.status, answer.json["asked"]) == (200, asked)
    assert answer.json["figures"] == [{"target": asked[0], "datapoints": [[1.0, 60]]}]
    assert (graphite.asked[0]["target"], graphite.asked[0]["from"]) == (asked, ["-15min"])


def test_a_site_says_under_which_names_its_nodes_are(api: Live, graphite: Graphite) -> None:
    arguments = {"node_graphs": {"GPU load": "site.nodes.{host}.gpu-*.load"}}
    api.service.config = {"plugins": {"g": {"class_name": "graphite", "arguments": arguments}}}
    assert api.ask("GET", "/api/v1/graphs").json["node_graphs"] == ["GPU load"]
    answer = api.ask("GET", "/api/v1/nodes/dc-fast-00000001/figures?graph=GPU%20load")
    assert answer.json["asked"] == ["site.nodes.dc-fast-00000001.gpu-*.load"]
    refused = api.ask("GET", "/api/v1/nodes/dc-fast-00000001/figures?graph=load")
    assert (refused.status, refused.json["error"]["message"]) == (400, "graph: expected one of GPU load")


@pytest.mark.parametrize("name", ["dc-nowhere", "*", "dc-fast-*", "a,b", "%7Bhost%7D", "x%0Ay"])
def test_nodes_that_are_not_ours_are_not_asked_for(api: Live, graphite: Graphite, name: str) -> None:
    assert api.ask("GET", f"/api/v1/nodes/{name}/figures?graph=load").status == 404
    assert graphite.asked == []


@pytest.mark.parametrize("host_name", ["*", "a.*", "{a,b}", "a b", "a&target=x", "a\n", "", "alias(x)", "é"])
def test_a_hostile_host_name_never_reaches_graphite(api: Live, graphite: Graphite, host_name: str) -> None:
    model = api.service.readmodel
    first = next(iter(model.snapshot.nodes.values()))
    nodes = {**model.snapshot.nodes, first.node_id: replace(first, host_name=host_name)}
    api.service.readmodel = replace(model, snapshot=replace(model.snapshot, nodes=nodes))
    answer = api.ask("GET", f"/api/v1/nodes/{first.node_id}/figures?graph=load")
    assert (answer.status, answer.json) == (200, {"asked": [], "figures": []})
    assert graphite.asked == []


def test_dots_of_a_host_name_are_what_collectors_make_of_them() -> None:
    assert targets(("collectd.{host}.load.*",), "n1.example.org") == ("collectd.n1_example_org.load.*",)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("ganglia", "none of collectd, diamond"),
        (["load"], "expected collectd or diamond"),
        ({"load": "servers.x.load"}, "does not have {host}"),
        ({"load": "a.{host}.{host}"}, "does not have {host}"),
        ({"load": "alias({host}, 'x')"}, "not a path"),
        ({"load": "a..{host}"}, "not a path"),
        ({"load": "a.{host}.{b,c}"}, "not a path"),
        ({"load": []}, "expected 1 to 20 patterns"),
        ({"load": [7]}, "does not have {host}"),
        ({"<b>": "a.{host}"}, "no name of a graph"),
        ({str(number): "a.{host}" for number in range(13)}, "at most 12 graphs"),
    ],
)
def test_patterns_that_are_none_are_refused_at_the_start(wanted: Any, said: str) -> None:
    with pytest.raises(BadConfigError) as refused:
        GraphiteReporter(node_graphs=wanted)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", sorted(COLLECTORS))
def test_shipped_patterns_are_ones_that_a_site_could_write(name: str) -> None:
    assert node_graphs(dict(COLLECTORS[name])) == node_graphs(name)


# -- none --------------------------------------------------------------------------------------------------


def test_no_crowd_reaches_graphite_through_us(api: Live, graphite: Graphite) -> None:
    graphite.go_on.clear()
    with ThreadPoolExecutor(AT_ONCE + 4) as people:
        path = "/api/v1/graphs/render?target=resource.*.cores"
        asking = [people.submit(api.ask, "GET", path) for _ in range(AT_ONCE + 4)]
        try:
            while len(graphite.asked) < AT_ONCE:
                assert api.ask("GET", "/healthz").status == 200
            assert api.ask("GET", "/healthz").status == 200
            assert len(graphite.asked) == AT_ONCE
        finally:
            graphite.go_on.set()
        assert {one.result().status for one in asking} == {200}


def test_who_comes_when_too_many_wait_is_told_so() -> None:
    async def main() -> None:
        few = Few(at_once=1, waiting=1)

        async def wait() -> None:
            async with few.one():
                pass

        async with few.one():
            waits = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            with pytest.raises(ApiError) as refused:
                await wait()
            assert (refused.value.status, refused.value.retry_after_s > 0) == (503, True)
        await waits
        await wait()

    asyncio.run(main())


def test_a_graphite_that_is_down_is_a_502(tmp_path: Path) -> None:
    with live(tmp_path, graphite_url="http://127.0.0.1:1") as api:
        api.service.config = PLUGIN
        assert api.ask("GET", "/api/v1/graphs/render?target=nodes.busy").status == 502


def test_without_graphite_there_is_none(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        none = {"graphite": False, "prefix": "", "render": False, "node_graphs": []}
        assert api.ask("GET", "/api/v1/graphs").json == none
        for path in ("graphs/render?target=jobs.queued", "nodes/dc-fast-00000001/figures?graph=load"):
            assert api.ask("GET", f"/api/v1/{path}").json["error"]["code"] == "not-configured"
