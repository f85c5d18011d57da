"""The service as a process beside a real scheduler, and what is true of that scheduler without asking the service."""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import yaml

from dynamiccluster.client.problems import ClientError
from dynamiccluster.client.rest import Client, Document
from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.testing.bed import Bed, Host, Job, JobState, Order, number_in
from rounds.disk import SmallDisk

ROOT = pathlib.Path(__file__).resolve().parents[3]
TO_DIE = pathlib.Path(__file__).with_name("serve_and_die.py")
OVER = (JobState.COMPLETED, JobState.OTHER)
_PR_SET_PDEATHSIG = 1


def kind(cores: int, memory_mib: int, most: int, least: int = 0, **more: Any) -> dict[str, Any]:
    """A resource of the section ``cloud:``."""
    return {"quantity": {"min": least, "max": most}, "capacity": {"cores": cores, "memory_mib": memory_mib}, **more}


@dataclass(frozen=True)
class Machine:
    """One instance of the local cloud's, from its files."""

    instance_id: str
    node_id: str
    host_name: str
    resource: str
    created_at: float
    ended_at: float | None  # when it was told to go
    pid: int


def machines_in(state_dir: pathlib.Path, cluster_id: str) -> list[Machine]:
    found = []
    for path in sorted(state_dir.glob("local-*.json")):
        record = json.loads(path.read_text())
        if record["cluster_id"] != cluster_id:
            continue
        ended = path.with_suffix(".ended")
        found.append(
            Machine(
                record["instance_id"],
                record["node_id"],
                record["host_name"],
                record["resource"],
                record["created_at"],
                float(ended.read_text()) if ended.exists() else None,
                number_in(path.with_suffix(".pid")),
            )
        )
    return found


def most_at_once(machines: Collection[Machine], resource: str) -> int:
    """How many machines of a resource there ever were at the same time."""
    changes = [(one.created_at, 1) for one in machines if one.resource == resource]
    changes += [(one.ended_at, -1) for one in machines if one.resource == resource and one.ended_at is not None]
    number = most = 0
    for _, change in sorted(changes):
        number += change
        most = max(most, number)
    return most


