"""One machine type in several zones and in both markets: what is offered, where it is bought, and when on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from config_files import problems
from ec2_rig import KEYS, Ec2Rig, aws, rules
from ec2_site import Ec2Site, Fault, ec2_site
from engine_harness import on_virtual_time

from dynamiccluster.config.load import load
from dynamiccluster.config.menus import FOR_EVER_S
from dynamiccluster.errors import CapacityError, QuotaError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.menu import Menu
from dynamiccluster.model.resource import Resource

BOTH = {"spot_bid": 0.05, "spot_fallback": "on-demand", "spot_timeout": 120}
ZONES = {"us-east-1b": "subnet-b", "us-east-1a": "subnet-a"}


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.clear()
    running.most_vcpus = 0
    return running


def policy_resource(tmp_path: Path, resource: str = "", **keys: Any) -> Resource:
    config = "\n".join(f"      {key}: {value}" for key, value in {**KEYS, **keys}.items())
    file = tmp_path / "dc.yaml"
    file.write_text(
        "dynamic-cluster: {cluster_id: c1}\ncluster: {type: simulated}\n"
        f"cloud:\n  r:\n    type: aws\n    quantity: {{min: 0, max: 4}}\n{resource}    config:\n{config}\n"
    )
    return load(str(file)).policy.resources["r"]


@pytest.mark.parametrize(
    ("keys", "menu", "offering"),
    [
        ({}, None, "aws:us-east-1/any/c5.large/on-demand"),
        ({"spot_bid": 0.05}, None, "aws:us-east-1/any/c5.large/spot"),
        ({"spot_bid": 0.05, "spot_fallback": "none"}, None, "aws:us-east-1/any/c5.large/spot"),
        ({"subnets": "{us-east-1b: subnet-b}"}, None, "aws:us-east-1/us-east-1b/c5.large/on-demand"),
        (BOTH, (120.0, True), ""),
        ({"subnets": "{us-east-1b: s, us-east-1a: t}"}, (-1.0, True), ""),
        ({"spot_bid": 0.05, "subnets": "{us-east-1b: s, us-east-1a: t}"}, (300.0, False), ""),
    ],
)
def test_what_the_engine_is_told(
    tmp_path: Path, keys: dict[str, Any], menu: tuple[float, bool] | None, offering: str
) -> None:
    resource = policy_resource(tmp_path, **keys)
    told = None if resource.menu is None else (resource.menu.try_spot_s, resource.menu.on_demand)
    assert resource.menu is None or not resource.menu.priced  # `price_per_hour` has the word
    assert (told, resource.offering) == (menu, offering)


@pytest.mark.parametrize(
    ("keys", "waits_s"),
    [
        ({}, 0.0),
        ({"spot_bid": 0.05}, 300.0),
        ({"spot_bid": 0.05, "spot_timeout": 0}, 0.0),
        ({"spot_bid": 0.05, "spot_fallback": "none"}, FOR_EVER_S),
        (BOTH, 0.0),  # the menu itself waits
    ],
)
def test_how_long_work_waits_for_spot_before_it_goes_elsewhere(
    tmp_path: Path, keys: dict[str, Any], waits_s: float
) -> None:
    assert policy_resource(tmp_path, **keys).waits_s == waits_s


def test_a_size_of_the_sites_own_and_a_zone_without_subnet_are_refused(tmp_path: Path) -> None:
    text = (
        "dynamic-cluster: {cluster_id: c1}\ncluster: {type: simulated}\ncloud:\n  r:\n    type: aws\n"
        "    quantity: {max: 4}\n    capacity: {cores: 2, memory_mib: 3000}\n    config: {image_id: a, instance_type: "
        "c5.large, region_name: r, availability_zone: x, subnets: {y: s}, spot_bid: 1, spot_fallback: on-demand}\n"
    )
    said = " ".join(problem.problem for problem in problems(tmp_path, text))
    assert "several zones or markets" in said
    assert "no subnet of availability_zone x" in said


def test_an_offer_for_each_zone_and_market(site: Ec2Site) -> None:
    offers = aws(site, SystemClock(), **BOTH, subnets=ZONES).list_instances().offers
    told = [(offer.zone, offer.market, offer.price_per_hour) for offer in offers]
    assert told == [
        ("us-east-1a", "spot", 0.05),
        ("us-east-1b", "spot", 0.05),
        ("us-east-1a", "on-demand", 0.0),
        ("us-east-1b", "on-demand", 0.0),
    ]
    assert {offer.capacity.cores for offer in offers} == {2}
    assert offers[0].offering == "t/us-east-1a/c5.large/spot"


@pytest.mark.parametrize(("hyperthreading", "cores"), [(True, 2), (False, 1)])
def test_every_vcpu_counts_against_the_limit(site: Ec2Site, hyperthreading: bool, cores: int) -> None:
    (offer,) = aws(site, SystemClock(), hyperthreading=hyperthreading).list_instances().offers
    assert offer.capacity.cores == cores
    assert offer.billed == Capacity(2, 4096)


def test_a_machine_is_bought_where_the_offering_says(site: Ec2Site) -> None:
    ec2 = boto3.client(
        "ec2", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", endpoint_url=site.url
    )
    subnets = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]}
    cloud = aws(site, SystemClock(), **BOTH, subnets={zone: subnets[zone] for zone in ("us-east-1a", "us-east-1b")})
    resource = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=5)
    bought = {}
    for zone, market in (("us-east-1a", "spot"), ("us-east-1b", "on-demand")):
        wanted = replace(resource, offering=f"t/{zone}/c5.large/{market}")
        (machine,) = cloud.launch(f"l-{zone}", wanted, [NodeSpec("n", "r-n")])
        assert machine.offering == wanted.offering
        bought[machine.instance_id] = (zone, subnets[zone], market)
    for reservation in ec2.describe_instances()["Reservations"]:
        for one in reservation["Instances"]:
            market = one.get("InstanceLifecycle", "on-demand")
            assert bought[one["InstanceId"]] == (one["Placement"]["AvailabilityZone"], one["SubnetId"], market)


@pytest.mark.parametrize(
    ("code", "kind"), [("SpotMaxPriceTooLow", CapacityError), ("MaxSpotInstanceCountExceeded", QuotaError)]
)
def test_a_refused_spot_launch_names_its_offering(site: Ec2Site, code: str, kind: type[Exception]) -> None:
    site.faults.append(Fault("RunInstances", code))
    resource = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=5, offering="t/any/c5.large/spot")
    with pytest.raises(kind) as raised:
        aws(site, SystemClock(), spot_bid=0.01).launch("l", resource, [NodeSpec("n", "r-n")])
    assert raised.value.offering == resource.offering


@pytest.mark.parametrize(
    ("keys", "limited"),
    [({}, True), ({"spot_bid": 0.1}, True), (BOTH, False), ({"instance_type": "mac1.metal"}, False)],
)
def test_a_limit_holds_where_all_count_against_it(site: Ec2Site, keys: dict[str, Any], limited: bool) -> None:
    site.most_vcpus = 10
    ours = aws(site, SystemClock(), **keys)
    market = "spot" if "spot_bid" in keys else "on-demand"
    resource = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=5, offering=f"t/any/c5.large/{market}")
    ours.launch("l", resource, [NodeSpec("n", "r-n")])
    quota = ours.list_instances().quota
    assert (quota.max_cores, quota.used_cores) == ((10, 2) if limited else (None, 0))


@on_virtual_time
async def test_spot_is_tried_until_its_time_is_over_and_then_on_demand(site: Ec2Site) -> None:
    """While jobs wait, EC2 has no spot capacity; from the first refusal on it takes ``spot_timeout``."""
    base = rules()
    menu = Menu(try_spot_s=120.0, spot_settle_s=0.0)
    kind = replace(base.resources["r"], capacity=Capacity(), offering="", menu=menu, price_per_hour=0.1)
    rig = Ec2Rig(site, keys=BOTH, policy=replace(base, resources={"r": kind}))
    site.faults.append(Fault("RunInstances", "InsufficientInstanceCapacity", market="spot"))
    rig.start()
    await rig.ready()
    rig.submit(cores=2, count=3)
    await rig.until(lambda: rig.cloud.called("launch"))
    asked_at = asyncio.get_running_loop().time()
    await rig.until(lambda: len(site.living()) == 3)
    assert 100.0 < asyncio.get_running_loop().time() - asked_at < 400.0
    tried = [resource.offering.rpartition("/")[2] for _, resource, _ in rig.cloud.called("launch")]
    assert tried.count("spot") >= 1
    assert tried[-1] == "on-demand"
    assert {node.offer.market for node in rig.nodes if node.offer} == {"on-demand"}
    assert len(rig.nodes) == 3
    await rig.stop()
