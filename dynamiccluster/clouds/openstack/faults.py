"""Why servers are in ERROR, where nova's list does not say."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from dynamiccluster.clouds.openstack.calls import OpenstackCalls
from dynamiccluster.clouds.openstack.server_map import state_of
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.instance import InstanceState

log = logging.getLogger(__name__)

MOST_ASKED = 40
"""Servers asked for in one poll, at some 0.1 s each; the others follow."""


class Faults:
    """Nova's list knows the faults of one database only (nova 31, 2026-11-20): a server for which there was no valid
    host lives in another one and is listed in ERROR without a fault, for ever. Asked for by its id it has it.
    """

    def __init__(self, calls: OpenstackCalls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._known: dict[str, Mapping[str, Any]] = {}

    def told(self, servers: Iterable[Mapping[str, Any]], until: float) -> list[Mapping[str, Any]]:
        """The servers, those in ERROR with their fault as far as nova tells. Each is asked for once; never raises.

        ``until``: nobody is asked any more then, by the monotonic clock.
        """
        found: list[Mapping[str, Any]] = []
        living: set[str] = set()
        asked = 0
        for server in servers:
            server_id = str(server["id"])
            if state_of(server) is not InstanceState.ERROR or server.get("fault"):
                found.append(server)
                continue
            fault = self._known.get(server_id)
            living.add(server_id)
            if fault is None and asked < MOST_ASKED and self._clock.monotonic() < until:
                asked += 1
                fault = self._asked(server_id)
            if fault is not None:
                self._known[server_id] = fault
            found.append({**server, "fault": fault} if fault else server)
        self._known = {server_id: fault for server_id, fault in self._known.items() if server_id in living}
        return found

    def _asked(self, server_id: str) -> Mapping[str, Any] | None:
        try:
            fault = self._calls.get("compute", f"/servers/{server_id}").get("server", {}).get("fault")
        except DynamicClusterError as error:
            log.warning("the fault of server %s cannot be read: %s", server_id, error)
            return None
        return fault if isinstance(fault, Mapping) else {}
