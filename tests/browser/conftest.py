"""A real browser before the real service: what every test of the dashboard is given, and what none may leave behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from dashboard_site import ROOT, SHOTS, WIDE, Opener, Scheme, Site, Watch, chromium_path, lively, start
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from dynamiccluster.api.tokens import Role
from dynamiccluster.testing.bed import SWITCH

sys.path += [str(ROOT / "tests" / "unit"), str(ROOT / "scripts" / "testbeds")]
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if os.environ.get(SWITCH) != "1":
        pytest.skip(f"{SWITCH}=1 lets browser and dashboard be installed and run here")
    if not shutil.which("npm"):
        pytest.skip("the dashboard cannot be built: no Node.js with npm")
    program = chromium_path()
    if not program:
        pytest.skip("no chromium on this machine, and it cannot be installed")
    subprocess.run([ROOT / "scripts" / "web", "build"], check=True, timeout=300, stdout=subprocess.DEVNULL)
    (SHOTS / "figures.txt").unlink(missing_ok=True)
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses to work for root
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Opener]:
    """``visit(site, path, role=..., scheme=..., size=...)`` gives a page; afterwards none may have misbehaved."""
    contexts: list[BrowserContext] = []
    watches: list[Watch] = []

    def open_page(
        site: Site,
        path: str = "",
        *,
        role: Role | None = Role.ADMIN,
        scheme: Scheme = "light",
        size: tuple[int, int] = WIDE,
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        if role is not None:
            site.log_in(context, role)
        page = context.new_page()
        watch = Watch(site.url)
        watch.attach(page)
        watches.append(watch)
        page.goto(f"{site.url}/dashboard{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [complaint for watch in watches for complaint in watch.complaints] == []


@pytest.fixture(scope="module")
def site(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One service for the tests of a module; each test looks for what it needs rather than relies on a state."""
    found = start(tmp_path_factory.mktemp("service"), lively)
    with found.running as service:
        service.until(lambda: sum(node["state"] in {"idle", "busy"} for node in service.nodes()) >= 4)
        yield found
