"""The shipped submit and epilog hooks inside a real slurmctld, and reasons in the jobs' admin comments."""

from __future__ import annotations

import os
import pathlib
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from rounds.service import Service, kind, put_away, running, until_declared

from dynamiccluster.testing.bed import JobState
from dynamiccluster.testing.slurm_bed import SlurmBed, slurm_bed, why_not

pytestmark = [pytest.mark.system, pytest.mark.timeout(240), pytest.mark.xdist_group("slurm-hooks")]
HOOKS = pathlib.Path(__file__).parents[2] / "scripts" / "hooks" / "slurm"
SHIPPED = "/run/dynamiccluster/doorbell"
DONE, WAITING = JobState.COMPLETED, JobState.WAITING


class HookedBed(SlurmBed):
    """The service beside it writes admin comments."""

    def cluster_section(self, programs: Mapping[str, str]) -> dict[str, Any]:
        section = super().cluster_section(programs)
        section["config"]["reason_in_admin_comment"] = True
        return section

    @property
    def doorbell(self) -> pathlib.Path:
        return self.prefix / "doorbell"

    def comments(self) -> dict[str, str]:
        """As users see them."""
        lines = self.run("squeue", "-h", "-O", "JobArrayID:~,admin_comment:~").splitlines()
        return {line.split("~")[0]: line.split("~")[1].replace("(null)", "") for line in lines}


