"""The lines that ``xwo-config`` prints, read by a real slurmctld."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from moto.ec2.models.instance_types import INSTANCE_TYPES
from slurm_harness import RELEASES, bed_or_skip

from dynamiccluster.config.xwo import Grouping, grouped, machines_of, read
from dynamiccluster.config.xwo_text import slurm_conf
from dynamiccluster.testing.slurm_bed import SlurmBed

pytestmark = [pytest.mark.system, pytest.mark.timeout(200), pytest.mark.xdist_group("slurm-xwo")]

XWO = {
    "PartitionName": "xwo",
    "DefaultImageName": "worker",
    "InstanceTypes": ["c5a:1", "m5a:2", "r5a:3", "m5"],
    "SpotFleetTypes": ["c5a:1", "m5a:2", "r5a:3"],
    "PoolSize": 3,
}


@pytest.fixture(scope="module")
def made() -> Grouping:
    return grouped(read(yaml.safe_dump({"Xwo": XWO})), machines_of(INSTANCE_TYPES.values()))


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, made: Grouping) -> Iterator[SlurmBed]:
    part: Path = tmp_path_factory.mktemp("xwo") / "part.conf"
    power = "SuspendTime=60\nSuspendProgram=/bin/true\nResumeProgram=/bin/true\nPrivateData=cloud\n"
    part.write_text(power + slurm_conf(made), "utf-8")
    with bed_or_skip(request.param, "10.84.0.0/24", "--part", str(part)) as running:
        yield running


def test_slurmctld_has_every_pool_as_nodes_and_a_partition(bed: SlurmBed, made: Grouping) -> None:
    shown = bed.run("scontrol", "-o", "show", "node").splitlines()
    nodes = {re.search(r"NodeName=(\S+)", line)[1]: line for line in shown if line}  # type: ignore[index]  # all have one
    assert len(nodes) == sum(pool.size for pool in made.pools)
    for pool in made.pools:
        line = nodes[f"xwo-{pool.name}-3"]
        told = dict(word.partition("=")[::2] for word in line.split())
        assert told["CPUTot"] == str(pool.cpus)
        assert told["RealMemory"] == str(pool.max_memory_mb)
        assert told["Weight"] == str(pool.weight)
        assert told["AvailableFeatures"] == f"xwo,{pool.name},{pool.profile}"
        assert "CLOUD" in told["State"]
        assert set(told["Partitions"].split(",")) == {"xwo", f"xwo-{pool.name}"}


def test_a_job_of_the_vendors_example_is_accepted_and_gets_its_pool(bed: SlurmBed) -> None:
    bed.run("sbatch", "--test-only", "-p", "xwo-amd-64g-4c", "--wrap", "hostname")
    job_id = bed.sbatch("-p", "xwo", "-C", "amd-64g-4c", wrap="hostname")
    shown = bed.run("scontrol", "-o", "show", "job", job_id)
    assert "Features=amd-64g-4c" in shown
    bed.cancel(job_id)
