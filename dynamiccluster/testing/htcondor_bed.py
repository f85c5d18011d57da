"""A real HTCondor for tests: started by ``scripts/testbeds/htcondor``.

Only in a source checkout, only as root on Debian, and only when ``DYNAMICCLUSTER_TESTBEDS=1`` says that this machine
may be used so. HTCondor itself is installed in a Debian 13 of its own beside the machine's.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock, SystemClock, pause
from dynamiccluster.kit.runner import Runner, SubprocessRunner
from dynamiccluster.names.hosts_file import HostsFileNames
from dynamiccluster.schedulers.htcondor.adapter import HtcondorScheduler
from dynamiccluster.testing import bed
from dynamiccluster.testing.bed import Host, Job, JobState, Order

SCRIPT = bed.SCRIPTS / "htcondor"
SETTLE_S = 8.0
"""Startds of the test bed report every 5 s."""

_COMMAND_TIMEOUT_S = 30.0
_HEAD_LIMIT_S = 30.0
_STATES = {
    "1": JobState.WAITING,
    "2": JobState.RUNNING,
    "3": JobState.OTHER,
    "4": JobState.COMPLETED,
    "5": JobState.WAITING,
    "6": JobState.RUNNING,
    "7": JobState.RUNNING,
}
_JOB = (
    *("ClusterId", "ProcId", "JobStatus", "TotalSubmitProcs", "QDate", "JobCurrentStartDate", "NumJobStarts"),
    *("ExitCode", "RemoteHost", "LastRemoteHost", "AllRemoteHosts"),
)
_FACTORY = ("ClusterId", "JobMaterializeNextProcId", "TotalSubmitProcs", "QDate")
_HOST = ("Machine", "MyType", "State", "Start", "Draining", "DynamicClusterHold")
_MINDERS = ("condor_master", "condor_startd", "condor_starter", "condor_shared_p", "condor_procd")
_SUBMITTED = re.compile(r"(\d+)\.(\d+) - \d+\.\d+")


def why_not() -> str:
    """Why there can be no real HTCondor here; "" if there can."""
    return bed.why_not("HTCondor", SCRIPT)


class HtcondorBed:
    """A running test bed; implements :class:`dynamiccluster.testing.bed.Bed`.

    A job alone has the id ``7.0``, an array (a cluster of several) the id ``7``.
    """

    kind = "htcondor"
    cannot = frozenset({"nodes", "after"})
    """Machines of a parallel job may be one and the same; dependencies are DAGMan's, which submits in time."""

    held_word = "submitted on hold"
    hostile_name = "bars|and <b>&amp; $(reboot) `reboot` 'quoted\" \\/Expr(true)\\/"
    job_list = "condor_q"
    removal_limit_s = 90.0

    def __init__(self, facts: Mapping[str, Any], runner: Runner, clock: Clock) -> None:
        self.facts = facts
        self.prefix = pathlib.Path(facts["prefix"])
        self.shared = pathlib.Path(facts["shared"])
        self.runner = runner
        self.clock = clock

    # -- what the service is given -----------------------------------------------------------------------

    def cluster_section(self, programs: Mapping[str, str]) -> dict[str, Any]:
        config = {
            "bin_dir": self._programs_with(programs) if programs else self.facts["commands"],
            "feature_attributes": ["std", "bigmem"],
            "silent_s": 60,
            "settle_s": SETTLE_S,
        }
        return {"type": "htcondor", "config": config}

    def general_section(self) -> dict[str, Any]:
        return {"names": {"method": "hosts_file", "hosts_file": self.facts["hosts_file"]}}

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
        features = {"small": ["std"], "big": ["bigmem"]}
        physics = {
            "quantity": {"min": 0, "max": 2},
            "capacity": {"cores": 2, "memory_mib": 2000},
            "features": ["physics"],
            "reservation": {"account": "group_physics"},
            "priority": 3,
        }
        return {name: one | {"features": features[name]} for name, one in plain.items()} | {"physics": physics}

    def declared(self, resources: Mapping[str, Mapping[str, Any]]) -> bool:
        return True

    def scheduler(self, cluster_id: str, **settings: Any) -> HtcondorScheduler:
        """The adapter, for tests of the adapter."""
        given = {"bin_dir": self.facts["commands"], "silent_s": 60.0, "settle_s": SETTLE_S, **settings}
        return HtcondorScheduler(self.runner, self.clock, cluster_id, **given)

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

    def names(self, cluster_id: str) -> HostsFileNames:
        """What makes names known to the head."""
        return HostsFileNames(self.facts["hosts_file"], cluster_id)

    # -- jobs --------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> str:
        words = [f"request_cpus = {order.cores}"]
        if order.memory_mib:
            words.append(f"request_memory = {order.memory_mib}")
        if order.at_once:
            words.append(f"max_materialize = {order.at_once}")
        if order.lane:
            words.append(f"requirements = {order.lane} =?= true")
        if order.held:
            words.append("hold = true")
        return self.condor_submit(*words, script=order.script, name=order.name, queue=order.array or 1)

    def submit_special(self) -> dict[str, str]:
        def submit(name: str, *words: str, queue: int = 1) -> tuple[str, str]:
            return self.condor_submit(*words, script="hostname", name=name, queue=queue), name

        group = ("accounting_group = group_physics", "accounting_group_user = alice")
        return dict(
            (
                submit("feature", "requirements = TARGET.bigmem"),
                submit("either", "requirements = (std || bigmem =?= true)"),
                submit("least-memory", "requirements = TARGET.Memory >= 5000"),
                submit("expression", "request_cpus = 2", "request_memory = 500 * 2"),
                submit("idle-two", "max_idle = 2", queue=5),
                submit("account", *group, "requirements = physics"),
                submit("urgent", "priority = 10"),
                submit("soon", "deferral_time = (CurrentTime + 5)", "deferral_prep_time = 5"),
            )
        )

    @contextlib.contextmanager
    def impossible(self) -> Iterator[str]:
        job_id = self.condor_submit("request_cpus = 64", script="true", name="never")
        try:
            yield job_id
        finally:
            self.cancel(job_id)

    def condor_submit(self, *words: str, script: str, name: str = "job", queue: int = 1, user: str = "alice") -> str:
        """Submit ``script``, whose output goes to :meth:`output_of`; ``words``: lines of a submit file. Its id.

        :raises DynamicClusterError: HTCondor refused it.
        """
        place = self.shared / uuid.uuid4().hex
        place.mkdir()
        (place / "script").write_text(f"{{ {script}\n}} >>/shared/{place.name}/output 2>&1\n")
        (place / "output").touch()
        (place / "output").chmod(0o666)
        lines = (
            "executable = /bin/sh",
            f"arguments = /shared/{place.name}/script",
            "transfer_executable = false",
            "should_transfer_files = yes",
            "initialdir = /tmp",
            *words,
            f"queue {queue}",
        )
        (place / "submit").write_text("\n".join(lines) + "\n")
        shown = name.replace('"', '\\"').replace("$", "$(DOLLAR)")  # it becomes a text of the ClassAd language
        call = ("as", user, "condor_submit", "-terse", "-batch-name", shown, f"/shared/{place.name}/submit")
        found = _SUBMITTED.search(self.run(*call))
        if found is None:
            raise DynamicClusterError("condor_submit did not say which job it made")
        (self.shared / f"{found[1]}.output").symlink_to(place / "output")
        return found[1] if queue > 1 else f"{found[1]}.{found[2]}"

    def cancel(self, *job_ids: str) -> None:
        for job_id in job_ids:
            with contextlib.suppress(DynamicClusterError):  # it is over already
                self.run("condor_rm", job_id)

    def output_of(self, job_id: str) -> str:
        path = self.shared / f"{job_id.partition('.')[0]}.output"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def jobs(self) -> list[Job]:
        waiting = self._table("condor_q", "-allusers", "-factory", "-af:t", *_FACTORY)
        queue = self._table("condor_q", "-allusers", "-af:t", *_JOB)
        ended = self._table("condor_history", "-limit", "500", "-af:t", *_JOB)
        there = {(row[0], row[1]) for row in queue}
        rest = [
            Job(row[0], "", JobState.WAITING, "not materialized", float(row[3]))
            for row in waiting
            if row[1].isdigit() and row[2].isdigit() and int(row[1]) < int(row[2])
        ]
        return rest + [_job(row) for row in (*queue, *(row for row in ended if (row[0], row[1]) not in there))]

    def queue_text(self) -> str:
        columns = ("ClusterId", "ProcId", "JobBatchName", "JobStatus", "RemoteHost", "LastRejMatchReason", "HoldReason")
        return self.run("condor_q", "-allusers", "-af", *columns)

    # -- hosts -------------------------------------------------------------------------------------------

    def hosts(self) -> dict[str, Host]:
        which = '(MyType == "Machine" && DynamicSlot =!= true) || MyType == "DynamicClusterHost"'
        rows = self._table("condor_status", "-any", "-constraint", which, "-af:t", *_HOST)
        found = {}
        rows.sort(key=lambda row: row[1])  # what a machine says comes after what was announced of it
        for machine, kind, state, start, draining, hold in rows:
            name = machine.partition(".")[0]
            held = draining == "true" or start != "true" or hold not in ("", "undefined")
            found[name] = Host(name, kind == "Machine", kind == "Machine" and held, f"{kind} {state} {hold}")
        return found

    def forget_host(self, name: str) -> None:
        for kind, table in (("Machine", "STARTD"), ("StartD", "STARTD"), ("DaemonMaster", "MASTER")):
            self._invalidate(f"INVALIDATE_{table}_ADS", kind, f'regexp("^{name}([.]|$)", Machine)')
        self._invalidate("INVALIDATE_ADS_GENERIC", "DynamicClusterHost", f'Name == "{name}"')

    def _invalidate(self, command: str, kind: str, which: str) -> None:
        ad = f'MyType = "Query"\nTargetType = "{kind}"\nRequirements = {which}\n'
        self._ask((self.program("condor_advertise"), command, "-"), stdin=ad)

    def leftovers(self) -> dict[str, object]:
        there: dict[str, object] = {
            "processes": self.worker_processes(),
            "namespaces": bed.namespaces_of_workers(self.runner, self.facts["namespace"]),
            "cables": bed.cables_of_workers(self.runner, self.facts["namespace"]),
        }
        return {what: found for what, found in there.items() if found}

    def worker_processes(self) -> list[int]:
        """Daemons of workers, their children and their inits, in whatever namespace they are."""
        head = set(bed.processes_in(self.runner, self.facts["namespace"]))
        return [
            one.pid
            for one in bed.processes_with(str(self.prefix))
            if one.pid not in head and (one.name in _MINDERS or "dynamiccluster.clouds.local_worker" in one.command)
        ]

    def daemons_of(self, host: str) -> list[int]:
        there = set(bed.processes_in(self.runner, f"{self.facts['namespace']}-{host}"))
        ours = bed.processes_with(str(self.prefix))
        return [one.pid for one in ours if one.pid in there and one.name in _MINDERS]

    # -- the head ----------------------------------------------------------------------------------------

    def stop_head(self) -> None:
        for pid in self._processes("condor_master"):
            os.kill(pid, signal.SIGTERM)
        self._wait(lambda: not self.head_processes(), "the head's daemons do not end")

    def kill_head(self) -> list[int]:
        pids = self.head_processes()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._wait(lambda: not self.head_processes(), "the head's daemons do not end")
        return pids

    def head_processes(self) -> list[int]:
        return self._processes("condor_")

    def start_head(self) -> None:
        self.run("inside", "condor_master")
        self._wait(self._answers, "the head does not answer")

    def _processes(self, beginning: str) -> list[int]:
        head = set(bed.processes_in(self.runner, self.facts["namespace"]))
        ours = bed.processes_with(str(self.prefix))
        return [one.pid for one in ours if one.pid in head and one.name.startswith(beginning)]

    def _answers(self) -> bool:
        schedds = self.runner.run((self.program("condor_status"), "-schedd", "-af", "Name"), timeout_s=30)
        queue = self.runner.run((self.program("condor_q"), "-totals"), timeout_s=30)
        return bool(schedds.stdout.strip()) and queue.returncode == 0

    def _wait(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = self.clock.monotonic() + _HEAD_LIMIT_S
        while not holds():
            if self.clock.monotonic() > end:
                raise DynamicClusterError(otherwise)
            pause(0.1)

    # -- commands ----------------------------------------------------------------------------------------

    def run(self, program: str, *arguments: str) -> str:
        """The output of one of HTCondor's programs.

        :raises DynamicClusterError: it failed.
        """
        return self._ask((self.program(program), *arguments))

    def program(self, name: str) -> str:
        return f"{self.facts['commands']}/{name}"

    def _programs_with(self, others: Mapping[str, str]) -> str:
        """A directory with the bed's own programs and some others in their place."""
        place = self.prefix / f"bin-{uuid.uuid4().hex[:8]}"
        place.mkdir()
        for own in pathlib.Path(self.facts["commands"]).iterdir():
            (place / own.name).write_text(f'#!/bin/sh\nexec {others.get(own.name, own)} "$@"\n')
            (place / own.name).chmod(0o755)
        return str(place)

    def _table(self, program: str, *arguments: str) -> list[list[str]]:
        """The rows of ``-af:t``."""
        return [line.split("\t") for line in self.run(program, *arguments).splitlines() if line.strip()]

    def _ask(self, argv: Sequence[str], stdin: str | None = None) -> str:
        completed = self.runner.run(argv, timeout_s=_COMMAND_TIMEOUT_S, stdin=stdin)
        if completed.returncode != 0:
            raise DynamicClusterError(f"{argv[0]}: {completed.complaint}")
        return completed.stdout


def _job(row: Sequence[str]) -> Job:
    cluster, proc, status, number, submitted, started, starts, code, host, last_host, all_hosts = row
    state = _STATES.get(status, JobState.OTHER)
    if state is JobState.COMPLETED and code != "0":
        state = JobState.OTHER
    alone = number in ("1", "undefined")
    slots = next((slots for slots in (all_hosts, host, last_host) if slots not in ("", "undefined")), "")
    return Job(
        f"{cluster}.{proc}" if alone else cluster,
        "" if alone else proc,
        state,
        f"JobStatus {status}",
        _instant(submitted),
        _instant(started) if state is not JobState.WAITING else 0.0,
        max(0, int(starts) - 1) if starts.isdigit() else 0,
        tuple(slot.rpartition("@")[2].partition(".")[0] for slot in slots.split(",")) if slots else (),
    )


def _instant(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdigit() else 0.0


_IS_A_BED: type[bed.Bed] = HtcondorBed  # for the type checker


@contextlib.contextmanager
def htcondor_bed(network: str = "10.79.0.0/24", lease_s: int = 60) -> Iterator[HtcondorBed]:
    """A test bed in a new directory; nothing of it is left afterwards, the Debian 13 apart.

    ``lease_s``: how long jobs wait for a machine, or for a schedd, that is away.

    :raises DynamicClusterError: it could not be started.
    """
    with bed.bed_of(SCRIPT, "--install", "--network", network, "--lease", str(lease_s)) as facts:
        yield HtcondorBed(facts, SubprocessRunner(), SystemClock())
