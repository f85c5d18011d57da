"""From a resource's keys and a launch to the parameters of RunInstances. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.aws.instance_map import ANY, NODES_TAG
from dynamiccluster.model.action import NodeSpec

SPOT, ON_DEMAND = "spot", "on-demand"
_TAGGED = ("instance", "volume", "network-interface")
_DISK_KEYS = {
    "size": "VolumeSize",
    "delete_on_termination": "DeleteOnTermination",
    "volume_type": "VolumeType",
    "iops": "Iops",
    "throughput_mib_s": "Throughput",
    "encrypted": "Encrypted",
    "kms_key_id": "KmsKeyId",
    "snapshot_id": "SnapshotId",
}


def offering_of(tenancy: str, zone: str | None, instance_type: str, market: str) -> str:
    """The key of the capacity back-off: what is sold out is sold out for a type in a zone and a market."""
    return f"{tenancy}/{zone or ANY}/{instance_type}/{market}"


def placed(offering: str, tenancy: str) -> tuple[str, str, str]:
    """Zone ("" = any), type and market of :func:`offering_of`'s text; empty ones if it is another's text."""
    parts = offering.removeprefix(f"{tenancy}/").split("/")
    if not offering.startswith(f"{tenancy}/") or len(parts) != 3:
        return "", "", ""
    return ("" if parts[0] == ANY else parts[0]), parts[1], parts[2]


def markets(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a resource with one machine type buys, spot first."""
    if config["spot_bid"] is None:
        return (ON_DEMAND,)
    return (SPOT, ON_DEMAND) if config["spot_fallback"] == ON_DEMAND else (SPOT,)


def zones(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Availability zones of a resource with one machine type; one "" = EC2 chooses."""
    one = config["availability_zone"]
    return (one,) if one else tuple(sorted(config["subnets"])) or ("",)


def run_instances(
    config: Mapping[str, Any],
    specs: Sequence[NodeSpec],
    *,
    token: str,
    tags: Mapping[str, str],
    user_data: str,
    zone: str = "",
    instance_type: str = "",
    market: str = "",
    least: int = 1,
    hyperthreading_cores: int = 0,
) -> dict[str, Any]:
    """Parameters for one request for ``len(specs)`` instances, or fewer if there are no more, but at ``least`` so many.

    ``zone``, ``instance_type`` and ``market`` replace what the keys say. ``hyperthreading_cores``: physical cores of
    the type, where the second threads are to be off; 0 leaves them alone.
    """
    market = market or (ON_DEMAND if config.get("spot_bid") is None else SPOT)
    zone = zone or config.get("availability_zone") or ""
    made: dict[str, Any] = {
        "MinCount": least,
        "MaxCount": len(specs),
        "ClientToken": token,
        "ImageId": config["image_id"],
        "InstanceType": instance_type or config["instance_type"],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": _tags(config, kind, tags)}
            for kind in (*_TAGGED, *(("spot-instances-request",) if market == SPOT else ()))
        ],
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": config["imds_hop_limit"],
            "InstanceMetadataTags": "enabled",
        },
        "InstanceInitiatedShutdownBehavior": "terminate",
        "UserData": user_data,
        "KeyName": config.get("key_name"),
        "IamInstanceProfile": _profile(config.get("iam_instance_profile")),
        "LaunchTemplate": _template(config.get("launch_template")),
        "BlockDeviceMappings": [_disk(disk) for disk in config["disk_map"].values()],
        "Placement": {
            key: value
            for key, value in (("AvailabilityZone", zone), ("GroupName", config.get("placement_group")))
            if value
        },
        "HibernationOptions": {"Configured": True}
        if config.get("when_idle") == "hibernate" and market != SPOT
        else None,
        "CapacityReservationSpecification": _reserved(config.get("capacity_reservation_id")),
        "CpuOptions": {"CoreCount": hyperthreading_cores, "ThreadsPerCore": 1} if hyperthreading_cores else None,
        "InstanceMarketOptions": _spot(config) if market == SPOT else None,
        **_network(config, zone),
    }
    return {key: value for key, value in made.items() if value or value == 0}


def _tags(config: Mapping[str, Any], kind: str, tags: Mapping[str, str]) -> list[dict[str, str]]:
    """``kind``: of thing. Which node a machine is stands on the machine alone."""
    own = config.get("volume_tags", {}) if kind == "volume" else {}
    kept = {key: value for key, value in tags.items() if kind == "instance" or not key.startswith(NODES_TAG)}
    return [{"Key": key, "Value": value} for key, value in {**own, **kept}.items()]


def _spot(config: Mapping[str, Any]) -> dict[str, Any]:
    """A one-time request, which ends with its instance."""
    options: dict[str, Any] = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
    if config.get("spot_bid"):
        options["MaxPrice"] = f"{config['spot_bid']:.4f}"
    return {"MarketType": SPOT, "SpotOptions": options}


def _network(config: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """A public address can be asked for, or refused, only with an interface of the request's own."""
    subnet = config["subnets"].get(zone) or config.get("subnet_id")
    groups = list(config["security_groups"])
    by_id = all(group.startswith("sg-") for group in groups)
    public = config.get("use_public_ip_address")
    if public is None or not subnet:
        return {
            "SubnetId": subnet,
            "SecurityGroupIds" if by_id else "SecurityGroups": groups,
        }
    interface = {
        "DeviceIndex": 0,
        "SubnetId": subnet,
        "AssociatePublicIpAddress": bool(public),
        "DeleteOnTermination": True,
    }
    return {"NetworkInterfaces": [interface | ({"Groups": groups} if groups else {})]}


def _disk(disk: Any) -> dict[str, Any]:
    volume = {theirs: getattr(disk, ours) for ours, theirs in _DISK_KEYS.items()}
    return {"DeviceName": disk.device, "Ebs": {key: value for key, value in volume.items() if value is not None}}


def _profile(name: str | None) -> dict[str, str] | None:
    if not name:
        return None
    return {"Arn": name} if name.startswith("arn:") else {"Name": name}


def _template(template: Any) -> dict[str, str] | None:
    if template is None:
        return None
    which = {"LaunchTemplateId": template.id} if template.id else {"LaunchTemplateName": template.name}
    return {**which, "Version": template.version}


def _reserved(reservation_id: str | None) -> dict[str, Any] | None:
    if not reservation_id:
        return None
    return {"CapacityReservationTarget": {"CapacityReservationId": reservation_id}}
