"""What servers have beside themselves: floating IPs, ports and volumes. Given, labelled, and swept when left behind.

Nova makes ports and boot volumes without a word of whose they are, and now and then leaves one behind when a server
ends. While a port or volume is at a server of ours it is labelled as ours with that server's id, if nova made it for
that server; a floating IP is labelled in the request that makes it. What bears the label of a server that is gone is
deleted, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynamiccluster.clouds.openstack.calls import OpenstackCalls, Service
from dynamiccluster.clouds.openstack.catalogue import Catalogue
from dynamiccluster.clouds.openstack.server_map import has_floating, resource_of, seconds, state_of
from dynamiccluster.errors import DynamicClusterError, NotFoundError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.instance import InstanceState

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 300.0
"""Between two looks for things left behind; sooner while some are waiting to be deleted."""

LEFT_FOR_S = 120.0
"""Nova takes ports and volumes away some seconds after the server has left its list."""

YOUNG_S = 900.0
"""So long after a server ran for the first time its launch is finished, also by a service that has done nothing yet:
one that was restarted in the middle. Machines that have been without a floating IP for longer keep to that: somebody
took it away."""

BUILT_IN_S = 600.0
"""How long nova makes ports for a server of which it does not tell when it ran for the first time."""

SLACK_S = 60.0
"""By how much the clocks of nova and neutron may differ."""

_LABEL = "dynamiccluster:label"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing: where its list is, and what is true of one that nothing uses."""

    service: Service
    listed: str
    path: str
    key: str


PORTS = Kind("network", "/ports", "/ports", "ports")
FLOATING = Kind("network", "/floatingips", "/floatingips", "floatingips")
VOLUMES = Kind("block-storage", "/volumes/detail", "/volumes", "volumes")


class _OverError(Exception):
    """The time that a poll has for this is over."""


