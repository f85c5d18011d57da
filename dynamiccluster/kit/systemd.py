"""Words to systemd, where it started us (sd_notify(3)). Without it, nothing happens."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Systemd:
    """The socket that systemd listens on, from the environment."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        self._address = given.get("NOTIFY_SOCKET", "")
        usec = given.get("WATCHDOG_USEC", "")
        mine = given.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        self.watchdog_s = int(usec) / 1e6 if self._address and mine and usec.isdigit() else 0.0
        """How long systemd waits for a sign of life before it ends us; 0 = for ever."""

    def tell(self, *words: str) -> None:
        """Send words such as ``READY=1``. Never fails: a supervisor that does not listen must not end the service."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.setblocking(False)
            out.sendto("\n".join(words).encode(), address)
