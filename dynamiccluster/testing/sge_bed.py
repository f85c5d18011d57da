"""A real Grid Engine for tests: started by ``scripts/testbeds/sge``.

Only in a source checkout, only as root on Debian, and only when ``DYNAMICCLUSTER_TESTBEDS=1`` says that this machine
may be used so. Nodes' names stand in the bed's own hosts file, which is to be the service's ``names:``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import re
import signal
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock, SystemClock, pause
from dynamiccluster.kit.runner import Runner, SubprocessRunner
from dynamiccluster.names.hosts_file import HostsFileNames
from dynamiccluster.schedulers.sge.adapter import SgeScheduler
from dynamiccluster.schedulers.sge.command_lines import Templates
from dynamiccluster.schedulers.sge.descriptions import SgeSettings
from dynamiccluster.testing import bed
from dynamiccluster.testing.bed import Host, Job, Order
from dynamiccluster.testing.sge_lists import accounting, listed_job, seen_host

SCRIPT = bed.SCRIPTS / "sge"
INSTALLED_BY_US = pathlib.Path("/var/lib/dynamiccluster/testbed-sge.installed")
"""The test bed's own mark that it was the one to install the packages."""

SILENT_S = 45
"""What the service waits before it believes that a daemon out of reach is dead: longer than after a restart."""

USER = "alice"
HEAD = "sgemaster"
_COMMAND_TIMEOUT_S = 30.0
_HEAD_LIMIT_S = 90.0  # it ends in 11 s, if no connection to a dead host delays it
_DAEMONS = ("sge_execd", "sge_shepherd")


def why_not() -> str:
    """Why there can be no real Grid Engine here; "" if there can."""
    return bed.why_not("Grid Engine", SCRIPT, programs=("sge_qmaster", "qconf"), installed_by_us=INSTALLED_BY_US)


