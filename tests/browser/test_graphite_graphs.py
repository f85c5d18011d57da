"""The Graphs page from Graphite: asked through the service, drawn, and its failure said."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from dashboard_site import ROOT, Opener, Site, judged, shot, with_tokens
from live_api import live
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

PLUGIN = {
    "plugins": {"g": {"class_name": "dynamiccluster.graphite.GraphiteReporter", "arguments": {"prefix": "lab.dc"}}}
}


class Graphite(http.server.BaseHTTPRequestHandler):
    """An hour of made-up figures for whatever is asked, with a gap. Of disks nobody has told it anything."""

    def do_GET(self) -> None:
        now = int(time.time()) // 60 * 60
        body = json.dumps(
            [
                {
                    "target": target.replace("*", "fast"),
                    "datapoints": [[None if at % 23 == 0 else len(target) + at % 9, now - at * 60] for at in range(60)],
                }
                for target in parse_qs(urlsplit(self.path).query)["target"]
                if "disk" not in target
            ]
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def graphite() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Graphite)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_graphs_from_graphite(
    chromium: Browser, tmp_path: Path, visit: Opener, graphite: http.server.ThreadingHTTPServer
) -> None:
    path, tokens = with_tokens(tmp_path)
    static = str(ROOT / "dynamiccluster" / "api" / "static")
    url = f"http://127.0.0.1:{graphite.server_port}"
    with live(tmp_path, tokens_file=path, static_folder=static, graphite_url=url) as api:
        api.service.config = PLUGIN
        page = visit(Site(api.url, tokens), "/graphs")
        page.get_by_role("button", name="Graphite").click()
        for said in ("nodes.busy", "cores.idle", "jobs.queued", "resource.fast.cores"):
            expect(page.locator("main")).to_contain_text(said)
        expect(page.locator("canvas")).to_have_count(5)
        shot(page, "graphs from graphite")
        assert judged(page) == []
        page.get_by_label("Node", exact=True).fill("dc-fast-00000001")
        expect(page.locator("canvas")).to_have_count(3)
        for said in ("Load", "Memory", "Network", "Graphite has nothing of it", "collectd.dc-fast-00000001.disk-"):
            expect(page.locator("main")).to_contain_text(said)
        page.get_by_label("From").fill("2026-01-01T00:00")
        page.get_by_label("to", exact=True).fill("2025-12-31T00:00")
        expect(page.locator("main")).to_contain_text("ends before it begins")
        page.get_by_label("to", exact=True).fill("2026-01-02T00:00")
        expect(page.get_by_role("button", name="1 h", exact=True)).to_have_attribute("aria-pressed", "false")
        assert "until=" in page.url
        page.get_by_label("Refresh").select_option("10 s")
        shot(page, "graphs of a node from graphite")
        assert judged(page) == []
        page.get_by_role("link", name="dc-fast-00000001").click()
        expect(page.get_by_role("region", name="What Graphite has of it").locator("canvas")).to_have_count(3)
        shot(page, "node with graphs from graphite")
        page.go_back()
        page.get_by_role("button", name="The whole cluster").click()
        expect(page.locator("canvas")).to_have_count(5)
        graphite.shutdown()
        graphite.server_close()
        page.get_by_role("button", name="7 d").click()
        expect(page.locator("main")).to_contain_text("Graphite's figures cannot be shown")
        page.get_by_role("button", name="Own history").click()
        expect(page.locator("main")).to_contain_text("Worker nodes by state")