def _die_with_parent() -> None:
    """The service that is being started is killed when the test ends, however it ends: prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Service:
    """One installation. ``resources``: the ``cloud:`` section without what all local resources have in common."""

    bed: Bed
    scratch: pathlib.Path  # for its store, log, socket and configuration
    cluster_id: str
    resources: dict[str, dict[str, Any]]
    general: dict[str, Any] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)  # in place of the bed's own, by name
    disk: SmallDisk | None = None  # for its store and its log, in place of ``scratch``
    shifted: bool = False  # its wall clock goes wrong when told: shift_clock()
    process: subprocess.Popen[bytes] | None = None
    seen: dict[tuple[str, str], Job] = field(default_factory=dict)  # the last that was known, by job id and task
    restarts: set[str] = field(default_factory=set)  # jobs that were ever started a second time
    before: frozenset[str] = frozenset()  # jobs of earlier tests
    look_again_s: ClassVar[float] = 0.25  # while something is waited for

    def __post_init__(self) -> None:
        self.before = frozenset(job.job_id for job in self.bed.jobs())

    # -- its files ---------------------------------------------------------------------------------------

    @property
    def state_dir(self) -> pathlib.Path:
        return self.bed.prefix / f"instances-{self.cluster_id}"

    @property
    def store(self) -> pathlib.Path:
        return (self.disk.outside if self.disk else self.scratch) / f"{self.cluster_id}.db"

    @property
    def said(self) -> pathlib.Path:
        """Standard output and error; the log, too, if there is no small disk for it."""
        return self.scratch / f"{self.cluster_id}.log"

    @property
    def log(self) -> str:
        files = (self.disk.outside / "service.log",) if self.disk else ()
        return "".join(path.read_text(errors="replace") for path in (*files, self.said) if path.exists())

    @property
    def clock_file(self) -> pathlib.Path:
        return self.scratch / f"{self.cluster_id}.clock"

    def shift_clock(self, seconds: float) -> None:
        """From now on its wall clock is off by so many seconds; :attr:`shifted` must have been set at its start."""
        assert self.shifted
        new = self.clock_file.with_suffix(".new")
        new.write_text(f"{seconds}\n")
        new.replace(self.clock_file)

    @property
    def client(self) -> Client:
        return Client(str(self.scratch / f"{self.cluster_id}.sock"), timeout_s=20.0)

    # -- its process -------------------------------------------------------------------------------------

    def start(self, die_at: str = "", nth: int = 1, wait: bool = True) -> None:
        """Start it as an administrator would; with ``die_at``, so that it kills itself at the n-th such step."""
        assert self.process is None
        config = self.scratch / f"{self.cluster_id}.yaml"
        config.write_text(yaml.safe_dump(self._document(), sort_keys=False))
        serve = ["-m", "dynamiccluster.cli.main", "serve", "-f", "-c", str(config)]
        clock = [str(self.clock_file)] if self.shifted else []
        program = [str(TO_DIE), str(config), die_at or "nowhere", str(nth), *clock] if die_at or clock else serve
        with self.said.open("ab") as log:
            self.process = subprocess.Popen(
                [*(self.disk.before_program if self.disk else ()), sys.executable, *program],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        if wait and not die_at:
            self.until(self.is_ready, 30, "the service answers")

    def stop(self) -> None:
        """As ``systemctl stop`` does."""
        assert self.process is not None
        self.process.terminate()
        code, self.process = self.process.wait(30), None
        assert code == 0, self.log[-3000:]

    def kill(self) -> None:
        """``kill -9`` of this one process; what it has called just now goes on."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def freeze(self) -> None:
        """It does not run until :meth:`thaw`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def wait_for_death(self, limit_s: float = 60) -> None:
        """Until it has killed itself."""
        assert self.process is not None
        self.until(lambda: self.process is None or self.process.poll() is not None, limit_s, "it dies")
        assert self.process.returncode == -signal.SIGKILL, self.log[-3000:]
        self.process = None

    # -- the truth ---------------------------------------------------------------------------------------

    @property
    def machines(self) -> list[Machine]:
        return machines_in(self.state_dir, self.cluster_id)

    @property
    def living(self) -> list[str]:
        """Host names of the machines that were not told to go."""
        return sorted(one.host_name for one in self.machines if one.ended_at is None)

    def until(self, holds: Callable[[], bool], limit_s: float, what: str) -> float:
        """Wait until it holds; how long that took. Keeps watching the jobs meanwhile."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > limit_s:
                raise AssertionError(f"not within {limit_s} s: {what}\n{self.scene()}")
            self.look()
            time.sleep(self.look_again_s)
        return time.monotonic() - began

    def look(self) -> None:
        """Note what the scheduler says of the jobs now."""
        with suppress(Exception):  # its daemons may be away on purpose
            self.jobs()

    def jobs(self) -> list[Job]:
        """The jobs of this test as the scheduler has them now."""
        now = [job for job in self.bed.jobs() if job.job_id not in self.before]
        for job in now:
            self.seen.pop((job.job_id, ""), None)  # what was one record of an array may be several now
        self.seen.update({(job.job_id, job.task): job for job in now})
        self.restarts.update(job.job_id for job in now if job.restarts)
        return now

    def job(self, job_id: str) -> Job:
        """The last that is known of a job that is no array."""
        self.look()
        return self.seen[job_id, ""]

    def tasks(self, job_id: str) -> list[Job]:
        """The last that is known of an array's tasks."""
        return [job for job in self.seen.values() if job.job_id == job_id]

    def waits_s(self) -> list[float]:
        """How long each job that has started was in the queue."""
        return sorted(job.started_at - job.submitted_at for job in self.seen.values() if job.started_at)

    def waiting_or_running(self) -> set[str]:
        """Ids of the jobs that have not ended; of array tasks that of the array."""
        return {job.job_id for job in self.jobs() if job.state not in OVER}

    def hosts(self) -> dict[str, Host]:
        return self.bed.hosts()

    def leftovers(self) -> dict[str, object]:
        """Everything there is beyond an empty cluster."""
        found = {"hosts": sorted(self.bed.hosts()), "instances": self.living, "recorded": self.recorded()}
        return {what: there for what, there in found.items() if there} | self.bed.leftovers()

    # -- what it says ------------------------------------------------------------------------------------

    def recorded(self) -> list[str]:
        """Host names of the nodes that the service has on its books; none if it does not answer."""
        try:
            return sorted(node["host_name"] for node in self.client.pages("nodes"))
        except ClientError:
            return []

    def explain(self, job_id: str) -> Document:
        """What ``dynamiccluster explain`` is told."""
        answer: Document = self.client.get("api", "v1", "jobs", job_id)["answer"]
        return answer

    def source(self) -> Document:
        """How it sees the scheduler."""
        sources: list[Document] = self.client.get("api", "v1", "sources")["sources"]
        return next(source for source in sources if source["source"] == "scheduler")

    def status(self) -> Document:
        """Its own opinion of itself."""
        return self.client.get("api", "v1", "status")

    def scene(self) -> str:
        """For people who read why a test failed."""
        parts: list[Callable[[], object]] = [self.bed.queue_text, self.bed.hosts, self.leftovers, self.seen.values]
        said = []
        for part in parts:
            with suppress(Exception):
                said.append(str(part()))
        return "\n".join([*said, self.log[-6000:]])

    def listens(self) -> bool:
        """Whether it answers at all, ready or not."""
        try:
            self.client.get("healthz")
        except ClientError:
            return False
        return True

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-3000:]
        try:
            self.client.get("readyz")
        except ClientError:
            return False
        return True

    def _document(self) -> dict[str, Any]:
        common = {
            "type": "local",
            "tenancy": "this-machine",
            "config": self.bed.cloud_config() | {"state_dir": str(self.state_dir)},
        }
        general = {
            "cluster_id": self.cluster_id,
            "max_idle_time": 4,
            "max_down_time": 6,
            "max_launch_time": 60,
            "cluster_poller_interval": 1,
            "cloud_poller_interval": 1,
            "auto_provision_interval": 5,
            "admin-server": {"bind_address": "", "socket": str(self.scratch / f"{self.cluster_id}.sock")},
            "failure": {"missing_s": 5, "settle_s": 5, "step_retry_s": 1, "step_retry_max_s": 5, "breaker_failures": 2},
            "timers": {"boot_s": 30, "down_hard_s": 10},
            "nomination_s": 15,
            "store": {"path": str((self.disk.inside if self.disk else self.scratch) / self.store.name)},
        }
        logging: dict[str, Any] = {"log_level": 2}
        if self.disk:
            logging["log_location"] = str(self.disk.inside / "service.log")
        return {
            "dynamic-cluster": general | self.bed.general_section() | self.general,
            "cluster": self.bed.cluster_section(self.programs),
            "cloud": {name: common | own for name, own in self.resources.items()},
            "logging": logging,
        }


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """The service, started; at the end of the block it must have been able to put everything away."""
    service.start()
    try:
        yield service
        put_away(service)
        service.stop()
    finally:
        service.kill()
        sweep(service)


