"""``xwo-config``: from the vendor's simplified YAML and EC2's own machine data to pools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from ec2_site import ec2_site
from moto.ec2.models.instance_types import INSTANCE_TYPES

from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main
from dynamiccluster.config.load import load
from dynamiccluster.config.xwo import Grouping, grouped, machines_of, max_memory_mb, read, weight
from dynamiccluster.config.xwo_text import as_cloud, as_json, slurm_conf
from dynamiccluster.errors import BadConfigError

XWO: dict[str, Any] = {
    "ManagementServerStackName": "exostellar-management-server",
    "PartitionName": "xwo",
    "AvailabilityZone": "us-east-1b",
    "Images": [{"ImageId": "ami-0123456789abcdef0", "ImageName": "worker", "VolumeSize": 20}],
    "DefaultImageName": "worker",
    "InstanceTypes": ["c5a:1", "m5a:2", "r5a:3"],
    "SpotFleetTypes": ["c5a:1", "m5a:2", "r5a:3"],
    "PoolSize": 10,
    "EnableHyperthreading": False,
    "VmRootPasswordSecret": "ExostellarVmRootPassword",
}
"""As the vendor's page has it, with an id and a name where it has placeholders."""

MACHINES = machines_of(INSTANCE_TYPES.values())
"""EC2's own descriptions, as moto has recorded them."""


def made(**keys: Any) -> Grouping:
    return grouped(read(yaml.safe_dump({"slurm": {"Xwo": XWO | keys}})), MACHINES)


def pools(grouping: Grouping) -> dict[str, Any]:
    return {pool.name: pool for pool in grouping.pools}


def test_types_are_grouped_by_vendor_memory_and_cores() -> None:
    found = pools(made())
    assert "amd-64g-4c" in found, "the vendor's own example of a job asks for xwo-amd-64g-4c"
    pool = found["amd-64g-8c"]
    assert (pool.cpus, pool.max_memory_mb, pool.size, pool.volume_gb, pool.image) == (8, 57000, 10, 20, "worker")
    assert pool.on_demand == pool.spot == (("m5a.4xlarge", 2),)
    assert dict(found["amd-128g-16c"].on_demand) == {"m5a.8xlarge": 2}
    assert {name for pool in found.values() for name, _ in pool.on_demand} == {
        name
        for name, machine in MACHINES.items()
        if name.split(".")[0] in ("c5a", "m5a", "r5a") and machine.memory_mib >= 32 * 1024
    }


def test_equal_machines_of_several_families_are_one_pool() -> None:
    found = pools(made(InstanceTypes=["m5", "m5d:4"], SpotFleetTypes=["m5n"]))
    pool = found["intel-32g-4c"]
    assert (dict(pool.on_demand), dict(pool.spot)) == ({"m5.2xlarge": 0, "m5d.2xlarge": 4}, {"m5n.2xlarge": 0})


def test_with_hyperthreading_a_pool_counts_threads() -> None:
    found = pools(made(EnableHyperthreading=True))
    assert found["amd-64g-16c"].cpus == 16
    assert dict(found["amd-64g-16c"].on_demand) == {"m5a.4xlarge": 2}


@pytest.mark.parametrize(
    ("vendor", "gb", "left"),
    [
        *(("amd", *pair) for pair in ((32, 25000), (64, 57000), (128, 120000), (256, 247000), (384, 373000))),
        *(("amd", *pair) for pair in ((512, 498000), (768, 751000), (1024, 1004000))),
        *(("intel", *pair) for pair in ((32, 26000), (64, 58000), (128, 122000), (256, 248000), (384, 376000))),
        *(("intel", *pair) for pair in ((512, 502000), (768, 758000), (1024, 1010000))),
        ("amd", 96, 96 * 1024 - int((4.5 + 6.5 / 1024 * 96) * 1024)),
        ("intel", 192, 192 * 1024 - int((4.5 + 6.5 / 1024 * 192) * 1024)),
    ],
)
def test_memory_of_virtual_machines(vendor: str, gb: int, left: int) -> None:
    assert max_memory_mb(vendor, gb * 1024) == left


