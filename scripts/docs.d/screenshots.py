"""Takes the pictures of the dashboard in docs/pictures from a running demo: scripts/docs.d/screenshots.py [MINUTES].

The demo's cluster lives for so many of its own minutes (90) at twenty times the speed before its picture is taken.
Needs the dashboard built (scripts/web build), the test tools, and Debian's chromium. Pictures change with every run:
look at them before you commit them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import yaml
from playwright.sync_api import Browser, sync_playwright
from rich.progress import track

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
SPEED = 20.0
SIZE = {"width": 1280, "height": 800}

sys.path.insert(0, str(ROOT / "tests"))

from service_process import Service, free_port  # noqa: E402 - found by the line above


def main(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
        server = document["dynamic-cluster"]["admin-server"]
        server |= {"port": free_port(), "socket": str(folder / "demo.sock"), "socket_mode": "0600"}
        document["dynamic-cluster"]["store"]["path"] = str(folder / "demo.db")
        document.setdefault("logging", {})["log_location"] = str(folder / "demo.log")
        with Service(folder, document, speed=SPEED) as service:
            for _ in track(range(int(minutes * 60 / SPEED)), "the demo's cluster lives"):
                time.sleep(1)
            with sync_playwright() as playwright:
                options = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses to work for root
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
                take(browser, service, f"http://127.0.0.1:{server['port']}/dashboard")
                browser.close()


def take(browser: Browser, service: Service, url: str) -> None:
    nodes = service.nodes()
    node = max(nodes, key=lambda one: (one["state"] == "busy", one["state_since_at"] or ""))["node_id"]
    shots = [("overview", "", "light"), ("nodes", "/nodes", "light"), ("node", f"/nodes/{node}", "dark")]
    for name, path, scheme in [*shots, ("job", "/jobs", "light")]:
        if name == "job":  # chosen only now, and the youngest, so that it still waits when it is shown
            jobs = service.get("/api/v1/jobs?state=pending&wait=helps&sort=-submitted_at&limit=1")[1]["jobs"]
            path += f"/{jobs[0]['job_id']}" if jobs else ""
        page = browser.new_page(viewport=SIZE, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of two words
        page.goto(url + path)
        page.wait_for_load_state("load")
        page.wait_for_timeout(2500)  # charts and first news
        page.screenshot(path=PICTURES / f"dashboard-{name}.png")
        page.close()
        print(f"docs/pictures/dashboard-{name}.png")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 90.0)
