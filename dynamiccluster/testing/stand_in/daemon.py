"""Whether a daemon of a stand-in is there: switched off by a fault, or a process that has died."""

from __future__ import annotations

from dynamiccluster.testing.stand_in.place import Place


def lives(place: Place, name: str) -> bool:
    """With ``NAME.pid`` there must be such a process; without it the daemon needs none. The fault ``NAME: down``
    switches it off."""
    if place.faults().get(name) == "down":
        return False
    try:
        with open(place.file(f"{name}.pid"), encoding="ascii") as file:
            pid = int(file.read().split()[0])
    except FileNotFoundError:
        return True
    except (ValueError, IndexError):
        return False
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
