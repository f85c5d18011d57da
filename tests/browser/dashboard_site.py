"""Services with a dashboard for the tests of it, what their pages must not do, and what axe says of them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import BrowserContext, Page, expect
from service_process import Service, configuration

from dynamiccluster.api.tokens import Role, make_token

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / ".screenshots"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
WIDE = (1440, 900)
PHONE = (390, 844)
expect.set_options(timeout=20_000)

Scheme = Literal["light", "dark"]
Opener = Callable[..., Page]
"""``visit`` of the conftest."""


def chromium_path() -> str:
    """Debian's Chromium, installed if it is missing and we may."""
    found = shutil.which("chromium")
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        import packages

        with packages.alone():
            packages.install(["chromium"])
        found = shutil.which("chromium")
    return found or ""


@dataclass
class Site:
    """An address with a dashboard, and the tokens for it."""

    url: str
    tokens: dict[Role, str]
    service: Service | None = None

    @property
    def running(self) -> Service:
        assert self.service is not None
        return self.service

    def log_in(self, context: BrowserContext, role: Role) -> None:
        """By the API, as the form does it: one test uses the form itself."""
        answer = context.request.post(f"{self.url}/api/v1/session", data={"token": self.tokens[role]})
        assert answer.ok, answer.text()
        word = answer.json()["csrf"]
        context.add_init_script(f"localStorage.setItem('dc:csrf', '{word}')")


@dataclass
class Watch:
    """What a page did that it must not do."""

    host: str
    complaints: list[str] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("console", lambda said: self.said(said.type, said.text))
        page.on("request", lambda request: self.asked(request.url))

    def said(self, kind: str, text: str) -> None:
        # refused requests are reported so, and some tests want them; the policy's own refusals read otherwise
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.complaints.append(f"console: {text}")

    def asked(self, url: str) -> None:
        if not url.startswith((self.host, "data:", "blob:")):
            self.complaints.append(f"another host: {url}")


def shot(page: Page, name: str) -> None:
    """Kept for people to look at; overwritten by the next run."""
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.png")


def note(text: str) -> None:
    """A figure for people to look at, beside the screenshots."""
    SHOTS.mkdir(exist_ok=True)
    with (SHOTS / "figures.txt").open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def judged(page: Page) -> list[str]:
    """What axe finds serious or worse, one line each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"][:3]
    ]


def with_tokens(folder: Path) -> tuple[str, dict[Role, str]]:
    secrets, lines = {}, []
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        secrets[role], token = make_token(role.name.lower(), role)
        lines.append(token.line())
    path = folder / "tokens"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return str(path), secrets


def start(folder: Path, change: Callable[[dict[str, Any]], None] | None = None, speed: float = 20.0) -> Site:
    """A service on the embedded cluster; whoever calls ends it."""
    config = configuration(folder, jobs_per_day=0)
    general = config["dynamic-cluster"]
    path, secrets = with_tokens(folder)
    general["admin-server"]["tokens_file"] = path
    if change:
        change(config)
    service = Service(folder, config, speed=speed)
    service.start()
    return Site(f"http://127.0.0.1:{general['admin-server']['port']}", secrets, service)


def lively(config: dict[str, Any]) -> None:
    """Some of everything: nodes in several states, jobs that run and wait, budgets, a resource that is sold out."""
    fast = config["cloud"]["fast"]
    fast |= {"quantity": {"min": 4, "max": 8}, "price_per_hour": 0.25, "priority": 1}
    config["cloud"]["sold-out"] = {
        "type": "simulated",
        "tenancy": "other",
        "priority": 2,
        "quantity": {"min": 1, "max": 4},
        "price_per_hour": 0.1,
        "capacity": {"cores": 4, "memory_mib": 8000},
        "config": {"mishaps": [{"mishap": "sold out", "from_s": 0, "until_s": 1_000_000}]},
    }
    config["dynamic-cluster"]["max_idle_time"] = 1_000_000
    config["dynamic-cluster"]["limits"] = {"budget_per_hour": 10, "budget_per_month": 500}
    workload = config["cluster"]["config"]["workload"]
    workload |= {"jobs_per_day": 20_000, "burst": 20, "run_s": [5000, 90_000], "first_after_s": 20}