def test_weights_prefer_small_machines_and_amd() -> None:
    assert weight("amd", 4, 64) == 4 * 45 + 192
    assert weight("intel", 4, 64) == 4 * 78 + 192
    found = made(InstanceTypes=["m5a", "m5"], SpotFleetTypes=[])
    assert pools(found)["amd-32g-4c"].weight < pools(found)["intel-32g-4c"].weight


def test_vendors_are_not_mixed() -> None:
    found = made(InstanceTypes=["m5a:1", "m5:2"], SpotFleetTypes=["m5"])
    assert {pool.vendor for pool in found.pools} == {"amd", "intel"}
    for pool in found.pools:
        assert {MACHINES[name].vendor for name, _ in (*pool.on_demand, *pool.spot)} == {pool.vendor}
    assert found.profiles["amd"].InstanceTypes == ("m5a:1",)
    assert found.profiles["amd"].SpotFleetTypes == ()
    assert found.profiles["intel"].SpotFleetTypes == ("m5",)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("m5a.large", "m5a.large has less than 32 GB: left out"),
        ("m6g.4xlarge", "m6g.4xlarge is neither Intel's nor AMD's: left out"),
        ("x1e.32xlarge", "x1e.32xlarge has more than 1024 GB: left out"),
        ("nosuch", "InstanceTypes: nosuch is no machine type that EC2 described"),
    ],
)
def test_what_is_left_out_is_said(kind: str, said: str) -> None:
    found = made(InstanceTypes=["m5a", kind] if kind != "m5a.large" else ["r5a", kind], SpotFleetTypes=[])
    assert said in found.notices
    assert not any(kind == name for pool in found.pools for name, _ in pool.on_demand)


def test_types_that_are_not_sold_as_spot_are_on_demand_only() -> None:
    found = made(InstanceTypes=["hpc6a"], SpotFleetTypes=["hpc6a", "m5a"])
    assert "SpotFleetTypes: hpc6a.48xlarge is not sold as spot: left out of the spot types" in found.notices
    assert [pool.spot for pool in found.pools if pool.on_demand] == [()]


def test_a_pool_that_is_written_out() -> None:
    profile = {
        "CpuVendor": "intel",
        "NodeGroupName": "big",
        "MaxControllers": 2,
        "InstanceTypes": ["r5"],
        "SpotFleetTypes": [],
        "EnableHyperthreading": False,
    }
    given = {"ProfileName": "big", "PoolSize": 3, "CPUs": 16, "InstanceMemory": 262144, "VolumeSize": 50}
    found = made(Profiles={"big": profile}, Pools={"own": given})
    pool = pools(found)["own"]
    assert (pool.max_memory_mb, pool.weight, pool.volume_gb, pool.size) == (248000, 16 * 78 + 768, 50, 3)
    assert "NodeName=xwo-own-[1-3] CPUs=16 RealMemory=248000 State=CLOUD Feature=xwo,own,big" in slurm_conf(found)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"InstanceTypes": ["m5a.large"], "SpotFleetTypes": []}, "no machine type is left"),
        ({"DefaultImageName": None}, "has no image"),
        ({"DefaultImageName": "other"}, "is not among Images"),
        ({"PoolSze": 3}, "Xwo.PoolSze"),
        ({"InstanceTypes": ["c5a:10000"]}, "Xwo.InstanceTypes"),
        ({"Pools": {"p": {"ProfileName": "no", "PoolSize": 1, "CPUs": 1, "MaxMemory": 1}}}, "there is no such profile"),
        ({"Pools": {"p": {"ProfileName": "amd", "PoolSize": 1, "CPUs": 1}}}, "InstanceMemory or MaxMemory"),
        (
            {"Pools": {"p": {"ProfileName": "amd", "PoolSize": 1, "CPUs": 1, "InstanceMemory": 2_000_000}}},
            "more than 1024 GB",
        ),
        (
            {"Pools": {"amd-64g-8c": {"ProfileName": "amd", "PoolSize": 1, "CPUs": 1, "MaxMemory": 1}}},
            "amd-64g-8c is there already",
        ),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(BadConfigError, match=said):
        made(**keys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slurm: [", "not YAML"),
        ("slurm: {}", "no slurm: Xwo:"),
        ("- 1", "no slurm: Xwo:"),
        ("slurm: {Xwo: {PartitionName: a}, Xio: {PartitionName: b}}", "exclude each other"),
    ],
)
def test_files_that_are_none(text: str, said: str) -> None:
    with pytest.raises(BadConfigError, match=said):
        read(text)


