"""Slurm picks the nodes itself, on some partitions; the service launches, ends, withdraws and offers them."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest
from rounds.service import put_away, running, sweep
from slurm_harness import RELEASES, on_both
from slurm_power import GENERAL, GIVEN_UP_S, LATE_S, PowerBed, PowerService, power_bed, resources

from dynamiccluster.testing.slurm_bed import why_not

pytestmark = [pytest.mark.system, pytest.mark.timeout(400), pytest.mark.xdist_group("slurm-power")]
OFF = "IDLE+CLOUD+POWERED_DOWN"


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerBed]:
    reason = why_not(request.param)
    if reason:
        pytest.skip(reason)
    with power_bed(tmp_path_factory.mktemp("power"), request.param) as made:
        yield made


def service_of(bed: PowerBed, tmp_path: pathlib.Path, *, without: tuple[str, ...] = ()) -> PowerService:
    wanted = {key: own for key, own in resources(bed.scripts).items() if key not in without}
    if "slow" in wanted:
        never_joins = bed.cloud_config() | {"worker_command": ["sleep", "1000"]}
        wanted["slow"] |= {"config": never_joins | {"state_dir": str(bed.prefix / "instances-power")}}
    return PowerService(bed, tmp_path, "power", wanted, GENERAL)


def submit(bed: PowerBed, partition: str, *words: str, seconds: float = 1) -> str:
    return bed.sbatch("-p", partition, *words, wrap=f"echo ran; sleep {seconds}")


def completed(service: PowerService, bed: PowerBed, *job_ids: str, limit_s: float = 120) -> float:
    took_s = service.until(service.all_over, limit_s, "the jobs are over")
    assert {service.job(job_id).word for job_id in job_ids} == {"COMPLETED"}
    assert {bed.output_of(job_id) for job_id in job_ids} == {"ran\n"}
    return took_s


def told(service: PowerService) -> list[str]:
    """What the history says of Slurm's programs."""
    events = service.client.get("api", "v1", "events", kind="command", limit=50)["events"]
    return [event["text"] for event in events]


def test_both_ways_on_one_cluster(bed: PowerBed, tmp_path: pathlib.Path) -> None:
    service = service_of(bed, tmp_path)
    with running(service):
        one, pair, demanded = (
            submit(bed, "cloud", "-c2"),
            submit(bed, "cloud", "-c2", "-N2"),
            submit(bed, "main"),
        )
        took_s = completed(service, bed, one, pair, demanded)
        names = {job_id: service.job(job_id).hosts for job_id in (one, pair, demanded)}
        assert all(name.startswith("pa-000") for name in (*names[one], *names[pair]))
        assert names[demanded][0].startswith("small-")
        assert not service.restarts
        gone_s = service.until(lambda: not service.leftovers(), 90, "Slurm suspends them, and their machines go")
        assert all(line.endswith(" 0") for line in bed.calls())
        assert any("wants to suspend" in text for text in told(service))
        suspended = " ".join(line for line in bed.calls() if line.startswith("suspend"))
        assert "small-" not in suspended  # nodes of the other kind are not Slurm's to switch off
        machines = [machine.host_name for machine in service.machines]
        assert len(machines) == len(set(machines)) == 4
        print(f"jobs over after {took_s:.0f} s, nothing left after {gone_s:.0f} s more")  # noqa: T201 - the measurement


def test_what_slurm_resumes_while_the_service_is_down_is_launched_when_it_is_back(
    bed: PowerBed, tmp_path: pathlib.Path
) -> None:
    service = service_of(bed, tmp_path)
    with running(service):
        service.stop()
        before = len(bed.calls())
        job_id = submit(bed, "cloud")
        service.until(lambda: len(bed.calls()) > before, 30, "Slurm calls its program")
        assert bed.calls()[-1].startswith("resume pa-")
        assert bed.calls()[-1].endswith(" 0")
        assert not service.living
        service.start()
        completed(service, bed, job_id)
        assert not service.restarts