@pytest.fixture(scope="module")
def bed() -> Iterator[HookedBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with slurm_bed("10.77.7.0/24") as made:
        hooked = HookedBed(made.facts, made.runner, made.clock)
        etc = made.prefix / "etc"
        for name in ("job_submit.lua", "epilog_slurmctld"):
            shutil.copy(HOOKS / name, etc / name)
            text = (etc / name).read_text()
            assert SHIPPED in text
            (etc / name).write_text(text.replace(SHIPPED, str(hooked.doorbell)))
        with (etc / "slurm.conf").open("a") as conf:
            conf.write(f"JobSubmitPlugins=lua\nEpilogSlurmctld={etc}/epilog_slurmctld\n")
        made.stop_head()
        made.start_head()
        yield hooked


def service_at(bed: HookedBed, scratch: pathlib.Path, cluster_id: str, **general: Any) -> Service:
    return Service(bed, scratch, cluster_id, {"pair": kind(2, 2000, 2)}, {"doorbell": str(bed.doorbell), **general})


def test_a_submission_is_seen_at_once(bed: HookedBed, tmp_path: pathlib.Path) -> None:
    """Polls are a minute apart: only the hooks can be as quick."""
    service = service_at(bed, tmp_path, "rung", cluster_poller_interval=60, max_idle_time=60)
    service.start()
    try:
        until_declared(service)
        service.until(lambda: service.status()["now"] is not None, 5, "it answers")
        time.sleep(2)  # the poll of the start is over
        first = bed.sbatch("-c2", wrap="sleep 1")
        took = service.until(lambda: bool(service.machines), 5, "its node is launched")
        print(f"launched {took:.1f} s after sbatch")  # noqa: T201 - the measurement
        service.until(lambda: service.job(first).state is DONE, 30, "it ran")
        seen = service.client.get("api", "v1", "sources")["sources"]
        polled = next(source for source in seen if source["source"] == "scheduler")["last_good_at"]
        service.until(lambda: _polled(service) != polled, 5, "the end of the job is seen, too")
    finally:
        service.client.post("api", "v1", "resources", "pair", "drain")
        for _ in range(12):  # nothing rings when a node has to go
            service.client.post("api", "v1", "nudge", body={"source": "scheduler"})
            time.sleep(1)
        service.kill()
    assert not service.leftovers()


def _polled(service: Service) -> object:
    sources = service.client.get("api", "v1", "sources")["sources"]
    return next(source for source in sources if source["source"] == "scheduler")["last_good_at"]


def test_nobody_waits_for_the_service(bed: HookedBed, tmp_path: pathlib.Path) -> None:
    """Submissions take as long as ever, whatever has become of the service and of the doorbell."""
    service = service_at(bed, tmp_path, "waits")
    service.start()
    until_declared(service)
    tally = {"up": _sbatch_s(bed)}
    try:
        service.freeze()
        tally["hangs"] = _sbatch_s(bed)
        service.thaw()
        put_away(service)
    finally:
        service.kill()
    tally["down"] = _sbatch_s(bed)
    bed.doorbell.unlink()
    tally["no doorbell"] = _sbatch_s(bed)
    os.mkfifo(bed.doorbell)
    tally["a pipe that nobody reads"] = _sbatch_s(bed)
    bed.doorbell.unlink()
    bed.doorbell.mkdir()
    tally["a directory"] = _sbatch_s(bed)
    bed.doorbell.rmdir()
    print({what: f"{statistics.median(times):.3f} (at most {max(times):.3f}) s" for what, times in tally.items()})  # noqa: T201
    usual = statistics.median(tally["up"])
    for what, times in tally.items():
        assert statistics.median(times) < usual + 0.1, (what, times)
        assert max(times) < usual + 1.0, (what, times)  # the machine has other work to do


def _sbatch_s(bed: HookedBed, count: int = 8) -> list[float]:
    """How long each of some submissions took; the jobs are held, and cancelled."""
    took, jobs = [], []
    for _ in range(count):
        began = time.monotonic()
        jobs.append(bed.sbatch("-H", wrap="true"))
        took.append(time.monotonic() - began)
    bed.cancel(*jobs)
    return took


def test_the_hook_survives_a_storm(bed: HookedBed, tmp_path: pathlib.Path) -> None:
    """Many submissions at once cost a poll per second at most, and no job is overlooked."""
    service = service_at(bed, tmp_path, "storm", cluster_poller_interval=60)
    service.start()
    try:
        until_declared(service)
        time.sleep(2)
        asked = len(_polls(service))
        call = (bed.program("sbatch"), "--parsable", "-H", "--output=/dev/null", "--wrap=true")
        running_now = [subprocess.Popen(call, stdout=subprocess.PIPE, text=True) for _ in range(40)]
        jobs = [process.communicate(timeout=60)[0].strip() for process in running_now]
        service.until(lambda: _explained(service, jobs), 10, "every job is known")
        assert len(_polls(service)) - asked < 20
        bed.cancel(*jobs)
    finally:
        service.kill()


def _polls(service: Service) -> list[str]:
    return [line for line in service.log.splitlines() if " tick " in line]


def _explained(service: Service, jobs: list[str]) -> bool:
    with suppress(Exception):  # 404 for a job that has not been seen
        return all(service.explain(job_id) for job_id in jobs)
    return False


def test_reasons_stand_in_the_admin_comment(bed: HookedBed, tmp_path: pathlib.Path) -> None:
    with running(service_at(bed, tmp_path, "told", max_idle_time=3)) as service:
        until_declared(service)
        mark = "dynamiccluster:told: "
        blockers = [bed.sbatch("-c2", wrap="sleep 25") for _ in range(2)]
        held, foreign = bed.sbatch("-H", wrap="true"), bed.sbatch("-H", wrap="true")
        late = bed.sbatch("-c2", wrap="sleep 10")
        array = bed.sbatch("-c2", "-a", "1-3", wrap="true")
        bed.run("scontrol", "update", f"jobid={foreign}", "admincomment=see ticket 7")
        service.until(lambda: bed.comments().get(held, "") != "", 25, "the held job is told")
        comments = bed.comments()
        assert comments[held] == f"{mark}waits for something that more nodes do not give: JobHeldUser"
        assert comments[foreign] == "see ticket 7"
        service.until(lambda: "maximum number" in bed.comments().get(late, ""), 20, "the late one is told")
        assert [comments.get(job_id) for job_id in blockers] == ["", ""]
        assert any("maximum number" in text for job_id, text in bed.comments().items() if job_id.startswith(array))
        shown = bed.run("scontrol", "show", "job", late)
        assert f"AdminComment={mark}waits because of a limit: pair has its maximum number of nodes" in shown
        bed.run("scontrol", "release", held)
        service.until(lambda: service.job(late).state is JobState.RUNNING, 60, "so does the late one")
        service.until(lambda: bed.comments()[late] == "", 9, "its text goes")
        service.until(lambda: service.job(held).state is DONE, 60, "released, the held one runs")
        assert "plug-in" not in service.log  # failures would stand there
        assert bed.comments().get(foreign) == "see ticket 7"
