"""Every change that the dashboard offers: asked first, done by the service, said afterwards, on the audit log."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_site import Opener, Site, judged, shot
from playwright.sync_api import Page, expect

from dynamiccluster.api.tokens import Role

pytestmark = pytest.mark.browser


def dialog(page: Page, said: str, button: str) -> None:
    """The question names what will happen; answer it."""
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text(said)
    asked.get_by_role("button", name=button, exact=True).click()
    expect(asked.get_by_role("alert")).to_have_count(0)
    expect(asked).to_have_count(0)


def toast(page: Page, said: str) -> None:
    expect(page.locator(".toasts")).to_contain_text(said)


def node_in(site: Site, *states: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [node for node in site.running.nodes() if node["state"] in states]

    site.running.until(found)
    return found()[0]


def state_of(site: Site, node_id: str) -> str:
    status, document = site.running.get(f"/api/v1/nodes/{node_id}")
    return str(document["state"]) if status == 200 else "gone"


def resource(site: Site, name: str) -> dict[str, Any]:
    document: dict[str, Any] = site.running.get(f"/api/v1/resources/{name}")[1]
    return document


def last_command(site: Site) -> dict[str, Any]:
    event: dict[str, Any] = site.running.get("/api/v1/audit?limit=1")[1]["events"][0]
    return event


def test_log_in_and_out_by_the_form(site: Site, visit: Opener) -> None:
    page = visit(site, "/resources", role=None)
    expect(page.get_by_role("button", name="Freeze").first).to_be_disabled()
    page.get_by_role("button", name="Log in").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Token").fill("dct_wrong")
    form.get_by_role("button", name="Log in").click()
    expect(form.get_by_role("alert")).to_be_visible()
    shot(page, "log in refused")
    assert judged(page) == []
    form.get_by_label("Token").fill(site.tokens[Role.OPERATOR])
    form.get_by_role("button", name="Log in").click()
    toast(page, "Logged in as token operator (operator).")
    expect(page.get_by_role("button", name="Freeze").first).to_be_enabled()
    page.reload()
    expect(page.locator(".top")).to_contain_text("token operator")
    assert site.tokens[Role.OPERATOR] not in page.evaluate("JSON.stringify([localStorage, document.cookie])")
    page.get_by_role("button", name="log out").click()
    expect(page.get_by_role("button", name="Freeze").first).to_be_disabled()


def test_roles_grey_out_what_they_may_not(site: Site, visit: Opener) -> None:
    page = visit(site, "/settings", role=Role.OPERATOR)
    expect(page.get_by_role("switch", name="Automatic mode")).to_be_disabled()
    expect(page.get_by_role("button", name="Ask now").first).to_be_enabled()
    looking = visit(site, "/settings", role=Role.VIEWER)
    expect(looking.get_by_role("button", name="Ask now").first).to_be_disabled()


def test_hold_and_unhold_a_node(site: Site, visit: Opener) -> None:
    node = node_in(site, "idle", "busy")
    page = visit(site, f"/nodes/{node['node_id']}", role=Role.OPERATOR)
    page.get_by_role("button", name="Hold", exact=True).click()
    shot(page, "question hold")
    dialog(page, f"Hold {node['host_name']}?", "Hold")
    toast(page, "Hold asked for: 1 node.")
    site.running.until(lambda: state_of(site, node["node_id"]) in {"holding", "held"})
    assert "token operator" in last_command(site)["actor"]
    page.get_by_role("button", name="Unhold").click()
    dialog(page, "Jobs may start there again", "Unhold")
    site.running.until(lambda: state_of(site, node["node_id"]) in {"idle", "busy"})


def test_cancel_does_nothing(site: Site, visit: Opener) -> None:
    node = node_in(site, "idle", "busy")
    before = last_command(site)["seq"]
    page = visit(site, f"/nodes/{node['node_id']}")
    page.get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert last_command(site)["seq"] == before


def test_vacate_says_that_jobs_are_interrupted(site: Site, visit: Opener) -> None:
    node = node_in(site, "busy")
    page = visit(site, f"/nodes/{node['node_id']}", role=Role.OPERATOR)
    page.get_by_role("button", name="Vacate").click()
    dialog(page, "requeued", "Vacate")
    site.running.until(lambda: state_of(site, node["node_id"]) == "held")
    page.get_by_role("button", name="Unhold").click()
    dialog(page, "Jobs may start there again", "Unhold")


def test_several_nodes_at_once_and_what_is_refused(site: Site, visit: Opener) -> None:
    other = node_in(site, "idle", "busy")["node_id"]
    chosen = {node["node_id"] for node in site.running.nodes() if node["joined_at"]}  # others may join meanwhile
    page = visit(site, "/nodes?resource=fast", role=Role.OPERATOR)
    page.get_by_role("checkbox", name="Select all that match").click()
    selected = page.get_by_role("region", name="Selected nodes")
    expect(selected).to_contain_text("nodes selected")
    shot(page, "nodes selected")
    assert judged(page) == []
    # it changes after it was selected: the question knows
    assert site.running.ask("POST", f"/api/v1/nodes/{other}/hold")[0] == 200
    site.running.until(lambda: state_of(site, other) in {"holding", "held"})
    selected.get_by_role("button", name="Hold", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("of fast (")
    expect(page.get_by_role("dialog")).to_contain_text("neither idle nor busy and will be refused")
    dialog(page, "nodes?", "Hold")
    toast(page, "Hold asked for:")
    site.running.until(lambda: all(state_of(site, node_id) not in {"idle", "busy"} for node_id in chosen))
    page.get_by_role("checkbox", name="Select all that match").click()
    selected.get_by_role("button", name="Unhold").click()
    dialog(page, "nodes?", "Unhold")
    site.running.until(lambda: any(node["state"] in {"idle", "busy"} for node in site.running.nodes()))


def test_delete_a_working_node_once_it_is_empty(site: Site, visit: Opener) -> None:
    node = node_in(site, "idle", "busy")
    page = visit(site, f"/nodes/{node['node_id']}", role=Role.OPERATOR)
    page.get_by_role("button", name="Delete").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("hold first")
    expect(asked.get_by_role("button", name="Delete", exact=True)).to_be_disabled()  # it would do nothing
    asked.get_by_role("checkbox").check()
    dialog(page, "deleted once empty", "Delete")
    toast(page, "Deletion asked for: 1 node.")
    site.running.until(lambda: state_of(site, node["node_id"]) not in {"idle", "busy"})


def test_console_of_a_node(site: Site, visit: Opener) -> None:
    node = node_in(site, "idle", "busy")
    page = visit(site, f"/nodes/{node['node_id']}", role=Role.OPERATOR)
    page.get_by_role("button", name="Show the last lines").click()
    expect(page.locator("pre")).to_contain_text("simulated console")


def test_add_nodes_freeze_restore_drain(site: Site, visit: Opener) -> None:
    page = visit(site, "/resources", role=Role.OPERATOR)
    panel = page.get_by_role("region", name="fast")
    panel.get_by_role("button", name="Freeze").click()
    dialog(page, "Freeze fast?", "Freeze")
    expect(panel).to_contain_text("Frozen")
    assert resource(site, "fast")["flag"] == "frozen"
    panel.get_by_role("button", name="Restore").click()
    dialog(page, "configured limits", "Restore")
    expect(panel).to_contain_text("Normal")
    other = page.get_by_role("region", name="sold-out")
    other.get_by_role("button", name="Add nodes").click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("How many").fill("2")
    expect(asked).to_contain_text("Add 2 nodes to sold-out?")
    dialog(page, "0.20 per hour", "Add 2")
    assert "sold-out" in last_command(site)["text"]
    other.get_by_role("button", name="Drain").click()
    dialog(page, "Drain sold-out?", "Drain")
    expect(other).to_contain_text("Drain")
    assert resource(site, "sold-out")["flag"].startswith("drain")
    other.get_by_role("button", name="Restore").click()
    dialog(page, "configured limits", "Restore")
    expect(other).to_contain_text("Normal")


def test_failures_are_forgotten(site: Site, visit: Opener) -> None:
    site.running.until(lambda: resource(site, "sold-out")["backoffs"])
    page = visit(site, "/resources", role=Role.OPERATOR)
    page.get_by_role("region", name="sold-out").get_by_role("button", name="Forget failures").click()
    dialog(page, "tried again at the next decision", "Reset")
    assert last_command(site)["resource"] == "sold-out"


def test_modes_reload_and_sources(site: Site, visit: Opener) -> None:
    page = visit(site, "/settings")
    auto = page.get_by_role("switch", name="Automatic mode")
    auto.click()
    dialog(page, "No node is launched", "Switch off")
    expect(auto).to_have_attribute("aria-checked", "false")
    expect(page.locator(".top")).to_contain_text("auto off")
    auto.click()
    dialog(page, "Nodes are launched", "Switch on")
    expect(auto).to_have_attribute("aria-checked", "true")
    observe = page.get_by_role("switch", name="Observe-only")
    observe.click()
    dialog(page, "only looks", "Only observe")
    expect(page.locator(".top")).to_contain_text("observe-only")
    observe.click()
    dialog(page, "The service acts", "Let it act")
    expect(observe).to_have_attribute("aria-checked", "false")
    page.get_by_role("button", name="Reload").click()
    dialog(page, "Read the configuration again?", "Reload")
    page.get_by_role("button", name="Ask now scheduler").click()
    toast(page, "scheduler is being asked.")
    page.get_by_role("button", name="Work it out").click()
    expect(page.locator("main")).to_contain_text("waiting task")
    page.get_by_label("Search the configuration").fill("budget")
    expect(page.locator(".config")).to_contain_text("budget_per_hour")
    expect(page.locator(".config")).not_to_contain_text("cluster_poller_interval")


def test_a_refusal_stays_in_the_question(site: Site, visit: Opener) -> None:
    page = visit(site, "/settings")
    site.running.path.write_text("dynamic-cluster: [this is no mapping]\n")
    page.get_by_role("button", name="Reload").click()
    asked = page.get_by_role("dialog")
    asked.get_by_role("button", name="Reload").click()
    expect(asked.get_by_role("alert")).to_be_visible()
    shot(page, "question refused")
    asked.get_by_role("button", name="Cancel").click()
    site.running.write(site.running.config)