def test_a_job_whose_nodes_are_sold_out_goes_elsewhere(bed: PowerBed, tmp_path: pathlib.Path) -> None:
    service = service_of(bed, tmp_path)
    with running(service):
        job_id = submit(bed, "dry")
        service.until(lambda: any("sold-out" in state for state in bed.nodes().values()), 40, "it is closed")
        completed(service, bed, job_id)
        assert service.job(job_id).hosts[0].startswith("spare-")
        assert service.job(job_id).restarts == 1
        wait_s = service.waits_s()[-1]
        assert wait_s < 60  # not the two minutes that Slurm has a requeued job wait
        service.until(
            lambda: bed.nodes()["dry-0001"].split()[0] == OFF, 60, "it is offered again when its pause is over"
        )
        print(f"began {wait_s:.0f} s after it was submitted")  # noqa: T201 - the measurement


def test_a_machine_that_never_joins_sends_its_job_elsewhere(bed: PowerBed, tmp_path: pathlib.Path) -> None:
    service = service_of(bed, tmp_path)
    with running(service):
        job_id = submit(bed, "slow")
        service.until(lambda: service.alive("slow-0001") == 1, 30, "its machine is launched")
        service.until(lambda: any("wants to resume 1 host(s): slow-0001" in text for text in told(service)), 10, "told")
        service.until(lambda: "closed" in bed.nodes()["slow-0002"], LATE_S + 40, "the resource is closed")
        completed(service, bed, job_id)
        assert service.job(job_id).hosts[0].startswith("spare-")
        service.until(lambda: not service.alive("slow-0001"), 30, "its machine is ended")


def test_nodes_that_slurm_has_given_up_are_offered_again(bed: PowerBed, tmp_path: pathlib.Path) -> None:
    service = service_of(bed, tmp_path)
    with running(service):
        service.kill()
        job_id = submit(bed, "late")
        limit_s = GIVEN_UP_S + 60
        service.until(lambda: "DOWN+CLOUD" in bed.nodes()["late-0001"], limit_s, "ResumeTimeout is reached")
        service.start()
        completed(service, bed, job_id)
        service.until(lambda: bed.nodes()["late-0001"].split()[0] == OFF, 60, "it may be used again")


def test_slurmctld_may_come_and_go(bed: PowerBed, tmp_path: pathlib.Path) -> None:
    service = service_of(bed, tmp_path)
    with running(service):
        job_id = submit(bed, "cloud", seconds=3)
        service.until(lambda: bool(service.living), 30, "Slurm wants a node, and its machine is launched")
        bed.stop_head()
        time.sleep(3)
        bed.start_head()
        completed(service, bed, job_id)
        bed.run("scontrol", "reconfigure")
        service.until(lambda: "POWERING_DOWN" in str(bed.nodes()), 60, "Slurm suspends it")
        bed.kill_head()
        bed.start_head()
        service.until(lambda: not service.leftovers(), 90, "its machine is gone, and the node off")


@on_both(
    "step, nth",
    [
        ("after-commit", 2),
        ("before-call:launch", 1),
        ("after-call:launch", 1),
        ("before-record", 1),
        ("after-call:host-add", 1),
        ("before-call:host-remove", 1),
        ("after-call:host-remove", 1),
        ("after-call:terminate", 1),
        ("before-call:withdraw", 1),
        ("after-call:offer", 1),
    ],
    newer=[("after-call:launch", 1), ("after-call:host-remove", 1)],
)
def test_killed_anywhere_it_goes_on(bed: PowerBed, tmp_path: pathlib.Path, step: str, nth: int) -> None:
    service = service_of(bed, tmp_path, without=("dry", "slow", "late", "small"))
    service.start(die_at=step, nth=nth)
    try:
        service.until(lambda: service.process.poll() is not None or service.listens(), 30, "it runs")  # type: ignore[union-attr]  # it was started
        job_id = submit(bed, "cloud", seconds=2)
        service.wait_for_death(120)
        service.start()
        completed(service, bed, job_id)
        assert not service.restarts
        put_away(service)
        assert [machine.host_name for machine in service.machines] == ["pa-0001"]
        service.stop()
    finally:
        service.kill()
        sweep(service)
