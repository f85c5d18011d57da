"""A real OpenStack for tests: started by ``scripts/testbeds/openstack``. Only its hypervisors are not real.

Only in a source checkout, only as root on Debian, and only when ``DYNAMICCLUSTER_TESTBEDS=1`` says that this machine
may be used so. It takes 2.4 GB of memory. What it says is the truth that adapter and service are judged by: it is asked
without the SDK, as the user of the project or as the cloud's administrator.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from keystoneauth1.exceptions import ClientException
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock, SystemClock, pause
from dynamiccluster.kit.runner import Runner, SubprocessRunner
from dynamiccluster.testing import bed

SCRIPT = bed.SCRIPTS / "openstack"
FIRST_PORT = 15000
NOVA = "2.96"
"""The version of its API that the truth is told in."""

_ASK_TIMEOUT_S = 60.0
_CHANGE_TIMEOUT_S = 120.0
_SETTLE_S = 60.0
_LOOK_AGAIN_S = 0.25


def why_not() -> str:
    """Why there can be no real OpenStack here; "" if there can. One of the site's own is never touched."""
    return bed.why_not("OpenStack", SCRIPT)


@dataclass(frozen=True, slots=True)
class Server:
    """What nova says of a server."""

    server_id: str
    name: str
    status: str
    task: str  # what nova does with it just now; "" = nothing
    metadata: Mapping[str, str]
    fault: str

    @property
    def ended(self) -> bool:
        """It is gone, or was told to go."""
        return self.status in ("DELETED", "SOFT_DELETED") or self.task == "deleting"


