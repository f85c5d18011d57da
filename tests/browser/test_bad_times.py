"""What is seen when there is nothing, when a source is silent, and when the service is gone and comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dashboard_site import ROOT, Opener, Site, judged, shot, start, with_tokens
from live_api import NOW, live
from playwright.sync_api import Browser, expect

from dynamiccluster.api import auth
from dynamiccluster.api.tokens import Role
from dynamiccluster.model.view import SourceStatus

pytestmark = pytest.mark.browser
BUILT = str(ROOT / "dynamiccluster" / "api" / "static")


def test_an_empty_cluster_says_what_to_do(chromium: Browser, tmp_path: Path, visit: Opener) -> None:
    site = start(tmp_path)
    with site.running:
        for path, said in (
            ("", "No worker nodes"),
            ("/nodes", "launched when jobs wait"),
            ("/jobs", "The queue is empty"),
            ("/events?who=people", "No event matches"),
        ):
            page = visit(site, path)
            expect(page.locator("main")).to_contain_text(said)
            shot(page, f"empty {path.strip('/').partition('?')[0] or 'overview'}")
            assert judged(page) == []


def test_a_service_that_dies_and_comes_back(chromium: Browser, tmp_path: Path, visit: Opener) -> None:
    def four(config: dict[str, Any]) -> None:
        config["cloud"]["fast"]["quantity"]["min"] = 4

    site = start(tmp_path, four)
    with site.running as service:
        service.until(lambda: len(service.nodes()) == 4)
        page = visit(site, "/nodes")
        expect(page.get_by_role("row")).to_have_count(5)
        service.process.kill()
        service.process.wait()
        expect(page.locator(".top")).to_contain_text("no connection")
        expect(page.locator("main")).to_contain_text("Not up to date")
        expect(page.get_by_role("row")).to_have_count(5)  # what was last seen stays, marked as old
        shot(page, "service gone")
        assert judged(page) == []
        service.start()
        expect(page.locator(".top")).to_contain_text("live", timeout=40_000)
        expect(page.locator("main")).not_to_contain_text("Not up to date", timeout=40_000)


def test_a_silent_source_is_shown_as_stale(chromium: Browser, tmp_path: Path, visit: Opener) -> None:
    path, tokens = with_tokens(tmp_path)
    plugins = [
        SourceStatus("graphite", NOW - 5, NOW - 5),
        SourceStatus("site", 0.0, NOW - 30, 3, "no answer within 20 s", "unknown-outcome"),
    ]
    with live(tmp_path, plugins=lambda: plugins, tokens_file=path, static_folder=BUILT) as api:
        model, now = api.service.readmodel, api.clock.now()
        silent = SourceStatus("cloud:lab", now - 1234, now - 5, 7, "the endpoint does not answer")
        api.service.readmodel = replace(model, sources={**model.sources, "cloud:lab": silent})
        page = visit(Site(api.url, tokens), "")
        expect(page.locator(".top")).to_contain_text("stale 20 min")
        expect(page.locator(".attention")).to_contain_text("The plug-in site is cut off")
        shot(page, "stale source")
        assert judged(page) == []
        page.get_by_role("link", name="The plug-in site is cut off").click()
        expect(page.locator("main")).to_contain_text("the endpoint does not answer")
        expect(page.get_by_role("row", name="site")).to_contain_text("Cut off")
        expect(page.get_by_role("row", name="graphite")).to_contain_text("Works")
        shot(page, "settings with a plug-in cut off")
        assert judged(page) == []


def test_beyond_loopback_nothing_is_shown_before_the_log_in(
    chromium: Browser, tmp_path: Path, visit: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is declared as not loopback, so that the test need not listen on a real network."""
    monkeypatch.setattr(auth, "is_loopback", lambda _address: False)
    path, tokens = with_tokens(tmp_path)
    with live(tmp_path, tokens_file=path, static_folder=BUILT) as api:
        page = visit(Site(api.url, tokens), "/nodes", role=None)
        form = page.get_by_role("dialog")
        expect(form).to_contain_text("Log in")
        expect(page.locator("body")).not_to_contain_text("dc-fast-00000001")
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(form).to_be_visible()
        assert judged(page) == []
        form.get_by_label("Token").fill(tokens[Role.VIEWER])
        form.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("grid")).to_contain_text("dc-fast-00000001")
        expect(page.locator(".top")).to_contain_text("live")


def test_hostile_names_stay_text(chromium: Browser, tmp_path: Path, visit: Opener) -> None:
    path, tokens = with_tokens(tmp_path)
    with live(tmp_path, tokens_file=path, static_folder=BUILT) as api:
        page = visit(Site(api.url, tokens), "/jobs", role=Role.VIEWER)
        expect(page.get_by_role("grid")).to_contain_text("<script>alert(1)</script>")
        page.goto(f"{api.url}/dashboard/jobs/101")
        expect(page.locator("h1")).to_contain_text("<script>")
        assert page.evaluate("document.querySelectorAll('script:not([src])').length") == 0
