"""The contract of a cloud adapter.

Thin and dull like a scheduler adapter: no retries (an SDK's own are switched off), no sleeping, no policy. All
machines carry ``cluster_id``, ``launch_id``, ``resource`` and, where the cloud can, ``node_id``, set in the same
call that creates them. An adapter touches only machines with its own ``cluster_id``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView


class Cloud(Protocol):
    """One tenancy (account or project, in one region). ``tests/contract/cloud_suite.py`` is this text as a test."""

    tenancy: str
    idempotent: bool
    """Whether ``launch`` with a ``launch_id`` used before returns the machines of the first call."""

    def list_instances(self) -> CloudView:
        """All machines of ours in this tenancy, by one list call (paged), and the quota with everybody's use.

        With ``offers``: what the machines of its resources have and cost, from a cache of the cloud's own description
        (a table of machine types is never written by hand), and ``notices`` of machines about to be taken away.

        A failed or partial list raises. Recently launched machines may be missing, recently ended ones may
        still be there (as ``TERMINATING`` or ``GONE``, or for a while simply as they were).
        """
        ...

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        """Ask for ``len(specs)`` machines. Returns those the cloud accepted, perhaps fewer:
        then as a ``PartialLaunch`` with the error that met the rest, or it counts as a lack of capacity.

        ``resource.offering`` says which of the resource's offers is wanted, where there are several; if the cloud can
        choose, it may take any of ``resource.any_of`` instead, and says which with each machine.

        Raises ``CapacityError``, ``QuotaError``, ``ThrottledError``, ``AuthError``, ``BadConfigError`` or
        ``TransientError`` only when *no* machine came into being, and ``UnknownOutcomeError`` whenever that is
        not certain (time-out after sending, connection lost, 5xx).
        """
        ...

    def terminate(self, instance_ids: Sequence[str]) -> None:
        """Ask for the end of these machines. Not there any more, or not ours: success without effect on strangers.

        Returning means "asked": the list shows when they are gone.
        """
        ...

    def console_tail(self, instance_id: str) -> str:
        """The last lines of the machine's console, at most 64 KiB; "" if there is none (yet)."""
        ...


@runtime_checkable
class AllOrNothing(Protocol):
    """What a cloud can besides whose API makes all machines of a request or none."""

    def launch_whole(
        self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]
    ) -> tuple[LaunchedInstance, ...]:
        """:meth:`Cloud.launch` for machines that are of use only together.

        Where there is no room for all of them, raises ``CapacityError`` or ``QuotaError``, and none came into being.
        """
        ...
