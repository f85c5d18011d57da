"""Draws ``docs/pictures/status.svg``: what ``status --watch`` shows of a demo that is running at the moment.

scripts/demo --speed 20          # in one terminal
.venv/bin/python scripts/docs.d/picture.py --seconds 120     # in another; keeps the liveliest frame
"""

from __future__ import annotations

import argparse
import io
import re
import time
from pathlib import Path

from rich.console import Console

from dynamiccluster.cli.frame import frame
from dynamiccluster.cli.status import look
from dynamiccluster.client.rest import Client, Document

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 110, 34


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connect", default=str(ROOT / ".demo" / "demo.sock"))
    parser.add_argument("--seconds", type=float, default=0.0, help="look for so long and keep the liveliest frame")
    options = parser.parse_args()
    client = Client(options.connect)
    until = time.monotonic() + options.seconds
    best = look(client)
    while time.monotonic() < until:
        time.sleep(0.5)
        best = max(best, look(client), key=liveliness)
    target = ROOT / "docs" / "pictures" / "status.svg"
    target.parent.mkdir(exist_ok=True)
    target.write_text(draw(best), encoding="utf-8")
    print(f"{target} at {best['status']['now']}")


def liveliness(picture: Document) -> tuple[int, int, int]:
    """Prefer many different states and a resource in trouble, then jobs that wait, then many nodes."""
    status = picture["status"]
    troubled = any(one["breaker"]["state"] != "closed" or one["backoffs"] for one in picture["resources"])
    waiting = status["demand"]["waiting_tasks"] > 0
    return len(status["nodes_by_state"]) + 2 * troubled + waiting, waiting, len(picture["nodes"])


def draw(picture: Document) -> str:
    console = Console(record=True, width=WIDTH, height=HEIGHT, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(frame(picture, WIDTH, HEIGHT))
    svg = console.export_svg(title="dynamiccluster status --watch", unique_id="status")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # a page that shows it need not fetch fonts
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    main()
