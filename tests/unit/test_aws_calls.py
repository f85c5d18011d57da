"""Calls of EC2: credentials, proxy, words for errors, and few requests for many machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ec2_rig import KEYS, aws, calls, config
from ec2_site import Ec2Site, Fault, ec2_site

from dynamiccluster.clouds.aws import adapter
from dynamiccluster.clouds.aws.build import build
from dynamiccluster.clouds.aws.error_map import mapped
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    CapacityError,
    DynamicClusterError,
    ErrorClass,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import NodeSpec, PartialLaunch
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource

RESOURCE = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=200, offering="t/any/c5.large/on-demand")


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.clear()
    return running


def nodes(number: int) -> list[NodeSpec]:
    return [NodeSpec(f"n{at:07d}", f"r-n{at:07d}") for at in range(number)]


@pytest.fixture
def five_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a hundred, which the stand-in takes long for."""
    monkeypatch.setattr(adapter, "MOST_NODES", 5)


def test_many_machines_are_few_requests(site: Ec2Site, five_at_once: None) -> None:
    cloud = aws(site, SystemClock())
    made = cloud.launch("l", RESOURCE, nodes(11))
    assert site.calls["RunInstances"] == 3
    assert {machine.node_id for machine in made} == {spec.node_id for spec in nodes(11)}
    again = cloud.launch("l", RESOURCE, nodes(11))
    assert {machine.instance_id for machine in again} == {machine.instance_id for machine in made}
    assert site.made() == 11


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InsufficientInstanceCapacity", CapacityError),
        ("VcpuLimitExceeded", QuotaError),
        ("RequestLimitExceeded", ThrottledError),
        ("UnauthorizedOperation", AuthError),
    ],
)
def test_what_came_into_being_is_told_with_what_refused_the_rest(
    site: Ec2Site, five_at_once: None, code: str, kind: type[DynamicClusterError]
) -> None:
    site.faults += [Fault("RunInstances", code, after=1)]
    made = aws(site, SystemClock()).launch("l", RESOURCE, nodes(8))
    assert len(made) == 5
    assert isinstance(made, PartialLaunch)
    assert type(made.error) is kind
    assert getattr(made.error, "offering", "") == RESOURCE.offering


def test_machines_beside_a_lost_reply_are_no_answer(site: Ec2Site, five_at_once: None) -> None:
    site.faults[:] = [Fault("RunInstances", "lost", after=1)]
    with pytest.raises(UnknownOutcomeError):
        aws(site, SystemClock()).launch("l2", RESOURCE, nodes(8))


def test_a_protected_machine_keeps_no_other_alive(site: Ec2Site) -> None:
    cloud = aws(site, SystemClock())
    made = [machine.instance_id for machine in cloud.launch("l", RESOURCE, nodes(7))]
    ec2 = calls(site).client("ec2")
    for protected in (made[0], made[4]):
        ec2.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": True})
    with pytest.raises(BusyError, match="OperationNotPermitted"):
        cloud.terminate(made)
    assert site.living() == {made[0], made[4]}
    assert site.calls["TerminateInstances"] <= 11


@pytest.mark.parametrize(
    ("code", "kind"), [("RequestLimitExceeded", ThrottledError), ("InternalError", TransientError)]
)
def test_other_refusals_of_an_end_are_not_repeated_at_once(
    site: Ec2Site, code: str, kind: type[DynamicClusterError]
) -> None:
    cloud = aws(site, SystemClock())
    made = [machine.instance_id for machine in cloud.launch("l", RESOURCE, nodes(4))]
    site.faults += [Fault("TerminateInstances", code)]
    with pytest.raises(kind):
        cloud.terminate(made)
    assert site.calls["TerminateInstances"] == 1


def test_a_machine_that_went_meanwhile_is_ended(site: Ec2Site) -> None:
    cloud = aws(site, SystemClock())
    made = [machine.instance_id for machine in cloud.launch("l", RESOURCE, nodes(2))]
    site.faults += [Fault("TerminateInstances", "InvalidInstanceID.NotFound", times=2)]
    cloud.terminate(made)
    assert len(site.living()) == 1


def test_a_script_for_each_node_is_a_request_for_each(site: Ec2Site, tmp_path: Path) -> None:
    file = tmp_path / "userdata"
    file.write_text("#!/bin/sh\nhostname {{ minion_id }}\n")
    cloud = build("t", {"r": config(site, userdata_file=str(file))}, "c1", SystemClock())
    made = cloud.launch("l", RESOURCE, nodes(3))
    assert site.calls["RunInstances"] == 3
    assert len({machine.host_name for machine in made}) == 3
    file.write_text("#" * 17_000)
    with pytest.raises(BadConfigError, match="16384"):
        cloud.launch("l2", RESOURCE, nodes(1))


