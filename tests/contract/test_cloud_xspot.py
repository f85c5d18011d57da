"""The contract of clouds for a menu on EC2, and what a menu has on offer there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from cloud_suite import MOST, RESOURCE, CloudSuite, Harness, specs
from ec2_rig import calls
from ec2_site import VCPUS, Ec2Site, Fault, ec2_site

from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.clouds.aws.build import build
from dynamiccluster.clouds.base import Cloud
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.config.schema_cloud_xspot import XspotConfig
from dynamiccluster.errors import BadConfigError, CapacityError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView

BASE = {"access_key_id": "key", "secret_access_key": "secret", "region_name": "us-east-1", "image_id": "ami-12c6146b"}
PRICES = {"c5.large": 0.085, "c5.xlarge": 0.17}
MENU: dict[str, Any] = {
    "on_demand_types": ["c5.large:2", "c5.xlarge"],
    "spot_fleet_types": ["c5.large"],
    "availability_zones": ["us-east-1a", "us-east-1b"],
    "prices": PRICES,
}
LARGE = "t/us-east-1a/c5.large/on-demand"


def keys(site: Ec2Site, **more: Any) -> dict[str, Any]:
    return dict(XspotConfig.model_validate(BASE | MENU | {"endpoint_url": site.url} | more))


def cloud(site: Ec2Site, cluster_id: str = "ours", **more: Any) -> AwsCloud:
    return AwsCloud(SystemClock(), cluster_id, "t", calls(site), {"small": keys(site, **more)}, {})


@pytest.fixture
def site() -> Iterator[Ec2Site]:
    with ec2_site() as running:
        yield running


class Chosen:
    """The cloud as the engine uses it, which has chosen an offer before it launches."""

    idempotent = True

    def __init__(self, cloud: AwsCloud, chosen: Mapping[str, Any] = MappingProxyType({"offering": LARGE})) -> None:
        self._cloud = cloud
        self._chosen = chosen
        self.tenancy = cloud.tenancy

    def list_instances(self) -> CloudView:
        return self._cloud.list_instances()

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        return self._cloud.launch(launch_id, replace(resource, **self._chosen), specs)

    def terminate(self, instance_ids: Sequence[str]) -> None:
        self._cloud.terminate(instance_ids)

    def console_tail(self, instance_id: str) -> str:
        return self._cloud.console_tail(instance_id)


class MenuHarness:
    def __init__(self, site: Ec2Site) -> None:
        site.boot_s, site.stop_s, site.most_vcpus = 0.2, 0.2, MOST * VCPUS
        self.cloud: Cloud = Chosen(cloud(site, "ours", spot_fleet_types=[]))
        self.other: Cloud = Chosen(cloud(site, "theirs", spot_fleet_types=[]))

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class TestMenu(CloudSuite):
    @pytest.fixture
    def harness(self, site: Ec2Site) -> Harness:
        return MenuHarness(site)


SPOT_LARGE = [
    Offer(
        "small",
        RESOURCE.capacity,
        offering=f"t/{zone}/{kind}/spot",
        price_per_hour=0.03,
        instance_type=kind,
        zone=zone,
        market="spot",
    )
    for zone in ("us-east-1a", "us-east-1b")
    for kind in ("c5.large", "m5.large")
]
ANY_LARGE = {"offering": SPOT_LARGE[0].offering, "any_of": tuple(SPOT_LARGE)}


class FleetHarness:
    """Machines are asked for by fleets. The place that the last offer is of has most of them."""

    def __init__(self, site: Ec2Site) -> None:
        site.boot_s, site.stop_s, site.most_vcpus = 0.2, 0.2, MOST * VCPUS
        site.deepest = ("us-east-1b/m5.large",)
        types = {"on_demand_types": [], "spot_fleet_types": ["c5.large", "m5.large"]}
        self.cloud: Cloud = Chosen(cloud(site, "ours", **types), ANY_LARGE)
        self.other: Cloud = Chosen(cloud(site, "theirs", **types), ANY_LARGE)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


class TestFleet(CloudSuite):
    @pytest.fixture
    def harness(self, running: Ec2Site) -> Harness:
        running.clear()
        return FleetHarness(running)


def test_a_menu_that_counts_against_several_limits_is_held_to_none_of_them(site: Ec2Site) -> None:
    site.most_vcpus = 4
    assert cloud(site, spot_fleet_types=[]).list_instances().quota.max_cores == 4
    assert cloud(site).list_instances().quota.max_cores is None, "a full limit of one market must not stop the other"


def offers(site: Ec2Site, **more: Any) -> dict[str, Offer]:
    return {offer.offering: offer for offer in cloud(site, **more).list_instances().offers}


def test_each_type_zone_and_market_is_an_offer(site: Ec2Site) -> None:
    found = offers(site)
    zones = ("us-east-1a", "us-east-1b")
    assert set(found) == {
        *(f"t/{zone}/{kind}/on-demand" for zone in zones for kind in ("c5.large", "c5.xlarge")),
        *(f"t/{zone}/c5.large/spot" for zone in zones),
    }
    large = found[LARGE]
    assert (large.resource, large.instance_type, large.zone, large.market) == (
        "small",
        "c5.large",
        "us-east-1a",
        "on-demand",
    )
    assert (large.capacity.cores, large.capacity.memory_mib) == (2, 3584)
    assert large.price_per_hour == 0.085
    assert large.priority == -2, "the bigger number is preferred there, the smaller one here"
    assert found["t/us-east-1a/c5.large/spot"].price_per_hour > 0


def test_a_family_is_all_of_its_sizes_but_bare_metal(site: Ec2Site) -> None:
    types = {offer.instance_type for offer in offers(site, on_demand_types=["c5"], spot_fleet_types=[]).values()}
    assert {"c5.large", "c5.24xlarge"} <= types
    assert all(kind.startswith("c5.") and "metal" not in kind for kind in types)


def test_one_poll_is_one_call_once_everything_is_known(site: Ec2Site) -> None:
    ours = cloud(site)
    first = ours.list_instances()
    asked = dict(site.calls)
    site.calls.clear()
    assert ours.list_instances().offers == first.offers
    assert site.calls == {"DescribeInstances": 1}
    assert asked["DescribeSpotPriceHistory"] == 1


def test_the_chosen_offer_is_what_is_launched(site: Ec2Site) -> None:
    ours = cloud(site)
    offering = "t/us-east-1b/c5.xlarge/on-demand"
    (made,) = ours.launch("l", replace(RESOURCE, offering=offering), specs("small-a"))
    assert made.offering == offering
    (described,) = described_in(site)
    assert described["InstanceType"] == "c5.xlarge"
    assert described["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert described.get("InstanceLifecycle") != "spot"
    (seen,) = ours.list_instances().instances
    assert seen.offering == offering


def test_a_spot_offer_is_launched_as_spot(site: Ec2Site) -> None:
    cloud(site).launch("l", replace(RESOURCE, offering="t/us-east-1a/c5.large/spot"), specs("small-a"))
    (described,) = described_in(site)
    assert described["InstanceLifecycle"] == "spot"


def test_what_is_sold_out_is_one_offer(site: Ec2Site) -> None:
    site.faults.append(Fault("RunInstances", "InsufficientInstanceCapacity", zone="us-east-1a"))
    ours = cloud(site)
    with pytest.raises(CapacityError) as caught:
        ours.launch("l", replace(RESOURCE, offering=LARGE), specs("small-a"))
    assert caught.value.offering == LARGE
    assert ours.launch("m", replace(RESOURCE, offering=LARGE.replace("1a", "1b")), specs("small-b"))


def test_a_launch_without_an_offer_is_refused(site: Ec2Site) -> None:
    for offering in ("", "zone-1", "other/us-east-1a/c5.large/spot"):
        with pytest.raises(BadConfigError):
            cloud(site).launch("l", replace(RESOURCE, offering=offering), specs("small-a"))
    assert "RunInstances" not in site.calls


def test_zones_are_those_of_the_subnets_which_launches_use(site: Ec2Site) -> None:
    subnets = {
        one["AvailabilityZone"]: one["SubnetId"]
        for one in client(site).describe_subnets()["Subnets"]
        if one["AvailabilityZone"] in ("us-east-1c", "us-east-1d")
    }
    found = offers(site, availability_zones=[], subnets=subnets)
    assert {offer.zone for offer in found.values()} == set(subnets)
    ours = cloud(site, availability_zones=[], subnets=subnets)
    ours.launch("l", replace(RESOURCE, offering="t/us-east-1d/c5.large/on-demand"), specs("small-a"))
    (described,) = described_in(site)
    assert described["SubnetId"] == subnets["us-east-1d"]


def test_with_one_subnet_its_zone_is_the_only_one(site: Ec2Site) -> None:
    (subnet,) = [
        one["SubnetId"] for one in client(site).describe_subnets()["Subnets"] if one["AvailabilityZone"] == "us-east-1c"
    ]
    found = offers(site, availability_zones=[], subnet_id=subnet)
    assert {offer.zone for offer in found.values()} == {"us-east-1c"}


def test_an_image_by_name_or_tag_is_the_newest_of_the_accounts_own(site: Ec2Site) -> None:
    ec2 = client(site)
    source = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    made = [ec2.create_image(InstanceId=source, Name=name)["ImageId"] for name in ("worker", "other")]
    ec2.create_tags(Resources=[made[1]], Tags=[{"Key": "Role", "Value": "worker"}])
    for text, wanted in (("worker", made[0]), ("Role/worker", made[1])):
        cloud(site, image_id=text).launch(
            text[:4], replace(RESOURCE, offering=LARGE), specs(f"small-{text[:4].lower()}")
        )
        assert wanted in {described["ImageId"] for described in described_in(site)}
    with pytest.raises(BadConfigError, match="no image of its own"):
        cloud(site, image_id="nobody").launch("n", replace(RESOURCE, offering=LARGE), specs("small-n"))


def test_volumes_have_tags_of_their_own_too(site: Ec2Site) -> None:
    ours = cloud(site, tags={"project": "hpc"}, volume_tags={"backup": "no"})
    ours.launch("l", replace(RESOURCE, offering=LARGE), specs("small-a"))
    (described,) = described_in(site)
    assert "backup" not in {tag["Key"] for tag in described["Tags"]}
    volume = described["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    tags = {tag["Key"]: tag["Value"] for tag in client(site).describe_volumes(VolumeIds=[volume])["Volumes"][0]["Tags"]}
    assert tags["backup"] == "no"
    assert tags["project"] == "hpc"


def test_a_menu_and_a_single_kind_share_a_tenancy(site: Ec2Site) -> None:
    single = dict(AwsConfig.model_validate(BASE | {"endpoint_url": site.url, "instance_type": "c5.xlarge"}))
    both = build("t", {"small": keys(site), "single": single}, "ours", SystemClock())
    found = both.list_instances().offers
    assert {offer.resource for offer in found} == {"small", "single"}
    assert site.calls["DescribeInstances"] == 1
    (made,) = both.launch("l", replace(RESOURCE, name="single", offering=""), specs("single-a"))
    assert made.instance_id


def test_prices_of_a_file_less_the_discount(site: Ec2Site, tmp_path: Path) -> None:
    file = tmp_path / "us-east-1.json"
    file.write_text('{"c5.large": {"ondemand": 0.1}, "c5.xlarge": {"ondemand": 0.2}}', "utf-8")
    found = offers(site, prices={"c5.xlarge": 0.15}, pricing_file=str(file), discount_aws=10)
    assert found[LARGE].price_per_hour == pytest.approx(0.09)
    assert found[LARGE.replace("large", "xlarge")].price_per_hour == 0.15, "as the operator says, discount or not"


@pytest.mark.parametrize(
    "call", ["DescribeInstanceTypes", "DescribeInstanceTypeOfferings", "DescribeSpotPriceHistory", "DescribeSubnets"]
)
def test_a_list_that_fails_is_asked_for_later_and_spoils_no_poll(site: Ec2Site, call: str) -> None:
    site.faults.append(Fault(call, "UnauthorizedOperation"))
    ours = cloud(site, subnet_id="subnet-1" if call == "DescribeSubnets" else None)
    view = ours.list_instances()
    assert view.completed_at >= view.started_at
    site.calls.clear()
    ours.list_instances()
    assert call not in site.calls, "not at every poll"


def client(site: Ec2Site) -> Any:
    return calls(site).client("ec2")


def described_in(site: Ec2Site) -> list[dict[str, Any]]:
    return [
        described
        for reservation in client(site).describe_instances()["Reservations"]
        for described in reservation["Instances"]
    ]