class Belongings:
    """Of the servers of one tenancy. ``configs``: the keys of each resource.

    What is remembered saves questions only: after a restart it is found again. Before ``acting`` is set nothing is
    deleted, and nothing given or labelled but at servers whose launch has just ended: a service that only observes has
    none, and changes nothing.
    """

    def __init__(
        self,
        calls: OpenstackCalls,
        clock: Clock,
        cluster_id: str,
        catalogue: Catalogue,
        configs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._cluster_id = cluster_id
        self._catalogue = catalogue
        self._configs = configs
        self.acting = False
        self._labelled: set[str] = set()
        self._addresses: dict[str, str] = {}
        self._left: dict[str, float] = {}
        self._sweep_at = 0.0
        self._rest_until = 0.0
        self._until = 0.0

    def tend(self, ours: Sequence[Mapping[str, Any]], listed: Iterable[str], until: float) -> None:
        """Look after the belongings. ``ours``: our servers; ``listed``: the ids of all servers of a complete list.

        ``until``: no request is begun later, by the monotonic clock. What is not done is done at the next poll.

        Never raises for the cloud's sake: a list of servers is good without. After a failure there is a rest.
        """
        now = self._clock.monotonic()
        if now < self._rest_until:
            return
        self._until = until
        living = set(listed)
        self._labelled &= living
        self._addresses = {server_id: known for server_id, known in self._addresses.items() if server_id in living}
        try:
            for server in self._ready(ours):
                if young := self._is_young(server):
                    self._give_address(server)
                if young or self.acting:
                    self._label(server)
            if self.acting and now >= self._sweep_at:
                self._sweep(living, now)
        except _OverError:
            return
        except DynamicClusterError as error:
            log.warning("ports, volumes and floating IPs cannot be looked after now: %s", error)
            self._rest_until = now + LEFT_FOR_S

    def floating_ip(self, server_id: str) -> str:
        """What neutron says of a server that was given one, as nova's picture of its addresses can be old; or ""."""
        return self._addresses.get(server_id, "")

    def _ready(self, ours: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for server in ours:
            if state_of(server) in (InstanceState.ACTIVE, InstanceState.ERROR):
                yield server

    def _is_young(self, server: Mapping[str, Any]) -> bool:
        since = seconds(server.get("OS-SRV-USG:launched_at")) or seconds(server.get("created"))
        return not since or self._clock.now() - since < YOUNG_S

    def _made_for(self, server: Mapping[str, Any], port: Mapping[str, Any]) -> bool:
        """Whether nova made this port when it built the server, as opposed to a person who attached it later.

        Nova names no ports. Where neutron does not tell when it was made, it is nova's while nobody has had the time.
        """
        made, created = seconds(port.get("created_at")), seconds(server.get("created"))
        if port.get("name"):
            return False
        if not made or not created:
            return self._is_young(server)
        ran = seconds(server.get("OS-SRV-USG:launched_at")) or created + BUILT_IN_S
        return created - SLACK_S <= made <= ran + SLACK_S

    # -- given and labelled ----------------------------------------------------------------------------------------

    def _give_address(self, server: Mapping[str, Any]) -> None:
        """A floating IP for a server that is to have one. One whose reply was lost is found at its port."""
        config = self._configs.get(resource_of(server), {})
        wanted = config.get("floating_network")
        server_id = str(server["id"])
        if not wanted or state_of(server) is not InstanceState.ACTIVE:
            return
        if server_id in self._addresses or has_floating(server):
            return
        ports = self._ports_of(server_id)
        if not ports:
            return
        inside = self._catalogue.network(config["networks"][0]) if config["networks"] else ""
        port_id = str(next((port for port in ports if port.get("network_id") == inside), ports[0])["id"])
        every = self._in_time().pages("network", "/floatingips", "floatingips", port_id=port_id)
        known = [one for one in every if one.get("port_id") == port_id]
        if not known:
            address = {
                "floating_network_id": self._catalogue.network(wanted),
                "port_id": port_id,
                "description": self._label_of(server_id),
            }
            made = self._in_time().send("network", "POST", "/floatingips", {"floatingip": address})
            known = [made.get("floatingip", {})]
        self._addresses[server_id] = str(known[0].get("floating_ip_address") or "")

    def _label(self, server: Mapping[str, Any]) -> None:
        server_id = str(server["id"])
        if server_id in self._labelled:
            return
        label = self._label_of(server_id)
        for port in self._ports_of(server_id):
            if not port.get("description") and self._made_for(server, port):
                self._in_time().send("network", "PUT", f"/ports/{port['id']}", {"port": {"description": label}})
        for volume in server.get("os-extended-volumes:volumes_attached") or ():
            if volume.get("delete_on_termination"):
                self._in_time().send(
                    "block-storage", "POST", f"/volumes/{volume['id']}/metadata", {"metadata": {_LABEL: label}}
                )
        self._labelled.add(server_id)

    def _ports_of(self, server_id: str) -> list[Mapping[str, Any]]:
        """Compared here, too: a filter that is not understood filters nothing."""
        every = self._in_time().pages("network", "/ports", "ports", device_id=server_id)
        return [port for port in every if port.get("device_id") == server_id]

    def _in_time(self) -> OpenstackCalls:
        """For one request.

        :raises _OverError: there is no time left for it.
        """
        if self._clock.monotonic() >= self._until:
            raise _OverError
        return self._calls

    def _label_of(self, server_id: str) -> str:
        return f"dynamiccluster:{self._cluster_id}:{server_id}"

    # -- swept -----------------------------------------------------------------------------------------------------

    def _sweep(self, living: set[str], now: float) -> None:
        seen: set[str] = set()
        for kind in (PORTS, FLOATING, VOLUMES):
            for thing in self._things(kind):
                thing_id, server_id = str(thing["id"]), self._last_server(thing)
                if not server_id or server_id in living or not _unused(kind, thing, server_id):
                    continue
                seen.add(thing_id)
                since = self._left.setdefault(thing_id, now)
                if now - since >= LEFT_FOR_S and not self._exists(server_id):
                    log.warning("%s %s was left behind by server %s: deleted", kind.key, thing_id, server_id)
                    self._delete(kind, thing_id)
                    seen.discard(thing_id)
        self._left = {thing_id: since for thing_id, since in self._left.items() if thing_id in seen}
        self._sweep_at = now + (LEFT_FOR_S / 2 if self._left else SWEEP_EVERY_S)

    def _things(self, kind: Kind) -> list[Mapping[str, Any]]:
        if kind is VOLUMES and not self._calls.has("block-storage"):
            return []
        try:
            return list(self._in_time().pages(kind.service, kind.listed, kind.key))
        except NotFoundError:  # a cloud without routers has no floating IPs
            return []

    def _last_server(self, thing: Mapping[str, Any]) -> str:
        """The server that a label of ours names; "" = not labelled by us."""
        metadata = thing.get("metadata")
        label = str(metadata.get(_LABEL, "")) if isinstance(metadata, Mapping) else ""
        label = label or str(thing.get("description") or "")
        before = f"dynamiccluster:{self._cluster_id}:"
        return label.removeprefix(before) if label.startswith(before) else ""

    def _exists(self, server_id: str) -> bool:
        """The second witness: nova itself, asked for this one."""
        try:
            self._in_time().get("compute", f"/servers/{server_id}")
        except NotFoundError:
            return False
        return True

    def _delete(self, kind: Kind, thing_id: str) -> None:
        try:
            self._in_time().send(kind.service, "DELETE", f"{kind.path}/{thing_id}")
        except NotFoundError:
            return


def _unused(kind: Kind, thing: Mapping[str, Any], server_id: str) -> bool:
    """Whether nothing but the server that is gone has it. Somebody may have put it to another use."""
    if kind is PORTS:
        return thing.get("device_id") in ("", server_id) and not thing.get("name")
    if kind is FLOATING:
        return not thing.get("port_id")
    return thing.get("status") in ("available", "error") and not thing.get("attachments")
