"""The contract of a names adapter: how a new node's host name becomes resolvable, and is forgotten."""

from __future__ import annotations

from typing import Protocol


class Names(Protocol):
    def add(self, host_name: str, address: str) -> None:
        """Make ``host_name`` resolve to ``address``. Repeating it, or with a new address, is success."""
        ...

    def remove(self, host_name: str) -> None:
        """Forget ``host_name``. Not there: success. Names that are not ours are never touched."""
        ...
