"""One project of one region of an OpenStack cloud."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.openstack.belongings import Belongings
from dynamiccluster.clouds.openstack.calls import OpenstackCalls
from dynamiccluster.clouds.openstack.catalogue import Catalogue, Use
from dynamiccluster.clouds.openstack.faults import Faults
from dynamiccluster.clouds.openstack.request_map import create_server
from dynamiccluster.clouds.openstack.server_map import (
    NOT_TOLD,
    SERVER_ID,
    cluster_of,
    metadata_of,
    resource_of,
    state_of,
    to_instance,
)
from dynamiccluster.clouds.userdata import Prepared, UserData
from dynamiccluster.errors import (
    BadConfigError,
    BusyError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.model.action import LaunchedInstance, NodeSpec, PartialLaunch
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView

log = logging.getLogger(__name__)

LAUNCH_FOR_S = 120.0
"""After this no further machine of a launch is asked for; with the last request it stays below the engine's 180 s."""

LIST_FOR_S = 60.0
MORE_FOR_S = 20.0
"""Beside the list a poll asks for faults and belongings, for ``MORE_FOR_S``. No request of these is begun more than
``LIST_FOR_S`` after the poll, so that it stays below the engine's 120 s. The rest is for the next one."""

_CONSOLE_LINES = 500
_CONSOLE_CHARACTERS = 65536


class OpenstackCloud:
    """Implements ``clouds/base``.

    ``configs``: the keys of each resource, by name. ``user_data``: their templates. Nova makes another server for each
    request, also for one with the name of a server that is there: a launch is looked for by its ``launch_id`` before
    it is repeated.

    One request per server: nova can make several at once, but names them itself, and tells the first one only.
    """

    idempotent = False

    def __init__(
        self,
        clock: Clock,
        cluster_id: str,
        tenancy: str,
        calls: OpenstackCalls,
        configs: Mapping[str, Mapping[str, Any]],
        user_data: Mapping[str, UserData],
    ) -> None:
        self.tenancy = tenancy
        self._clock = clock
        self._cluster_id = cluster_id
        self._calls = calls
        self._configs = dict(configs)
        self._user_data = dict(user_data)
        self._catalogue = Catalogue(calls, clock, tenancy, self._configs)
        self._faults = Faults(calls, clock)
        self._belongings = Belongings(calls, clock, cluster_id, self._catalogue, self._configs)

    def list_instances(self) -> CloudView:
        """No filter and no limit go with the list: nova drops filters that it does not know, and with a limit also the
        servers of cells that do not answer."""
        started_at, began = self._clock.now(), self._clock.monotonic()
        ours, strangers, listed = [], 0, []
        use = Use()
        for server in self._calls.pages("compute", "/servers/detail", "servers"):
            if server.get("status") == NOT_TOLD:
                raise TransientError("a cell of the cloud does not answer: its servers are listed without their names")
            listed.append(str(server["id"]))
            if state_of(server) is not InstanceState.GONE:
                use.count(server)
                strangers += cluster_of(server) != self._cluster_id
            if cluster_of(server) == self._cluster_id:
                ours.append(server)
        quota = self._catalogue.quota(use)
        completed_at = self._clock.now()
        until = min(self._clock.monotonic() + MORE_FOR_S, began + LIST_FOR_S)
        servers = self._faults.told(ours, until)
        self._belongings.tend(ours, listed, until)
        instances = tuple(self._instance(server) for server in servers)
        return CloudView(self.tenancy, started_at, completed_at, instances, strangers, quota, self._catalogue.offers())

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        self._belongings.acting = True
        for spec in specs:
            require_host_name(spec.host_name)
        config = self._configs.get(resource.name)
        if config is None:
            raise BadConfigError(f"{self.tenancy} has no resource {resource.name}")
        template = self._user_data[resource.name].prepare() if resource.name in self._user_data else None
        until = self._clock.monotonic() + LAUNCH_FOR_S
        ids = self._ids_for(config)
        made: list[LaunchedInstance] = []
        for spec in specs:
            if made and self._clock.monotonic() >= until:
                log.warning("%s: %d of %d machines: the cloud is slow", resource.name, len(made), len(specs))
                break
            try:
                made.append(self._request(launch_id, resource, config, spec, template, ids))
            except UnknownOutcomeError:
                raise
            except DynamicClusterError as error:
                if isinstance(error, BadConfigError):
                    self._catalogue.forget()
                if not made:
                    raise
                return PartialLaunch.because(error, made)
        return tuple(made)

    def terminate(self, instance_ids: Sequence[str]) -> None:
        """One request each. A server that refuses does not keep the others; its refusal is raised at the end."""
        self._belongings.acting = True
        refused: DynamicClusterError | None = None
        for instance_id in instance_ids:
            try:
                if self._is_ours(instance_id):
                    self._calls.send("compute", "DELETE", f"/servers/{instance_id}")
            except NotFoundError:
                continue
            except BusyError as error:  # locked, or in a state from which nova cannot delete yet
                refused = TransientError(str(error))
            except DynamicClusterError as error:
                refused = error
        if refused is not None:
            raise refused

    def console_tail(self, instance_id: str) -> str:
        question = {"os-getConsoleOutput": {"length": _CONSOLE_LINES}}
        try:
            if not self._is_ours(instance_id):
                return ""
            said = self._calls.send("compute", "POST", f"/servers/{instance_id}/action", question)
        except (NotFoundError, BusyError):
            return ""
        return str(said.get("output") or "")[-_CONSOLE_CHARACTERS:]

    def _request(
        self,
        launch_id: str,
        resource: Resource,
        config: Mapping[str, Any],
        spec: NodeSpec,
        template: Prepared | None,
        ids: Mapping[str, Any],
    ) -> LaunchedInstance:
        body = create_server(
            config,
            name=spec.host_name,
            metadata=metadata_of(
                self._cluster_id, launch_id, resource.name, resource.offering, spec, config["metadata"]
            ),
            user_data=template.render(launch_id, resource, spec) if template else "",
            **ids,
        )
        reply = self._calls.send("compute", "POST", "/servers", body, launching=True)
        server_id = reply.get("server", {}).get("id")
        if not server_id:
            raise UnknownOutcomeError("nova's reply names no server")
        return LaunchedInstance(str(server_id), spec.node_id, spec.host_name, "", spec.host_name, resource.offering)

    def _ids_for(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """What the request needs as ids."""
        try:
            return {
                "flavor": self._catalogue.flavor(config).flavor_id,
                "image": self._catalogue.image(config["image_uuid"]),
                "networks": [self._catalogue.network(name) for name in config["networks"]],
                "server_group": self._catalogue.server_group(config["server_group"]) if config["server_group"] else "",
            }
        except NotFoundError as error:  # of a whole list: the service is not what it should be
            raise BadConfigError(str(error)) from error

    def _instance(self, server: Mapping[str, Any]) -> Instance:
        config = self._configs.get(resource_of(server))
        if config is None:
            return to_instance(server)
        floating = self._belongings.floating_ip(str(server["id"])) if config["floating_network"] else None
        return to_instance(server, self._catalogue.labels(config), floating=floating)

    def _is_ours(self, instance_id: str) -> bool:
        """:raises NotFoundError: there is no such server."""
        if not SERVER_ID.fullmatch(instance_id):
            return False
        server = self._calls.get("compute", f"/servers/{instance_id}").get("server", {})
        return cluster_of(server) == self._cluster_id
