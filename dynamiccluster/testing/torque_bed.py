"""The Torque double as a test bed: whole services run against it, rounds and all. Nothing is installed for it.

Its time runs as everybody's does. Its site has set short intervals (Maui asks every two seconds, moms report as often,
a node is down after six), as a real test bed would.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from typing import Any

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.testing import bed
from dynamiccluster.testing.bed import Host, Job, JobState, Order
from dynamiccluster.testing.stand_in.bed import USER, DoubleBed, make_bridge
from dynamiccluster.testing.torque_double.cluster import SIX
from dynamiccluster.testing.torque_double.double import TorqueDouble

_STATES = {
    "Q": JobState.WAITING,
    "H": JobState.WAITING,
    "W": JobState.WAITING,
    "T": JobState.WAITING,
    "R": JobState.RUNNING,
    "E": JobState.RUNNING,
    "S": JobState.RUNNING,
}
_COMMANDS = {
    "qstat_command": ("qstat", "-x -t"),
    "pbsnodes_command": ("pbsnodes", "{0} {1}"),
    "add_node_command": ("qmgr", '-c "create node {0}"'),
    "check_node_command": ("checknode", "{0}"),
    "remove_node_command": ("qmgr", '-c "delete node {0}"'),
    "set_node_command": ("qmgr", '-c "set node {0} {1} {2} {3}"'),
    "diagnose_p_command": ("diagnose", "-p"),
    "showres_command": ("showres", "-n"),
    "setres_command": ("setres", "{0} {1} {2}"),
    "releaseres_command": ("releaseres", ""),
    "delete_job_command": ("qdel", "-p {0}"),
    "signal_job_command": ("qsig", "-s {0} {1}"),
    "requeue_job_command": ("qrerun", "{0} {1}"),
    "check_job_command": ("checkjob", "{0}"),
    "release_hold_command": ("releasehold", "-a {0}"),
}
"""Keys of the configuration: program and arguments. Those of the guide without pipes and back-quotes."""


class TorqueBed(DoubleBed):
    """A running double; implements :class:`dynamiccluster.testing.bed.Bed`."""

    kind = "torque"
    cannot: frozenset[str] = frozenset()
    held_word = "held"
    hostile_name = "$(reboot);`id`<b>&'x'"
    job_list = "qstat"
    removal_limit_s = 90.0
    heads = ("pbs_server", "maui")
    worker = "pbs_mom"

    def cluster_section(self, programs: Mapping[str, str]) -> dict[str, Any]:
        commands = {
            key: f"{programs.get(program, self.program(program))} {words}".strip()
            for key, (program, words) in _COMMANDS.items()
        }
        return {"type": "torque", "config": commands}

    def lane(self, name: str) -> dict[str, Any]:
        return {"reservation": {"property": name}}

    def special_resources(self, plain: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        cloud = {
            "quantity": {"min": 0, "max": 2},
            "capacity": {"cores": 2, "memory_mib": 2000},
            "reservation": {"property": "cloud"},
            "priority": 3,
        }
        return plain | {"cloud": cloud}

    def submit_special(self) -> dict[str, str]:
        return {
            self.qsub("-N", "named", "-l", "nodes=1:ppn=2:cloud", script="sleep 1"): "property",
            self.qsub("-N", "two", "-l", "nodes=1:ppn=4+1:ppn=2", script="echo ran"): "different-parts",
            self.qsub("-N", "cpus", "-l", "ncpus=3", script="echo ran"): "ncpus",
        }

    @contextlib.contextmanager
    def impossible(self) -> Iterator[str]:
        """A queue that takes everything lets in what no node ever fits; Maui keeps it, deferred."""
        self.ask("qmgr", "-c", "set queue batch is_transit = True")
        job_id = ""
        try:
            job_id = self.qsub("-l", "nodes=1:ppn=64", script="true")
            yield job_id
        finally:
            if job_id:
                self.cancel(job_id)
            self.ask("qmgr", "-c", "unset queue batch is_transit")

    def declared(self, resources: Mapping[str, Mapping[str, Any]]) -> bool:
        nodes = self._nodes()
        for resource in resources.values():
            cores, wanted = resource["capacity"]["cores"], resource.get("reservation", {}).get("property")
            fitting = [
                node
                for node in nodes
                if int(node["np"]) >= cores and (not wanted or wanted in node.get("properties", "").split(","))
            ]
            if len(fitting) < int(resource["quantity"]["max"]):
                return False
        return True

    # -- jobs --------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> str:
        words = ["-N", order.name, "-l", f"nodes={order.nodes}:ppn={order.cores}" + f":{order.lane}" * bool(order.lane)]
        if order.memory_mib:
            words += ["-l", f"mem={order.memory_mib * order.nodes}mb"]
        if order.array:
            words += ["-t", f"0-{order.array - 1}" + f"%{order.at_once}" * bool(order.at_once)]
        if order.held:
            words.append("-h")
        if order.after:
            words += ["-W", f"depend=afterok:{order.after}"]
        return self.qsub(*words, script=order.script)

    def qsub(self, *arguments: str, script: str) -> str:
        return self.ask("qsub", *arguments, user=USER, stdin=f"{script}\n").strip()

    def cancel(self, *job_ids: str) -> None:
        for job_id in job_ids:
            try:
                self.ask("qdel", job_id)
            except DynamicClusterError:  # it is over, or its node is dead
                if any(job.job_id == job_id and job.state is JobState.RUNNING for job in self.jobs()):
                    self.ask("qdel", "-p", job_id)

    def output_of(self, job_id: str) -> str:
        short = job_id.partition(".")[0]
        if not short.endswith("[]"):
            return self.output(f"{short}.OU")
        found = sorted((self.prefix / "output").glob(f"{short[:-2]}[[]*"))
        return "".join(self.output(path.name) for path in found)

    def jobs(self) -> list[Job]:
        return [_job(values) for values in _records(self.ask("qstat", "-x", "-t"))]

    def queue_text(self) -> str:
        text = self.ask("qstat", "-a", "-n", "-1", "-t")
        with contextlib.suppress(DynamicClusterError):  # there is no Maui
            text += self.ask("showq")
        return text

    # -- hosts -------------------------------------------------------------------------------------------

    def hosts(self) -> dict[str, Host]:
        return {
            node["name"]: _host(node["name"], node["state"])
            for node in self._nodes()
            if not node["name"].startswith("dc-template")
        }

    def _nodes(self) -> list[dict[str, str]]:
        try:
            return _records(self.ask("pbsnodes", "-x"))
        except DynamicClusterError as error:
            if "no node list" in str(error):
                return []
            raise

    def forget_host(self, name: str) -> None:
        for job in self.jobs():
            if name in job.hosts and job.state is JobState.RUNNING:
                self.cancel(job.job_id)
        self.ask("qmgr", "-c", f"delete node {name}")


def _records(text: str) -> list[dict[str, str]]:
    """The elements of a listing, those of ``Resource_List`` and the like by their own names."""
    root = ElementTree.fromstring(text)  # noqa: S314 - the double is ours
    return [{leaf.tag: leaf.text or "" for leaf in one.iter() if not len(leaf)} for one in root]


def _job(values: Mapping[str, str]) -> Job:
    number, _, host = values["Job_Id"].partition(".")
    array, _, index = number.rstrip("]").partition("[")
    word = values["job_state"]
    over = JobState.COMPLETED if values.get("exit_status") == "0" else JobState.OTHER
    places = dict.fromkeys(part.partition("/")[0] for part in values.get("exec_host", "").split("+") if part)
    return Job(
        f"{array}[].{host}" if index else values["Job_Id"],
        index,
        _STATES.get(word, over),
        word,
        float(values["qtime"]),
        float(values.get("start_time", 0)),
        max(0, int(values.get("start_count", 0)) - 1),
        tuple(places),
    )


def _host(name: str, word: str) -> Host:
    words = word.split(",")
    return Host(name, not {"down", "MOM-list-not-sent", "state-unknown"} & set(words), "offline" in words, word)


_IS_A_BED: type[bed.Bed] = TorqueBed  # for the type checker


def why_not() -> str:
    """Why the double cannot be a bed with a network of its own here; "" if it can. Without a network it always can."""
    return "" if os.geteuid() == 0 else "network namespaces need root"


@contextlib.contextmanager
def torque_bed(
    network: str = "", *, version: str = SIX, scheduler: str = "maui", unsent_s: float = 11
) -> Iterator[TorqueBed]:
    """A double in a new directory, its daemons running; nothing of it is left afterwards. ``network`` needs root.

    ``unsent_s``: how long a new node is not trusted; less than on any real Torque only where a round has no time.

    :raises DynamicClusterError: it could not be started.
    """
    prefix = tempfile.mkdtemp(prefix="dcbed-", dir="/tmp")
    double = TorqueDouble(prefix, now=SystemClock().now(), speed=1.0, version=version, scheduler=scheduler)
    double.settings(poll_s=2, report_s=2, unsent_s=unsent_s)
    running = TorqueBed(prefix, network)
    try:
        if network:
            make_bridge(running.runner, running.facts["namespace"])
        running.start_head()
        running.ask("qmgr", "-c", "set server node_check_rate = 6")
        running.ask("qmgr", "-c", "set server keep_completed = 180")
        yield running
    finally:
        running.take_down()
        shutil.rmtree(prefix, ignore_errors=True)
