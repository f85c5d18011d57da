"""The LSF double as a test bed: whole services run against it, rounds and all. Nothing is installed for it.

Its time runs as everybody's does; its site has set short intervals, as a real test bed would.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.testing import bed
from dynamiccluster.testing.bed import LANES, Host, Job, JobState, Order
from dynamiccluster.testing.lsf_double import cluster
from dynamiccluster.testing.lsf_double.cluster import OPENLAVA
from dynamiccluster.testing.lsf_double.double import LsfDouble
from dynamiccluster.testing.stand_in.bed import USER, DoubleBed, make_bridge
from dynamiccluster.testing.stand_in.place import State

_STATES = {
    "PEND": JobState.WAITING,
    "PSUSP": JobState.WAITING,
    "RUN": JobState.RUNNING,
    "UNKWN": JobState.RUNNING,
    "DONE": JobState.COMPLETED,
}
_PLACEHOLDER = "dc-placeholder"
_UP = ("ok", "closed_Full", "closed_Adm")
_SETTINGS = {"cycle_s": 2, "refresh_s": 2, "lim_start_s": 3, "sbd_dead_s": 6, "lim_dead_s": 8, "default_max": 4}


class LsfBed(DoubleBed):
    """A running double; implements :class:`dynamiccluster.testing.bed.Bed`."""

    kind = "lsf"
    cannot: frozenset[str] = frozenset()
    held_word = "suspended"
    hostile_name = "x <b>&`reboot` $(id)'\"|"
    job_list = "bjobs"
    removal_limit_s = 90.0
    heads = ("lim", "mbatchd")
    worker = "lsf_worker"

    def cluster_section(self, programs: Mapping[str, str]) -> dict[str, Any]:
        given = {f"{name}_command": [path] for name, path in programs.items()}
        return {"type": "lsf", "config": {"bin_dir": self.place.file("bin"), **given}}

    def lane(self, name: str) -> dict[str, Any]:
        return {"features": [name]}

    def special_resources(self, plain: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        more = {"small": {"features": ["std"]}, "big": {"features": ["bigmem"]}}
        return {name: one | more[name] for name, one in plain.items()}

    def submit_special(self) -> dict[str, str]:
        return {
            self.bsub("-J", "feature", "-R", "select[bigmem]", script="sleep 1"): "feature",
            self.bsub("-J", "either", "-R", "select[std || bigmem]", script="echo ran"): "either",
            self.bsub("-J", "one-host", "-n", "3", "-R", "span[hosts=1]", script="echo ran"): "one-host",
            self.bsub("-J", "memory", "-R", "select[mem>100] rusage[mem=3000]", script="echo ran"): "memory-and-load",
        }

    @contextlib.contextmanager
    def impossible(self) -> Iterator[str]:
        """Any resource of ``lsf.shared`` may be asked for, also one that no host has."""
        job_id = self.bsub("-R", "select[gpu]", script="true")
        try:
            yield job_id
        finally:
            self.cancel(job_id)

    def declared(self, resources: Mapping[str, Mapping[str, Any]]) -> bool:
        wanted = [int(one["quantity"]["max"]) * int(one["capacity"]["cores"]) for one in resources.values()]
        return cluster.total_slots(self._state()) >= max(wanted, default=0)

    # -- jobs --------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> str:
        words = ["-r", "-J", order.name]
        if order.array:
            limit = f"%{order.at_once}" if order.at_once else ""
            words[-1] = f"{order.name}[1-{order.array}]{limit}"
        needs = [f"select[{order.lane}]"] if order.lane else []
        if order.memory_mib:
            needs.append(f"rusage[mem={order.memory_mib}]")
        if order.nodes > 1 or order.cores > 1:
            words += ["-n", str(order.nodes * order.cores)]
            needs.append(f"span[ptile={order.cores}]" if order.nodes > 1 else "span[hosts=1]")
        if needs:
            words += ["-R", " ".join(needs)]
        if order.held:
            words.append("-H")
        if order.after:
            words += ["-w", f"done({order.after})"]
        return self.bsub(*words, script=order.script)

    def bsub(self, *arguments: str, script: str) -> str:
        said = self.ask("bsub", *arguments, user=USER, stdin=f"{script}\n")
        return said.partition("<")[2].partition(">")[0]

    def cancel(self, *job_ids: str) -> None:
        for job_id in job_ids:
            if any(job.job_id == job_id and job.state in (JobState.WAITING, JobState.RUNNING) for job in self.jobs()):
                with contextlib.suppress(DynamicClusterError):  # some tasks may be over
                    self.ask("bkill", job_id)

    def output_of(self, job_id: str) -> str:
        found = sorted((self.prefix / "output").glob(f"{job_id}_*.out"))
        return self.output(f"{job_id}.out") + "".join(self.output(path.name) for path in found)

    def jobs(self) -> list[Job]:
        return [_job(one) for one in self._state()["jobs"].values()]

    def queue_text(self) -> str:
        return self.ask("bjobs", "-u", "all", "-a", "-w") + self.ask("bhosts", "-w")

    # -- hosts -------------------------------------------------------------------------------------------

    def hosts(self) -> dict[str, Host]:
        state = self._state()
        return {
            name: _host(state, name)
            for name in state["hosts"]
            if name != state["master"] and not name.startswith(_PLACEHOLDER)
        }

    def forget_host(self, name: str) -> None:
        self.ask("lsrmhost", name)

    def _state(self) -> State:
        """What mbatchd has on its books. :raises DynamicClusterError: it is not there."""
        if len(self.head_processes()) < len(self.heads):
            raise DynamicClusterError("mbatchd or LIM does not answer")
        with self.place.locked() as state:
            return state


def _job(one: Mapping[str, Any]) -> Job:
    return Job(
        str(one["id"]),
        str(one["index"] or ""),
        _STATES.get(one["state"], JobState.OTHER),
        one["state"],
        float(one["submit"]),
        float(one["start"]),
        max(0, one["started"] - 1),
        tuple(dict.fromkeys(one["exec"])),
    )


def _host(state: State, name: str) -> Host:
    word = cluster.status(state, name)
    return Host(name, word in _UP and state["hosts"][name]["lim"] == "ok", state["hosts"][name]["closed"], word)


_IS_A_BED: type[bed.Bed] = LsfBed  # for the type checker


def why_not() -> str:
    """Why the double cannot be a bed with a network of its own here; "" if it can. Without a network it always can."""
    return "" if os.geteuid() == 0 else "network namespaces need root"


@contextlib.contextmanager
def lsf_bed(network: str = "", *, dialect: str = OPENLAVA) -> Iterator[LsfBed]:
    """A double in a new directory, its daemons running; nothing of it is left afterwards. ``network`` needs root.

    :raises DynamicClusterError: it could not be started.
    """
    prefix = tempfile.mkdtemp(prefix="dcbed-", dir="/tmp")
    double = LsfDouble(prefix, now=SystemClock().now(), speed=1.0, dialect=dialect, shared=(*LANES, "std"))
    double.settings(**_SETTINGS)
    running = LsfBed(prefix, network)
    try:
        if network:
            make_bridge(running.runner, running.facts["namespace"])
        running.start_head()
        yield running
    finally:
        running.take_down()
        shutil.rmtree(prefix, ignore_errors=True)
