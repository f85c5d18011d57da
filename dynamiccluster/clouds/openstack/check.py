"""What launches of a resource need, looked at without launching: for ``check-cloud``. Nova has no rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from dynamiccluster.clouds.openstack.calls import OpenstackCalls
from dynamiccluster.clouds.openstack.catalogue import Catalogue
from dynamiccluster.clouds.openstack.flavor_map import Flavor
from dynamiccluster.clouds.openstack.request_map import encoded
from dynamiccluster.clouds.unreached import Advice, unreached
from dynamiccluster.clouds.userdata import user_data
from dynamiccluster.errors import AuthError, BadConfigError, DynamicClusterError, NotFoundError, TransientError
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.wording import amount

ADVICE = Advice(
    address="See auth_url (for another service than Keystone: region_name and interface)",
    certificate="Name the PEM file of your authority in ca_file, or have the certificate mended",
    proxy="See the variable https_proxy, and no_proxy, of this user and of the service",
)

Look = Callable[[], str]
"""Says what is there. Raises :class:`BadConfigError` where something is wrong, and the errors of the calls."""


def check(
    resource: Resource,
    config: Mapping[str, Any],
    cluster_id: str,
    clock: Clock | None = None,
    calls: OpenstackCalls | None = None,
) -> Iterator[Finding]:
    """Findings on one resource, the credentials first: without them there is nothing more to ask."""
    looks = _Looks(resource, config, cluster_id, clock or SystemClock(), calls or OpenstackCalls(config))
    try:
        yield Finding("credentials", FindingState.OK, looks.credentials())
    except DynamicClusterError as error:
        where = str(config["auth_url"] or f"the auth_url of {config['os_cloud']} in clouds.yaml")
        yield unreached(error, where, ADVICE) or _not_let_in(error)
        return
    for subject, look, fix in looks.everything():
        yield _found(subject, look, fix)


class _Looks:
    def __init__(
        self, resource: Resource, config: Mapping[str, Any], cluster_id: str, clock: Clock, calls: OpenstackCalls
    ) -> None:
        self._resource = resource
        self._config = config
        self._cluster_id = cluster_id
        self._calls = calls
        self._catalogue = Catalogue(calls, clock, resource.tenancy, {resource.name: config})
        self._flavor: Flavor | None = None

    def everything(self) -> Iterator[tuple[str, Look, str]]:
        config = self._config
        yield f"flavor {config['flavor_id'] or config['flavor']}", self._size, "openstack flavor list"
        yield f"image {config['image_uuid']}", self._image, "openstack image list"
        if not config["networks"]:
            yield "network", self._only_network, "Name the networks (networks)"
        for name in config["networks"]:
            yield f"network {name}", partial(self._network, name), "openstack network list"
        if config["floating_network"]:
            yield f"network {config['floating_network']}", self._floating, "openstack network list --external"
        for name in config["security_groups"]:
            yield f"security group {name}", partial(self._group, name), "openstack security group list"
        if config["key_name"]:
            yield f"key pair {config['key_name']}", self._key, "openstack keypair list"
        if config["availability_zone"]:
            yield f"zone {config['availability_zone']}", self._zone, "openstack availability zone list"
        if config["server_group"]:
            yield f"server group {config['server_group']}", self._server_group, "openstack server group list"
        if config["boot_volume_gb"]:
            yield "boot volume", self._volumes, "boot_volume_gb: 0 boots from the flavor's own disk"
        yield "quota", self._quota, "Ask the cloud's operators for more, or end machines that nobody needs"
        if config["userdata_file"]:
            yield "user data", self._script, "See docs/clouds/user-data.md"

    # -- one look each -----------------------------------------------------------------------------------------------

    def credentials(self) -> str:
        self._calls.get("compute", "/flavors", limit=1)
        return f"accepted, for {self._config['project'] or self._config['os_cloud'] or 'the project they belong to'}"

    def _size(self) -> str:
        self._flavor = self._catalogue.flavor(self._config)
        has, wanted = self._flavor.capacity, self._resource.capacity
        if wanted.cores > self._flavor.vcpus or wanted.memory_mib > self._flavor.memory_mib:
            raise BadConfigError(
                f"has {self._flavor.vcpus} cores and {self._flavor.memory_mib} MiB, less than the configured capacity"
            )
        return f"{amount(has.cores, 'core')}, {has.memory_mib} MiB, {amount(has.gpus, 'GPU')} for jobs"

    def _image(self) -> str:
        image = self._calls.get("image", f"/images/{self._catalogue.image(self._config['image_uuid'])}")
        if image.get("status") != "active":
            raise BadConfigError(f"is {image.get('status')}, not active")
        disk_gb = self._config["boot_volume_gb"] or (self._flavor.disk_gb if self._flavor else 0)
        if disk_gb and int(image.get("min_disk") or 0) > disk_gb:
            raise BadConfigError(f"needs a disk of {image['min_disk']} GB, there are {disk_gb}")
        if self._flavor and int(image.get("min_ram") or 0) > self._flavor.memory_mib:
            raise BadConfigError(f"needs {image['min_ram']} MiB, the flavor has {self._flavor.memory_mib}")
        return str(image.get("name") or image.get("id"))

    def _only_network(self) -> str:
        usable = [
            one for one in self._calls.pages("network", "/networks", "networks") if not one.get("router:external")
        ]
        if len(usable) > 1:
            raise BadConfigError(f"there are {len(usable)} that nova could take, and it does not choose")
        return str(usable[0].get("name")) if usable else "none yet: neutron is asked to make one"

    def _network(self, name: str) -> str:
        network = self._calls.get("network", f"/networks/{self._catalogue.network(name)}").get("network", {})
        return f"{network.get('name')}, {amount(len(network.get('subnets') or ()), 'subnet')}"

    def _floating(self) -> str:
        wanted = self._catalogue.network(self._config["floating_network"])
        network = self._calls.get("network", f"/networks/{wanted}").get("network", {})
        if not network.get("router:external"):
            raise BadConfigError("is no external network, so it has no floating IPs")
        return "external"

    def _group(self, name: str) -> str:
        known = self._calls.pages("network", "/security-groups", "security_groups")
        found = [one for one in known if name in (one.get("name"), one.get("id"))]
        if len(found) != 1:
            raise BadConfigError("there are several of this name: give the id" if found else "there is none")
        return "there"

    def _key(self) -> str:
        self._calls.get("compute", f"/os-keypairs/{self._config['key_name']}")
        return "there"

    def _zone(self) -> str:
        zones = self._calls.get("compute", "/os-availability-zone").get("availabilityZoneInfo", ())
        for zone in zones:
            if zone.get("zoneName") == self._config["availability_zone"]:
                if not zone.get("zoneState", {}).get("available"):
                    raise TransientError("is not available at the moment")
                return "available"
        raise BadConfigError(f"there are {', '.join(sorted(str(zone.get('zoneName')) for zone in zones))}")

    def _server_group(self) -> str:
        return self._catalogue.server_group(self._config["server_group"])

    def _volumes(self) -> str:
        if not self._calls.has("block-storage"):
            raise BadConfigError("the cloud has no volumes")
        wanted = self._config["boot_volume_type"]
        if wanted and wanted not in {
            one.get("name") for one in self._calls.pages("block-storage", "/types", "volume_types")
        }:
            raise BadConfigError(f"there is no type {wanted!r}")
        return f"{self._config['boot_volume_gb']} GB" + (f" of {wanted}" if wanted else "")

    def _quota(self) -> str:
        quota, flavor = self._catalogue.quota(), self._flavor
        rows = (
            ("instances", quota.max_instances, quota.used_instances, 1),
            ("cores", quota.max_cores, quota.used_cores, flavor.vcpus if flavor else 0),
            ("MiB", quota.max_memory_mib, quota.used_memory_mib, flavor.memory_mib if flavor else 0),
        )
        full = [f"{used} of {most} {unit}" for unit, most, used, one in rows if most is not None and used + one > most]
        if full:
            raise BadConfigError(f"no room for one more: in use are {', '.join(full)}")
        said = [f"{used} of {most} {unit}" for unit, most, used, _ in rows if most is not None]
        return f"in use: {', '.join(said)}" if said else "no limits"

    def _script(self) -> str:
        template = user_data(self._config, self._cluster_id)
        if template is None:
            return "none"
        script = template.prepare().render("example", self._resource, NodeSpec("example", "example-1"))
        return f"{len(encoded(script))} characters as sent"


def _not_let_in(error: DynamicClusterError) -> Finding:
    """Somebody answered, and did not let us in."""
    match error:
        case AuthError():
            fix = "Check username, password, project and domains (or the application credential): openstack token issue"
            return Finding("credentials", FindingState.DENIED, str(error), fix)
        case BadConfigError():
            fix = "Check region_name and interface: openstack catalog list"
            return Finding("credentials", FindingState.WRONG, str(error), fix)
        case NotFoundError():
            fix = "See auth_url: it is Keystone's address, and usually ends in /v3"
            return Finding("credentials", FindingState.WRONG, str(error), fix)
    fix = "If it lasts, see that auth_url is Keystone's address (it usually ends in /v3), or ask the cloud's operators"
    return Finding("credentials", FindingState.WRONG, str(error), fix)


def _found(subject: str, look: Look, fix: str) -> Finding:
    try:
        return Finding(subject, FindingState.OK, look())
    except (BadConfigError, NotFoundError) as error:
        return Finding(subject, FindingState.WRONG, str(error), fix)
    except AuthError as error:
        return Finding(subject, FindingState.DENIED, str(error), fix)
    except DynamicClusterError as error:
        return Finding(subject, FindingState.UNKNOWN, str(error), "Try again later")