class OpenstackBed:
    """A running bed."""

    def __init__(self, facts: Mapping[str, Any], runner: Runner, clock: Clock) -> None:
        self.facts = facts
        self.prefix = pathlib.Path(facts["prefix"])
        self.runner = runner
        self.clock = clock
        urls = facts["urls"]
        self._urls = {"compute": urls["nova"], "network": f"{urls['neutron']}/v2.0", "identity": facts["auth_url"]}
        self._sessions: dict[str, Session] = {}

    # -- what the service is given ---------------------------------------------------------------------------

    def config(self, **more: Any) -> dict[str, Any]:
        """``config:`` of a resource of type ``openstack``, with machines of 2 cores and 2048 MiB."""
        facts = self.facts
        keys = {name: facts[name] for name in ("auth_url", "username", "password", "project", "key_name")}
        keys |= {"region_name": facts["region"], "image_uuid": facts["image"], "flavor": "t.small"}
        return keys | {"networks": [facts["network"]], "security_groups": [facts["security_group"]]} | more

    def application_credential(self) -> dict[str, str]:
        """The keys of one, in place of user, password and project."""
        auth = self._known()["application"]["auth"]
        return {name: auth[name] for name in ("application_credential_id", "application_credential_secret")}

    # -- the truth -------------------------------------------------------------------------------------------

    def ask(
        self, service: str, method: str, path: str, body: Any = None, *, cloud: str = "scaler", nova: str = NOVA
    ) -> Any:
        """The reply of a service (``compute``, ``network``, ``identity``): a document of its API. ``cloud``: whose
        credentials are used, ``scaler``'s or ``admin``'s. ``nova``: version of its API.

        :raises DynamicClusterError: it refused, or did not answer.
        """
        try:
            reply = self._session(cloud).request(
                path, method, json=body, raise_exc=False, endpoint_override=self._urls[service],
                endpoint_filter={"service_type": service}, timeout=_ASK_TIMEOUT_S,
                microversion=nova if service == "compute" else None,
            )  # fmt: skip
        except ClientException as error:
            raise DynamicClusterError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if reply.status_code >= 400:
            raise DynamicClusterError(f"{method} {path}: {reply.status_code} {reply.text[:500]}")
        return reply.json() if reply.content else {}

    def _session(self, cloud: str) -> Session:
        if cloud not in self._sessions:
            self._sessions[cloud] = Session(Password(**self._known()[cloud]["auth"]))
        return self._sessions[cloud]

    def _known(self) -> dict[str, Any]:
        """The bed's clouds.yaml."""
        text = pathlib.Path(self.facts["clouds_file"]).read_text(encoding="utf-8")
        clouds: dict[str, Any] = yaml.safe_load(text)["clouds"]
        return clouds

    @property
    def project(self) -> str:
        """The id of ours."""
        return str(self._session("scaler").get_project_id())

    def servers(self) -> list[Server]:
        """Those of the project that are there."""
        return [_server(one) for one in self.ask("compute", "GET", "/servers/detail")["servers"]]

    def ever(self) -> list[Server]:
        """All servers that the project has ever had since the bed came up: nova keeps its books."""
        found: list[Server] = []
        for query in ("deleted=True", "deleted=False"):
            path = f"/servers/detail?all_tenants=True&project_id={self.project}&{query}"
            found += [_server(one) for one in self.ask("compute", "GET", path, cloud="admin")["servers"]]
        return list({one.server_id: one for one in found}.values())

    def ports(self) -> list[str]:
        """Ids of the project's."""
        return [one["id"] for one in self.ask("network", "GET", f"/ports?project_id={self.project}")["ports"]]

    def floating_ips(self) -> list[str]:
        """Ids of the project's."""
        found = self.ask("network", "GET", f"/floatingips?project_id={self.project}")["floatingips"]
        return [one["id"] for one in found]

    def until(self, holds: Callable[[], bool], what: str, limit_s: float = _SETTLE_S) -> float:
        """Wait until it holds; how long that took.

        :raises DynamicClusterError: it did not come true in time.
        """
        began = self.clock.monotonic()
        while not holds():
            if self.clock.monotonic() - began > limit_s:
                raise DynamicClusterError(f"not within {limit_s} s: {what}; servers: {self.servers()}")
            pause(_LOOK_AGAIN_S)
        return self.clock.monotonic() - began

    # -- what tests do to it -----------------------------------------------------------------------------------

    def quota(self, instances: int = -1, cores: int = -1, ram: int = -1) -> None:
        """Of the project; -1: no limit."""
        limits = {"quota_set": {"instances": instances, "cores": cores, "ram": ram, "force": True}}
        self.ask("compute", "PUT", f"/os-quota-sets/{self.project}", limits, cloud="admin")

    def knob(self, name: str, value: float = 0.0) -> None:
        """Of all hosts: ``spawn_delay`` and ``destroy_delay`` in seconds, ``spawn_fail`` and ``spawn_abort`` as 1."""
        (pathlib.Path(self.facts["knobs"]) / name).write_text(f"{value}\n", encoding="ascii")

    def stop(self, *names: str) -> None:
        """``kill -9`` of services: keystone, nova, neutron, scheduler, compute-zone-1, ..."""
        self._change("stop", *names)

    def start(self, *names: str) -> None:
        """Start them again and wait until they answer."""
        self._change("start", *names)

    def expire_tokens(self) -> None:
        """No token is good any more, whatever its time: Keystone has new keys. The others believe it after 5 s."""
        for key in (self.prefix / "keys" / "fernet").iterdir():
            key.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))

    @contextlib.contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """The block finds these services dead."""
        self.stop(*names)
        try:
            yield
        finally:
            self.start(*names)

    @contextlib.contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """The block finds these services silent: they accept connections and do not answer until its end."""
        self._change("freeze", *names)
        try:
            yield
        finally:
            self._change("thaw", *names)

    def password(self, new: str) -> None:
        """Of the user of :meth:`config`."""
        found = self.ask("identity", "GET", f"/users?name={self.facts['username']}", cloud="admin")["users"]
        self.ask("identity", "PATCH", f"/users/{found[0]['id']}", {"user": {"password": new}}, cloud="admin")

    def sweep(self) -> None:
        """As it was after ``up``: no servers, ports or floating IPs, no limits, no delays."""
        for path in pathlib.Path(self.facts["knobs"]).iterdir():
            path.unlink()
        self.quota()
        for address in self.floating_ips():
            self.ask("network", "DELETE", f"/floatingips/{address}")
        for server in self.servers():
            with contextlib.suppress(DynamicClusterError):  # it has just gone
                self.ask("compute", "DELETE", f"/servers/{server.server_id}")
        self.until(lambda: not self.servers(), "all servers are gone")
        for port in self.ports():
            self.ask("network", "DELETE", f"/ports/{port}")

    def _change(self, verb: str, *words: str) -> None:
        argv = (sys.executable, str(SCRIPT), verb, "--prefix", str(self.prefix), *words)
        done = self.runner.run(argv, timeout_s=_CHANGE_TIMEOUT_S)
        if done.returncode != 0:
            raise DynamicClusterError(f"{verb} {' '.join(words)}: {done.complaint}")


def _server(one: Mapping[str, Any]) -> Server:
    fault = one.get("fault", {}).get("message", "")
    return Server(one["id"], one["name"], one["status"], one["OS-EXT-STS:task_state"] or "", one["metadata"], fault)


@contextlib.contextmanager
def openstack_bed(first_port: int = FIRST_PORT) -> Iterator[OpenstackBed]:
    """A bed in a new directory; nothing of it is left afterwards, installed programs apart.

    :raises DynamicClusterError: it could not be started.
    """
    with bed.bed_of(SCRIPT, "--install", "--first-port", str(first_port)) as facts:
        yield OpenstackBed(facts, SubprocessRunner(), SystemClock())
