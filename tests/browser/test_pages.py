"""Every page: it says what it should, breaks no rule of its own policy, and axe finds nothing serious."""

from __future__ import annotations

import re

import pytest
from dashboard_site import PHONE, Opener, Scheme, Site, judged, shot
from playwright.sync_api import Page, expect

from dynamiccluster.api.tokens import Role

pytestmark = pytest.mark.browser

PAGES = (
    ("overview", "", "Demand and supply"),
    ("nodes", "/nodes", "fast"),
    ("jobs", "/jobs", "Walltime"),
    ("resources", "/resources", "sold-out"),
    ("resource-open", "/resources?name=fast", "Open in Worker nodes"),
    ("graphs", "/graphs", "Worker nodes by state"),
    ("events", "/events", "Everything"),
    ("settings", "/settings", "Automatic mode"),
)


def ready(page: Page, text: str) -> None:
    expect(page.locator("main")).to_contain_text(text)
    expect(page.locator(".loading")).to_have_count(0)
    expect(page.locator(".top")).to_contain_text("live")


def first_node(site: Site) -> str:
    return str(next(node["node_id"] for node in site.running.nodes() if node["state"] in {"idle", "busy"}))


def waiting_job(site: Site) -> str:
    site.running.until(lambda: site.running.get("/api/v1/jobs?state=pending&limit=1")[1]["jobs"])
    return str(site.running.get("/api/v1/jobs?state=pending&limit=1")[1]["jobs"][0]["job_id"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "path", "text"), PAGES)
def test_page(site: Site, visit: Opener, name: str, path: str, text: str, scheme: Scheme) -> None:
    page = visit(site, path, scheme=scheme)
    ready(page, text)
    shot(page, f"{name} {scheme}")
    assert judged(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_one_node_and_one_job(site: Site, visit: Opener, scheme: Scheme) -> None:
    page = visit(site, f"/nodes/{first_node(site)}", scheme=scheme)
    ready(page, "Its life")
    for said in ("What we intend", "What the scheduler says", "What the cloud says", "joined"):
        expect(page.locator("main")).to_contain_text(said)
    shot(page, f"node {scheme}")
    assert judged(page) == []
    page.goto(f"{site.url}/dashboard/jobs/{waiting_job(site)}")
    ready(page, "What it asks for")
    expect(page.locator("main")).to_contain_text(re.compile("Why it waits|Where it runs"))
    shot(page, f"job {scheme}")
    assert judged(page) == []


@pytest.mark.parametrize(("name", "path", "text"), PAGES)
def test_page_on_a_phone(site: Site, visit: Opener, name: str, path: str, text: str) -> None:
    page = visit(site, path, size=PHONE)
    ready(page, text if name != "jobs" else "Jobs")
    shot(page, f"{name} phone")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways"
    assert page.evaluate("document.documentElement.scrollHeight <= window.innerHeight"), "the frame itself scrolls"
    assert judged(page) == []


def test_no_password_field_and_grey_buttons_for_those_who_only_look(site: Site, visit: Opener) -> None:
    page = visit(site, "/resources", role=None)
    ready(page, "fast")
    add = page.get_by_role("button", name="Add nodes").first
    expect(add).to_be_disabled()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_what_is_not_there_says_so(site: Site, visit: Opener) -> None:
    page = visit(site, "/nodes/no-such-node")
    expect(page.locator("main")).to_contain_text("No such node")
    page.goto(f"{site.url}/dashboard/jobs/987654321")
    expect(page.locator("main")).to_contain_text("is not in the queue")
    page.goto(f"{site.url}/dashboard/nothing")
    expect(page.locator("main")).to_contain_text("There is no such page")


def test_search_sort_and_filters_stand_in_the_address(site: Site, visit: Opener) -> None:
    page = visit(site, "/nodes")
    ready(page, "fast")
    page.get_by_label("Search nodes").fill("no-such-thing")
    expect(page.locator("main")).to_contain_text("No node matches")
    assert "q=no-such-thing" in page.url
    page.get_by_role("button", name="Show all nodes").click()
    expect(page.get_by_role("grid")).to_be_visible()
    page.get_by_role("button", name="Cores", exact=True).click()
    expect(page.get_by_role("columnheader", name="Cores")).to_have_attribute("aria-sort", "descending")
    assert "sort=-used_cores" in page.url
    page.get_by_label("Resource").select_option("fast")
    expect(page.locator("main")).to_contain_text("match")
    again = page.context.new_page()
    again.goto(page.url)
    expect(again.get_by_role("columnheader", name="Cores")).to_have_attribute("aria-sort", "descending")
    expect(again.get_by_label("Resource")).to_have_value("fast")
    page.go_back()
    expect(page.get_by_label("Resource")).to_have_value("")


def test_keyboard_alone_opens_selects_and_searches(site: Site, visit: Opener) -> None:
    page = visit(site, "/nodes", role=Role.OPERATOR)
    ready(page, "fast")
    page.keyboard.press("/")
    expect(page.get_by_label("Search nodes")).to_be_focused()
    page.get_by_role("grid").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.get_by_role("region", name="Selected nodes")).to_contain_text("1 node selected")
    assert page.get_by_role("grid").get_attribute("aria-activedescendant") == "row-1"
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Its life")


def test_changes_are_shown_without_reload(site: Site, visit: Opener) -> None:
    page = visit(site, "/events?who=people")
    ready(page, "What people did")
    site.running.ask("POST", "/api/v1/nudge", {"source": "scheduler"})
    node = first_node(site)
    assert site.running.ask("POST", f"/api/v1/nodes/{node}/hold")[0] == 200
    expect(page.locator(".events")).to_contain_text("hold")
    assert site.running.ask("POST", f"/api/v1/nodes/{node}/unhold")[0] == 200


def test_theme_is_kept(site: Site, visit: Opener) -> None:
    page = visit(site, "/settings")
    ready(page, "Theme")
    page.get_by_role("button", name="dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    ready(page, "Theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    assert dark != "rgb(245, 246, 247)"


def test_a_long_page_scrolls_by_keyboard_and_says_all_the_time_how_old_it_is(site: Site, visit: Opener) -> None:
    page = visit(site, "/settings", size=(1280, 500))
    ready(page, "Plug-ins")
    page.keyboard.press("PageDown")
    page.wait_for_function("window.scrollY > 0")
    tops = "['.top', '.side'].map(name => document.querySelector(name).getBoundingClientRect().top)"
    assert page.evaluate(tops) == [0, 0]
