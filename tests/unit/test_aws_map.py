"""What EC2 is told of machines, and what is read out of its lists."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_rig import KEYS

from dynamiccluster.clouds.aws.instance_map import MOST_NODES, NODES_TAG, tags_of, to_instance
from dynamiccluster.clouds.aws.limits_map import limit_of
from dynamiccluster.clouds.aws.request_map import run_instances
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.model.action import NodeSpec

LONG = "h" * 54


def nodes(number: int, prefix: str, numbered: bool = False) -> list[NodeSpec]:
    return [NodeSpec(f"n{at:07d}", f"{prefix}-{at:08d}" if numbered else f"{prefix}-n{at:07d}") for at in range(number)]


def tags(specs: list[NodeSpec], **site: str) -> dict[str, str]:
    return tags_of("c1", "c1-n0", "r", "t/any/c5.large/spot", specs, site)


def described(specs: list[NodeSpec], index: int) -> dict[str, Any]:
    given = [{"Key": key, "Value": value} for key, value in tags(specs).items()]
    return {"InstanceId": "i-1", "AmiLaunchIndex": index, "State": {"Name": "running"}, "Tags": given}


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("prefix", ["a", "small", LONG])
@pytest.mark.parametrize("number", [1, 2, MOST_NODES])
def test_every_machine_of_a_launch_is_told_apart(number: int, prefix: str, numbered: bool) -> None:
    specs = nodes(number, prefix, numbered)
    for index, spec in enumerate(specs):
        found = to_instance(described(specs, index))
        assert (found.node_id, found.host_name) == (spec.node_id, spec.host_name)
    beyond = to_instance(described(specs, number))
    assert (beyond.node_id, beyond.host_name) == ("", "")


def test_tags_are_within_ec2s_bounds() -> None:
    site = {f"site-{number}": "x" for number in range(10)}
    found = tags(nodes(MOST_NODES, LONG, numbered=True), **site)
    assert len(found) <= 50
    assert max(map(len, found.values())) <= 256
    assert len(tags(nodes(MOST_NODES, "wn"))) < 12  # every poll reads them


def test_a_site_cannot_replace_our_tags() -> None:
    assert tags(nodes(1, "a"), **{"dynamiccluster:cluster": "theirs"})["dynamiccluster:cluster"] == "c1"


def request(specs: list[NodeSpec], **more: Any) -> dict[str, Any]:
    return run_instances(
        dict(AwsConfig.model_validate(KEYS | more)), specs, token="token", tags=tags(specs), user_data="#!/bin/sh\n"
    )


def test_a_request_carries_all_that_a_machine_is_found_by() -> None:
    made = request(nodes(3, "a"))
    assert (made["MinCount"], made["MaxCount"], made["ClientToken"]) == (1, 3, "token")
    kinds = {one["ResourceType"]: {tag["Key"] for tag in one["Tags"]} for one in made["TagSpecifications"]}
    assert kinds.keys() == {"instance", "volume", "network-interface"}
    assert all("dynamiccluster:cluster" in keys for keys in kinds.values())
    assert f"{NODES_TAG}0" in kinds["instance"]
    assert f"{NODES_TAG}0" not in kinds["volume"]
    assert made["MetadataOptions"]["HttpTokens"] == "required"
    assert made["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert "InstanceMarketOptions" not in made


def test_spot_has_its_price_tags_and_token_in_the_same_call() -> None:
    made = request(nodes(1, "a"), spot_bid=0.12)
    assert made["InstanceMarketOptions"]["SpotOptions"]["MaxPrice"] == "0.1200"
    assert made["InstanceMarketOptions"]["SpotOptions"]["SpotInstanceType"] == "one-time"
    assert made["ClientToken"]
    assert "spot-instances-request" in {one["ResourceType"] for one in made["TagSpecifications"]}


def test_every_key_reaches_the_request() -> None:
    made = request(
        nodes(1, "a"),
        key_name="admin",
        subnet_id="subnet-1",
        security_groups=["sg-1"],
        use_public_ip_address=False,
        availability_zone="us-east-1a",
        iam_instance_profile="arn:aws:iam::1:instance-profile/hpc",
        launch_template={"name": "hpc", "version": "3"},
        placement_group="together",
        capacity_reservation_id="cr-1",
        imds_hop_limit=2,
        disk_map={
            "scratch": {"device": "/dev/sdb", "size": 100, "volume_type": "gp3", "iops": 4000, "encrypted": True}
        },
    )
    assert made["KeyName"] == "admin"
    (interface,) = made["NetworkInterfaces"]
    assert (interface["SubnetId"], interface["Groups"]) == ("subnet-1", ["sg-1"])
    assert interface["AssociatePublicIpAddress"] is False
    assert made["Placement"] == {"AvailabilityZone": "us-east-1a", "GroupName": "together"}
    assert made["IamInstanceProfile"] == {"Arn": "arn:aws:iam::1:instance-profile/hpc"}
    assert made["LaunchTemplate"] == {"LaunchTemplateName": "hpc", "Version": "3"}
    assert made["CapacityReservationSpecification"]["CapacityReservationTarget"] == {"CapacityReservationId": "cr-1"}
    assert made["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    (disk,) = made["BlockDeviceMappings"]
    expected = {"VolumeSize": 100, "VolumeType": "gp3", "Iops": 4000, "Encrypted": True, "DeleteOnTermination": True}
    assert disk == {"DeviceName": "/dev/sdb", "Ebs": expected}


@pytest.mark.parametrize(
    ("instance_type", "on_demand", "spot"),
    [
        *((f"{letter}6i.large", "L-1216C47A", "L-34B43A08") for letter in "acdhimrtz"),
        ("f2.6xlarge", "L-74FC7D96", "L-88CF9481"),
        ("g6e.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("gr6.4xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("vt1.3xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p4de.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("p5.48xlarge", "L-417A185B", ""),
        ("x2idn.16xlarge", "L-7295265B", "L-E3A00192"),
        ("inf2.xlarge", "L-1945791B", "L-B5D1601B"),
        ("trn1n.32xlarge", "L-2C3B7624", "L-6B0D517C"),
        ("dl2q.24xlarge", "L-6E869C2A", "L-85EED4F7"),
        ("u7i-12tb.224xlarge", "L-43DA4232", ""),
        ("quantum9.large", "", ""),
    ],
)
def test_each_family_counts_against_its_limit(instance_type: str, on_demand: str, spot: str) -> None:
    """Codes as the tables of EC2's user guide link them."""
    assert (limit_of(instance_type, "on-demand"), limit_of(instance_type, "spot")) == (on_demand, spot)
