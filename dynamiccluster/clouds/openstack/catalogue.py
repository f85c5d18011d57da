"""Names of a project as ids, sizes of its flavors, and its quota."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dynamiccluster.clouds.openstack.calls import OpenstackCalls, Service
from dynamiccluster.clouds.openstack.flavor_map import Flavor, to_flavor
from dynamiccluster.clouds.openstack.server_map import SERVER_ID
from dynamiccluster.errors import AuthError, BadConfigError, DynamicClusterError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.view import Quota

log = logging.getLogger(__name__)

_FLAVORS_FOR_S = 3600.0
_NAMES_FOR_S = 3600.0
_TRY_AGAIN_S = 300.0
_NO_LIMIT = -1


@dataclass
class Use:
    """What the servers of a list use. Nova's own figures leave out those that it has accepted a moment ago."""

    instances: int = 0
    cores: int = 0
    memory_mib: int = 0

    def count(self, server: Mapping[str, Any]) -> None:
        flavor = server.get("flavor")
        self.instances += 1
        if isinstance(flavor, Mapping):  # before microversion 2.47 it is an id only
            self.cores += int(flavor.get("vcpus") or 0)
            self.memory_mib += int(flavor.get("ram") or 0)


class Catalogue:
    """Descriptions for the resources of one tenancy, asked seldom. What is known holds while they cannot be asked."""

    def __init__(
        self, calls: OpenstackCalls, clock: Clock, tenancy: str, configs: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._tenancy = tenancy
        self._configs = configs
        self._flavors: tuple[Flavor, ...] = ()
        self._flavors_until = 0.0
        self._ids: dict[tuple[str, str], tuple[float, str]] = {}
        self._labels: dict[str, str] = {}

    def offers(self) -> tuple[Offer, ...]:
        """One per resource whose flavor is known. OpenStack tells no prices."""
        if self._clock.monotonic() >= self._flavors_until:
            try:
                self._learn_flavors()
            except DynamicClusterError as error:
                log.warning("%s: flavors cannot be read, what is known holds: %s", self._tenancy, error)
                self._flavors_until = self._clock.monotonic() + _TRY_AGAIN_S
        found = []
        for name, config in self._configs.items():
            flavor = self._known(config)
            if flavor is not None:
                zone = config["availability_zone"] or ""
                found.append(
                    Offer(
                        name,
                        flavor.capacity,
                        gpu_type=flavor.gpu_type,
                        instance_type=flavor.name,
                        zone=zone,
                        billed=flavor.billed,
                    )
                )
        return tuple(found)

    def flavor(self, config: Mapping[str, Any]) -> Flavor:
        """The flavor of a resource.

        :raises BadConfigError: there is none of this name, or there are several.
        """
        found = self._known(config)
        if found is None:
            self._learn_flavors()
            found = self._known(config)
        if found is None:
            several = sum(flavor.name == config["flavor"] for flavor in self._flavors) > 1
            wanted = config["flavor_id"] or config["flavor"]
            raise BadConfigError(
                f"there are several flavors {wanted!r}: give flavor_id" if several else f"there is no flavor {wanted!r}"
            )
        return found

    def image(self, wanted: str) -> str:
        """Id of an image; of several with this name that of the newest.

        :raises BadConfigError: there is no such active image.
        """

        def ask() -> Iterable[Mapping[str, Any]]:
            found = self._calls.pages("image", "/images", "images", name=wanted, status="active")
            return sorted(found, key=lambda image: str(image.get("created_at", "")), reverse=True)[:1]

        return self._id("image", wanted, ask)

    def network(self, wanted: str) -> str:
        """Id of a network.

        :raises BadConfigError: there is none of this name, or there are several.
        """
        return self._id("network", wanted, lambda: self._calls.pages("network", "/networks", "networks", name=wanted))

    def server_group(self, wanted: str) -> str:
        """Id of a server group. Nova knows no filter for them."""
        path: tuple[Service, str, str] = ("compute", "/os-server-groups", "server_groups")
        return self._id(
            "server group", wanted, lambda: (one for one in self._calls.pages(*path) if one.get("name") == wanted)
        )

    def labels(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        """What servers call the resource's networks, where it has several to choose an address from."""
        return tuple(self._label(name) for name in config["networks"]) if len(config["networks"]) > 1 else ()

    def quota(self, use: Use | None = None) -> Quota:
        """The project's limits and use, by everybody. Servers in ERROR count, say nova's own figures.

        ``use``: by the servers of a list; what is more counts. Where a site's policy forbids the question, limits show
        when a launch is refused.
        """
        use = use or Use()
        try:
            limits = self._calls.get("compute", "/limits").get("limits", {}).get("absolute", {})
        except AuthError as error:
            log.warning("%s: the limits may not be asked for: %s", self._tenancy, error)
            return Quota(used_instances=use.instances, used_cores=use.cores, used_memory_mib=use.memory_mib)
        return Quota(
            _limit(limits.get("maxTotalInstances")),
            max(int(limits.get("totalInstancesUsed") or 0), use.instances),
            _limit(limits.get("maxTotalCores")),
            max(int(limits.get("totalCoresUsed") or 0), use.cores),
            _limit(limits.get("maxTotalRAMSize")),
            max(int(limits.get("totalRAMUsed") or 0), use.memory_mib),
        )

    def forget(self) -> None:
        """After a refusal that an id which stands for something else by now may have caused."""
        self._ids.clear()
        self._flavors_until = 0.0

    def _known(self, config: Mapping[str, Any]) -> Flavor | None:
        if config["flavor_id"]:
            found = [flavor for flavor in self._flavors if flavor.flavor_id == config["flavor_id"]]
        else:
            found = [flavor for flavor in self._flavors if flavor.name == config["flavor"]]
            found = found or [flavor for flavor in self._flavors if flavor.flavor_id == config["flavor"]]
        return found[0] if len(found) == 1 else None

    def _label(self, network: str) -> str:
        if not SERVER_ID.fullmatch(network.lower()):
            return network
        if network not in self._labels:
            try:
                told = self._calls.get("network", f"/networks/{network}").get("network", {})
            except DynamicClusterError as error:
                log.warning("%s: network %s cannot be read: %s", self._tenancy, network, error)
                return network
            self._labels[network] = str(told.get("name", ""))
        return self._labels[network]

    def _learn_flavors(self) -> None:
        self._flavors = tuple(to_flavor(one) for one in self._calls.pages("compute", "/flavors/detail", "flavors"))
        self._flavors_until = self._clock.monotonic() + _FLAVORS_FOR_S

    def _id(self, kind: str, wanted: str, ask: Callable[[], Iterable[Mapping[str, Any]]]) -> str:
        if SERVER_ID.fullmatch(wanted.lower()):
            return wanted
        now = self._clock.monotonic()
        until, found = self._ids.get((kind, wanted), (0.0, ""))
        if now < until:
            return found
        ids = sorted({str(one["id"]) for one in ask() if one.get("name") == wanted})
        if len(ids) != 1:
            raise BadConfigError(
                f"there are several of the name {wanted!r} ({kind}): give the id" if ids else f"no {kind} {wanted!r}"
            )
        self._ids[kind, wanted] = (now + _NAMES_FOR_S, ids[0])
        return ids[0]


def _limit(value: object) -> int | None:
    return value if isinstance(value, int) and value != _NO_LIMIT else None
