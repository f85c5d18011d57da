"""A menu from the configuration file to machines: the whole engine against the stand-in of EC2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ec2_rig import Ec2Rig, calls
from ec2_site import Ec2Site, Fault, ec2_site
from engine_harness import Tap, on_virtual_time, policy

from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.config.load import load

TOML = """
[scheduler]
booting_timeout = 10
try_spot_period = 60
[aws]
ami = "ami-12c6146b"
[worker]
on_demand_types = ["c5.large:1", "c5.2xlarge"]
spot_fleet_types = ["m5.large", "m5.2xlarge"]
"""


def rig_of(site: Ec2Site, directory: Path, **more: Any) -> Ec2Rig:
    (directory / "config.toml").write_text(TOML, "utf-8")
    config: dict[str, Any] = {
        "region_name": "us-east-1",
        "endpoint_url": site.url,
        "access_key_id": "key",
        "secret_access_key": "secret",
        "config_file": "config.toml",
        "availability_zones": ["us-east-1a"],
        "prices": {"c5.large": 0.085, "c5.2xlarge": 0.34},
        **more,
    }
    menu = {"type": "xspot", "tenancy": "t", "quantity": {"max": 20}, "config": config, "timers": {"launch_s": 1e6}}
    document = {"dynamic-cluster": {"cluster_id": "c1"}, "cluster": {"type": "slurm"}, "cloud": {"menu": menu}}
    (directory / "c.yaml").write_text(yaml.safe_dump(document), "utf-8")
    loaded = load(directory / "c.yaml")
    rig = Ec2Rig(site, policy=policy(loaded.policy.resources["menu"]))
    keys = dict(loaded.settings.cloud["menu"].config)
    rig.cloud = Tap(AwsCloud(rig.clock, "c1", "t", calls(site), {"menu": keys}, {}))
    return rig


def offerings(rig: Ec2Rig) -> list[str]:
    return sorted(node.offer.offering for node in rig.nodes if node.offer is not None)


@on_virtual_time
async def test_waiting_jobs_get_spot_machines_of_a_type_that_fits(tmp_path: Path) -> None:
    with ec2_site() as site:
        rig = rig_of(site, tmp_path)
        rig.start()
        await rig.ready()
        rig.submit(cores=6)
        await rig.until(lambda: rig.recorded())
        await rig.until(rig.settled)
        assert offerings(rig) == ["t/us-east-1a/m5.2xlarge/spot"]
        (node,) = rig.nodes
        assert node.offer is not None
        assert node.offer.capacity.cores == 8
        await rig.stop()


@on_virtual_time
async def test_without_spot_capacity_the_jobs_get_on_demand_machines_after_the_period(tmp_path: Path) -> None:
    with ec2_site() as site:
        site.faults += [
            Fault("RunInstances", "InsufficientInstanceCapacity", instance_type=kind)
            for kind in ("m5.large", "m5.2xlarge")
        ]
        rig = rig_of(site, tmp_path)
        rig.start()
        await rig.ready()
        asked_at = rig.clock.now()
        rig.submit(cores=2)
        await rig.until(lambda: rig.recorded())
        assert rig.clock.now() - asked_at >= 60, "spot is tried for that long"
        assert offerings(rig) == ["t/us-east-1a/c5.large/on-demand"]
        await rig.stop()


FLEET = {
    "launch_by": "fleet",
    "spot_fleet_types": ["c5.2xlarge", "m5.2xlarge", "r5.2xlarge"],
    "availability_zones": ["us-east-1a", "us-east-1b"],
}


@on_virtual_time
async def test_ec2_chooses_among_what_does_as_well_and_the_nodes_are_what_it_chose(tmp_path: Path) -> None:
    with ec2_site() as site:
        site.deepest = ("us-east-1b/r5.2xlarge",)
        rig = rig_of(site, tmp_path, **FLEET)
        rig.start()
        await rig.ready()
        rig.submit(cores=8, count=3)
        await rig.until(lambda: len(rig.recorded()) == 3)
        await rig.until(rig.settled)
        assert offerings(rig) == ["t/us-east-1b/r5.2xlarge/spot"] * 3
        assert {node.offer.capacity.memory_mib // 1024 for node in rig.nodes if node.offer} == {62}
        assert (site.calls["CreateFleet"], site.calls["RunInstances"]) == (1, 1)
        await rig.stop()


@on_virtual_time
async def test_a_fleet_whose_reply_is_lost_is_found_with_what_it_is(tmp_path: Path) -> None:
    with ec2_site() as site:
        site.deepest = ("us-east-1b/r5.2xlarge",)
        site.faults.append(Fault("CreateFleet", "lost"))
        rig = rig_of(site, tmp_path, **FLEET)
        rig.start()
        await rig.ready()
        rig.submit(cores=8)
        await rig.until(lambda: rig.recorded())
        await rig.until(rig.settled)
        assert offerings(rig) == ["t/us-east-1b/r5.2xlarge/spot"]
        assert site.made() == 1
        await rig.stop()


@on_virtual_time
async def test_what_a_fleet_finds_sold_out_is_left_alone_and_then_comes_on_demand(tmp_path: Path) -> None:
    with ec2_site() as site:
        short = "InsufficientInstanceCapacity"
        site.faults.append(Fault("CreateFleet", short, zone="us-east-1a"))
        rig = rig_of(site, tmp_path, **FLEET)
        rig.start()
        await rig.ready()
        rig.submit(cores=8)
        await rig.until(lambda: rig.recorded())
        (there,) = offerings(rig)
        assert there.startswith("t/us-east-1b/")
        held = {key for key in rig.store.load().memory.backoffs if key.startswith("offering:")}
        assert held
        assert all("us-east-1a" in key for key in held)
        site.faults.append(Fault("CreateFleet", short, zone="us-east-1b"))
        rig.submit(cores=8)
        await rig.until(lambda: len(rig.recorded()) == 2)
        assert any(one.endswith("/c5.2xlarge/on-demand") for one in offerings(rig))
        await rig.stop()
