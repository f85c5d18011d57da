"""The service as a process beside a real Slurm, and what is true of that Slurm without asking the service."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from dynamiccluster.client.problems import ClientError
from dynamiccluster.client.rest import Client
from dynamiccluster.testing.slurm_bed import SlurmBed

TO_DIE = pathlib.Path(__file__).with_name("serve_and_die.py")
_PAIR = re.compile(r"(?:^|\s)([A-Za-z][\w:/]*)=(\S*)")
_LOOK_AGAIN_S = 0.25
Record = dict[str, str]


# -- the truth ---------------------------------------------------------------------------------------


def jobs_of(bed: SlurmBed) -> dict[str, Record]:
    """Every job that slurmctld still remembers (two minutes after its end), as ``scontrol`` shows it."""
    return {record["JobId"]: record for record in _records(bed.run("scontrol", "-o", "show", "job"), "JobId")}


def nodes_of(bed: SlurmBed) -> dict[str, Record]:
    """Every node of Slurm's but the templates; FUTURE ones included."""
    found = _records(bed.run("scontrol", "-o", "-F", "show", "node"), "NodeName")
    return {record["NodeName"]: record for record in found if not record["NodeName"].startswith("dc-template")}


def _records(text: str, first: str) -> list[Record]:
    """The first value of each key: what users and administrators write stands at the end of a line."""
    records = []
    for piece in re.split(rf"^(?={first}=)", text, flags=re.MULTILINE):  # a job's name may hold line ends
        record: Record = {}
        for key, value in _PAIR.findall(piece):
            record.setdefault(key, value)
        if first in record:
            records.append(record)
    return records


def until_declared(service: Service) -> None:
    """Until Slurm accepts jobs of every shape that the service's resources give."""

    def there() -> bool:
        lines = service.bed.run("scontrol", "-o", "-F", "show", "node").splitlines()
        templates = [line for line in lines if line.startswith("NodeName=dc-template")]  # others' may stand there, too
        return all(_has_templates(resource, templates) for resource in service.resources.values())

    service.until(there, 30, "the shapes are declared")


def _has_templates(resource: dict[str, Any], templates: list[str]) -> bool:
    size = f" CPUTot={resource['capacity']['cores']} "
    wanted = set(resource.get("features", ()))
    fitting = [
        line
        for line in templates
        if size in line and wanted <= set(line.partition(" AvailableFeatures=")[2].split(" ")[0].split(","))
    ]
    return len(fitting) >= resource["quantity"]["max"]


def worker_processes(bed: SlurmBed) -> list[int]:
    """Daemons of this bed's nodes, their children and their inits, in whatever namespace they are."""
    head = _number_in(bed.prefix / "run" / "slurmctld.pid")
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == head:
            continue
        with suppress(OSError):
            name = (entry / "comm").read_text().strip()
            given = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            ours = str(bed.prefix).encode() in given
            if ours and (name in ("slurmd", "slurmstepd") or b"local_worker" in given):
                found.append(int(entry.name))
    return found


def namespaces_of(bed: SlurmBed) -> list[str]:
    """Network namespaces of workers."""
    listed = bed.runner.run(("ip", "netns", "list"), timeout_s=10).stdout.split("\n")
    return [line.split()[0] for line in listed if line.startswith(f"{bed.facts['namespace']}-")]


def cables_of(bed: SlurmBed) -> list[str]:
    """The bridge's ports."""
    shown = bed.runner.run(("ip", "-n", bed.facts["namespace"], "-o", "link"), timeout_s=10).stdout
    return re.findall(r"\d+: (dc[0-9a-f]{8})@", shown)


def stop_slurmctld(bed: SlurmBed) -> None:
    """As ``systemctl stop`` does, state saved."""
    pid = _number_in(bed.prefix / "run" / "slurmctld.pid")
    os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        if not pathlib.Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    raise AssertionError("slurmctld does not end")


