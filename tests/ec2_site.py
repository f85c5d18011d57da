"""An EC2 that behaves: moto in a loopback server, and what it lacks put around it.

* ``pending`` for ``boot_s`` and ``shutting-down`` for ``stop_s``; the dead leave the list after ``forget_s``;
* a client token used again gives the same instances, or ``IdempotentParameterMismatch``;
* as many instances as there are, between MinCount and MaxCount (moto gives MinCount);
* fleets of the type ``instant``: the pool is the first of ``deepest`` that was asked for, else the first that is not
  out of machines; those found empty before it stand in ``Errors``. Each is made by moto's RunInstances with the launch
  template, as moto's own fleets take the first override only, and little of the template. ``gives`` (ZONE/TYPE) is a
  machine that nobody asked for; without ``minds_tokens`` a repeat makes another one;
* ``late``: tags and starts are accepted, and lists show them only after :meth:`Ec2Site.catch_up`;
* faults by call, type and zone: EC2's error codes, replies lost after success, slow ones, lists that are stale, half,
  or do not show what was just made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlencode

from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

STATUS = {
    "InsufficientInstanceCapacity": 500,
    "InternalError": 500,
    "Unavailable": 503,
    "RequestLimitExceeded": 503,
    "UnauthorizedOperation": 403,
    "AuthFailure": 401,
}
"""HTTP status of error codes; 400 for all others (EC2 API reference, "Error codes")."""

UNCHANGING = ("DescribeInstanceTypes", "DescribeInstanceTypeOfferings")
"""Moto takes a second for each; what it says is always the same."""

VCPUS = 2
"""Of the machines in these tests (c5.large)."""

Start = Callable[..., Any]
_SAID: dict[bytes, tuple[bytes, str, Any]] = {}


def _tags_of(thing: Any) -> list[dict[str, str]]:
    """The tags of one thing, looked up. Moto looks through those of all things each time, so that a list of a thousand
    instances takes it seconds more than EC2."""
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(thing.id), "") if thing.id else ""
    tags = thing.ec2_backend.tags.get(thing.id, {}) if thing.id else {}
    return [{"resource_id": thing.id, "key": key, "value": value, "resource_type": kind} for key, value in tags.items()]


TaggedEC2Resource.get_tags = _tags_of
_STATE = re.compile(
    r"<instanceId>(i-[0-9a-f]+)</instanceId>(.*?)<(instanceState|currentState)>\s*<code>(\d+)</code>\s*"
    r"<name>([a-z-]+)</name>\s*</\3>",
    re.DOTALL,
)
_INSTANCE = re.compile(
    r"<item>\s*<instanceId>(i-[0-9a-f]+)</instanceId>.*?</item>(?=\s*(?:<item>|</instancesSet>))", re.DOTALL
)
_NEW_ID = re.compile(r"<instanceId>(i-[0-9a-f]+)</instanceId>")


def _overrides(zone: str, kind: str) -> str:
    override = f"<instanceType>{kind}</instanceType><availabilityZone>{zone}</availabilityZone>"
    return f"<launchTemplateAndOverrides><overrides>{override}</overrides></launchTemplateAndOverrides>"


@dataclass
class Fault:
    """What happens to a call instead. ``code``: an error of EC2's, or

    ``lost`` (done, and the reply never comes), ``hang`` (done, and the reply comes too late), ``half`` (a list that
    breaks off), ``stale`` (the last list again).
    """

    action: str
    code: str
    instance_type: str = ""
    zone: str = ""
    market: str = ""
    times: int = 1_000_000
    after: int = 0  # calls that go well before


@dataclass
class Ec2Site:
    """Settings and what happened. Safe to change while the server runs."""

    boot_s: float = 0.0
    stop_s: float = 0.0
    forget_s: float = 3600.0
    hide_s: float = 0.0  # new instances are not listed for so long
    stock: int = 1_000_000  # instances there are at most
    most_vcpus: int = 0  # quota; 0 = it cannot be asked for
    late: bool = False
    deepest: tuple[str, ...] = ()  # ZONE/TYPE
    gives: str = ""
    minds_tokens: bool = True  # of fleets
    slow_s: float = 0.0
    hang_s: float = 1.0
    faults: list[Fault] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    url: str = ""
    now: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._born: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._stopped: set[str] = set()
        self._tokens: dict[tuple[str, str], tuple[str, tuple[bytes, str, Any]]] = {}
        self._last_list: tuple[bytes, str, Any] | None = None
        self._delayed: list[tuple[str, dict[str, Any], bytes]] = []
        self.late = False

    def catch_up(self) -> None:
        """From now on lists show everything again."""
        with self._lock:
            self.late = False
            for action, environ, body in self._delayed:
                self._note(action, _NEW_ID.findall(self._pass_on(environ, body)[0].decode()))
            self._delayed.clear()

    def reset(self) -> None:
        """A fresh region, without faults."""
        with self._lock:
            self.faults.clear()
            self.calls.clear()
            self._begin()
            asked = {"REQUEST_METHOD": "POST", "PATH_INFO": "/moto-api/reset", "SERVER_NAME": "localhost"}
            asked |= {"SERVER_PORT": "80", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost"}
            self._pass_on(dict(asked), b"")

    def clear(self) -> None:
        """As :meth:`reset`, of instances and launch templates alone, and fast."""
        with self._lock:
            self.faults.clear()
            self.calls.clear()
            self._begin()
            for regions in ec2_backends.values():
                for backend in regions.values():
                    backend.reservations.clear()
                    backend.launch_templates.clear()
                    backend.launch_template_name_to_ids.clear()
            self.now = time.time

    def living(self) -> set[str]:
        """Ids of the instances that exist and are not stopped."""
        with self._lock:
            return self._living() - self._stopped

    def made(self) -> int:
        """Instances that ever were."""
        with self._lock:
            return len(self._born)

    # -- one request -------------------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
        action = asked.get("Action", "")
        with self._lock:
            self.calls[action] = self.calls.get(action, 0) + 1
        if self.slow_s:
            time.sleep(self.slow_s)
        fault = self._fault(action, asked)
        if fault is not None and fault.code not in ("lost", "hang", "stale", "half"):
            return self._error(start, fault.code)
        if "GetServiceQuota" in environ.get("HTTP_X_AMZ_TARGET", ""):
            return self._quota(start)
        if self.late and action in ("CreateTags", "StartInstances"):
            with self._lock:
                self._delayed.append((action, dict(environ), body))
            return self._send(
                start,
                f"<{action}Response><instancesSet/></{action}Response>".encode(),
                "200 OK",
                [("Content-Type", "text/xml")],
            )
        if action == "RunInstances":
            reply = self._run_instances(environ, asked)
        elif action in UNCHANGING:
            reply = _SAID[body] = _SAID.get(body) or self._pass_on(environ, body)
        elif action == "CreateFleet" and "DryRun" not in asked:
            reply = self._create_fleet(environ, asked)
        else:
            reply = self._pass_on(environ, body)
        if isinstance(reply, str):
            return self._error(start, reply)
        if action == "DescribeInstances":
            reply = self._listed(reply, fault.code if fault else "")
        elif action == "GetConsoleOutput":
            said = b64encode(f"this is {asked.get('InstanceId')}".encode()).decode()
            reply = (
                re.sub(r"<output>.*?</output>", f"<output>{said}</output>", reply[0].decode()).encode(),
                *reply[1:],
            )
        elif action in ("TerminateInstances", "StopInstances", "StartInstances"):
            self._note(action, _NEW_ID.findall(reply[0].decode()))
        if fault is not None and fault.code == "hang":
            time.sleep(self.hang_s)
        if fault is not None and fault.code == "lost":
            with contextlib.suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return self._send(start, *reply)

    def _run_instances(self, environ: dict[str, Any], asked: dict[str, str]) -> tuple[bytes, str, Any] | str:
        token = asked.get("ClientToken", "")
        content = {key: value for key, value in asked.items() if key != "ClientToken"}
        digest = hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()
        with self._lock:
            before = self._tokens.get(("RunInstances", token)) if token else None
            if before is not None:
                return before[1] if before[0] == digest else "IdempotentParameterMismatch"
            number = min(int(asked["MaxCount"]), self.stock - len(self._living()))
            if number < int(asked["MinCount"]):
                return "InsufficientInstanceCapacity"
            if self.most_vcpus:
                number = min(number, self.most_vcpus // VCPUS - len(self._living()))
            if number < int(asked["MinCount"]):
                return "VcpuLimitExceeded"
            reply = self._pass_on(environ, urlencode(asked | {"MinCount": number, "MaxCount": number}).encode())
            if reply[1].startswith("200"):
                for instance_id in _NEW_ID.findall(reply[0].decode()):
                    self._born[instance_id] = self.now()
                if token:
                    self._tokens["RunInstances", token] = (digest, reply)
            return reply

    def _create_fleet(self, environ: dict[str, Any], asked: dict[str, str]) -> tuple[bytes, str, Any] | str:
        """One spot machine of one of the overrides. With the same token it is the same reply."""
        token = asked["ClientToken"]
        digest = hashlib.sha256(repr(sorted(asked.items())).encode()).hexdigest()
        with self._lock:
            before = self._tokens.get(("CreateFleet", token))
            if before is not None and self.minds_tokens:
                return before[1] if before[0] == digest else "IdempotentParameterMismatch"
            reply = self._fleet_of_one(environ, asked)
            if not isinstance(reply, str):
                self._tokens["CreateFleet", token] = (digest, reply)
            return reply

    def _fleet_of_one(self, environ: dict[str, Any], asked: dict[str, str]) -> tuple[bytes, str, Any] | str:
        template = "LaunchTemplateConfigs.1.LaunchTemplateSpecification."
        errors, made = "", ""
        overrides = self._overrides_in(asked)
        for place in sorted(overrides, key=self._depth):
            zone, _, kind = place.partition("/")
            fault = self._fault_of_pool(zone, kind) or self._full()
            if fault:
                said = f"<errorCode>{fault}</errorCode><errorMessage>on purpose</errorMessage>"
                errors += f"<item>{_overrides(zone, kind)}<lifecycle>spot</lifecycle>{said}</item>"
                continue
            zone, _, kind = (self.gives or place).partition("/")
            request = {key: asked[key] for key in ("Version",)} | {
                "Action": "RunInstances",
                "MinCount": "1",
                "MaxCount": "1",
                "LaunchTemplate.LaunchTemplateName": asked[f"{template}LaunchTemplateName"],
                "LaunchTemplate.Version": asked[f"{template}Version"],
                "InstanceType": kind,
                "InstanceMarketOptions.MarketType": asked["TargetCapacitySpecification.DefaultTargetCapacityType"],
                **{key: value for key, value in asked.items() if key.startswith("TagSpecification.1.")},
            }
            subnet = overrides[place]
            request |= {"SubnetId": subnet} if subnet else {"Placement.AvailabilityZone": zone}
            if f"{template}LaunchTemplateSpecificationUserData" in asked:
                request["UserData"] = asked[f"{template}LaunchTemplateSpecificationUserData"]
            reply = self._pass_on(environ, urlencode(request).encode())
            if not reply[1].startswith("200"):
                return reply
            (instance_id,) = _NEW_ID.findall(reply[0].decode())
            self._born[instance_id] = self.now()
            ids = f"<instanceIds><item>{instance_id}</item></instanceIds><instanceType>{kind}</instanceType>"
            made = f"<item>{_overrides(zone, kind)}<lifecycle>spot</lifecycle>{ids}</item>"
            break
        body = (
            f"<CreateFleetResponse><fleetId>fleet-{uuid.uuid4()}</fleetId><errorSet>{errors}</errorSet>"
            f"<fleetInstanceSet>{made}</fleetInstanceSet></CreateFleetResponse>"
        )
        return body.encode(), "200 OK", [("Content-Type", "text/xml")]

    def _overrides_in(self, asked: dict[str, str]) -> dict[str, str]:
        """ZONE/TYPE of each override in their order, and its subnet, if it has one."""
        found = {}
        for number in range(1, 1000):
            prefix = f"LaunchTemplateConfigs.1.Overrides.{number}."
            kind = asked.get(f"{prefix}InstanceType")
            if kind is None:
                break
            subnet = asked.get(f"{prefix}SubnetId", "")
            zone = asked.get(f"{prefix}AvailabilityZone") or self._zone_of(subnet)
            found[f"{zone}/{kind}"] = subnet
        return found

    def _zone_of(self, subnet: str) -> str:
        for regions in ec2_backends.values():
            for backend in regions.values():
                for zone, subnets in backend.subnets.items():
                    if subnet in subnets:
                        return str(zone)
        return ""

    def _depth(self, place: str) -> int:
        return self.deepest.index(place) if place in self.deepest else len(self.deepest)

    def _full(self) -> str:
        if len(self._living()) >= self.stock:
            return "InsufficientInstanceCapacity"
        return "VcpuLimitExceeded" if self.most_vcpus and len(self._living()) >= self.most_vcpus // VCPUS else ""

    def _fault_of_pool(self, zone: str, kind: str) -> str:
        """What is wrong with one pool is wrong with it however it is asked for."""
        for fault in self.faults:
            of_pool = fault.instance_type or fault.zone
            there = fault.instance_type in ("", kind) and fault.zone in ("", zone) and fault.market in ("", "spot")
            if fault.action in ("RunInstances", "CreateFleet") and of_pool and there and fault.times > 0:
                fault.times -= 1
                return fault.code
        return ""

    def _listed(self, reply: tuple[bytes, str, Any], fault: str) -> tuple[bytes, str, Any]:
        text, now = reply[0].decode(), self.now()

        def state(found: re.Match[str]) -> str:
            instance_id, between, tag, code, name = found.groups()
            if name == "running" and now - self._born.get(instance_id, 0) < self.boot_s:
                code, name = "0", "pending"
            elif name == "terminated" and now - self._ended.setdefault(instance_id, now) < self.stop_s:
                code, name = "32", "shutting-down"
            shown = f"<{tag}><code>{code}</code><name>{name}</name></{tag}>"
            return f"<instanceId>{instance_id}</instanceId>{between}{shown}"

        with self._lock:
            text = _STATE.sub(state, text)
            hidden = {one for one, at in self._born.items() if now - at < self.hide_s}
            hidden |= {one for one, at in self._ended.items() if now - at > self.forget_s}
            text = _INSTANCE.sub(lambda found: "" if found.group(1) in hidden else found.group(0), text)
            if fault == "stale" and self._last_list is not None:
                return self._last_list
            if fault == "half":
                return text[: len(text) // 2].encode(), reply[1], reply[2]
            self._last_list = (text.encode(), reply[1], reply[2])
            return self._last_list

    def _note(self, action: str, instance_ids: Iterable[str]) -> None:
        with self._lock:
            for instance_id in instance_ids:
                if action == "StopInstances":
                    self._stopped.add(instance_id)
                elif action == "CreateTags":
                    continue
                elif action == "StartInstances":
                    self._stopped.discard(instance_id)
                else:
                    self._ended.setdefault(instance_id, self.now())

    def _living(self) -> set[str]:
        return self._born.keys() - self._ended.keys()

    def _fault(self, action: str, asked: dict[str, str]) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.action not in ("*", action) or fault.times <= 0:
                    continue
                if fault.instance_type and fault.instance_type != asked.get("InstanceType"):
                    continue
                if fault.zone and fault.zone != asked.get("Placement.AvailabilityZone"):
                    continue
                if fault.market and fault.market != asked.get("InstanceMarketOptions.MarketType", "on-demand"):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    # -- moto --------------------------------------------------------------------------------------------------

    def _pass_on(self, environ: dict[str, Any], body: bytes) -> tuple[bytes, str, Any]:
        said: dict[str, Any] = {}

        def start(status: str, headers: Any, _exc_info: Any = None) -> None:
            said["status"], said["headers"] = status, headers

        given = {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return b"".join(self._moto(given, start)), said["status"], said["headers"]

    def _send(self, start: Start, body: bytes, status: str, headers: Any) -> Iterable[bytes]:
        kept = [(key, value) for key, value in headers if key.lower() != "content-length"]
        start(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]

    def _quota(self, start: Start) -> Iterable[bytes]:
        if not self.most_vcpus:
            return self._error(start, "AccessDeniedException")
        body = json.dumps({"Quota": {"Value": float(self.most_vcpus)}}).encode()
        return self._send(start, body, "200 OK", [("Content-Type", "application/x-amz-json-1.1")])

    def _error(self, start: Start, code: str) -> Iterable[bytes]:
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{code} on purpose</Message></Error></Errors>"
            f"<RequestID>{uuid.uuid4()}</RequestID></Response>"
        ).encode()
        return self._send(start, body, f"{STATUS.get(code, 400)} X", [("Content-Type", "text/xml")])


@dataclass
class HandClock:
    """A clock that stands still until it is set."""

    at: float

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Nothing."""


@contextlib.contextmanager
def ec2_site() -> Iterator[Ec2Site]:
    """A fresh region on loopback."""
    site = Ec2Site()
    server = make_server("127.0.0.1", 0, site, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    site.reset()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
