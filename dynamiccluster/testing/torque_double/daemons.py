"""The daemons as programs: ``pbs_server`` and ``maui`` go into the background, ``pbs_mom`` stays in the foreground."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from dynamiccluster.kit.clock import pause
from dynamiccluster.testing.stand_in.place import Place
from dynamiccluster.testing.stand_in.processes import become_daemon
from dynamiccluster.testing.torque_double.advance import advance
from dynamiccluster.testing.torque_double.cluster import COMMITS
from dynamiccluster.testing.torque_double.mom import Mom

NAMES = ("pbs_server", "maui", "pbs_mom")
_LOOK_S = 0.25


def main(path: str, name: str, arguments: Sequence[str]) -> int:
    """``pbs_mom NAME CORES MEMORY_MIB``; the others take no arguments."""
    place = Place(path)
    if "--version" in arguments:
        version = (place.read("state.json") or {})["version"]
        os.write(1, f"Version: {version}\nCommit: {COMMITS[version]}\n".encode())
        return 0
    if name == "pbs_mom":
        Mom(place, arguments[0], int(arguments[1]), int(arguments[2])).run()
        return 0
    body: Callable[[], None] = (lambda: serve(place)) if name == "pbs_server" else idle
    return become_daemon(place.file(f"{name}.pid"), body)


def serve(place: Place) -> None:
    """Let the cluster live on when nobody asks. The time in which there was no server has not been lived through."""
    with place.locked() as state:
        state["now"] = max(state["now"], place.now())
    while True:
        with place.locked() as state:
            advance(place, state, place.now())
        pause(_LOOK_S)


def idle() -> None:
    """Maui's part is played by the server; its process only has to be there."""
    while True:
        pause(60.0)