class SgeBed:
    """A running test bed; implements :class:`dynamiccluster.testing.bed.Bed`."""

    kind = "sge"
    cannot: frozenset[str] = frozenset()
    held_word = "held"
    hostile_name = "a<b>&\"c'd;$(reboot)=`reboot`|x%lt;y"
    job_list = "qstat"
    removal_limit_s = 60.0

    def __init__(self, facts: Mapping[str, Any], runner: Runner, clock: Clock) -> None:
        self.facts = facts
        self.prefix = pathlib.Path(facts["prefix"])
        self.runner = runner
        self.clock = clock
        self._networks = itertools.cycle(facts["networks"])

    # -- what the service is given -----------------------------------------------------------------------

    def cluster_section(self, programs: Mapping[str, str]) -> dict[str, Any]:
        qconf, qmod, qdel = (programs.get(name, self.program(name)) for name in ("qconf", "qmod", "qdel"))
        qstat, qhost = (programs.get(name, self.program(name)) for name in ("qstat", "qhost"))
        config = {
            "qstat_command": f"{qstat} -xml -r -u '*'",
            "qhost_command": f"{qhost} -q -j -xml {{0}} {{1}}",
            "hostgroup_command": f"{qconf} {{0}} hostgroup hostlist {{1}} {{2}}",
            "qmod_command": f"{qmod} {{0}} *@{{1}}",
            "remove_node_command": f"{qconf} -de {{0}}",
            "set_slots_command": f"{qconf} -rattr queue slots {{0}} {{1}}@{{2}}",
            "unset_slots_command": f"{qconf} -purge queue slots {{0}}@{{1}}",
            "qconf_spl_command": f"{qconf} -spl",
            "qconf_sp_command": f"{qconf} -sp {{0}}",
            "qdel_command": f"{qdel} -f {{0}}",
            "qconf_command": qconf,
            "silent_s": SILENT_S,
        }
        return {"type": "sge", "config": config}

    def general_section(self) -> dict[str, Any]:
        return {"names": {"method": "hosts_file", "hosts_file": self.facts["hosts_file"]}}

    def cloud_config(self) -> dict[str, Any]:
        """Each time with other addresses: qmaster remembers for minutes which name an address had."""
        return {
            "worker_command": self.facts["worker_command"],
            "network": next(self._networks),
            "bridge": self.facts["bridge"],
            "network_namespace": self.facts["namespace"],
        }

    def lane(self, name: str) -> dict[str, Any]:
        return {"features": [name]}

    def special_resources(self, plain: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        more = {
            "small": {"features": ["fast"], "queues": ["main"]},
            "big": {"features": ["bigmem"], "queues": ["main"]},
        }
        others = {
            "long": {
                "quantity": {"min": 0, "max": 2},
                "capacity": {"cores": 2, "memory_mib": 2000},
                "reservation": {"queue": "long"},
                "priority": 3,
            },
            "physics": {
                "quantity": {"min": 0, "max": 1},
                "capacity": {"cores": 2, "memory_mib": 2000},
                "reservation": {"account": "physics"},
                "priority": 3,
            },
        }
        return {name: one | more[name] for name, one in plain.items()} | others

    def declared(self, resources: Mapping[str, Mapping[str, Any]]) -> bool:
        queues = {queue for one in resources.values() for queue in _queues_of(one)}
        try:
            return all(self.run("qselect", "-q", queue).strip() for queue in queues)
        except DynamicClusterError:
            return False  # what it says of a queue without a host

    def scheduler(self, cluster_id: str, **settings: Any) -> SgeScheduler:
        """The adapter, for tests of the adapter."""
        section = self.cluster_section({})["config"]
        qconf = section["qconf_command"]
        templates = Templates(**{key.name: section[f"{key.name}_command"] for key in fields(Templates)})
        return SgeScheduler(
            self.runner, self.clock, cluster_id, templates=templates, qconf=(qconf,), settings=SgeSettings(**settings)
        )

    def names(self, cluster_id: str) -> HostsFileNames:
        """What makes names known to Grid Engine and to all workers."""
        return HostsFileNames(self.facts["hosts_file"], cluster_id)

    def cloud(self, cluster_id: str, *, state: str = "instances", first: int = 10) -> LocalCloud:
        """``state``: name of the directory of instances; clouds with the same one share their quota. ``first``: number
        of the first address."""
        network = BridgeNetwork(
            self.runner,
            self.facts["network"],
            bridge=self.facts["bridge"],
            namespace=self.facts["namespace"],
            first=first,
        )
        return LocalCloud(
            self.runner,
            self.clock,
            cluster_id,
            "local",
            state_dir=str(self.prefix / state),
            worker_command=self.facts["worker_command"],
            network=network,
        )

    # -- jobs --------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> str:
        slots = order.cores * order.nodes
        words = ["-q", "main", "-N", order.name, "-r", "y"]
        if order.nodes > 1:
            words += ["-pe", f"per{order.cores}", str(slots)]
        elif order.cores > 1:
            words += ["-pe", "smp", str(slots)]
        if order.memory_mib:
            words += ["-l", f"h_vmem={-(-order.memory_mib // order.cores)}M"]
        if order.array:
            words += ["-t", f"1-{order.array}"]
            words += ["-tc", str(order.at_once)] if order.at_once else []
        if order.lane:
            words += ["-l", order.lane]
        if order.held:
            words.append("-h")
        if order.after:
            words += ["-hold_jid", order.after]
        return self.qsub(*words, script=order.script)

    def submit_special(self) -> dict[str, str]:
        def submit(name: str, *words: str, script: str = "hostname") -> tuple[str, str]:
            return self.qsub("-N", name, *words, script=script), name

        return dict(
            (
                submit("fill-up", "-q", "main", "-pe", "fill", "6"),
                submit("round-robin", "-q", "main", "-pe", "rr", "3-5"),
                submit("multiple", "-q", "main", "-pe", "per2", "1-5"),
                submit("any-environment", "-pe", "sm*", "2"),
                submit("property", "-l", "bigmem"),
                submit("memory", "-q", "main", "-pe", "smp", "2", "-l", "h_vmem=1500M"),
                submit("no-queue", "-l", "h_rt=600"),
                submit("long", "-q", "long"),
                submit("account", "-P", "physics", "-q", "physics"),
                submit("licence", "-q", "main", "-l", "matlab=1", script="sleep 1"),
                submit("not-there", "-q", "main", "-l", "h=!(nowhere1|nowhere2)"),
            )
        )

    @contextlib.contextmanager
    def impossible(self) -> Iterator[str]:
        job_id = self.qsub("-q", "main", "-pe", "smp", "64", script="true")
        try:
            yield job_id
        finally:
            self.cancel(job_id)

    def qsub(self, *arguments: str, script: str, user: str = USER) -> str:
        """Submit a job whose output goes to :meth:`output_of`. Its id.

        :raises DynamicClusterError: Grid Engine refused it.
        """
        place = ("-wd", "/", "-o", f"{self.prefix}/jobs/$JOB_ID.out", "-j", "y", "-S", "/bin/sh")
        argv = (self.program("as"), user, "/usr/bin/qsub", "-terse", *place, *arguments)
        hosts = f'[ -z "$PE_HOSTFILE" ] || cp "$PE_HOSTFILE" {self.prefix}/jobs/$JOB_ID.$SGE_TASK_ID.hosts'
        done = self.runner.run(argv, timeout_s=_COMMAND_TIMEOUT_S, stdin=f"{hosts}\n{script}\n")
        found = re.search(r"^(\d+)(\.|$)", done.stdout, re.MULTILINE)
        if done.returncode != 0 or found is None:
            raise DynamicClusterError(f"qsub: {done.complaint}")
        return found[1]

    def cancel(self, *job_ids: str) -> None:
        if job_ids:
            self.runner.run((self.program("qdel"), *job_ids), timeout_s=_COMMAND_TIMEOUT_S)

    def output_of(self, job_id: str) -> str:
        path = self.prefix / "jobs" / f"{job_id}.out"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def jobs(self) -> list[Job]:
        listed = ElementTree.fromstring(self.run("qstat", "-xml", "-u", "*").replace("%lt;", "&lt;"))  # noqa: S314 - our own Grid Engine's
        ended, restarts = accounting(self.facts)
        current = [listed_job(element, restarts) for element in listed.iter("job_list")]
        there = {(job.job_id, job.task) for job in current}
        found = [*current, *(job for key, job in ended.items() if key not in there)]
        return [replace(job, hosts=self._granted(job) or job.hosts) if job.hosts else job for job in found]

    def _granted(self, job: Job) -> tuple[str, ...]:
        """All hosts of a parallel job, which has written them down; lists and accounts have the first only."""
        path = self.prefix / "jobs" / f"{job.job_id}.{job.task or 'undefined'}.hosts"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return tuple(line.split()[0] for line in lines if line.strip())

    def queue_text(self) -> str:
        return self.run("qstat", "-r", "-u", "*")

    # -- hosts -------------------------------------------------------------------------------------------

    def hosts(self) -> dict[str, Host]:
        states: dict[str, list[str]] = {}
        listed = ElementTree.fromstring(self.run("qstat", "-f", "-xml"))  # noqa: S314 - our own Grid Engine's
        for element in listed.iter("Queue-List"):
            name = (element.findtext("name") or "").partition("@")[2]
            if element.findtext("slots_total") != "0":
                states.setdefault(name, []).append(element.findtext("state") or "")
        return {name: seen_host(name, states.get(name, [])) for name in self._execution_hosts() if name != HEAD}

    def _execution_hosts(self) -> list[str]:
        done = self.runner.run((self.program("qconf"), "-sel"), timeout_s=_COMMAND_TIMEOUT_S)
        if done.returncode != 0 and "no execution host defined" not in done.complaint:
            raise DynamicClusterError(f"qconf -sel: {done.complaint}")
        return done.stdout.split() if done.returncode == 0 else []

    def forget_host(self, name: str) -> None:
        call = self.scheduler("forget")
        host = call.find(name)
        if host is not None:
            call.evacuate(name, host.jobs, delete_jobs=True)
            call.remove(name)
        path = pathlib.Path(self.facts["hosts_file"])
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if line.split()[1:2] != [name]), encoding="utf-8")

    def leftovers(self) -> dict[str, object]:
        there: dict[str, object] = {
            "processes": self.worker_processes(),
            "namespaces": bed.namespaces_of_workers(self.runner, self.facts["namespace"]),
            "cables": bed.cables_of_workers(self.runner, self.facts["namespace"]),
            "names": self.known_names(),
        }
        return {what: found for what, found in there.items() if found}

    def known_names(self) -> list[str]:
        """Those in the hosts file, the head's own apart."""
        text = pathlib.Path(self.facts["hosts_file"]).read_text(encoding="utf-8")
        lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return [name for _, name in lines if name not in ("localhost", HEAD)]

    def worker_processes(self) -> list[int]:
        """Daemons of workers, their children and their inits, in whatever namespace they are."""
        return [
            one.pid
            for one in bed.processes_with(str(self.prefix))
            if one.name in _DAEMONS or "dynamiccluster.clouds.local_worker" in one.command
        ]

    def daemons_of(self, host: str) -> list[int]:
        there = set(bed.processes_in(self.runner, f"{self.facts['namespace']}-{host}"))
        ours = bed.processes_with(str(self.prefix))
        return [one.pid for one in ours if one.pid in there and one.name in _DAEMONS]

    def cut(self, address: str) -> None:
        """End what qmaster still holds of connections to a machine that is gone without a word.

        It lets no machine of the same name report in before it has given them up, ten minutes later. The service gives
        each machine a name of its own; tests that do not, need this.
        """
        argv = ("ip", "netns", "exec", self.facts["namespace"], "ss", "-K", "dst", address)
        self.runner.run(argv, timeout_s=_COMMAND_TIMEOUT_S)

    # -- the head ----------------------------------------------------------------------------------------

    def stop_head(self) -> None:
        self._end_head(signal.SIGTERM)

    def kill_head(self) -> list[int]:
        return self._end_head(signal.SIGKILL)

    def head_processes(self) -> list[int]:
        pid = bed.number_in(pathlib.Path(self.facts["pid_file"]))
        return [pid] if pid and pathlib.Path(f"/proc/{pid}").exists() else []

    def start_head(self) -> None:
        self._ask(tuple(self.facts["start_head"]))
        self._wait(self._answers, "sge_qmaster does not answer")

    def _answers(self) -> bool:
        return self.runner.run((self.program("qconf"), "-sh"), timeout_s=_COMMAND_TIMEOUT_S).returncode == 0

    def _end_head(self, number: int) -> list[int]:
        pids = self.head_processes()
        for pid in pids:
            os.kill(pid, number)
        self._wait(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), "sge_qmaster does not end")
        return pids

    def _wait(self, holds: Callable[[], bool], otherwise: str) -> None:
        end = self.clock.monotonic() + _HEAD_LIMIT_S
        while not holds():
            if self.clock.monotonic() > end:
                raise DynamicClusterError(otherwise)
            pause(0.1)

    # -- commands ----------------------------------------------------------------------------------------

    def run(self, program: str, *arguments: str) -> str:
        """The output of one of Grid Engine's programs, run by root.

        :raises DynamicClusterError: it failed.
        """
        return self._ask((self.program(program), *arguments))

    def program(self, name: str) -> str:
        """Its path."""
        return f"{self.facts['commands']}/{name}"

    def _ask(self, argv: Sequence[str]) -> str:
        done = self.runner.run(argv, timeout_s=_COMMAND_TIMEOUT_S, env={"TZ": "UTC"})
        if done.returncode != 0:
            raise DynamicClusterError(f"{argv[0]}: {done.complaint}")
        return done.stdout


def _queues_of(resource: Mapping[str, Any]) -> list[str]:
    reserved = resource.get("reservation", {})
    if reserved.get("queue"):
        return [reserved["queue"]]
    return [reserved["account"]] if reserved.get("account") else list(resource.get("queues", ["main"]))


_IS_A_BED: type[bed.Bed] = SgeBed  # for the type checker


@contextlib.contextmanager
def sge_bed(network: str = "10.78.0.0/24") -> Iterator[SgeBed]:
    """A test bed in a new directory; nothing of it is left afterwards, installed packages apart.

    :raises DynamicClusterError: it could not be started.
    """
    with bed.bed_of(SCRIPT, "--install", "--network", network) as facts:
        yield SgeBed(facts, SubprocessRunner(), SystemClock())