def until_declared(service: Service) -> None:
    """Until the scheduler accepts jobs of every shape that the service's resources give."""
    service.until(lambda: service.bed.declared(service.resources), 30, "the shapes are declared")


def run_one(service: Service, seconds: float, lane: str = "") -> tuple[str, str]:
    """A job that has begun, and its host. It prints ``ran`` each time it is started, then works for so long."""
    job_id = service.bed.submit(Order(f"echo ran; sleep {seconds}", cores=2, lane=lane))
    service.until(lambda: service.bed.output_of(job_id) == "ran\n", 60, f"job {job_id} has begun")
    (host,) = service.job(job_id).hosts
    return job_id, host


def put_away(service: Service) -> float:
    """Cancel what still waits; then the service itself must end all there is, resources with a minimum drained.

    How long that took.
    """
    service.bed.cancel(*service.waiting_or_running())
    for name, resource in service.resources.items():
        if resource["quantity"]["min"]:
            service.client.post("api", "v1", "resources", name, "drain")
    return service.until(lambda: not service.leftovers(), service.bed.removal_limit_s, "nothing is left")


def sweep(service: Service) -> None:
    """After a test that has failed: end the machines that it has left, for the sake of the next test."""
    left = [one for one in service.machines if one.ended_at is None]
    for machine in left:
        with suppress(ProcessLookupError):
            os.kill(machine.pid, signal.SIGKILL)
    if left:
        cloud_of(service.bed, service.cluster_id, service.state_dir).terminate([one.instance_id for one in left])
    with suppress(Exception):
        service.bed.cancel(*service.waiting_or_running())
        for name in service.bed.hosts():
            service.bed.forget_host(name)


def cloud_of(bed: Bed, cluster_id: str, state_dir: pathlib.Path) -> LocalCloud:
    """The cloud of a service with this cluster id, without the service."""
    config, network = bed.cloud_config(), None
    if config.get("network"):
        bridge, namespace = config.get("bridge", "br0"), config.get("network_namespace", "")
        network = BridgeNetwork(bed.runner, config["network"], bridge=bridge, namespace=namespace)
    return LocalCloud(
        bed.runner,
        SystemClock(),
        cluster_id,
        "this-machine",
        state_dir=str(state_dir),
        worker_command=config["worker_command"],
        network=network,
    )
