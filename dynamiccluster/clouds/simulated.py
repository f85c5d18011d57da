"""The cloud adapter of the embedded site."""

from __future__ import annotations

from collections.abc import Sequence

from dynamiccluster.embedded.machines import Machine
from dynamiccluster.embedded.site import Site
from dynamiccluster.embedded.tenancy import Tenancy
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.instance import Instance
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView


class SimulatedCloud:
    """Implements ``clouds/base`` on one tenancy of a :class:`~dynamiccluster.embedded.site.Site`. Always honest.

    ``idempotent``: whether a repeated ``launch_id`` brings the first call's machines back. ``tags_nodes``: whether
    each machine can carry its node id; otherwise the list shows only the launch id.
    """

    def __init__(
        self,
        site: Site,
        tenancy: str,
        clock: Clock,
        cluster_id: str,
        *,
        idempotent: bool = True,
        tags_nodes: bool = True,
    ) -> None:
        self.tenancy = tenancy
        self.idempotent = idempotent
        self._site = site
        self._clock = clock
        self._cluster_id = cluster_id
        self._tags_nodes = tags_nodes
        self._tenancy: Tenancy = site.tenancies[tenancy]

    def list_instances(self) -> CloudView:
        started_at = self._clock.now()
        with self._site.at(self._clock):
            machines = self._tenancy.machines.values()
            ours = tuple(self._instance(machine) for machine in machines if machine.cluster_id == self._cluster_id)
            strangers = sum(1 for machine in machines if machine.cluster_id != self._cluster_id and machine.exists)
            quota, notices = self._tenancy.quota(), tuple(self._tenancy.notices.values())
        now = self._clock.now()
        return CloudView(self.tenancy, started_at, now, ours, strangers, quota, self._tenancy.offers, notices)

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        return self._launch(launch_id, resource, specs, 1)

    def launch_whole(
        self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]
    ) -> tuple[LaunchedInstance, ...]:
        return self._launch(launch_id, resource, specs, len(specs))

    def _launch(
        self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec], least: int
    ) -> tuple[LaunchedInstance, ...]:
        with self._site.at(self._clock):
            machines = self._tenancy.launch(self._cluster_id, launch_id, resource, specs, self.idempotent, least)
            return tuple(
                LaunchedInstance(
                    machine.instance_id,
                    machine.node_id if self._tags_nodes else "",
                    machine.name,
                    machine.address,
                    machine.host_name,
                    machine.offering,
                )
                for machine in machines
            )

    def terminate(self, instance_ids: Sequence[str]) -> None:
        with self._site.at(self._clock):
            self._tenancy.terminate(self._cluster_id, instance_ids)

    def console_tail(self, instance_id: str) -> str:
        with self._site.at(self._clock):
            machine = self._tenancy.machines.get(instance_id)
            if machine is None or machine.cluster_id != self._cluster_id or not machine.running:
                return ""
            joined = "worker daemon registered" if machine.joined else "waiting for the worker daemon"
            return f"{machine.host_name} login: simulated console of {machine.resource}\n{joined}\n"

    def _instance(self, machine: Machine) -> Instance:
        if machine.picture is None:
            machine.picture = Instance(
                machine.instance_id,
                machine.state,
                machine.launch_id,
                machine.node_id if self._tags_nodes else "",
                machine.resource,
                machine.name,
                machine.host_name,
                machine.address,
                machine.created_at,
                fault=machine.fault,
                offering=machine.offering,
            )
        return machine.picture
