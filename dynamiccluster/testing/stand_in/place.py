"""The directory of a stand-in: one state file behind a lock, its own time, and its faults.

``state.json`` (everything the scheduler knows), ``lock``, ``clock.json`` (how its time runs), ``faults.json`` (what
has been told to go wrong; see :mod:`~dynamiccluster.testing.stand_in.faults`), ``hosts`` (names that resolve; without
the file every name does), ``bin/`` (the commands), ``nodes/`` (what worker daemons report and are told).
"""

from __future__ import annotations

import fcntl
import json
import os
from types import TracebackType
from typing import Any

from dynamiccluster.kit.clock import SystemClock

State = dict[str, Any]


class Place:
    """``path``: the directory, which exists."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._clock = SystemClock()

    def file(self, *names: str) -> str:
        return os.path.join(self.path, *names)

    def now(self) -> float:
        """The stand-in's time, in epoch seconds."""
        clock = self.read("clock.json") or {}
        real = self._clock.now()
        return float(clock.get("at", real)) + (real - float(clock.get("real", real))) * float(clock.get("speed", 1.0))

    def speed(self) -> float:
        """How much faster than real its time runs; 0: it is set by hand."""
        return float((self.read("clock.json") or {}).get("speed", 1.0))

    def set_clock(self, at: float, speed: float = 0.0) -> None:
        """From now on its time is ``at``, and runs at ``speed`` times the real pace."""
        self.write("clock.json", {"at": at, "real": self._clock.now(), "speed": speed})

    def faults(self) -> dict[str, Any]:
        return self.read("faults.json") or {}

    def set_faults(self, faults: dict[str, Any]) -> None:
        self.write("faults.json", faults)

    def resolves(self, name: str) -> bool:
        """Whether the head node can look this name up."""
        try:
            with open(self.hosts_file(), encoding="utf-8") as file:
                return any(name in line.partition("#")[0].split()[1:] for line in file)
        except FileNotFoundError:
            return True

    def address_of(self, name: str) -> str:
        """The address that the name resolves to; "" if it does not."""
        try:
            with open(self.hosts_file(), encoding="utf-8") as file:
                return next((line.split()[0] for line in file if name in line.partition("#")[0].split()[1:]), "")
        except FileNotFoundError:
            return ""

    def resolve(self, name: str, address: str) -> None:
        """Make a name known to the head node; "" as address forgets it. From then on unknown names do not resolve."""
        path = self.hosts_file()
        lines: list[str] = []
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        kept = [line for line in lines if name not in line.split()[1:]]
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in [*kept, *([f"{address} {name}"] if address else [])])

    def hosts_file(self) -> str:
        """``settings.json`` may name another file, such as one that the service under test writes."""
        return str((self.read("settings.json") or {}).get("hosts") or self.file("hosts"))

    def set_hosts_file(self, path: str) -> None:
        self.write("settings.json", {"hosts": path})

    def locked(self) -> Locked:
        """The state, for one command at a time; what was changed in it is kept unless an exception leaves."""
        return Locked(self)

    def write_state(self, state: State) -> None:
        """Replace the state: a new cluster, or a recorded situation."""
        self.write("state.json", state)

    def read(self, name: str) -> State | None:
        """One of the place's JSON files; ``None`` if it is not there."""
        try:
            with open(self.file(name), encoding="utf-8") as file:
                found: State = json.load(file)
                return found
        except FileNotFoundError:
            return None

    def write(self, name: str, value: State) -> None:
        """Replace one of the place's JSON files as a whole."""
        new = self.file(f"{name}.{os.getpid()}.new")
        with open(new, "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.replace(new, self.file(name))


class Locked:
    """``with`` it, the lock is held and the state at hand."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._handle = -1
        self._state: State = {}

    def __enter__(self) -> State:
        self._handle = os.open(self._place.file("lock"), os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._state = self._place.read("state.json") or {}
        return self._state

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._place.write("state.json", self._state)
        finally:
            os.close(self._handle)
