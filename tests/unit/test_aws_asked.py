"""What EC2 is really asked for, key by key: the words of the requests as they leave, accepted by its stand-in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from ec2_rig import KEYS, config
from ec2_site import Ec2Site, HandClock, ec2_site

from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.written import BLIND_S
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource

ON_DEMAND = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=5, offering="t/any/c5.large/on-demand")
SPOT = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=5, offering="t/any/c5.large/spot")
RESERVATION = "CapacityReservationSpecification.CapacityReservationTarget"
ROLE = "arn:aws:iam::123456789012:instance-profile/hpc"


class Asked:
    """A cloud, and what leaves it: (call, its parameters on the wire, who signed it)."""

    def __init__(self, site: Ec2Site, keys: dict[str, Any] | None = None, **more: Any) -> None:
        self.requests: list[tuple[str, dict[str, str], str]] = []
        self.clock = HandClock(1_795_000_000.0)
        self.keys = keys or config(site, **more)
        calls = AwsCalls(self.keys)
        self.ec2 = calls.client("ec2")
        self.ec2.meta.events.register("before-call.ec2", self._asked)
        self.ec2.meta.events.register("before-send.ec2", self._signed)
        self.cloud = AwsCloud(self.clock, "c1", "t", calls, {"r": self.keys}, {})
        self.clock.at += BLIND_S

    def _asked(self, model: Any, params: Any, **_: Any) -> None:
        body = {key: str(value) for key, value in params["body"].items()}
        self.requests.append((model.name, body, ""))

    def _signed(self, request: Any, **_: Any) -> None:
        call, body, _ = self.requests[-1]
        header = request.headers["Authorization"]
        text = header.decode() if isinstance(header, bytes) else str(header)
        self.requests[-1] = (call, body, text.partition("Credential=")[2].partition("/")[0])

    def of(self, call: str) -> list[dict[str, str]]:
        return [body for name, body, _ in self.requests if name == call]

    def launch(self, resource: Resource = ON_DEMAND, name: str = "a") -> str:
        (machine,) = self.cloud.launch(f"l-{name}", resource, [NodeSpec(name, f"r-{name}")])
        return machine.instance_id


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        client("iam", site).create_instance_profile(InstanceProfileName="hpc")
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.clear()
    return running


def client(service: str, site: Ec2Site) -> Any:
    """Of the operator, who prepares things."""
    return boto3.client(
        service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", endpoint_url=site.url
    )


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        ({}, {"MetadataOptions.HttpTokens": "required", "MetadataOptions.HttpEndpoint": "enabled"}),
        ({"imds_hop_limit": 2}, {"MetadataOptions.HttpPutResponseHopLimit": "2"}),
        ({"iam_instance_profile": "hpc"}, {"IamInstanceProfile.Name": "hpc"}),
        ({"iam_instance_profile": ROLE}, {"IamInstanceProfile.Arn": ROLE}),
        (
            {"launch_template": {"name": "hpc", "version": "1"}},
            {"LaunchTemplate.LaunchTemplateName": "hpc", "LaunchTemplate.Version": "1"},
        ),
        (
            {"disk_map": {"root": {"device": "/dev/xvda", "size": 50, "volume_type": "gp3", "iops": 4000}}},
            {
                "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
                "BlockDeviceMapping.1.Ebs.VolumeSize": "50",
                "BlockDeviceMapping.1.Ebs.VolumeType": "gp3",
                "BlockDeviceMapping.1.Ebs.Iops": "4000",
                "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "true",
            },
        ),
        ({"placement_group": "together"}, {"Placement.GroupName": "together"}),
        ({"availability_zone": "us-east-1b"}, {"Placement.AvailabilityZone": "us-east-1b"}),
        (
            {"capacity_reservation_id": "cr-0123456789abcdef0"},
            {f"{RESERVATION}.CapacityReservationId": "cr-0123456789abcdef0"},
        ),
        ({"when_idle": "hibernate"}, {"HibernationOptions.Configured": "true"}),
        ({"hyperthreading": False}, {"CpuOptions.CoreCount": "1", "CpuOptions.ThreadsPerCore": "1"}),
        ({"key_name": "admin"}, {"KeyName": "admin"}),
        ({"security_groups": ["default"]}, {"SecurityGroup.1": "default"}),
    ],
    ids=lambda value: next(iter(value), "plain") if isinstance(value, dict) else "",
)
def test_each_key_is_in_the_request(site: Ec2Site, keys: dict[str, Any], asked: dict[str, str]) -> None:
    if "launch_template" in keys:
        client("ec2", site).create_launch_template(LaunchTemplateName="hpc", LaunchTemplateData={"EbsOptimized": True})
    place = Asked(site, **keys)
    place.launch()
    (request,) = place.of("RunInstances")
    assert asked.items() <= request.items()
    assert request["ClientToken"] == "l-a-0"
    assert "dynamiccluster:cluster" in request.values()  # in the call that makes it


def test_spot_has_price_tags_and_token_in_one_call(site: Ec2Site) -> None:
    place = Asked(site, spot_bid=0.12)
    place.launch(SPOT)
    (request,) = place.of("RunInstances")
    options = "InstanceMarketOptions.SpotOptions."
    assert (request["InstanceMarketOptions.MarketType"], request[f"{options}MaxPrice"]) == ("spot", "0.1200")
    assert request[f"{options}SpotInstanceType"] == "one-time"
    kinds = {value for key, value in request.items() if key.endswith(".ResourceType")}
    assert kinds == {"instance", "volume", "network-interface", "spot-instances-request"}
    assert request["ClientToken"]
    assert "CreateTags" not in site.calls


@pytest.mark.parametrize(("how", "hibernate"), [("stop", "false"), ("hibernate", "true")])
def test_warm_nodes_are_stopped_or_hibernated_and_started(site: Ec2Site, how: str, hibernate: str) -> None:
    place = Asked(site, when_idle=how)
    machine = place.launch()
    place.cloud.terminate([machine])
    assert place.of("StopInstances") == [
        {**place.of("StopInstances")[0], "InstanceId.1": machine, "Hibernate": hibernate}
    ]
    assert place.launch(name="b") == f"{machine}+1"
    assert [request["InstanceId.1"] for request in place.of("StartInstances")] == [machine]
    assert len(place.of("RunInstances")) == 1
    assert not place.of("TerminateInstances")


# -- whose keys ----------------------------------------------------------------------------------------------------

WITHOUT = {key: value for key, value in KEYS.items() if "access_key" not in key}


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials anywhere. Returned is the file in which the SDK looks for some."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path / "credentials"


def signer(site: Ec2Site, **more: Any) -> str:
    place = Asked(site, dict(AwsConfig.model_validate(WITHOUT | {"endpoint_url": site.url} | more)))
    place.cloud.list_instances()
    (who,) = {who for call, _, who in place.requests if call == "DescribeInstances"}
    return who


def test_keys_of_the_configuration_come_first(site: Ec2Site, nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OF-ENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert signer(site, access_key_id="OF-FILE", secret_access_key="s") == "OF-FILE"
    assert signer(site) == "OF-ENVIRONMENT"


def test_then_those_of_a_profile(site: Ec2Site, nobody: Path) -> None:
    nobody.write_text(
        "[default]\naws_access_key_id = OF-DEFAULT\naws_secret_access_key = b\n"
        "[burst]\naws_access_key_id = OF-BURST\naws_secret_access_key = b\n"
    )
    assert signer(site) == "OF-DEFAULT"
    assert signer(site, profile_name="burst") == "OF-BURST"


def test_then_those_of_the_instances_role(site: Ec2Site, nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with metadata_service() as url:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        assert signer(site) == "OF-ROLE"


@contextmanager
def metadata_service() -> Iterator[str]:
    """Of an instance whose role may use EC2; by tokens only."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Metadata)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class _Metadata(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self._say(200, "token")

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != "token":
            self._say(401, "")
        elif self.path.endswith("/security-credentials/"):
            self._say(200, "hpc")
        else:
            keys = {"AccessKeyId": "OF-ROLE", "SecretAccessKey": "s", "Token": "t", "Code": "Success"}
            self._say(200, json.dumps(keys | {"Expiration": "2099-01-01T00:00:00Z"}))

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""
