"""A machine is configured once it accepts connections on a TCP port (seed: ``config-checker: port: number``)."""

from __future__ import annotations

import socket

from dynamiccluster.errors import BadConfigError, TransientError


class PortChecker:
    """Implements :class:`~dynamiccluster.checkers.base.Checker`. Connects and hangs up; nothing is sent."""

    def __init__(self, number: int, timeout_s: float = 5.0) -> None:
        if not 0 < number < 65536:
            raise BadConfigError(f"{number} is not a TCP port")
        self._number = number
        self._timeout_s = timeout_s

    def check(self, host_name: str, address: str, instance_name: str) -> None:
        target = address or host_name
        try:
            socket.create_connection((target, self._number), self._timeout_s).close()
        except (OSError, UnicodeError) as error:  # refused, no route, time-out, no such name
            raise TransientError(f"{target} port {self._number}: {error}") from error
