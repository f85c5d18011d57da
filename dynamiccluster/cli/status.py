"""``status``: one picture, or with ``--watch`` a live one."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from dynamiccluster.cli.common import emit, screen, talks
from dynamiccluster.cli.text import clean
from dynamiccluster.client.problems import UnreachableError
from dynamiccluster.client.rest import Client, Document
from dynamiccluster.kit.clock import pause

MOST_NODES = 1000  # shown on a screen; their counts come from the status itself
HEIGHT_FOR_PIPES = 1000


@click.command()
@click.option("-w", "--watch", is_flag=True, help="Keep it on the screen and renew it, until Ctrl-C.")
@click.option(
    "-i",
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    help="Between two frames.",
)
@click.option("--note", default="", hidden=True, help="A line above the live view, of whoever starts it.")
@talks
def status(watch: bool, interval: float, note: str, client: Client, as_json: bool) -> None:
    """The cluster at a glance: what waits, what works, what is on its way, what is wrong, what just happened."""
    if as_json:
        emit(client.get("api", "v1", "status"))
        return
    if watch and sys.stdout.isatty():
        _live(client, interval, pause, note)
        return
    from dynamiccluster.cli.frame import frame

    out = screen()
    out.print(frame(look(client), out.width if sys.stdout.isatty() else 100, HEIGHT_FOR_PIPES, out.encoding))


def look(client: Client) -> Document:
    """Everything that a frame shows."""
    return {
        "status": client.get("api", "v1", "status"),
        "resources": client.get("api", "v1", "resources")["resources"],
        "nodes": list(client.pages("nodes", MOST_NODES)),
        "events": client.get("api", "v1", "events", limit=10)["events"],
    }


def _live(client: Client, interval: float, wait: Callable[[float], None], note: str = "") -> None:
    """Frames until Ctrl-C. When the service goes away, the last frame stays and says so."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from dynamiccluster.cli.frame import frame

    out = screen()
    first = [Text(clean(note), style="reverse", no_wrap=True, overflow="ellipsis")] if note else []
    picture, trouble = look(client), ""
    with Live(console=out, screen=True, auto_refresh=False) as display:
        try:
            while True:
                width, height = out.size
                below = frame(picture, width, height - len(first), out.encoding, trouble)
                display.update(Group(*first, below), refresh=True)
                wait(interval)
                try:
                    picture, trouble = look(client), ""
                except UnreachableError as error:
                    trouble = clean(error)
        except KeyboardInterrupt:
            return
