"""The service beside a real nova and the Torque double. Nova's fake hosts run nothing: servers are given bodies."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rounds.service import Machine, Service, kind

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.testing.openstack_bed import OpenstackBed, Server

CLUSTER = "dynamiccluster:cluster"
RESOURCE = "dynamiccluster:resource"
NODE = "dynamiccluster:node"
CORES, MEMORY_MIB = 2, 2000
_LOOK_AGAIN_S = 1.0
_START_LIMIT_S = 120.0


def resources(most: int, **more: Any) -> dict[str, dict[str, Any]]:
    """One resource of nodes with :data:`CORES`. ``more``: keys of its ``config:``."""
    return {"small": kind(CORES, MEMORY_MIB, most, **({"config": more} if more else {}))}


class Bodies:
    """What runs on the servers of one cluster: a worker daemon each, from when nova says ACTIVE until it is gone."""

    def __init__(self, nova: OpenstackBed, cluster_id: str, worker_command: list[str]) -> None:
        self._nova = nova
        self._cluster_id = cluster_id
        self._command = worker_command
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="bodies", daemon=True)

    def __enter__(self) -> Bodies:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)
        for process in self._running.values():
            self._end(process)

    def _live(self) -> None:
        while not self._over.wait(_LOOK_AGAIN_S):
            with contextlib.suppress(DynamicClusterError, OSError):  # nova or neutron is away on purpose
                self._follow([one for one in self._nova.servers() if one.metadata.get(CLUSTER) == self._cluster_id])

    def _follow(self, servers: list[Server]) -> None:
        there = {one.server_id: one for one in servers if one.status == "ACTIVE" and not one.ended}
        for server_id in self._running.keys() - there.keys():
            self._end(self._running.pop(server_id))
        for server_id in there.keys() - self._running.keys():
            values = {"name": there[server_id].name, "cores": CORES, "memory_mib": MEMORY_MIB, "features": ""}
            argv = [word.format_map(values) for word in self._command]
            self._running[server_id] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        """As a machine that is destroyed: without a word."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(30)


@dataclass
class OpenstackService(Service):
    """One installation; its machines are nova's."""

    nova: OpenstackBed = field(kw_only=True)
    earlier: frozenset[str] = frozenset()  # ids of servers of earlier tests
    look_again_s: ClassVar[float] = 1.0  # each look is work for nova's two cores, too

    def __post_init__(self) -> None:
        super().__post_init__()
        self.earlier = frozenset(one.server_id for one in self.nova.ever())

    def start(self, die_at: str = "", nth: int = 1, wait: bool = True) -> None:
        """Nova takes both cores of a small machine, so that the service takes its time to begin."""
        super().start(die_at, nth, wait=False)
        if wait and not die_at:
            self.until(self.is_ready, _START_LIMIT_S, "the service answers")

    def servers(self, *, ever: bool = False) -> list[Server]:
        """Those of this installation: by metadata, or by name in nova's books of what was deleted."""
        if not ever:
            return [one for one in self.nova.servers() if one.metadata.get(CLUSTER) == self.cluster_id]
        prefix = f"{self.cluster_id}-"
        return [one for one in self.nova.ever() if one.name.startswith(prefix) and one.server_id not in self.earlier]

    @property
    def machines(self) -> list[Machine]:
        """All that there ever were."""
        return [
            Machine(one.server_id, one.metadata.get(NODE, ""), one.name, "small", 0.0, 0.0 if one.ended else None, 0)
            for one in self.servers(ever=True)
        ]

    @property
    def living(self) -> list[str]:
        return sorted(one.name for one in self.servers() if not one.ended)

    def leftovers(self) -> dict[str, object]:
        ports = {"servers": [one.name for one in self.servers()], "ports": self.nova.ports()}
        return super().leftovers() | {what: there for what, there in ports.items() if there}

    def _document(self) -> dict[str, Any]:
        document = super()._document()
        document["dynamic-cluster"]["max_launch_time"] = 300  # two cores may be busy with more than this
        document["dynamic-cluster"]["timers"] = {"boot_s": 240, "down_hard_s": 10}
        document["dynamic-cluster"]["cloud_poller_interval"] = 2
        for name, own in self.resources.items():
            prefix = {"instance_name_prefix": self.cluster_id}
            config = self.nova.config(**prefix, **own.get("config", {}))
            document["cloud"][name] = own | {"type": "openstack", "tenancy": "nova", "config": config}
        return document


@contextmanager
def alive(service: OpenstackService) -> Iterator[OpenstackService]:
    """Its servers have bodies; afterwards none of it is left, whatever happened."""
    with Bodies(service.nova, service.cluster_id, list(service.bed.facts["worker_command"])):
        try:
            yield service
        finally:
            service.kill()
            with contextlib.suppress(DynamicClusterError):
                service.bed.cancel(*service.waiting_or_running())
                for host in service.bed.hosts():
                    service.bed.forget_host(host)
            service.nova.sweep()
