"""Everything around the service fails, beside a real Slurm: its controller, its daemons, its answers, our store."""

from __future__ import annotations

import os
import pathlib
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from slurm_service import (
    Service,
    nodes_of,
    running,
    start_slurmctld,
    stop_slurmctld,
    until_declared,
)

from dynamiccluster.client.rest import Document
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource
from dynamiccluster.testing.slurm_bed import SlurmBed, slurm_bed, why_not

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def bed() -> Iterator[SlurmBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with slurm_bed("10.77.6.0/24") as made:
        yield made


def pairs(**more: Any) -> dict[str, dict[str, Any]]:
    return {
        "pair": {"quantity": {"min": 0, "max": 3}, "capacity": {"cores": 2, "memory_mib": 1000}, **more},
    }


def submit_and_wait(service: Service, seconds: int, *words: str) -> tuple[str, str]:
    """A job that runs now, and its host."""
    job_id = service.bed.sbatch("-c2", "--open-mode=append", *words, wrap=f"echo ran; sleep {seconds}")
    service.until(lambda: state_of(service, job_id) == "RUNNING", 40, f"job {job_id} runs")
    return job_id, service.seen[job_id]["NodeList"]


def state_of(service: Service, job_id: str) -> str:
    return service.jobs()[job_id]["JobState"]


def scheduler_source(service: Service) -> Document:
    sources: list[Document] = service.client.get("api", "v1", "sources")["sources"]
    return next(source for source in sources if source["source"] == "scheduler")


def living(service: Service) -> list[str]:
    return sorted(one.host_name for one in service.machines if one.ended_at is None)


# -- Slurm itself ------------------------------------------------------------------------------------


def test_slurmctld_is_away_for_half_a_minute(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "away", pairs(), {"max_idle_time": 8})
    with running(service):
        until_declared(service)
        _, quick_host = submit_and_wait(service, 1)
        busy, busy_host = submit_and_wait(service, 20)
        before = living(service)
        assert {quick_host, busy_host} <= set(before)
        stop_slurmctld(bed)
        service.until(lambda: not scheduler_source(service)["ok"], 40, "the service says that it cannot see Slurm")
        assert scheduler_source(service)["error"]
        time.sleep(30)
        # what is not seen does not age: the idle node is still there, nothing was launched, held or ended
        assert living(service) == before
        start_slurmctld(bed)
        service.until(lambda: scheduler_source(service)["ok"], 40, "Slurm is seen again")
        later = service.bed.sbatch("-c2", wrap="true")
        ended = {"COMPLETED"}
        service.until(lambda: {state_of(service, one) for one in (busy, later)} == ended, 60, "both jobs have ended")
        assert not service.restarts
        assert bed.output_of(busy) == "ran\n"


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_the_daemon_of_a_busy_node_dies(bed: SlurmBed, tmp_path: pathlib.Path, how: str) -> None:
    """Killed, the machine goes with it, and the cloud knows. Frozen, it runs on, and only Slurm finds it missing."""
    service = Service(bed, tmp_path, how, pairs())
    with running(service):
        until_declared(service)
        job_id, host = submit_and_wait(service, 5)
        daemons = [pid for pid in pids_in(bed, host) if is_daemon(pid)]
        assert len(daemons) > 1  # slurmd, and slurmstepd of the job
        for pid in daemons:
            os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        service.until(lambda: state_of(service, job_id) == "COMPLETED", 60, "the job has run elsewhere")
        assert service.seen[job_id]["Restarts"] == "1"
        assert service.seen[job_id]["NodeList"] != host
        assert host not in living(service)
        assert bed.output_of(job_id) == "ran\nran\n"


def pids_in(bed: SlurmBed, host: str) -> list[int]:
    shown = bed.runner.run(("ip", "netns", "pids", f"{bed.facts['namespace']}-{host}"), timeout_s=10).stdout
    return [int(pid) for pid in shown.split()]


def is_daemon(pid: int) -> bool:
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip() in ("slurmd", "slurmstepd")


def test_machines_that_have_less_than_promised_close_their_resource(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    conf = pathlib.Path(bed.facts["slurm_conf"])
    text = conf.read_text()
    conf.write_text(text.replace("SlurmdParameters=config_overrides\n", ""))
    bed.run("scontrol", "reconfigure")
    try:
        fat = {"fat": {"quantity": {"min": 0, "max": 2}, "capacity": {"cores": 2, "memory_mib": 10_000_000}}}
        service = Service(bed, tmp_path, "less", fat, {"max_launch_time": 8, "timers": {"boot_s": 0}})
        with running(service):
            until_declared(service)
            job_id = bed.sbatch("--mem=9000000", wrap="true")

            def closed() -> bool:
                breaker = service.client.get("api", "v1", "resources", "fat")["breaker"]
                return breaker["state"] == "open"

            service.until(closed, 60, "the resource has closed itself")
            assert state_of(service, job_id) == "PENDING"
            service.until(lambda: not living(service), 30, "its machines are gone")
            assert "closed" in service.client.get("api", "v1", "jobs", job_id)["answer"]["summary"]
    finally:
        conf.write_text(text)
        bed.run("scontrol", "reconfigure")


# -- its answers -------------------------------------------------------------------------------------

BAD_SQUEUE = {
    "garbage": "head -c 3000 /dev/urandom",
    "a damaged list": '"$@" | tr "|" "!"',
    "half a list": '"$@" | head -c 100',
    "an error": "echo 'slurm_load_jobs error: Unexpected message received' >&2; exit 1",
}


def test_nonsense_from_squeue_changes_nothing(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    trouble, wrapper = tmp_path / "trouble", tmp_path / "squeue"
    real = f"{bed.facts['commands']}/squeue"
    wrapper.write_text(f'#!/bin/sh\nset -- {real} "$@"\n[ -e {trouble} ] && . {trouble} && exit\nexec "$@"\n')
    wrapper.chmod(0o755)
    service = Service(bed, tmp_path, "nonsense", pairs(), commands={"squeue": str(wrapper)})
    with running(service):
        until_declared(service)
        busy, host = submit_and_wait(service, 12)
        for name, script in BAD_SQUEUE.items():
            new = tmp_path / "new"
            new.write_text(f"{script}\n")
            new.replace(trouble)
            service.until(lambda: not scheduler_source(service)["ok"], 10, f"the service complains of {name}")
            bed.sbatch("-c2", wrap="true")
            time.sleep(1.5)
            assert not scheduler_source(service)["ok"], name
            assert living(service) == [host], name
            others = service.waiting_or_running() - {busy}
            if others:  # on a slow machine the first job has ended, and they have run in its place
                bed.run("scancel", *others)
            trouble.unlink()
            service.until(lambda: scheduler_source(service)["ok"], 10, f"{name} is over")
        service.until(lambda: not service.waiting_or_running(), 60, "all jobs have ended")
        assert service.seen[busy]["JobState"] == "COMPLETED"
        assert not service.restarts


def test_a_scheduler_that_is_never_reached(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(
        bed, tmp_path, "never", pairs(quantity={"min": 1, "max": 2}), commands={"scontrol": "/nowhere/scontrol"}
    )
    try:
        service.start(wait=False)
        service.until(lambda: bool(service.log) and service.listens(), 20, "it listens")
        time.sleep(4)
        source = scheduler_source(service)
        assert not source["ok"]
        assert "/nowhere/scontrol" in source["error"]
        assert service.client.get("api", "v1", "status")["not_ready"]
        assert service.machines == []
        service.stop()
    finally:
        service.kill()


# -- our own memory ----------------------------------------------------------------------------------


def test_the_store_is_lost(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "lost", pairs())
    with running(service):
        until_declared(service)
        jobs = [submit_and_wait(service, 12) for _ in range(2)]
        service.stop()
        for path in tmp_path.glob("lost.db*"):
            path.unlink()
        service.start()
        service.until(lambda: service.recorded() == living(service), 15, "what runs is adopted")
        assert service.recorded() == sorted(host for _, host in jobs)
        service.until(lambda: not service.waiting_or_running(), 40, "the jobs have ended")
        for job_id, host in jobs:
            assert (service.seen[job_id]["JobState"], service.seen[job_id]["NodeList"]) == ("COMPLETED", host)
        assert not service.restarts
        service.until(lambda: not service.leftovers(), 40, "adopted nodes leave like others")
        assert len(service.machines) == 2


def test_a_host_of_somebody_else_is_adopted_when_named(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "adopts", pairs())
    others = bed.cloud("somebody-else", state=service.state_dir.name)
    theirs = Resource("theirs", "local", "local", Capacity(2, 1000), max_nodes=1)
    (machine,) = others.launch("l-1", theirs, [NodeSpec("n-1", "theirs-00000001")])
    try:
        bed.scheduler("somebody-else").add(machine.host_name, machine.address, theirs)
        service.until(lambda: nodes_of(bed)[machine.host_name]["State"].startswith("IDLE"), 30, "it is up")
        service.start()
        assert service.client.get("api", "v1", "status")["mode"]["observe_only"]
        waiting = bed.sbatch("-c2", "-N2", "-n2", wrap="true")
        time.sleep(4)
        assert service.machines == []  # observed only, whatever the queue says
        service.client.post("api", "v1", "adopt", body={"host": machine.host_name, "resource": "pair"})
        assert service.recorded() == [machine.host_name]
        service.client.delete("api", "v1", "observe")
        service.until(lambda: state_of(service, waiting) == "COMPLETED", 40, "the job has run on both")
        service.until(lambda: not nodes_of(bed), 40, "both have left Slurm")
        service.until(lambda: not service.recorded(), 20, "and our books")
        assert len(service.machines) == 1
        others_view = others.list_instances().instances
        assert [one.state for one in others_view] == ["active"]  # not ours to end
        service.stop()
    finally:
        service.kill()
        others.terminate([machine.instance_id])
    assert not service.leftovers()
