"""The contract of a checker: is a new machine configured and ready to join the scheduler?"""

from __future__ import annotations

from typing import Protocol


class Checker(Protocol):
    def check(self, host_name: str, address: str, instance_name: str) -> None:
        """Returns when the machine is ready. Raises ``TransientError`` when it is not ready yet (asked again
        until the launch deadline), any other error when it never will be. Takes a few seconds at most."""
        ...