def test_partitions_one_for_each_pool_and_one_over_all() -> None:
    found = made()
    lines = slurm_conf(found).splitlines()
    partitions = [line for line in lines if line.startswith("PartitionName=")]
    assert len(partitions) == len(found.pools) + 1
    assert "PartitionName=xwo-amd-64g-4c Nodes=xwo-amd-64g-4c-[1-10] MaxTime=INFINITE State=UP" in partitions
    assert all(f"xwo-{pool.name}-[1-10]" in partitions[-1] for pool in found.pools)


def test_objects_of_the_rest_api() -> None:
    document = as_json(made())
    (profile,) = document["Profiles"]
    assert profile["ProfileName"] == "amd"
    assert profile["Worker"]["SpotFleetTypes"] == ["c5a:1", "m5a:2", "r5a:3"]
    pool = {one["PoolName"]: one for one in document["Env"]["Pools"]}["amd-64g-4c"]
    assert pool == {
        "PoolName": "amd-64g-4c",
        "PoolSize": 10,
        "ProfileName": "amd",
        "VM": {
            "CPUs": 4,
            "ImageName": "worker",
            "MaxMemory": 57000,
            "VolumeSize": 20,
            "PrefixCount": 0,
            "UserData": "",
        },
    }
    assert document["Env"]["Slurm"]["PartitionName"] == "xwo"


def test_our_own_section_loads_with_a_menu_for_each_pool(tmp_path: Path) -> None:
    found = made()
    section, notices = as_cloud(found, "us-east-1")
    document = {"dynamic-cluster": {"cluster_id": "c"}, "cluster": {"type": "slurm"}, "cloud": section}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(document), "utf-8")
    resources = load(tmp_path / "c.yaml").policy.resources
    assert len(resources) == len(found.pools)
    resource = resources["xwo-amd-64g-4c"]
    assert resource.queues == {"xwo-amd-64g-4c", "xwo"}
    assert resource.features == {"xwo", "amd-64g-4c", "amd"}
    assert resource.menu is not None
    assert any("VmRootPasswordSecret" in notice for notice in notices)


# -- the verb --------------------------------------------------------------------------------------------------------


def run(directory: Path, *words: str) -> Result:
    (directory / "xwo.yml").write_text(yaml.safe_dump({"slurm": {"Xwo": XWO}}), "utf-8")
    return CliRunner().invoke(main, ["xwo-config", str(directory / "xwo.yml"), *words])


def test_the_verb_with_recorded_machine_types(tmp_path: Path) -> None:
    types = tmp_path / "types.json"
    types.write_text(json.dumps({"InstanceTypes": list(INSTANCE_TYPES.values())}), "utf-8")
    done = run(tmp_path, "--types", str(types))
    assert done.exit_code == 0, done.output
    assert done.stdout == slurm_conf(made())
    assert "m5a.large has less than 32 GB: left out" in done.stderr
    assert json.loads(run(tmp_path, "--types", str(types), "--format", "json").stdout) == as_json(made())
    assert yaml.safe_load(run(tmp_path, "--types", str(types), "--format", "cloud").stdout)["cloud"]


def test_the_verb_asks_ec2_and_keeps_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    kept = tmp_path / "kept.json"
    with ec2_site() as site:
        asked = run(tmp_path, "--save", str(kept), "--endpoint-url", site.url)
        assert site.calls == {"DescribeInstanceTypes": 1}
    assert asked.exit_code == 0, asked.output
    assert run(tmp_path, "--types", str(kept)).stdout == asked.stdout == slurm_conf(made())


@pytest.mark.parametrize("text", ["{", "[1]", '{"Types": []}'])
def test_files_that_hold_no_machine_types(tmp_path: Path, text: str) -> None:
    (tmp_path / "types.json").write_text(text, "utf-8")
    done = run(tmp_path, "--types", str(tmp_path / "types.json"))
    assert done.exit_code == exits.BAD_CONFIG
    assert "--types: " in done.output
