"""An OpenStack that behaves: Keystone, nova, neutron, glance and cinder of one project in a loopback server.

As recorded in ``tests/recorded/openstack``, in the texts of its refusals too:

* BUILD for ``boot_s``, ACTIVE/deleting for ``stop_s``, then gone; those of ``t.impossible`` and zone ``az-broken`` end
  in ERROR; all of them count against the quota until they are deleted;
* with ``burst`` the quota is asked about servers that are built only: 202, and ERROR later;
* pages of ``page`` servers; filters that nova does not know, metadata among them, filter nothing;
* tokens that expire or are revoked; faults by method and path: a status, or a reply that is lost after success.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from nova_neighbours import (
    GROUP,
    IMAGE,
    NETWORK,
    PROJECT,
    Answer,
    Neighbours,
    RefusedError,
    keystone_version,
    recorded,
    stamp,
    versions,
)
from werkzeug.serving import WSGIRequestHandler, make_server

FLAVORS = {
    "t.nano": (1, 2048, {}),
    "t.gpu": (8, 65536, {"pci_passthrough:alias": "a100:2"}),
    "t.impossible": (99, 64, {}),
}
FLAVOR_IDS = {name: str(uuid.UUID(int=100 + number)) for number, name in enumerate(FLAVORS)}
NOVA_DOWN_CELL = {"status": "UNKNOWN", "tenant_id": PROJECT, "links": []}
Start = Callable[..., Any]
_AFTERWARDS = ("lost", "hang", "half", "stale")


@dataclass
class Fault:
    """What happens instead. ``says``: a recording's name, a status (with a text), or

    ``lost``, ``hang``: done, and the reply never comes, or after ``hang_s``; of lists also ``half`` (a first page, and
    no second one) and ``stale`` (the one before).
    """

    method: str
    path: str  # regular expression
    says: str | int | tuple[int, str]
    times: int = 1_000_000
    after: int = 0  # calls that go well before


@dataclass
class NovaSite(Neighbours):
    """Settings and what happened. Safe to change while the server runs."""

    boot_s: float = 0.0
    stop_s: float = 0.0
    most: int = -1
    burst: bool = False
    stuck: bool = False  # nova-scheduler or nova-compute is down: BUILD for ever
    page: int = 1000
    microversion: str = "2.100"
    silent_cell: bool = False
    circles: bool = False  # pages have no end: each is the first
    old_addresses: bool = False  # nova has not heard of floating IPs
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    now: Callable[[], float] = time.time
    hang_s: float = 0.0
    made: int = 0
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._last_list: Answer = (200, {"servers": []})

    def living(self) -> set[str]:
        """Ids of the servers that are there and were not told to end."""
        with self._lock:
            return {server_id for server_id, server in self.servers.items() if "_ended" not in server}

    def _spoilt(self, answer: Answer, query: Mapping[str, str], how: object) -> Answer:
        if how == "stale":
            return self._last_list
        if answer[0] != 200:
            return answer
        servers = answer[1]["servers"]
        href = f"{self.url}/compute/v2.1/servers/detail?marker=x"
        first = servers[: len(servers) // 2 + 1]
        return 200, {"servers": first, "servers_links": [{"rel": "next", "href": href}]}

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        with self._lock:
            self.asked.append((method, path))
            fault = self._fault(method, path)
            if fault is not None and fault.says not in _AFTERWARDS:
                return self._send(start, _said(fault.says))
            try:
                answer = self._answer(method, path, query, json.loads(body) if body else None, environ)
            except RefusedError as refused:
                answer = refused.answer
        if fault is not None and fault.says in ("half", "stale"):
            answer = self._spoilt(answer, query, fault.says)
        elif path.endswith("/servers/detail"):
            self._last_list = answer
        if fault is not None and fault.says == "hang":
            time.sleep(self.hang_s)
        if fault is not None and fault.says == "lost":
            with contextlib.suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return self._send(start, answer)

    def _answer(self, method: str, path: str, query: dict[str, str], body: Any, environ: dict[str, Any]) -> Answer:
        _, service, *rest = path.split("/")
        below = "/".join(part for part in rest if part)
        if service == "identity":
            if below == "v3/auth/tokens":
                return self.keystone(body)
            return 200, {"version": keystone_version(self.url)}
        root = {"compute": "v2.1", "network": "v2.0", "image": "v2", "volume": f"v3/{PROJECT}"}[service]
        if not below.startswith(root) or below == root:
            return 200, versions(self.url, service, root, self.microversion)
        if environ.get("HTTP_X_AUTH_TOKEN") not in self.tokens:
            raise RefusedError(401, "error", "The request you have made requires authentication.")
        below = below.removeprefix(root).strip("/")
        if service == "compute":
            self._pass_time()
            version = environ.get("HTTP_OPENSTACK_API_VERSION", "compute 2.1").split()[-1]
            if tuple(map(int, version.split("."))) > tuple(map(int, self.microversion.split("."))):
                return recorded("exc_microversion_too_high")
            return self._nova(method, below, query, body, version)
        return self.others(method, f"{service}/{below}", query, body)

    # -- nova ----------------------------------------------------------------------------------------------------

    def _nova(self, method: str, path: str, query: dict[str, str], body: Any, version: str) -> Answer:
        match method, path.split("/"):
            case "GET", ["servers", "detail"]:
                return 200, self._listed(query, version)
            case "POST", ["servers"]:
                return 202, {"server": self._create(body)}
            case "GET", ["limits"]:
                return 200, {"limits": {"rate": [], "absolute": self._limits()}}
            case "GET", ["flavors"]:
                return 200, {"flavors": [{"id": FLAVOR_IDS[name], "name": name} for name in FLAVORS]}
            case "GET", ["flavors", "detail"]:
                return 200, {"flavors": [_flavor(name) for name in FLAVORS]}
            case "GET", ["os-server-groups"]:
                return 200, {"server_groups": [{"id": GROUP, "name": "spread", "policy": "soft-anti-affinity"}]}
            case "GET", ["os-keypairs", "scaler"]:
                return 200, {"keypair": {"name": "scaler"}}
            case "GET", ["os-availability-zone"]:
                zones = [{"zoneName": name, "zoneState": {"available": True}} for name in ("az1", "az-broken")]
                zones.append({"zoneName": "az-off", "zoneState": {"available": False}})
                return 200, {"availabilityZoneInfo": zones}
            case "GET", ["servers", server_id]:
                return 200, {"server": self._shown(self._server(server_id))}
            case "DELETE", ["servers", server_id]:
                self._server(server_id).setdefault("_ended", self.now())
                return 204, None
            case "POST", ["servers", server_id, "action"]:
                server = self._server(server_id)
                return 200, {"output": f"{server['name']} login: \n"}
        raise RefusedError(404, "itemNotFound", "The resource could not be found.")

    def _server(self, server_id: str) -> dict[str, Any]:
        if server_id not in self.servers:
            raise RefusedError(404, "itemNotFound", f"Instance {server_id} could not be found.")
        return self.servers[server_id]

    def _create(self, body: Any) -> dict[str, Any]:
        self.bodies.append(body)
        asked = body["server"]
        flavor = next((name for name, id_ in FLAVOR_IDS.items() if id_ == asked["flavorRef"]), None)
        if flavor is None:
            raise RefusedError(400, "badRequest", f"Flavor {asked['flavorRef']} could not be found.")
        image = asked.get("imageRef") or asked["block_device_mapping_v2"][0]["uuid"]
        for right, text in (
            (image == IMAGE, "Can not find requested image"),
            (asked.get("key_name") in (None, "scaler"), "Invalid key_name provided."),
            (
                asked.get("availability_zone") in (None, "az1", "az-broken"),
                "The requested availability zone is not available",
            ),
        ):
            if not right:
                raise RefusedError(400, "badRequest", text)
        for network in asked["networks"] if asked["networks"] != "auto" else ():
            if network["uuid"] != NETWORK:
                raise RefusedError(400, "badRequest", f"Network {network['uuid']} could not be found.")
        b64decode(asked.get("user_data", ""), validate=True)
        counted = [one for one in self.servers.values() if not self.burst or one["status"] != "BUILD"]
        if 0 <= self.most <= len(counted):
            raise RefusedError(403, "forbidden", self._over(len(counted)))
        server_id = str(uuid.uuid4())
        self.made += 1
        self.servers[server_id] = {
            "id": server_id,
            "name": asked["name"],
            "status": "BUILD",
            "OS-EXT-STS:task_state": "scheduling",
            "created": stamp(self.now()),
            "metadata": asked.get("metadata", {}),
            "addresses": {},
            "flavor": {"original_name": flavor, "vcpus": FLAVORS[flavor][0], "ram": FLAVORS[flavor][1]},
            "OS-EXT-AZ:availability_zone": asked.get("availability_zone") or "az1",
            "os-extended-volumes:volumes_attached": [],
            "_volume": bool(asked.get("block_device_mapping_v2")),
            "_born": self.now(),
        }
        return {"id": server_id, "links": [], "adminPass": "W7fiMmgKY88m", "OS-DCF:diskConfig": "MANUAL"}

    def _over(self, used: int) -> str:
        return f"Quota exceeded for instances: Requested 1, but already used {used} of {self.most} instances"

    def _pass_time(self) -> None:
        now = self.now()
        for server_id, server in list(self.servers.items()):
            if "_ended" in server and now - server["_ended"] >= self.stop_s:
                del self.servers[server_id]
                self._left_behind(server_id)
            elif server["status"] == "BUILD" and now - server["_born"] >= self.boot_s and not self.stuck:
                server["OS-EXT-STS:task_state"] = None
                fault = self._fault_of_build(server)
                server["status"] = "ERROR" if fault else "ACTIVE"
                if fault:
                    server["fault"] = {"code": fault[0], "message": fault[1], "created": stamp(now)}
                else:
                    self._wire(server)

    def _fault_of_build(self, server: Mapping[str, Any]) -> tuple[int, str] | None:
        settled = sum(one["status"] != "BUILD" for one in self.servers.values())
        if 0 <= self.most <= settled:
            return 413, self._over(settled)
        if server["flavor"]["original_name"] == "t.impossible":
            return 500, "No valid host was found. "
        if server["OS-EXT-AZ:availability_zone"] == "az-broken":
            return 500, f"Build of instance {server['id']} aborted: fakelag AbortFakeDriver"
        return None

    def _wire(self, server: dict[str, Any]) -> None:
        port_id, address = str(uuid.uuid4()), f"10.20.0.{len(self.ports) + 10}"
        self.ports[port_id] = {
            "id": port_id,
            "device_id": server["id"],
            "device_owner": "compute:az1",
            "description": "",
            "name": "",
            "network_id": NETWORK,
            "fixed_ips": [{"ip_address": address}],
            "created_at": stamp(self.now()),
        }
        entry = {"addr": address, "version": 4, "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:0:0:1"}
        server["addresses"] = {"private": [entry]}
        if server["_volume"]:
            volume_id = str(uuid.uuid4())
            self.volumes[volume_id] = {
                "id": volume_id,
                "status": "in-use",
                "metadata": {},
                "attachments": [{"server_id": server["id"]}],
            }
            attached = {"id": volume_id, "delete_on_termination": True}
            server["os-extended-volumes:volumes_attached"] = [attached]

    def _left_behind(self, server_id: str) -> None:
        for port_id, port in list(self.ports.items()):
            if port["device_id"] == server_id and not self.leaky:
                del self.ports[port_id]
        for volume_id, volume in list(self.volumes.items()):
            if any(one["server_id"] == server_id for one in volume["attachments"]):
                volume["status"], volume["attachments"] = "available", []
                if not self.leaky:
                    del self.volumes[volume_id]
        for address in self.floating.values():
            if address["port_id"] not in self.ports:
                address["port_id"] = None

    def _shown(self, server: Mapping[str, Any]) -> dict[str, Any]:
        shown = {key: value for key, value in server.items() if not key.startswith("_")}
        if "_ended" in server:
            shown["OS-EXT-STS:task_state"] = "deleting"
        ports = {port_id for port_id, port in self.ports.items() if port["device_id"] == server["id"]}
        more = [
            {"addr": address["floating_ip_address"], "version": 4, "OS-EXT-IPS:type": "floating"}
            for address in self.floating.values()
            if address["port_id"] in ports
        ]
        if more and not self.old_addresses:
            shown["addresses"] = {"private": [*server["addresses"]["private"], *more]}
        return shown

    def _listed(self, query: dict[str, str], version: str) -> dict[str, Any]:
        """Sorted as nova does, newest first; of ``query`` only ``marker`` and ``limit`` count here."""
        every = sorted(self.servers.values(), key=lambda one: (one["_born"], one["id"]), reverse=True)
        ids = [one["id"] for one in every]
        if query.get("marker") not in (None, *ids):
            raise RefusedError(400, "badRequest", f"marker [{query['marker']}] not found")
        first = ids.index(query["marker"]) + 1 if "marker" in query and not self.circles else 0
        most = min(self.page, int(query.get("limit", self.page)))
        shown = [self._shown(one) for one in every[first : first + most]]
        for one in shown:  # nova lists the faults of one cell, and servers without a host are in another
            if str(one.get("fault", {}).get("message", "")).startswith("No valid host"):
                del one["fault"]
        found: dict[str, Any] = {"servers": shown}
        if first + most < len(every):
            href = f"{self.url}/compute/v2.1/servers/detail?marker={shown[-1]['id']}"
            found["servers_links"] = [{"rel": "next", "href": href}]
        if self.silent_cell and not query and tuple(map(int, version.split("."))) >= (2, 69):
            found["servers"].append({"id": str(uuid.uuid4()), "created": stamp(0), **NOVA_DOWN_CELL})
        return found

    def _limits(self) -> dict[str, int]:
        used = [one for one in self.servers.values() if not self.burst or one["status"] != "BUILD"]
        return {
            "maxTotalInstances": self.most,
            "totalInstancesUsed": len(used),
            "maxTotalCores": -1,
            "totalCoresUsed": sum(one["flavor"]["vcpus"] for one in used),
            "maxTotalRAMSize": -1,
            "totalRAMUsed": sum(one["flavor"]["ram"] for one in used),
        }

    def _fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def _send(self, start: Start, answer: Answer) -> Iterable[bytes]:
        status, body = answer
        more = [("X-Subject-Token", body.pop("_subject"))] if isinstance(body, dict) and "_subject" in body else []
        text = b"" if body is None else json.dumps(body).encode()
        length = [] if status == 204 else [("Content-Length", str(len(text)))]
        start(f"{status} x", [("Content-Type", "application/json"), *length, *more])
        return [text]


def _said(fault: str | int | tuple[int, str]) -> Answer:
    match fault:
        case "html":  # of a proxy before the cloud
            return 200, "<html>"
        case str():
            return recorded(fault)
        case int():
            return fault, {"title": "sorry"}
    return fault[0], {"sorry": {"code": fault[0], "message": fault[1]}}


def _flavor(name: str) -> dict[str, Any]:
    vcpus, ram, specs = FLAVORS[name]
    return {"id": FLAVOR_IDS[name], "name": name, "vcpus": vcpus, "ram": ram, "disk": 10, "extra_specs": specs}


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        pass


@contextlib.contextmanager
def nova_site(tls: tuple[str, str] | None = None) -> Iterator[NovaSite]:
    """The site in a server of its own, on a free loopback port. ``tls``: files of its certificate and key."""
    site = NovaSite()
    server = make_server("127.0.0.1", 0, site, threaded=True, request_handler=_Quiet, ssl_context=tls)
    site.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
