"""What stands beside nova in ``nova_site``: Keystone, neutron, glance and cinder, and how all of them refuse."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded" / "openstack"
IMAGE, NETWORK, OUTSIDE, GROUP = (str(uuid.UUID(int=number)) for number in (1, 2, 3, 4))
PROJECT = "585c655c949d4d4081aebc28faee71be"
SECRET = "right"
Answer = tuple[int, Any]


class RefusedError(Exception):
    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.answer: Answer = (status, {kind: {"code": status, "message": text}})


def recorded(name: str) -> Answer:
    """Status and body of a recorded refusal."""
    said = json.loads((RECORDED / f"{name}.json").read_text())["http"]
    return said["status"], json.loads(said["body"])


@dataclass
class Neighbours:
    """What there is of ports, addresses and volumes, and the tokens that are good."""

    cinder: bool = True
    ports: dict[str, dict[str, Any]] = field(default_factory=dict)
    floating: dict[str, dict[str, Any]] = field(default_factory=dict)
    image: dict[str, Any] = field(default_factory=dict)  # what is other than usual with it
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    also: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # more "images" and "networks"
    tokens: set[str] = field(default_factory=set)
    token_s: float = 3600.0
    url: str = ""
    leaky: bool = False  # ports and volumes stay when their server goes

    # -- Keystone ------------------------------------------------------------------------------------------------

    def keystone(self, body: Any) -> Answer:
        identity = body["auth"]["identity"]
        if "application_credential" in identity:
            if identity["application_credential"]["secret"] != SECRET:
                return recorded("exc_auth_bad_appcred")
        elif identity["password"]["user"]["password"] != SECRET:
            return recorded("exc_auth_bad_password")
        token = uuid.uuid4().hex
        self.tokens.add(token)
        kinds = {"compute": "compute/v2.1", "network": "network", "image": "image"}
        kinds |= {"block-storage": f"volume/v3/{PROJECT}"} if self.cinder else {}
        catalogue = [
            {
                "type": kind,
                "name": kind,
                "id": kind,
                "endpoints": [
                    {
                        "id": kind,
                        "interface": "public",
                        "region": "one",
                        "region_id": "one",
                        "url": f"{self.url}/{place}",
                    }
                ],
            }
            for kind, place in kinds.items()
        ]
        return 201, {
            "token": {
                "methods": ["password"],
                "user": {"id": "u", "name": "hpc", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": PROJECT, "name": "burst", "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": "m", "name": "member"}],
                "issued_at": stamp(time.time()),
                "expires_at": stamp(time.time() + self.token_s),
                "catalog": catalogue,
            },
            "_subject": token,
        }

    # -- the others ----------------------------------------------------------------------------------------------

    def others(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        match method, path.split("/"):
            case "GET", ["image", "images"]:
                images = [{"id": IMAGE, "name": "tiny", "status": "active", "created_at": stamp(0)}]
                images += self.also.get("images", [])
                return 200, {"images": [one for one in images if query.get("name") in (None, one["name"])]}
            case "GET", ["image", "images", image_id] if image_id == IMAGE:
                return 200, {"id": IMAGE, "name": "tiny", "status": "active", "min_disk": 1, "min_ram": 0} | self.image
            case "GET", ["network", "networks"]:
                every = [{"id": NETWORK, "name": "private"}, {"id": OUTSIDE, "name": "public", "router:external": True}]
                every += self.also.get("networks", [])
                return 200, {"networks": [one for one in every if query.get("name") in (None, one["name"])]}
            case "GET", ["network", "networks", network_id] if network_id == NETWORK:
                return 200, {"network": {"id": NETWORK, "name": "private", "subnets": ["s"]}}
            case "GET", ["network", "networks", network_id] if network_id == OUTSIDE:
                return 200, {"network": {"id": OUTSIDE, "name": "public", "router:external": True}}
            case "GET", ["volume", "types"]:
                return 200, {"volume_types": [{"id": "ssd", "name": "ssd"}]}
            case "GET", ["network", "security-groups"]:
                return 200, {"security_groups": [{"id": GROUP, "name": "nodes"}]}
            case "POST", ["network", "floatingips"]:
                made = {"id": str(uuid.uuid4()), "floating_ip_address": f"192.0.2.{len(self.floating) + 1}"}
                self.floating[made["id"]] = made | {"port_id": None, "description": ""} | body["floatingip"]
                return 201, {"floatingip": self.floating[made["id"]]}
        kinds = {"ports": self.ports, "floatingips": self.floating, "volumes": self.volumes}
        _, kind, *rest = path.split("/")
        things = kinds.get(kind, {})
        if method == "GET" and rest in ([], ["detail"]):
            return 200, {kind: [one for one in things.values() if _matches(one, query)]}
        if not rest or rest[0] not in things:
            raise RefusedError(404, "NeutronError", "could not be found.")
        if method == "DELETE":
            del things[rest[0]]
            return 204, None
        if method == "PUT":
            things[rest[0]].update(body[kind[:-1]])
        elif method == "POST" and rest[1:] == ["metadata"]:
            things[rest[0]]["metadata"].update(body["metadata"])
        return 200, {kind[:-1]: things[rest[0]]}


def _matches(thing: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    return all(
        thing.get(key) == value for key, value in query.items() if key in ("device_id", "port_id", "description")
    )


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def keystone_version(url: str) -> dict[str, Any]:
    return {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{url}/identity/v3/"}]}


def versions(url: str, service: str, root: str, microversion: str) -> dict[str, Any]:
    known = {
        "id": root.split("/")[0],
        "status": "CURRENT",
        "links": [{"rel": "self", "href": f"{url}/{service}/{root}/"}],
    }
    if service == "compute":
        known |= {"version": microversion, "min_version": "2.1"}
        return {"version": known}
    return {"versions": [known]}
