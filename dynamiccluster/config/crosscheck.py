"""What keys must be among each other: checks of a configuration whose single values are all right."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from dynamiccluster.config.document import Document
from dynamiccluster.config.legacy import GENERAL
from dynamiccluster.config.menus import menu_of
from dynamiccluster.config.problems import Path, Problem
from dynamiccluster.config.provisioning import own_findings, shared_findings
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud import CloudResource
from dynamiccluster.config.schema_cloud_aws import AwsResource
from dynamiccluster.config.schema_cloud_command import CommandResource
from dynamiccluster.config.schema_cloud_local import LocalResource
from dynamiccluster.config.schema_cloud_openstack import OpenstackResource
from dynamiccluster.config.schema_cloud_simulated import SimulatedResource
from dynamiccluster.config.schema_cloud_xspot import XspotResource, xspot_findings
from dynamiccluster.config.schema_cluster_htcondor import HtcondorCluster
from dynamiccluster.config.schema_cluster_slurm import SlurmCluster
from dynamiccluster.config.tenancies import account_of
from dynamiccluster.config.to_policy import cloud_kind, prefix_of, tenancy_of, timers_of

Finding = tuple[Path, str, str]
"""Where, what is wrong, and what was expected."""


def problems_of(settings: Settings, document: Document, *, between_resources: bool = True) -> list[Problem]:
    """Contradictions: with any of them the service does not start.

    ``between_resources=False`` leaves out what compares one resource with another.
    """
    findings: list[Finding] = []
    for check in (*_CHECKS, *(_BETWEEN if between_resources else ())):
        findings.extend(check(settings))
    return [document.problem(path, problem, expected) for path, problem, expected in findings]


def _quantities(settings: Settings) -> Iterator[Finding]:
    for name, item in settings.cloud.items():
        if item.quantity.min > item.quantity.max:
            yield ("cloud", name, "quantity", "min"), "is more than max", f"at most {item.quantity.max}"
    least = sum(item.quantity.min for item in settings.cloud.values())
    most = settings.general.limits.max_nodes
    if most and least > most:
        where = (GENERAL, "limits", "max_nodes")
        yield where, f"is less than the resources' minimums together ({least})", f"at least {least}, or 0 for no limit"


def _capacities(settings: Settings) -> Iterator[Finding]:
    for name, item in settings.cloud.items():
        if isinstance(item, LocalResource | SimulatedResource) and item.capacity.cores < 1:
            where = ("cloud", name, "capacity", "cores")
            yield where, f"is missing: a {item.type} cloud cannot tell it", "a whole number, 1 or more"
        if isinstance(item, CommandResource) and item.capacity.cores < 1 and item.config.offers_command is None:
            where = ("cloud", name, "capacity", "cores")
            yield where, "is missing, and there is no offers_command to tell it", "a whole number, 1 or more"


def _menus(settings: Settings) -> Iterator[Finding]:
    for name, item in settings.cloud.items():
        if isinstance(item, XspotResource):
            yield from ((("cloud", name, *below), problem, wanted) for below, problem, wanted in xspot_findings(item))
        if isinstance(item, AwsResource):
            zone, subnets = item.config.availability_zone, item.config.subnets
            if zone and subnets and zone not in subnets:
                yield (
                    ("cloud", name, "config", "subnets"),
                    f"has no subnet of availability_zone {zone}",
                    "one, or no availability_zone",
                )
            if item.capacity.cores and menu_of(item) is not None:
                yield (
                    ("cloud", name, "capacity"),
                    "is told by EC2 where there are several zones or markets",
                    "no capacity",
                )


def _features(settings: Settings) -> Iterator[Finding]:
    """Attributes with values exist in HTCondor alone; elsewhere the scheduler would refuse the node."""
    if isinstance(settings.cluster, HtcondorCluster):
        return
    for name, item in settings.cloud.items():
        for word in item.features:
            if "=" in word:
                yield ("cloud", name, "features"), f"{word} has a value, which only HTCondor knows", "plain names"


def _timers(settings: Settings) -> Iterator[Finding]:
    general = settings.general
    for name, item in settings.cloud.items():
        timers, own = timers_of(item, general), item.timers
        if timers.boot_s > timers.launch_s:
            where = _timer(name, "boot_s", own.boot_s is not None or own.launch_s is not None)
            yield where, "is longer than the time limit of the whole launch", f"at most {timers.launch_s:g}, or 0"
        if timers.down_hard_s < timers.down_s:
            where = _timer(name, "down_hard_s", own.down_hard_s is not None or own.down_s is not None)
            yield where, "is shorter than the time limit of an empty node", f"at least {timers.down_s:g}"


def _timer(resource: str, key: str, own: bool) -> Path:
    return ("cloud", resource, "timers", key) if own else (GENERAL, "timers", key)


def _prefixes(settings: Settings) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, item in settings.cloud.items():
        prefix = prefix_of(name, item)
        other = first.setdefault(prefix.lower(), name)
        if other != name:
            where = ("cloud", name, "config", "instance_name_prefix")
            yield where, f"is the same as that of the resource {other}", "a prefix of its own for each resource"
    template = settings.cluster.config.template_prefix if isinstance(settings.cluster, SlurmCluster) else ""
    if template.lower() in first:
        text = f"is the same as the prefix of the resource {first[template.lower()]}"
        yield ("cluster", "config", "template_prefix"), text, "a prefix of its own"


def _queues(settings: Settings) -> Iterator[Finding]:
    for name, item in settings.cloud.items():
        queue = item.reservation.queue
        if queue and item.queues and queue not in item.queues:
            where = ("cloud", name, "reservation", "queue")
            yield where, "is not one of the queues that the resource serves", f"one of {', '.join(item.queues)}"


def _credentials(settings: Settings) -> Iterator[Finding]:
    for name, item in settings.cloud.items():
        where: Path = ("cloud", name, "config")
        if isinstance(item, AwsResource | XspotResource):
            halves = {"access_key_id": item.config.access_key_id, "secret_access_key": item.config.secret_access_key}
            yield from _together(where, {key: bool(half and half.get_secret_value()) for key, half in halves.items()})
            if item.config.proxy_port and not item.config.proxy:
                yield (*where, "proxy"), "is missing, though proxy_port is given", "the proxy's host name"
        if isinstance(item, OpenstackResource):
            config = item.config
            password = bool(config.password and config.password.get_secret_value())
            own = {"username": bool(config.username), "password": password}
            yield from _together(where, own)
            if any(own.values()):
                needed = {"auth_url": config.auth_url, "project": config.project}
                for key, value in needed.items():
                    if not value:
                        yield (*where, key), "is missing, though username and password are given", "text"


def _together(where: Path, given: dict[str, bool]) -> Iterator[Finding]:
    if any(given.values()) and not all(given.values()):
        for key in [key for key, there in given.items() if not there]:
            others = ", ".join(other for other in given if other != key)
            yield (*where, key), f"is missing, though {others} is given", "both or neither"


def _tenancies(settings: Settings) -> Iterator[Finding]:
    first: dict[str, tuple[str, CloudResource]] = {}
    for name, item in settings.cloud.items():
        tenancy = tenancy_of(item)
        other_name, other = first.setdefault(tenancy, (name, item))
        where: Path = ("cloud", name, "tenancy")
        if cloud_kind(other) != cloud_kind(item):
            text = f"is the same as that of the resource {other_name}, which is of type {other.type}"
            yield where, text, "a tenancy of its own for each cloud"
            continue
        for key, mine, theirs in _shared(item, other):
            if mine != theirs:
                text = f"{key} differs from that of the resource {other_name} in the same tenancy ({tenancy})"
                yield (*where[:2], "config", key), text, "the same value, or another `tenancy`"


def _accounts(settings: Settings) -> Iterator[Finding]:
    """Each of two tenancies of one account would see, count and end the machines of the other as its own orphans."""
    first: dict[tuple[str | None, ...], tuple[str, str]] = {}
    told = set()
    for name, item in settings.cloud.items():
        account, tenancy = account_of(item), tenancy_of(item)
        other, other_name = first.setdefault(account, (tenancy, name)) if account else (tenancy, name)
        if other != tenancy and tenancy not in told:
            told.add(tenancy)
            text = f"{tenancy!r} has the account and place of {other!r} (resource {other_name})"
            yield ("cloud", name, "tenancy"), text, f"{other!r}: one tenancy for each account, project and region"


AGREED = {
    "openstack": (
        *("username", "password", "project", "auth_url", "os_cloud", "region_name", "interface", "ca_file"),
        *("application_credential_id", "application_credential_secret"),
        *("user_domain_name", "project_domain_name"),
    ),
    "aws": (
        *("access_key_id", "secret_access_key", "profile_name", "region_name", "endpoint_url"),
        *("proxy", "proxy_port", "validate_certs", "notices_queue_url"),
    ),
    "local": ("network", "bridge", "network_namespace", "state_dir", "max_instances"),
    "simulated": ("max_instances", "max_cores", "max_memory_mib"),
    "command": (
        *("list_command", "launch_command", "terminate_command", "offers_command", "console_command"),
        *("idempotent", "command_timeout_s", "launch_timeout_s"),
    ),
}
"""Keys that all resources of a tenancy must agree on: they are asked through one connection."""


def _shared(item: CloudResource, other: CloudResource) -> Iterator[tuple[str, object, object]]:
    for key in AGREED[cloud_kind(item)]:
        yield key, getattr(item.config, key), getattr(other.config, key)


def _listeners(settings: Settings) -> Iterator[Finding]:
    server = settings.general.admin_server
    try:
        beyond = not ipaddress.ip_address(server.bind_address).is_loopback
    except ValueError:
        beyond = server.bind_address not in ("", "localhost")
    if beyond and not server.tokens_file:
        where = (GENERAL, "admin-server", "bind_address")
        yield where, "is not loopback, and there is no tokens_file", "127.0.0.1, or a tokens_file"
    for key, other in (("tls_certificate", "tls_key"), ("tls_key", "tls_certificate")):
        if getattr(server, other) and not getattr(server, key):
            yield (GENERAL, "admin-server", key), f"is missing, but {other} is given", "a PEM file"


_CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _quantities,
    _capacities,
    _menus,
    _features,
    _timers,
    _queues,
    _credentials,
    _listeners,
    own_findings,
)

_BETWEEN: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_prefixes, _tenancies, _accounts, shared_findings)
