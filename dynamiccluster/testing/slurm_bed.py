"""A real Slurm for tests: started by ``scripts/testbeds/slurm``.

Only in a source checkout, only as root on Debian, and only when ``DYNAMICCLUSTER_TESTBEDS=1`` says that this machine
may be used so.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import pathlib
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock, SystemClock, pause
from dynamiccluster.kit.runner import Runner, SubprocessRunner
from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler
from dynamiccluster.testing import bed
from dynamiccluster.testing.bed import Host, Job, JobState, Order

SCRIPT = bed.SCRIPTS / "slurm"
INSTALLED_BY_US = pathlib.Path("/var/lib/dynamiccluster/testbed-slurm.installed")
"""The test bed's own mark that it was the one to install the packages."""

RELEASES = ("22.05", "24.11")
"""Of Debian 12, as packages of this machine, and of Debian 13, in a directory that test beds share."""

PROGRAMS = ("squeue", "scontrol", "scancel")
IMPOSSIBLE = "dc-template-feedface-0001"
_ENDED = re.compile(r"^JobId=(\d+) .*?\bJobState=([A-Z_]+) ", re.MULTILINE | re.DOTALL)
_PAIR = re.compile(r"(?:^|\s)([A-Za-z][\w:/]*)=(\S*)")
_COMMAND_TIMEOUT_S = 30.0
_HEAD_LIMIT_S = 15.0
_STATES = {
    "PENDING": JobState.WAITING,
    "REQUEUED": JobState.WAITING,
    "CONFIGURING": JobState.RUNNING,
    "RUNNING": JobState.RUNNING,
    "COMPLETING": JobState.RUNNING,
    "SUSPENDED": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "COMPLETED": JobState.COMPLETED,
}
_DAEMONS = ("slurmd", "slurmstepd")
_UP = ("IDLE", "MIXED", "ALLOCATED", "COMPLETING")
_HELD = ("DRAIN", "MAINT", "RESERVED")


def why_not(release: str = RELEASES[0]) -> str:
    """Why there can be no real Slurm of this release here; "" if there can."""
    if release != RELEASES[0]:  # a Slurm of the site's own is not touched
        return bed.why_not("Slurm", SCRIPT)
    return bed.why_not("Slurm", SCRIPT, programs=("slurmctld",), installed_by_us=INSTALLED_BY_US)


