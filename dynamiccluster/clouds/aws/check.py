"""What launches of a resource need, looked at without launching: for ``check-cloud``.

Each look is a question that changes nothing; the launch itself is rehearsed with EC2's own ``DryRun``, which checks the
permission and the parameters (EC2 API reference, "RunInstances").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.instance_map import tags_of
from dynamiccluster.clouds.aws.limits_map import limit_of
from dynamiccluster.clouds.aws.request_map import markets, run_instances, zones
from dynamiccluster.clouds.aws.type_map import MachineType, to_type
from dynamiccluster.clouds.unreached import Advice, unreached
from dynamiccluster.clouds.userdata import user_data
from dynamiccluster.errors import (
    AuthError,
    DynamicClusterError,
    NotFoundError,
    QuotaError,
    ThrottledError,
    TransientError,
)
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.wording import amount

USER_DATA_BYTES = 16 * 1024
_SKEW_S = 120.0  # EC2 refuses requests whose time is 5 minutes off
_NOBODY = "i-00000000000000000"
ADVICE = Advice(
    address="See region_name and endpoint_url",
    certificate="Name the PEM file of your authority in the variable AWS_CA_BUNDLE, of the service too: a proxy that "
    "looks into TLS needs it",
    proxy="See proxy and proxy_port, and the variable https_proxy",
)
Answer = Mapping[str, Any]


def check(
    resource: Resource,
    config: Mapping[str, Any],
    cluster_id: str,
    clock: Clock | None = None,
    calls: AwsCalls | None = None,
) -> Iterator[Finding]:
    """Findings on one resource, the credentials first: without them there is nothing more to ask."""
    looks = Looks(resource, config, cluster_id, clock or SystemClock(), calls or AwsCalls(config))
    yield from looks.credentials()
    if looks.account:
        yield from looks.everything()


class Looks:
    """The looks at one resource. ``account`` is known once :meth:`credentials` has found them good."""

    def __init__(
        self, resource: Resource, config: Mapping[str, Any], cluster_id: str, clock: Clock, calls: AwsCalls
    ) -> None:
        self._resource = resource
        self._config = config
        self._cluster_id = cluster_id
        self._clock = clock
        self._calls = calls
        self._type: MachineType | None = None
        self._architecture = ""
        self._zones: tuple[str, ...] = ()
        self.account = ""

    def everything(self) -> Iterator[Finding]:
        """All that a launch needs beside the credentials."""
        config = self._config
        yield from self._machine_type()
        yield from self._image()
        yield from self._subnets()
        yield from self._zone()
        yield from self._groups()
        yield from self._named("key pair", config["key_name"], "describe_key_pairs", "KeyNames", "KeyPairs")
        yield from self._named(
            "placement group", config["placement_group"], "describe_placement_groups", "GroupNames", "PlacementGroups"
        )
        yield from self._reservation()
        yield from self._profile()
        yield from self._template()
        yield from self._quota()
        yield from self._queue()
        script, findings = self._user_data()
        yield from findings
        yield from self._rehearsals(script)

    # -- one look each -----------------------------------------------------------------------------------------

    def credentials(self) -> Iterator[Finding]:
        """Whether EC2 can be asked, and as whom."""
        try:
            with self._calls.errors():
                said = self._calls.client("sts").get_caller_identity()
        except DynamicClusterError as error:
            where = self._config["endpoint_url"] or f"EC2 in {self._config['region_name']}"
            yield unreached(error, where, ADVICE) or _not_let_in(error)
            return
        self.account = str(said.get("Account", ""))
        yield Finding("credentials", FindingState.OK, f"account {self.account}, as {said.get('Arn', '')}")
        stamp = said.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        ahead_s = self._clock.now() - parsedate_to_datetime(stamp).timestamp() if stamp else 0.0
        if abs(ahead_s) > _SKEW_S:
            yield Finding(
                "clock",
                FindingState.WRONG,
                f"this machine's clock is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}",
                "Set it (chrony, ntpd): requests are refused beyond 5 minutes",
            )

    def _machine_type(self) -> Iterator[Finding]:
        name = self._config["instance_type"]
        subject = f"type {name}"
        found = self._ask("describe_instance_types", "InstanceTypes", InstanceTypes=[name])
        if isinstance(found, DynamicClusterError):
            yield _seen(subject, found, f"Choose a type that {self._config['region_name']} has")
            return
        if not found:
            yield Finding(subject, FindingState.WRONG, "there is no such type here", "Choose another type or region")
            return
        self._type = kind = to_type(found[0])
        size = kind.capacity(self._config["hyperthreading"])
        yield Finding(subject, FindingState.OK, _size(size))
        if self._config["spot_bid"] is not None and not kind.spot:
            yield Finding(subject, FindingState.WRONG, "is not sold as spot", "Leave out spot_bid, or another type")

    def _image(self) -> Iterator[Finding]:
        name = self._config["image_id"]
        subject = f"image {name}"
        found = self._ask("describe_images", "Images", ImageIds=[name])
        if isinstance(found, DynamicClusterError):
            yield _seen(subject, found, "Images belong to one region; a private one must be shared with the account")
            return
        if not found:
            yield Finding(subject, FindingState.WRONG, "is not there or not shared with the account", "Set image_id")
            return
        image = found[0]
        state, architecture = image.get("State", "available"), str(image.get("Architecture", ""))
        if state != "available":
            yield Finding(subject, FindingState.WRONG, f"is {state}", "Wait for it, or set another image_id")
        elif self._type and self._type.architecture and architecture not in ("", self._type.architecture):
            yield Finding(
                subject,
                FindingState.WRONG,
                f"is for {architecture}, the type is {self._type.architecture}",
                "Take an image or a type of the same architecture",
            )
        else:
            yield Finding(subject, FindingState.OK, str(image.get("Name", "")))

    def _subnets(self) -> Iterator[Finding]:
        wanted = dict(self._config.get("subnets") or {})
        if self._config["subnet_id"]:
            wanted.setdefault(self._config["availability_zone"] or "", self._config["subnet_id"])
        for zone, subnet_id in wanted.items():
            subject = f"subnet {subnet_id}"
            found = self._ask("describe_subnets", "Subnets", SubnetIds=[subnet_id])
            if isinstance(found, DynamicClusterError):
                yield _seen(subject, found, "Take the id of a subnet in this region")
                continue
            there, free = str(found[0].get("AvailabilityZone", "")), int(found[0].get("AvailableIpAddressCount", 0))
            self._zones = (*self._zones, there)
            if zone and there != zone:
                yield Finding(subject, FindingState.WRONG, f"is in {there}, not in {zone}", "Take one of that zone")
            elif free < self._resource.max_nodes:
                message = f"has {free} free addresses for {self._resource.max_nodes} nodes"
                yield Finding(subject, FindingState.WRONG, message, "Take a larger subnet, or a smaller quantity.max")
            else:
                yield Finding(subject, FindingState.OK, f"in {there}, {free} free addresses")

    def _zone(self) -> Iterator[Finding]:
        zone, name = self._config["availability_zone"], self._config["instance_type"]
        zones = sorted({*self._zones, *([zone] if zone else [])})
        if not zones or self._type is None:
            return
        filters = [{"Name": "instance-type", "Values": [name]}]
        found = self._ask(
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=filters,
        )
        if isinstance(found, DynamicClusterError):
            yield _seen("zones", found)
            return
        offered = {str(one.get("Location", "")) for one in found}
        for one in zones:
            if one in offered:
                yield Finding(f"zone {one}", FindingState.OK, f"has {name}")
            else:
                where = ", ".join(sorted(offered)) or "none"
                yield Finding(f"zone {one}", FindingState.WRONG, f"does not have {name}", f"Zones that do: {where}")

    def _groups(self) -> Iterator[Finding]:
        for group in self._config["security_groups"]:
            which = {"GroupIds": [group]} if group.startswith("sg-") else {"GroupNames": [group]}
            found = self._ask("describe_security_groups", "SecurityGroups", **which)
            yield self._thing(f"security group {group}", found, "Take one of this region and network")
            if not group.startswith("sg-") and (self._config["subnet_id"] or self._config.get("subnets")):
                message = "is a name, and with a subnet EC2 takes ids only"
                yield Finding(f"security group {group}", FindingState.WRONG, message, "Write its id (sg-...)")

    def _named(self, what: str, name: str | None, call: str, parameter: str, key: str) -> Iterator[Finding]:
        if name:
            yield self._thing(f"{what} {name}", self._ask(call, key, **{parameter: [name]}), f"Make the {what}")

    def _reservation(self) -> Iterator[Finding]:
        name = self._config["capacity_reservation_id"]
        if not name:
            return
        found = self._ask("describe_capacity_reservations", "CapacityReservations", CapacityReservationIds=[name])
        yield self._thing(f"capacity reservation {name}", found, "Take one of this region")
        for one in found if isinstance(found, list) else ():
            if one.get("InstanceType") not in (None, self._config["instance_type"]):
                message = f"is for {one['InstanceType']}"
                yield Finding(f"capacity reservation {name}", FindingState.WRONG, message, "Take the same type")

    def _profile(self) -> Iterator[Finding]:
        name = self._config["iam_instance_profile"]
        if not name:
            return
        subject, short = f"instance profile {name}", name.rpartition("/")[2]
        try:
            with self._calls.errors():
                self._calls.client("iam").get_instance_profile(InstanceProfileName=short)
        except DynamicClusterError as error:
            yield _seen(subject, error, "Make the instance profile (a role alone is not one)")
        else:
            yield Finding(subject, FindingState.OK, "is there")

    def _template(self) -> Iterator[Finding]:
        template = self._config["launch_template"]
        if template is None:
            return
        which = {"LaunchTemplateId": template.id} if template.id else {"LaunchTemplateName": template.name}
        found = self._ask(
            "describe_launch_template_versions", "LaunchTemplateVersions", Versions=[template.version], **which
        )
        subject = f"launch template {template.id or template.name}, version {template.version}"
        yield self._thing(subject, found, "Take a template and version that are there")

    def _quota(self) -> Iterator[Finding]:
        if self._type is None:
            return
        needed = self._type.vcpus * self._resource.max_nodes
        for market in markets(self._config):
            yield self._limit(f"quota of vCPUs, {market}", limit_of(self._type.name, market), needed)

    def _limit(self, subject: str, code: str, needed: int) -> Finding:
        if not code:
            return Finding(subject, FindingState.UNKNOWN, "its code is not known here")
        try:
            with self._calls.errors():
                said = self._calls.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=code)
        except DynamicClusterError as error:
            fix = "Allow servicequotas:GetServiceQuota; without it the limit shows when a launch is refused"
            return Finding(subject, FindingState.UNKNOWN, str(error), fix)
        most = int(said["Quota"]["Value"])
        if needed > most:
            message = f"{code} is {most}, and {amount(self._resource.max_nodes, 'node')} need {needed}"
            return Finding(subject, FindingState.WRONG, message, "Have it raised, or set a smaller quantity.max")
        return Finding(subject, FindingState.OK, f"{code} is {most}, needed are {needed}")

    def _user_data(self) -> tuple[str, list[Finding]]:
        template = user_data(self._config, self._cluster_id)
        if template is None:
            return "", []
        try:
            script = template.prepare().render("check", self._resource, _SPEC)
        except DynamicClusterError as error:
            return "", [Finding("user data", FindingState.WRONG, str(error), "Mend the template")]
        size = len(script.encode())
        if size > USER_DATA_BYTES:
            return "", [
                Finding("user data", FindingState.WRONG, f"{size} bytes", f"EC2 takes {USER_DATA_BYTES}: let it fetch")
            ]
        return script, [Finding("user data", FindingState.OK, f"{size} bytes")]

    def _rehearsals(self, script: str) -> Iterator[Finding]:
        ec2 = self._calls.client("ec2")
        tags = tags_of(self._cluster_id, "check", self._resource.name, "", [_SPEC], self._config["tags"])
        zone = zones(self._config)[0]
        request = run_instances(self._config, [_SPEC], token="", tags=tags, user_data=script, zone=zone)
        yield self._rehearsal(
            "launch", "ec2:RunInstances, ec2:CreateTags and, for a role, iam:PassRole", ec2.run_instances, request
        )
        yield self._rehearsal(
            "terminate", "ec2:TerminateInstances", ec2.terminate_instances, {"InstanceIds": [_NOBODY]}
        )
        yield from self._rehearsed_stops()
        yield self._rehearsal("list", "ec2:DescribeInstances", ec2.describe_instances, {})

    def _rehearsed_stops(self) -> Iterator[Finding]:
        """What warm nodes need beside the rest."""
        how, ec2 = self._config["when_idle"], self._calls.client("ec2")
        if how == "terminate":
            return
        nobody = {"InstanceIds": [_NOBODY]}
        yield self._rehearsal("stop", "ec2:StopInstances", ec2.stop_instances, nobody)
        yield self._rehearsal("start", "ec2:StartInstances", ec2.start_instances, nobody)
        yield self._rehearsal("see health", "ec2:DescribeInstanceStatus", ec2.describe_instance_status, {})
        if how == "hibernate" and self._type is not None and not self._type.hibernation:
            yield Finding(f"type {self._type.name}", FindingState.WRONG, "cannot hibernate", "Set when_idle: stop")

    def _queue(self) -> Iterator[Finding]:
        url = self._config["notices_queue_url"]
        if not url:
            return
        try:
            with self._calls.errors():
                self._calls.client("sqs").receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=0)
        except DynamicClusterError as error:
            yield wrong("queue of notices", error, "Allow sqs:ReceiveMessage and sqs:DeleteMessage on it")
        else:
            yield Finding("queue of notices", FindingState.OK, "can be read")

    # -- tools -------------------------------------------------------------------------------------------------

    def _rehearsal(self, what: str, right: str, call: Callable[..., object], request: Answer) -> Finding:
        try:
            self._calls.rehearse(call, **request)
        except NotFoundError:  # permission comes first, so whoever is told that it is not there may end machines
            pass
        except QuotaError as error:
            return Finding(f"may {what}", FindingState.WRONG, str(error), "Have the limit raised, or end machines")
        except AuthError as error:
            return Finding(f"may {what}", FindingState.DENIED, str(error), f"Allow {right}")
        except DynamicClusterError as error:
            return wrong(f"may {what}", error, "Mend what EC2 names")
        return Finding(f"may {what}", FindingState.OK, "EC2 would do it")

    def _ask(self, call: str, key: str, **parameters: Any) -> list[Any] | DynamicClusterError:
        try:
            return list(self._calls.pages(getattr(self._calls.client("ec2"), call), key, **parameters))
        except DynamicClusterError as error:
            return error

    def _thing(self, subject: str, found: list[Any] | DynamicClusterError, fix: str) -> Finding:
        if isinstance(found, DynamicClusterError):
            return _seen(subject, found, fix)
        if not found:
            return Finding(subject, FindingState.WRONG, "is not there", fix)
        return Finding(subject, FindingState.OK, "is there")


_SPEC = NodeSpec("check", "check-cloud")


def _size(size: Capacity) -> str:
    return f"{amount(size.cores, 'core')}, {size.memory_mib} MiB, {amount(size.gpus, 'GPU')} for jobs"


def _seen(subject: str, error: DynamicClusterError, fix: str = "") -> Finding:
    """A look that failed. Not to be allowed to look says nothing: launching needs other rights."""
    if isinstance(error, AuthError):
        return Finding(subject, FindingState.UNKNOWN, f"may not be looked at: {error}")
    return wrong(subject, error, fix)


def wrong(subject: str, error: DynamicClusterError, fix: str = "") -> Finding:
    match error:
        case AuthError():
            return Finding(subject, FindingState.DENIED, str(error), fix)
        case TransientError() | ThrottledError():
            return Finding(subject, FindingState.UNKNOWN, str(error), "Try again")
        case _:
            return Finding(subject, FindingState.WRONG, str(error), fix)


def _not_let_in(error: DynamicClusterError) -> Finding:
    """Somebody answered, or there are no credentials to ask with."""
    state = FindingState.DENIED if isinstance(error, AuthError) else FindingState.WRONG
    return Finding("credentials", state, str(error), _credential_fix(error))


def _credential_fix(error: DynamicClusterError) -> str:
    if "clock is wrong" in str(error):
        return "Set this machine's clock (chrony, ntpd)"
    if isinstance(error, AuthError):
        return (
            "Set access_key_id and secret_access_key, or profile_name, or give the machine a role: aws configure list"
        )
    return "See region_name, profile_name and endpoint_url"
