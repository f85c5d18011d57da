"""Names that resolve by themselves: DNS knows them beforehand, or the scheduler is given addresses."""

from __future__ import annotations


class AlreadyNames:
    """Implements :class:`~dynamiccluster.names.base.Names` by doing nothing."""

    def add(self, host_name: str, address: str) -> None:
        """There is nothing to add."""

    def remove(self, host_name: str) -> None:
        """There is nothing to forget."""