class SlurmBed:
    """A running test bed; implements :class:`dynamiccluster.testing.bed.Bed`."""

    kind = "slurm"
    cannot: frozenset[str] = frozenset()
    held_word = "JobHeldUser"
    hostile_name = "new\nline|and|bars <b>&amp; $(reboot) `reboot` 'quoted\""
    job_list = "squeue"
    removal_limit_s = 60.0

    def __init__(self, facts: Mapping[str, Any], runner: Runner, clock: Clock) -> None:
        self.facts = facts
        self.prefix = pathlib.Path(facts["prefix"])
        self.runner = runner
        self.clock = clock
        self._host_lists: dict[str, tuple[str, ...]] = {}

    # -- what the service is given -----------------------------------------------------------------------

    def cluster_section(self, programs: Mapping[str, str]) -> dict[str, Any]:
        commands = {f"{name}_command": [programs.get(name, self.program(name))] for name in PROGRAMS}
        return {"type": "slurm", "config": commands}

    def general_section(self) -> dict[str, Any]:
        return {}

    def cloud_config(self) -> dict[str, Any]:
        return {
            "worker_command": self.facts["worker_command"],
            "network": self.facts["network"],
            "bridge": self.facts["bridge"],
            "network_namespace": self.facts["namespace"],
        }

    def lane(self, name: str) -> dict[str, Any]:
        return {"features": [name]}

    def special_resources(self, plain: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        more = {"small": {"features": ["std"], "queues": ["main"]}, "big": {"features": ["bigmem"], "queues": ["main"]}}
        long = {
            "quantity": {"min": 0, "max": 2},
            "capacity": {"cores": 2, "memory_mib": 2000},
            "reservation": {"queue": "long"},
            "priority": 3,
        }
        return {name: one | more[name] for name, one in plain.items()} | {"long": long}

    def declared(self, resources: Mapping[str, Mapping[str, Any]]) -> bool:
        lines = self.run("scontrol", "-o", "-F", "show", "node").splitlines()
        templates = [line for line in lines if line.startswith("NodeName=dc-template")]  # others' may stand there, too
        return all(_has_templates(resource, templates) for resource in resources.values())

    def scheduler(self, cluster_id: str) -> SlurmScheduler:
        """The adapter, for tests of the adapter."""
        squeue, scontrol, scancel = ((self.program(name),) for name in PROGRAMS)
        return SlurmScheduler(self.runner, self.clock, cluster_id, squeue=squeue, scontrol=scontrol, scancel=scancel)

    def cloud(
        self, cluster_id: str, *, worker_command: Sequence[str] = (), max_instances: int = 0, state: str = "instances"
    ) -> LocalCloud:
        """``state``: name of the directory of instances; clouds with the same one share their quota."""
        network = BridgeNetwork(
            self.runner, self.facts["network"], bridge=self.facts["bridge"], namespace=self.facts["namespace"]
        )
        return LocalCloud(
            self.runner,
            self.clock,
            cluster_id,
            "local",
            state_dir=str(self.prefix / state),
            worker_command=worker_command or self.facts["worker_command"],
            network=network,
            max_instances=max_instances,
        )

    # -- jobs --------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> str:
        words = [f"--job-name={order.name}", f"--cpus-per-task={order.cores}", "--open-mode=append", "--requeue"]
        if order.nodes > 1:
            words += [f"--nodes={order.nodes}", f"--ntasks={order.nodes}", "--ntasks-per-node=1"]
        if order.memory_mib:
            words.append(f"--mem={order.memory_mib}M")
        if order.array:
            at_once = f"%{order.at_once}" if order.at_once else ""
            words.append(f"--array=0-{order.array - 1}{at_once}")
        if order.lane:
            words.append(f"--constraint={order.lane}")
        if order.held:
            words.append("--hold")
        if order.after:
            words.append(f"--dependency=afterok:{order.after}")
        return self.sbatch(*words, wrap=order.script)

    def submit_special(self) -> dict[str, str]:
        def submit(name: str, *words: str, wrap: str = "srun hostname") -> tuple[str, str]:
            return self.sbatch("-J", name, *words, wrap=wrap), name

        return dict(
            (
                submit("tasks", "-n6"),
                submit("exclusive", "--exclusive", "-N2", "-n2"),
                submit("memory-per-cpu", "-c2", "--mem-per-cpu=1500"),
                submit("whole-memory", "--mem=0", wrap="hostname"),
                submit("feature", "-C", "bigmem", wrap="hostname"),
                submit("either", "-C", "std|bigmem", wrap="hostname"),
                submit("long", "-p", "long", wrap="hostname"),
                submit("licence", "-L", "matlab:1", wrap="sleep 1"),
            )
        )

    @contextlib.contextmanager
    def impossible(self) -> Iterator[str]:
        """As if an earlier configuration had had such a resource: sbatch accepts what nobody can run."""
        shape = ("state=FUTURE", "CPUs=64", "RealMemory=9000", "Feature=queue_main")
        self.run("scontrol", "create", f"nodename={IMPOSSIBLE}", *shape)
        job_id = ""
        try:
            job_id = self.sbatch("-c", "64", wrap="true")
            yield job_id
        finally:
            if job_id:
                self.cancel(job_id)
            self.run("scontrol", "delete", f"nodename={IMPOSSIBLE}")

    def sbatch(self, *arguments: str, wrap: str) -> str:
        """Submit a job whose output goes to :meth:`output_of`. Its id.

        :raises DynamicClusterError: Slurm refused it.
        """
        output = f"--output={self.prefix}/%A.out"
        words = self.run("sbatch", "--parsable", output, *arguments, f"--wrap={wrap}").split(";")
        return words[0].strip()

    def cancel(self, *job_ids: str) -> None:
        if job_ids:
            self.run("scancel", *job_ids)

    def output_of(self, job_id: str) -> str:
        path = self.prefix / f"{job_id}.out"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def completed(self) -> dict[str, str]:
        """Final states of ended jobs by id, as Slurm wrote them down."""
        path = self.prefix / "log" / "jobcomp.log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return dict(_ENDED.findall(text))

    def jobs(self) -> list[Job]:
        found = _records(self.run("scontrol", "-o", "show", "job"), "JobId")
        return [_job(record, self._hosts_in(record.get("NodeList", ""))) for record in found]

    def _hosts_in(self, listed: str) -> tuple[str, ...]:
        """What Slurm itself makes of its short form ``node[01-03]``."""
        if listed in ("", "(null)", "None"):
            return ()
        if "[" not in listed:
            return tuple(listed.split(","))
        if listed not in self._host_lists:
            self._host_lists[listed] = tuple(self.run("scontrol", "show", "hostnames", listed).split())
        return self._host_lists[listed]

    def queue_text(self) -> str:
        return self.run("squeue", "-o", "%i %j %T %r %R")

    # -- hosts -------------------------------------------------------------------------------------------

    def hosts(self) -> dict[str, Host]:
        found = _records(self.run("scontrol", "-o", "-F", "show", "node"), "NodeName")
        real = (record for record in found if not record["NodeName"].startswith("dc-template"))
        return {record["NodeName"]: _host(record) for record in real}

    def forget_host(self, name: str) -> None:
        self.run("scontrol", "update", f"nodename={name}", "state=DOWN", "reason=test")
        pause(0.5)
        self.run("scontrol", "delete", f"nodename={name}")

    def leftovers(self) -> dict[str, object]:
        there: dict[str, object] = {
            "processes": self.worker_processes(),
            "namespaces": bed.namespaces_of_workers(self.runner, self.facts["namespace"]),
            "cables": bed.cables_of_workers(self.runner, self.facts["namespace"]),
        }
        return {what: found for what, found in there.items() if found}

    def worker_processes(self) -> list[int]:
        """Daemons of workers, their children and their inits, in whatever namespace they are."""
        return [
            one.pid
            for one in bed.processes_with(str(self.prefix))
            if one.name in _DAEMONS or "dynamiccluster.clouds.local_worker" in one.command
        ]

    def daemons_of(self, host: str) -> list[int]:
        """By their names alone: 24.11's slurmstepd has neither the prefix in its command line nor an environment."""
        there = bed.processes_in(self.runner, f"{self.facts['namespace']}-{host}")
        return [pid for pid in there if _name_of(pid) in _DAEMONS]

    # -- the head ----------------------------------------------------------------------------------------

    def stop_head(self) -> None:
        self._end_head(signal.SIGTERM)

    def kill_head(self) -> list[int]:
        running = [job for job in self.jobs() if job.state is JobState.RUNNING]
        for job in running:
            self._make_it_remember("job_state", f"jobid={job.job_id}")
        for host in {host for job in running for host in job.hosts}:
            self._make_it_remember("node_state", f"nodename={host}")
        return self._end_head(signal.SIGKILL)

    def _make_it_remember(self, file: str, what: str) -> None:
        """slurmctld writes down that it has started a job with the next other change: seen to take more than 15 s.

        If it is killed before, it starts the job again, drains the node and holds the job. So make a change.
        """
        changed_at = self.clock.now()
        self.run("scontrol", "update", what, "comment=written")
        state = self.prefix / "state" / file
        self._wait(lambda: state.exists() and state.stat().st_mtime > changed_at, f"{state} is not written")

    def head_processes(self) -> list[int]:
        pid = bed.number_in(self.prefix / "run" / "slurmctld.pid")
        return [pid] if pid and pathlib.Path(f"/proc/{pid}").exists() else []

    def start_head(self) -> None:
        self._ask((str(self.prefix / "bin" / "head"),))
        self._wait(self._answers, "slurmctld does not answer")

    def _answers(self) -> bool:
        return self.runner.run((self.program("scontrol"), "ping"), timeout_s=_COMMAND_TIMEOUT_S).returncode == 0

    def _end_head(self, number: int) -> list[int]:
        pids = self.head_processes()
        for pid in pids:
            os.kill(pid, number)
        self._wait(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), "slurmctld does not end")
        return pids

    def _wait(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = self.clock.monotonic() + _HEAD_LIMIT_S
        while not holds():
            if self.clock.monotonic() > end:
                raise DynamicClusterError(otherwise)
            pause(0.1)

    # -- commands ----------------------------------------------------------------------------------------

    def run(self, program: str, *arguments: str) -> str:
        """The output of one of Slurm's programs.

        :raises DynamicClusterError: it failed.
        """
        return self._ask((self.program(program), *arguments))

    def program(self, name: str) -> str:
        """Its path."""
        return f"{self.facts['commands']}/{name}"

    def _ask(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
        completed = self.runner.run(argv, timeout_s=_COMMAND_TIMEOUT_S, env=env)
        if completed.returncode != 0:
            raise DynamicClusterError(f"{argv[0]}: {completed.complaint}")
        return completed.stdout


def _name_of(pid: int) -> str:
    """Of the process's program; "" if it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _records(text: str, first: str) -> list[dict[str, str]]:
    """The first value of each key: what users and administrators write stands at the end of a line."""
    records = []
    for piece in re.split(rf"^(?={first}=)", text, flags=re.MULTILINE):  # a job's name may hold line ends
        record: dict[str, str] = {}
        for key, value in _PAIR.findall(piece):
            record.setdefault(key, value)
        if first in record:
            records.append(record)
    return records


def _job(record: Mapping[str, str], hosts: tuple[str, ...]) -> Job:
    task = record.get("ArrayTaskId", "")
    return Job(
        record.get("ArrayJobId", record["JobId"]),
        task if task.isdigit() else "",
        _STATES.get(record["JobState"], JobState.OTHER),
        record["JobState"],
        _epoch(record.get("SubmitTime", "")),
        0.0 if record["JobState"] == "PENDING" else _epoch(record.get("StartTime", "")),  # then it is a forecast
        int(record.get("Restarts", "0")),
        hosts,
    )


def _host(record: Mapping[str, str]) -> Host:
    word = record["State"]
    state, *flags = (part.rstrip("*$~#!%@^-") for part in word.split("+"))
    answers = "*" not in word and "NOT_RESPONDING" not in flags
    return Host(record["NodeName"], state in _UP and answers, any(flag in _HELD for flag in flags), word)


def _epoch(text: str) -> float:
    """Slurm's programs print the machine's local time."""
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:  # Unknown, None
        return 0.0


def _has_templates(resource: Mapping[str, Any], templates: Sequence[str]) -> bool:
    size = f" CPUTot={resource['capacity']['cores']} "
    wanted = set(resource.get("features", ()))
    fitting = [
        line
        for line in templates
        if size in line and wanted <= set(line.partition(" AvailableFeatures=")[2].split(" ")[0].split(","))
    ]
    return len(fitting) >= int(resource["quantity"]["max"])


_IS_A_BED: type[bed.Bed] = SlurmBed  # for the type checker


@contextlib.contextmanager
def slurm_bed(network: str = "10.77.0.0/24", *options: str) -> Iterator[SlurmBed]:
    """A test bed in a new directory; nothing of it is left afterwards, installed packages apart.

    ``options``: more words for ``scripts/testbeds/slurm up``, such as ``--accounting``.

    :raises DynamicClusterError: it could not be started.
    """
    with bed.bed_of(SCRIPT, "--install", "--network", network, *options) as facts:
        yield SlurmBed(facts, SubprocessRunner(), SystemClock())
