"""Ten thousand nodes from end to end, and a hundred thousand jobs: time to the first table, frames while scrolling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dashboard_site import ROOT, Opener, Site, note, shot, start, with_tokens
from live_api import live
from playwright.sync_api import Browser, Page, expect

from dynamiccluster.api.tokens import Role
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Job, JobState, Shape, Wait

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

NODES = 10_000
JOBS = 100_000
FIRST_TABLE_S = 5.0  # 1.4 s for nodes and 2 s for jobs with 15 other processes at work
MEDIAN_FRAME_MS = 34.0  # two frames of a 60 Hz screen; drawn by software here, 18 ms with 15 other processes at work
FLYING_FRAME_MS = 100.0  # a whole page of new rows in every frame
SLOW_FRAME_MS = 250.0

SCROLL = """
async ([step, frames]) => {
  const box = document.querySelector('[role=grid]');
  const took = [];
  let last = performance.now();
  for (let i = 0; i < frames; i++) {
    box.scrollTop += step;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    took.push(now - last);
    last = now;
  }
  took.sort((a, b) => a - b);
  const rows = box.querySelectorAll('.body .row').length;
  return {median: took[frames >> 1], p95: took[Math.floor(frames * 0.95)], rows};
}
"""


def scrolls_smoothly(page: Page, what: str) -> None:
    """The best of three counts: a table that is slow is slow each time, a busy machine is not."""
    for name, step, most_ms in (("slowly", 60, MEDIAN_FRAME_MS), ("by pages", 900, FLYING_FRAME_MS)):
        for _ in range(3):
            found = page.evaluate(SCROLL, [step, 120])
            note(f"{what} {name}: median {found['median']:.1f}, p95 {found['p95']:.1f} ms, {found['rows']} rows drawn")
            assert found["rows"] < 80
            if found["median"] < most_ms and found["p95"] < SLOW_FRAME_MS:
                break
        else:
            pytest.fail(f"{what} {name} is not smooth: {found}")


def opened(page: Page, url: str, label: str) -> None:
    """Time from the address to the first row, as the reader waits for it."""
    began = time.monotonic()
    page.goto(url)
    expect(page.get_by_role("grid", name=label).locator(".body .row a").first).to_be_visible()
    took = time.monotonic() - began
    note(f"first table of {label}: {took:.2f} s")
    assert took < FIRST_TABLE_S


@pytest.fixture(scope="module")
def big(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    def many(config: dict[str, Any]) -> None:
        config["dynamic-cluster"] |= {
            "cluster_poller_interval": 10,
            "cloud_poller_interval": 20,
            "max_idle_time": 1_000_000,
            "limits": {"max_nodes": 2 * NODES},
        }
        config["cloud"]["fast"]["quantity"] = {"min": NODES, "max": NODES}

    site = start(tmp_path_factory.mktemp("many"), many)
    with site.running as service:
        service.until(lambda: service.get("/api/v1/status")[1]["nodes_by_state"].get("idle") == NODES, within_s=150)
        yield site


def test_ten_thousand_nodes(big: Site, visit: Opener) -> None:
    page = visit(big, "", role=Role.OPERATOR)
    opened(page, f"{big.url}/dashboard/nodes", "Worker nodes")
    expect(page.locator(".page-head")).to_contain_text("10,000")
    shot(page, "ten thousand nodes")
    scrolls_smoothly(page, "10,000 nodes")
    page.get_by_role("grid").focus()
    page.keyboard.press("End")
    last = big.running.get("/api/v1/nodes?sort=-host_name&limit=1")[1]["nodes"][0]["host_name"]
    expect(page.get_by_role("grid")).to_contain_text(last)
    page.get_by_label("Search nodes").fill(last)
    expect(page.locator(".page-head")).to_contain_text("1 match")
    page.get_by_role("checkbox", name="Select all that match").click()
    page.get_by_role("region", name="Selected nodes").get_by_role("button", name="Hold", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Hold").click()
    expect(page.get_by_role("grid")).to_contain_text("Held", timeout=60_000)


def test_select_all_of_ten_thousand(big: Site, visit: Opener) -> None:
    page = visit(big, "/nodes", role=Role.OPERATOR)
    page.get_by_role("checkbox", name="Select all that match").click()
    expect(page.get_by_role("region", name="Selected nodes")).to_contain_text("10,000 nodes selected")
    page.get_by_role("region", name="Selected nodes").get_by_role("button", name="Delete").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("Delete 10,000 nodes?")
    shot(page, "question ten thousand")
    asked.get_by_role("button", name="Cancel").click()


def test_a_hundred_thousand_jobs(chromium: Browser, tmp_path: Path, visit: Opener) -> None:
    path, tokens = with_tokens(tmp_path)
    with live(tmp_path, tokens_file=path, static_folder=str(ROOT / "dynamiccluster" / "api" / "static")) as api:
        shape = Shape(queues=("batch",), account="physics", chunk=Capacity(4, 4096), walltime_s=3600)
        jobs = tuple(
            Job(str(number), JobState.PENDING, shape, user=f"user{number % 97}", name=f"job-{number}", wait=Wait.HELPS)
            for number in range(JOBS)
        )
        model = api.service.readmodel
        assert model.snapshot.scheduler is not None
        view = replace(model.snapshot.scheduler, jobs=jobs)
        api.service.readmodel = replace(model, snapshot=replace(model.snapshot, scheduler=view))
        site = Site(api.url, tokens)
        page = visit(site, "", role=Role.VIEWER)
        opened(page, f"{site.url}/dashboard/jobs", "Jobs")
        expect(page.locator(".page-head")).to_contain_text("100,000")
        shot(page, "hundred thousand jobs")
        scrolls_smoothly(page, "100,000 jobs")
        page.get_by_label("Search jobs").fill("user42")
        expect(page.locator(".page-head")).to_contain_text("1,031 match")