def start_slurmctld(bed: SlurmBed) -> None:
    """Where the bed had started it."""
    where = ("nsenter", f"--net=/run/netns/{bed.facts['namespace']}", "--", "unshare", "--uts")
    start = (*where, "sh", "-c", "hostname head; exec slurmctld")
    subprocess.run(start, env={**os.environ, "SLURM_CONF": bed.facts["slurm_conf"]}, check=True, timeout=30)


def _number_in(path: pathlib.Path) -> int:
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


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
                _number_in(path.with_suffix(".pid")),
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


def _instant(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


# -- the service -------------------------------------------------------------------------------------


@dataclass
class Service:
    """One installation. ``resources``: the ``cloud:`` section without what all local resources have in common."""

    bed: SlurmBed
    scratch: pathlib.Path
    cluster_id: str
    resources: dict[str, dict[str, Any]]
    general: dict[str, Any] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)  # in place of the bed's own: squeue, scontrol, scancel
    process: subprocess.Popen[bytes] | None = None
    seen: dict[str, Record] = field(default_factory=dict)  # the last that was known of each job
    restarts: set[str] = field(default_factory=set)  # jobs that Slurm ever started a second time
    before: frozenset[str] = frozenset()  # jobs of earlier tests

    def __post_init__(self) -> None:
        self.before = frozenset(jobs_of(self.bed))

    @property
    def state_dir(self) -> pathlib.Path:
        return self.bed.prefix / f"instances-{self.cluster_id}"

    @property
    def store(self) -> pathlib.Path:
        return self.scratch / f"{self.cluster_id}.db"

    @property
    def log(self) -> str:
        path = self.scratch / f"{self.cluster_id}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def client(self) -> Client:
        return Client(str(self.scratch / f"{self.cluster_id}.sock"), timeout_s=20.0)

    @property
    def machines(self) -> list[Machine]:
        return machines_in(self.state_dir, self.cluster_id)

    def start(self, die_at: str = "", nth: int = 1, wait: bool = True) -> None:
        """Start it as an administrator would; with ``die_at``, so that it kills itself at the n-th such step."""
        assert self.process is None
        config = self.scratch / f"{self.cluster_id}.yaml"
        config.write_text(yaml.safe_dump(self._document(), sort_keys=False))
        serve = ["-m", "dynamiccluster.cli.main", "serve", "-f", "-c", str(config)]
        program = [str(TO_DIE), str(config), die_at, str(nth)] if die_at else serve
        with (self.scratch / f"{self.cluster_id}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if wait and not die_at:
            self.until(self._is_ready, 30, "the service answers")

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

    def wait_for_death(self, limit_s: float = 60) -> None:
        """Until it has killed itself."""
        assert self.process is not None
        self.until(lambda: self.process is None or self.process.poll() is not None, limit_s, "it dies")
        assert self.process.returncode == -signal.SIGKILL, self.log[-3000:]
        self.process = None

    def until(self, holds: Callable[[], bool], limit_s: float, what: str) -> float:
        """Wait until it holds; how long that took. Keeps watching the jobs meanwhile."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > limit_s:
                raise AssertionError(f"not within {limit_s} s: {what}\n{self.scene()}")
            self.look()
            time.sleep(_LOOK_AGAIN_S)
        return time.monotonic() - began

    def look(self) -> None:
        """Note what Slurm says of the jobs now."""
        with suppress(Exception):  # slurmctld may be away on purpose
            now = self.jobs()
            self.restarts.update(job_id for job_id, job in now.items() if job.get("Restarts", "0") != "0")

    def jobs(self) -> dict[str, Record]:
        """The jobs of this test as Slurm has them now."""
        now = {job_id: job for job_id, job in jobs_of(self.bed).items() if job_id not in self.before}
        self.seen.update(now)
        return now

    def waits_s(self) -> list[float]:
        """How long each job that has started was in the queue."""
        return sorted(
            (_instant(job["StartTime"]) - _instant(job["SubmitTime"])).total_seconds()
            for job in self.seen.values()
            if job["StartTime"] != "Unknown" and job["JobState"] != "PENDING"
        )

    def waiting_or_running(self) -> set[str]:
        """Ids of the jobs that have not ended; of array tasks that of the array."""
        ended = {"COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT", "BOOT_FAIL", "OUT_OF_MEMORY"}
        now = self.jobs()
        return {job.get("ArrayJobId", job_id) for job_id, job in now.items() if job["JobState"] not in ended}

    def leftovers(self) -> dict[str, object]:
        """Everything there is beyond an empty cluster."""
        found: dict[str, object] = {
            "nodes": sorted(nodes_of(self.bed)),
            "instances": sorted(one.host_name for one in self.machines if one.ended_at is None),
            "namespaces": namespaces_of(self.bed),
            "cables": cables_of(self.bed),
            "processes": worker_processes(self.bed),
            "recorded": self.recorded(),
        }
        return {what: there for what, there in found.items() if there}

    def recorded(self) -> list[str]:
        """Host names of the nodes that the service has on its books; none if it does not answer."""
        try:
            return sorted(node["host_name"] for node in self.client.pages("nodes"))
        except ClientError:
            return []

    def scene(self) -> str:
        """For people who read why a test failed."""
        with suppress(Exception):
            queue = self.bed.run("squeue", "-o", "%i %j %T %r %R")
            nodes = {name: node["State"] for name, node in nodes_of(self.bed).items()}
            return f"{queue}\n{nodes}\n{self.leftovers()}\n{self.log[-6000:]}"
        return self.log[-6000:]

    def listens(self) -> bool:
        """Whether it answers at all, ready or not."""
        try:
            self.client.get("healthz")
        except ClientError:
            return False
        return True

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-3000:]
        try:
            self.client.get("readyz")
        except ClientError:
            return False
        return True

    def _document(self) -> dict[str, Any]:
        facts = self.bed.facts
        programs = {name: f"{facts['commands']}/{name}" for name in ("squeue", "scontrol", "scancel")} | self.commands
        common = {
            "type": "local",
            "tenancy": "this-machine",
            "config": {
                "worker_command": facts["worker_command"],
                "network": facts["network"],
                "bridge": facts["bridge"],
                "network_namespace": facts["namespace"],
                "state_dir": str(self.state_dir),
            },
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
            "store": {"path": str(self.store)},
        }
        return {
            "dynamic-cluster": general | self.general,
            "cluster": {
                "type": "slurm",
                "config": {f"{name}_command": [program] for name, program in programs.items()},
            },
            "cloud": {name: common | own for name, own in self.resources.items()},
            "logging": {"log_level": 2},
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


def put_away(service: Service) -> None:
    """Cancel what still waits; then the service itself must end all there is, resources with a minimum drained."""
    left = service.waiting_or_running()
    if left:
        service.bed.run("scancel", *left)
    for name, resource in service.resources.items():
        if resource["quantity"]["min"]:
            service.client.post("api", "v1", "resources", name, "drain")
    service.until(lambda: not service.leftovers(), 60, "nothing is left")


def sweep(service: Service) -> None:
    """After a test that has failed: end the machines that it has left, for the sake of the next test."""
    for machine in service.machines:
        if machine.ended_at is None:
            with suppress(ProcessLookupError):
                os.kill(machine.pid, signal.SIGKILL)
            cloud = service.bed.cloud(service.cluster_id, state=service.state_dir.name)
            cloud.tenancy = "this-machine"
            cloud.terminate([machine.instance_id])
    with suppress(Exception):
        left = service.waiting_or_running()
        if left:
            service.bed.run("scancel", *left)
        for name in nodes_of(service.bed):
            service.bed.run("scontrol", "update", f"nodename={name}", "state=DOWN", "reason=test")
            time.sleep(0.5)
            service.bed.run("scontrol", "delete", f"nodename={name}")
