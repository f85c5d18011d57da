"""Everything around the service fails, beside a real Slurm: its controller, its daemons, its answers, our store."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest
from rounds import faults
from rounds.service import Service, kind, running, until_declared
from slurm_harness import RELEASES, bed_or_skip, on_both

from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource
from dynamiccluster.testing.bed import JobState
from dynamiccluster.testing.slurm_bed import SlurmBed

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest) -> Iterator[SlurmBed]:
    with bed_or_skip(request.param, "10.77.6.0/24") as made:
        yield made


@on_both("name", faults.FAULTS, newer=("head-killed", "worker-killed"))
def test_ends_in_a_sane_cluster(bed: SlurmBed, tmp_path: pathlib.Path, name: str) -> None:
    print(faults.run(bed, tmp_path, name))  # noqa: T201 - the measurement


# -- Slurm's own -------------------------------------------------------------------------------------


def test_machines_that_have_less_than_promised_close_their_resource(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    conf = pathlib.Path(bed.facts["slurm_conf"])
    text = conf.read_text()
    conf.write_text(text.replace("SlurmdParameters=config_overrides\n", ""))
    bed.run("scontrol", "reconfigure")
    try:
        fat = {"fat": kind(2, 10_000_000, 2)}
        service = Service(bed, tmp_path, "less", fat, {"max_launch_time": 8, "timers": {"boot_s": 0}})
        with running(service):
            until_declared(service)
            job_id = bed.sbatch("--mem=9000000", wrap="true")

            def closed() -> bool:
                breaker = service.client.get("api", "v1", "resources", "fat")["breaker"]
                return bool(breaker["state"] == "open")

            service.until(closed, 60, "the resource has closed itself")
            assert service.job(job_id).state is JobState.WAITING
            service.until(lambda: not service.living, 30, "its machines are gone")
            assert "closed" in service.explain(job_id)["summary"]
    finally:
        conf.write_text(text)
        bed.run("scontrol", "reconfigure")


def test_a_host_of_somebody_else_is_adopted_when_named(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "adopts", faults.PAIR)
    others = bed.cloud("somebody-else", state=service.state_dir.name)
    theirs = Resource("theirs", "local", "local", Capacity(2, 1000), max_nodes=1)
    (machine,) = others.launch("l-1", theirs, [NodeSpec("n-1", "theirs-00000001")])
    try:
        bed.scheduler("somebody-else").add(machine.host_name, machine.address, theirs)
        service.until(lambda: bed.hosts()[machine.host_name].up, 30, "it is up")
        service.start()
        assert service.client.get("api", "v1", "status")["mode"]["observe_only"]
        waiting = bed.sbatch("-c2", "-N2", "-n2", wrap="true")
        time.sleep(4)
        assert service.machines == []  # observed only, whatever the queue says
        service.client.post("api", "v1", "adopt", body={"host": machine.host_name, "resource": "pair"})
        assert service.recorded() == [machine.host_name]
        service.client.delete("api", "v1", "observe")
        service.until(lambda: service.job(waiting).state is JobState.COMPLETED, 40, "the job has run on both")
        service.until(lambda: not bed.hosts(), 40, "both have left Slurm")
        service.until(lambda: not service.recorded(), 20, "and our books")
        assert len(service.machines) == 1
        others_view = others.list_instances().instances
        assert [one.state for one in others_view] == ["active"]  # not ours to end
        service.stop()
    finally:
        service.kill()
        others.terminate([machine.instance_id])
    assert not service.leftovers()