def test_everything_goes_through_the_proxy(site: Ec2Site) -> None:
    there = urlsplit(site.url)
    proxied = KEYS | {"proxy": there.hostname, "proxy_port": there.port}
    keys = AwsConfig.model_validate(proxied | {"endpoint_url": "http://ec2.us-east-1.amazonaws.com"})
    view = build("t", {"r": dict(keys)}, "c1", SystemClock()).list_instances()
    assert view.instances == ()
    assert site.calls["DescribeInstances"] == 1


def without_keys(site: Ec2Site) -> dict[str, Any]:
    keys = {key: value for key, value in KEYS.items() if "access_key" not in key}
    return dict(AwsConfig.model_validate(keys | {"endpoint_url": site.url}))


def test_without_keys_the_sdk_looks_for_its_own(site: Ec2Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(AuthError):
        build("t", {"r": without_keys(site)}, "c1", SystemClock()).list_instances()
    (tmp_path / "credentials").write_text("[burst]\naws_access_key_id = a\naws_secret_access_key = b\n")
    profile = without_keys(site) | {"profile_name": "burst"}
    assert build("t", {"r": profile}, "c1", SystemClock()).list_instances().instances == ()
    with pytest.raises(BadConfigError):
        build("t", {"r": profile | {"profile_name": "nobody"}}, "c1", SystemClock()).list_instances()


def test_resources_of_one_tenancy_agree(site: Ec2Site) -> None:
    with pytest.raises(BadConfigError, match="region_name"):
        build("t", {"a": config(site), "b": config(site, region_name="eu-west-1")}, "c1", SystemClock())


@pytest.mark.parametrize(
    ("code", "status", "launching", "expected"),
    [
        ("InsufficientInstanceCapacity", 500, True, ErrorClass.CAPACITY),
        ("SpotMaxPriceTooLow", 400, True, ErrorClass.CAPACITY),
        ("MaxSpotInstanceCountExceeded", 400, True, ErrorClass.QUOTA),
        ("VcpuLimitExceeded", 400, True, ErrorClass.QUOTA),
        ("RequestLimitExceeded", 503, True, ErrorClass.THROTTLED),
        ("ExpiredToken", 400, False, ErrorClass.AUTH),
        ("InvalidInstanceID.NotFound", 400, False, ErrorClass.NOT_FOUND),
        ("IdempotentParameterMismatch", 400, True, ErrorClass.UNKNOWN_OUTCOME),
        ("IdempotentInstanceTerminated", 400, True, ErrorClass.TRANSIENT),
        ("Unavailable", 503, True, ErrorClass.UNKNOWN_OUTCOME),
        ("Unavailable", 503, False, ErrorClass.TRANSIENT),
        ("", 0, True, ErrorClass.UNKNOWN_OUTCOME),
        ("InvalidAMIID.NotFound", 400, True, ErrorClass.BAD_CONFIG),
        ("OperationNotPermitted", 400, False, ErrorClass.BUSY),
        ("OperationNotPermitted", 400, True, ErrorClass.BAD_CONFIG),
        ("IncorrectInstanceState", 400, False, ErrorClass.BUSY),
    ],
)
def test_words_for_errors(code: str, status: int, launching: bool, expected: ErrorClass) -> None:
    assert mapped(code, status, "because", launching=launching).error_class is expected


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("RequestExpired", "Request has expired."),
        ("AuthFailure", "Signature not yet current: 20261120T101010Z is still later than 20261120T090000Z"),
    ],
)
def test_a_wrong_clock_is_named(code: str, message: str) -> None:
    error = mapped(code, 400, message, launching=False)
    assert error.error_class is ErrorClass.AUTH
    assert "clock" in str(error)


def test_capacity_and_quota_are_not_the_same(site: Ec2Site) -> None:
    cloud = aws(site, SystemClock())
    site.stock = 0
    with pytest.raises(CapacityError):
        cloud.launch("l", RESOURCE, nodes(1))
    site.stock, site.most_vcpus = 1_000_000, 1
    with pytest.raises(QuotaError):
        cloud.launch("l2", RESOURCE, nodes(1))
    site.most_vcpus = 0
