"""``check-cloud`` on EC2: what it sees, and what it says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result
from ec2_site import Ec2Site, Fault, ec2_site

from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main
from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.check import check
from dynamiccluster.clouds.aws.limits_map import limit_of
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.resource import Resource

RESOURCE = Resource("small", "aws", "t", Capacity(2, 2000), max_nodes=4)
OK, WRONG, DENIED, UNKNOWN = FindingState
BASE = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "region_name": "us-east-1",
    "image_id": "ami-12c6146b",
    "instance_type": "c5.large",
}


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.faults.clear()
    running.most_vcpus = 100
    return running


def client(site: Ec2Site, service: str = "ec2") -> Any:
    return boto3.client(
        service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", endpoint_url=site.url
    )


def config(site: Ec2Site, **more: Any) -> dict[str, Any]:
    return dict(AwsConfig.model_validate(BASE | {"endpoint_url": site.url} | more))


CALLS: dict[str, AwsCalls] = {}
"""Clients are slow to make: one set per site."""


def found(site: Ec2Site, clock: Any = None, **more: Any) -> dict[str, list[Finding]]:
    several: dict[str, list[Finding]] = {}
    calls = CALLS.setdefault(site.url, AwsCalls(config(site)))
    for finding in check(RESOURCE, config(site, **more), "ours", clock, calls):
        several.setdefault(finding.subject, []).append(finding)
    return several


def states(several: dict[str, list[Finding]]) -> set[FindingState]:
    return {finding.state for each in several.values() for finding in each}


def test_all_is_well_and_nothing_was_launched(site: Ec2Site) -> None:
    ec2 = client(site)
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    ec2.create_key_pair(KeyName="admin")
    seen = found(
        site,
        subnet_id=subnet["SubnetId"],
        availability_zone=subnet["AvailabilityZone"],
        security_groups=[group],
        key_name="admin",
    )
    assert states(seen) == {OK}, seen
    assert {"credentials", "type c5.large", "image ami-12c6146b", f"subnet {subnet['SubnetId']}"} <= seen.keys()
    assert {"key pair admin", f"zone {subnet['AvailabilityZone']}", "may launch"} <= seen.keys()
    assert "quota of vCPUs, on-demand" in seen
    assert not ec2.describe_instances()["Reservations"]


@pytest.mark.parametrize(
    ("keys", "subject"),
    [
        ({"instance_type": "zz9.huge"}, "type zz9.huge"),
        ({"image_id": "ami-0000000000000dead"}, "image ami-0000000000000dead"),
        ({"instance_type": "c6g.large"}, "image ami-12c6146b"),
        ({"subnet_id": "subnet-0123456789abcdef0"}, "subnet subnet-0123456789abcdef0"),
        ({"security_groups": ["sg-0123456789abcdef0"]}, "security group sg-0123456789abcdef0"),
        ({"key_name": "nobodys"}, "key pair nobodys"),
        ({"iam_instance_profile": "nobodys"}, "instance profile nobodys"),
        ({"launch_template": {"name": "nobodys"}}, "launch template nobodys, version $Default"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_there_is_named_with_what_to_do(site: Ec2Site, keys: dict[str, Any], subject: str) -> None:
    (finding,) = found(site, **keys)[subject]
    assert finding.state is WRONG
    assert finding.fix


def test_a_subnet_of_another_zone(site: Ec2Site) -> None:
    subnets = client(site).describe_subnets()["Subnets"]
    wrong = found(site, subnet_id=subnets[0]["SubnetId"], availability_zone=subnets[1]["AvailabilityZone"])
    (finding,) = wrong[f"subnet {subnets[0]['SubnetId']}"]
    assert finding.state is WRONG
    assert subnets[1]["AvailabilityZone"] in finding.message


def test_a_small_quota_and_one_that_may_not_be_read(site: Ec2Site) -> None:
    site.most_vcpus = 6
    (finding,) = found(site)["quota of vCPUs, on-demand"]
    assert (finding.state, "4 nodes need 8" in finding.message) == (WRONG, True)
    site.most_vcpus = 0
    (finding,) = found(site)["quota of vCPUs, on-demand"]
    assert finding.state is UNKNOWN


def test_without_credentials_nothing_else_is_asked(site: Ec2Site) -> None:
    site.faults.append(Fault("GetCallerIdentity", "InvalidClientTokenId"))
    seen = found(site)
    assert seen.keys() == {"credentials"}
    assert seen["credentials"][0].state is DENIED
    assert "access_key_id" in seen["credentials"][0].fix


class Ahead(SystemClock):
    def now(self) -> float:
        return super().now() + 600.0


def test_a_wrong_clock_is_told_before_requests_fail_for_it(site: Ec2Site) -> None:
    assert found(site, Ahead())["clock"][0].state is WRONG
    site.faults.append(Fault("GetCallerIdentity", "RequestExpired"))
    assert "clock" in found(site)["credentials"][0].fix


@pytest.mark.parametrize(
    ("call", "subject", "right"),
    [
        ("RunInstances", "may launch", "ec2:RunInstances"),
        ("TerminateInstances", "may terminate", "ec2:TerminateInstances"),
        ("DescribeInstances", "may list", "ec2:DescribeInstances"),
    ],
)
def test_a_missing_permission_is_named(site: Ec2Site, call: str, subject: str, right: str) -> None:
    site.faults.append(Fault(call, "UnauthorizedOperation"))
    (finding,) = found(site)[subject]
    assert finding.state is DENIED
    assert right in finding.fix


def test_what_warm_nodes_and_notices_need(site: Ec2Site) -> None:
    url = client(site, "sqs").create_queue(QueueName="notices")["QueueUrl"]
    seen = found(site, when_idle="stop", notices_queue_url=url)
    assert {seen[what][0].state for what in ("may stop", "may start", "may see health", "queue of notices")} == {OK}
    site.faults.append(Fault("StopInstances", "UnauthorizedOperation"))
    seen = found(site, when_idle="hibernate", notices_queue_url=url + "-not", instance_type="c6a.large")
    assert seen["may stop"][0].state is DENIED
    assert seen["queue of notices"][0].state is WRONG


def test_not_to_be_allowed_to_look_is_no_fault(site: Ec2Site) -> None:
    site.faults += [Fault("DescribeImages", "UnauthorizedOperation"), Fault("DescribeKeyPairs", "Unavailable")]
    seen = found(site, key_name="admin")
    assert seen["image ami-12c6146b"][0].state is UNKNOWN
    assert seen["key pair admin"][0].state is UNKNOWN
    assert seen["may launch"][0].state is OK


def test_user_data_that_is_too_long_or_no_template(site: Ec2Site, tmp_path: Path) -> None:
    file = tmp_path / "userdata"
    file.write_text("#" * 20_000)
    assert found(site, userdata_file=str(file))["user data"][0].state is WRONG
    file.write_text("{{ nothing }}")
    assert found(site, userdata_file=str(file))["user data"][0].state is WRONG
    file.write_text("#!/bin/sh\nhostname {{ minion_id }}\n")
    assert found(site, userdata_file=str(file))["user data"][0].state is OK


@pytest.mark.parametrize(
    ("instance_type", "on_demand", "spot"),
    [
        ("c5.large", "L-1216C47A", "L-34B43A08"),
        ("im4gn.large", "L-1216C47A", "L-34B43A08"),
        ("g5.xlarge", "L-DB2E81BA", "L-3819A6DF"),
        ("p4d.24xlarge", "L-417A185B", "L-7212CCBC"),
        ("hpc7a.96xlarge", "L-F7808C92", ""),
        ("u-6tb1.metal", "L-43DA4232", ""),
        ("mac1.metal", "", ""),
    ],
)
def test_limits_of_types(instance_type: str, on_demand: str, spot: str) -> None:
    assert (limit_of(instance_type, "on-demand"), limit_of(instance_type, "spot")) == (on_demand, spot)


# -- the verb ------------------------------------------------------------------------------------------------------


def run(tmp_path: Path, site: Ec2Site, *arguments: str, image: str = "ami-12c6146b") -> Result:
    file = tmp_path / "dc.yaml"
    file.write_text(f"""
