"""The contract of a plug-in: something that looks at the cluster and tells somebody else."""

from __future__ import annotations

from typing import Protocol

from dynamiccluster.engine.readmodel import ReadModel


class Plugin(Protocol):
    """Named in the ``plugins:`` section by its dotted path, made with the arguments that stand there."""

    interval_s: float
    """How often it wants to look, in seconds; at least 1."""

    def observe(self, readmodel: ReadModel) -> None:
        """Look at the present picture, which is never changed by anybody.

        Called in a thread of its own, one call at a time, with a time limit. It may raise: that is shown as the
        plug-in's status, and it is called again later, at growing distances. One that does not return is left to
        itself; it is not called again before it has returned.
        """
        ...

    def close(self) -> None:
        """The service stops. Called once, with the same time limit."""
        ...
