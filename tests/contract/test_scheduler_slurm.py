"""The contract of schedulers on a real Slurm."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from scheduler_suite import CLUSTER, RESOURCE, SERIALS, Harness, SchedulerSuite
from slurm_harness import RELEASES, bed_or_skip

from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.job import Shape
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.testing.slurm_bed import SlurmBed


class SlurmHarness:
    def __init__(self, bed: SlurmBed) -> None:
        self.bed = bed
        self.scheduler: Scheduler = bed.scheduler(CLUSTER)
        self.cloud = bed.cloud(CLUSTER)
        self.ids: dict[str, str] = {}

    def boot(self, name: str) -> str:
        serial = next(SERIALS)
        (machine,) = self.cloud.launch(f"l{serial}", RESOURCE, [NodeSpec(f"n{serial}", name)])
        self.ids[name] = machine.instance_id
        return machine.address

    def resolve(self, name: str, address: str) -> None:
        """Not needed here."""

    def crash(self, name: str) -> None:
        self.cloud.terminate([self.ids[name]])

    def submit(self, shape: Shape, run_s: float) -> str:
        words = [f"--partition={','.join(shape.queues)}", f"--mem={shape.chunk.memory_mib}M"]
        words.append(f"--nodes={shape.chunks}" if shape.distinct else f"--ntasks={shape.chunks}")
        words.append(f"--cpus-per-task={shape.chunk.cores}")
        if shape.features:
            words.append("--constraint=" + "&".join("|".join(group) for group in shape.features))
        return self.bed.sbatch(*words, wrap=f"sleep {run_s:g}")

    def hold_as_somebody(self, name: str, text: str) -> None:
        self.bed.run("scontrol", "update", f"nodename={name}", "state=DRAIN", f"reason={text}")

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def clear(self) -> None:
        """Leave the bed as it was before the test."""
        jobs = [job.job_id for job in self.scheduler.poll().jobs]
        if jobs:
            self.bed.run("scancel", *jobs)
        self.cloud.terminate(list(self.ids.values()))
        for host in self.scheduler.poll().hosts:
            if not host.template:
                self.scheduler.evacuate(host.name, (), delete_jobs=True)
                self.scheduler.remove(host.name)


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest) -> Iterator[SlurmBed]:
    with bed_or_skip(request.param, "10.77.1.0/24") as running:
        yield running


@pytest.mark.system
@pytest.mark.timeout(180)
class TestSlurm(SchedulerSuite):
    @pytest.fixture
    def harness(self, bed: SlurmBed) -> Iterator[Harness]:
        slurm = SlurmHarness(bed)
        slurm.scheduler.declare([RESOURCE])
        yield slurm
        slurm.clear()