dynamic-cluster: {{cluster_id: c1}}
cluster: {{type: simulated}}
cloud:
  burst:
    type: aws
    quantity: {{min: 0, max: 4}}
    config:
      access_key_id: a
      secret_access_key: b
      region_name: us-east-1
      image_id: {image}
      instance_type: c5.large
      endpoint_url: {site.url}
  here: {{type: simulated, quantity: {{min: 0, max: 1}}, capacity: {{cores: 1, memory_mib: 1}}}}
""")
    return CliRunner().invoke(main, ["check-cloud", "-c", str(file), *arguments])


def test_the_verb(site: Ec2Site, tmp_path: Path) -> None:
    good = run(tmp_path, site)
    assert good.exit_code == exits.OK, good.output
    assert "may launch" in good.output
    assert "needs nothing that could be missing" in good.output
    bad = run(tmp_path, site, "burst", "-o", "json", image="ami-0000000000000dead")
    assert bad.exit_code == exits.BAD_CONFIG
    told = json.loads(bad.output)
    assert (told["ok"], [one["resource"] for one in told["resources"]]) == (False, ["burst"])
    assert [one["state"] for one in told["resources"][0]["findings"] if one["subject"].startswith("image")] == ["wrong"]
    site.faults.append(Fault("RunInstances", "UnauthorizedOperation"))
    assert run(tmp_path, site, "burst").exit_code == exits.FORBIDDEN
    assert run(tmp_path, site, "nobody").exit_code == exits.NOT_FOUND
