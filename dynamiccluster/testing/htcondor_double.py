"""An HTCondor that behaves: one pool in memory behind the runner, in a time set by hand.

Its manners were seen with 23.9.6: the collector hears of a change a moment later; the ads of a dead machine stay, and
so do its jobs until their lease ends; a setting holds from the next reconfiguration on; a startd whose START is false
starts nothing more, also not for a schedd that has a slot of it; nothing to show is no text at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.runner import MAX_OUTPUT_BYTES, Completed

DOMAIN = "dc.test"
NEGOTIATION_S = 5.0
BOOT_S = 2.0
AD_LIFETIME_S = 900.0
LEASE_S = 2400.0
_STEP_S = 0.5
_TEXT = re.compile(r'(\w+) == "([^"]*)"')
_NAMED = re.compile(r'regexp\("\^([^"]*)\[\.\]", Machine\)')


@dataclass
class Machine:
    name: str
    address: str
    cores: int = 4
    memory_mib: int = 4000
    features: tuple[str, ...] = ()
    began_at: float = 0.0
    alive: bool = True
    setting: str = ""  # what condor_config_val has set
    hold: str = ""  # what the startd has taken in
    drained: str = ""  # the reason that somebody gave to condor_drain
    off: bool = False

    @property
    def full(self) -> str:
        return f"{self.name}.{DOMAIN}"

    @property
    def sinful(self) -> str:
        return f"<{self.address}:9618?addrs={self.address}-9618&alias={self.full}>"


@dataclass
class Job:
    cluster: int
    run_s: float
    cores: int = 1
    memory_mib: int = 100
    machines: int = 1
    requirements: str = "true"
    features: tuple[str, ...] = ()
    status: int = 1
    machine: Machine | None = None
    started_at: float = 0.0
    lost: str = ""

    @property
    def job_id(self) -> str:
        return f"{self.cluster}.0"


@dataclass
class HtcondorDouble:
    """The pool, the runner of its programs, and the clock. ``machines`` and ``jobs`` may be changed as nature would."""

    machines: dict[str, Machine] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    notes: dict[str, dict[str, str]] = field(default_factory=dict)
    argvs: list[tuple[str, ...]] = field(default_factory=list)
    collector_began_at: float = 1000.0
    at: float = 2000.0
    _ads: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    _negotiated_at: float = 0.0

    # -- the clock ---------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    # -- nature ------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        left = seconds
        while left > 0:
            self.at += min(_STEP_S, left)
            left -= _STEP_S
            self._step()

    def submit(self, **wishes: Any) -> str:
        job = Job(len(self.jobs) + 1, **wishes)
        self.jobs[job.job_id] = job
        return job.job_id

    def _step(self) -> None:
        now = self.at
        for job in list(self.jobs.values()):
            on = job.machine
            if on is None:
                continue
            if on.alive and now - job.started_at >= job.run_s:
                del self.jobs[job.job_id]
            elif not on.alive and now - job.started_at >= LEASE_S:
                job.status, job.machine = 1, None
        for machine in self.machines.values():
            if machine.alive and not machine.off and now - machine.began_at >= BOOT_S:
                self._ads[machine.full] = now, self._ad(machine)
        self._ads = {name: ad for name, ad in self._ads.items() if now - ad[0] < AD_LIFETIME_S}
        if now - self._negotiated_at >= NEGOTIATION_S:
            self._negotiated_at = now
            self._negotiate(now)

    def _negotiate(self, now: float) -> None:
        for job in self.jobs.values():
            if job.status != 1 or job.machines > 1:
                continue
            for machine in self.machines.values():
                if self._takes(machine, job, now):
                    job.status, job.machine, job.started_at = 2, machine, now
                    break

    def _takes(self, machine: Machine, job: Job, now: float) -> bool:
        used = [other for other in self.jobs.values() if other.machine is machine]
        return (
            machine.alive
            and not (machine.hold or machine.drained or machine.off)
            and now - machine.began_at >= BOOT_S
            and set(job.features) <= set(machine.features)
            and sum(other.cores for other in used) + job.cores <= machine.cores
            and sum(other.memory_mib for other in used) + job.memory_mib <= machine.memory_mib
        )

    # -- what it prints ----------------------------------------------------------------------------------

    def _ad(self, machine: Machine) -> dict[str, Any]:
        used = [job for job in self.jobs.values() if job.machine is machine]
        return {
            "MyType": "Machine",
            "Name": f"slot1@{machine.full}",
            "Machine": machine.full,
            "MyAddress": machine.sinful,
            "State": "Drained" if machine.drained else "Unclaimed",
            "Activity": "Retiring" if machine.drained and used else "Idle",
            "PartitionableSlot": True,
            "SlotType": "Partitionable",
            "NumDynamicSlots": len(used),
            "Cpus": machine.cores - sum(job.cores for job in used),
            "Memory": machine.memory_mib - sum(job.memory_mib for job in used),
            "GPUs": 0,
            "TotalSlotCpus": machine.cores,
            "TotalSlotMemory": machine.memory_mib,
            "TotalSlotGPUs": 0,
            "Start": not machine.hold,
            "DynamicClusterHold": machine.hold,
            "LastHeardFrom": int(self.at),
            **({"Draining": True, "DrainReason": machine.drained} if machine.drained else {}),
            **dict.fromkeys(machine.features, True),
        }

    def _job(self, job: Job) -> dict[str, Any]:
        return {
            "ClusterId": job.cluster,
            "ProcId": 0,
            "GlobalJobId": f"head.{DOMAIN}#{job.job_id}#1",
            "JobStatus": job.status,
            "JobUniverse": 11 if job.machines > 1 else 5,
            "MinHosts": job.machines,
            "Owner": "alice",
            "Cmd": "/bin/sh",
            "JobPrio": 0,
            "QDate": 1000,
            "RequestCpus": job.cores,
            "RequestMemory": job.memory_mib,
            "RequestDisk": 1024,
            "Requirements": f"EXPR<{job.requirements}>EXPR",
            "JobLeaseDuration": int(LEASE_S),
            **({"DynamicClusterLost": job.lost} if job.lost else {}),
            **({"RemoteHost": f"slot1_1@{job.machine.full}"} if job.machine else {}),
        }

    # -- its programs ------------------------------------------------------------------------------------

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> Completed:
        self.argvs.append(tuple(argv))
        program = argv[0].rpartition("/")[2]
        known: dict[str, Callable[[list[str], str], tuple[int, str, str]]] = {
            "condor_status": self._condor_status,
            "condor_q": self._condor_q,
            "condor_advertise": self._condor_advertise,
            "condor_config_val": self._condor_config_val,
            "condor_reconfig": self._condor_reconfig,
            "condor_off": self._condor_off,
            "condor_vacate_job": self._condor_vacate_job,
            "condor_rm": self._condor_rm,
            "condor_qedit": self._condor_qedit,
        }
        if program not in known:
            raise BadConfigError(f"there is no program {argv[0]!r}")
        code, said, complaint = known[program](list(argv[1:]), stdin or "")
        return Completed(tuple(argv), code, said, complaint, 0.0)

    def _condor_status(self, words: list[str], _: str) -> tuple[int, str, str]:
        if "-direct" in words:
            machine = self._named(words[words.index("-direct") + 1])
            if machine is None or not machine.alive:
                return 1, "", "Error: communication error\nCEDAR:6001:Failed to connect"
            return 0, _printed([self._ad(machine)], words), ""
        constraint = words[words.index("-constraint") + 1]
        ads: list[dict[str, Any]] = [ad for _, ad in self._ads.values()]
        ads += [{name: value for name, value in note.items() if value} for note in self.notes.values()]
        if named := _NAMED.search(constraint):
            name = named[1].replace("[.]", ".")
            ads = [ad for ad in ads if ad["Machine"] == name or ad["Machine"].startswith(f"{name}.")]
        else:
            ads.append({"MyType": "Collector", "Machine": f"head.{DOMAIN}", "DaemonStartTime": self.collector_began_at})
        return 0, _printed(ads, words), ""

    def _condor_q(self, words: list[str], _: str) -> tuple[int, str, str]:
        ads = [self._job(job) for job in self.jobs.values()]
        if "-constraint" in words:
            ads = [ad for ad in ads if "RemoteHost" in ad]
        return 0, _printed(ads, words), ""

    def _condor_advertise(self, words: list[str], text: str) -> tuple[int, str, str]:
        values = dict(line.split(" = ", 1) for line in text.splitlines())
        wanted = dict(_TEXT.findall(values.get("Requirements", "")))
        match words[-2]:
            case "UPDATE_AD_GENERIC":
                note = {name: value.strip('"') for name, value in values.items()}
                self.notes[note["Name"]] = note
            case "INVALIDATE_ADS_GENERIC":
                self.notes.pop(wanted["Name"], None)
            case "INVALIDATE_STARTD_ADS" if values["TargetType"] == '"Machine"':
                self._ads.pop(wanted["Machine"], None)
        return 0, "Sent 1 of 1 ad to head.\n", ""

    def _condor_config_val(self, words: list[str], _: str) -> tuple[int, str, str]:
        machine = self._at(words[words.index("-address") + 1])
        if machine is None:
            return 1, "", "Can't connect to startd"
        machine.setting = words[-1].partition(" = ")[2].strip('"')
        return 0, f'Successfully set configuration "{words[-1]}"\n', ""

    def _condor_reconfig(self, words: list[str], _: str) -> tuple[int, str, str]:
        machine = self._at(words[words.index("-addr") + 1])
        if machine is None:
            return 0, 'Sent "Reconfig" command\n', "ERROR\nCan't connect to startd"
        machine.hold = machine.setting
        return 0, 'Sent "Reconfig" command to startd\n', ""

    def _condor_off(self, words: list[str], _: str) -> tuple[int, str, str]:
        machine = self._named(words[words.index("-name") + 1])
        if machine is None or not machine.alive:
            return 1, "", "Can't find address for master"
        machine.off = True
        return 0, 'Sent "Master-Off-Peaceful" command\n', ""

    def _condor_vacate_job(self, words: list[str], _: str) -> tuple[int, str, str]:
        complaints = []
        for job_id in words:
            job = self.jobs.get(job_id)
            if job_id.startswith("-"):
                continue
            if job is None or job.status != 2 or job.machine is None:
                complaints.append(f"Job {job_id} not running to be vacated")
            elif job.machine.alive:
                job.status, job.machine = 1, None
        return (1 if complaints else 0), "", "\n".join(complaints)

    def _condor_rm(self, words: list[str], _: str) -> tuple[int, str, str]:
        complaints = []
        for job_id in words:
            job = self.jobs.get(job_id)
            if job_id.startswith("-"):
                continue
            if job is None:
                complaints.append(f"Couldn't find/remove all jobs in cluster {job_id}")
            elif "-forcex" in words and job.status != 3:
                complaints.append(f"Job {job_id} not in `X' state to be forcibly removed")
            elif "-forcex" in words or job.machine is None or job.machine.alive:
                del self.jobs[job_id]
            else:
                job.status = 3
        return (1 if complaints else 0), "", "\n".join(complaints)

    def _condor_qedit(self, words: list[str], _: str) -> tuple[int, str, str]:
        *job_ids, name, value = words
        for job_id in job_ids:
            if name == "DynamicClusterLost" and job_id in self.jobs:
                self.jobs[job_id].lost = value.strip('"')
        return 0, f'Set attribute "{name}" for {len(job_ids)} matching jobs.\n', ""

    def _named(self, full: str) -> Machine | None:
        return next((machine for machine in self.machines.values() if machine.full == full), None)

    def _at(self, sinful: str) -> Machine | None:
        found = next((machine for machine in self.machines.values() if machine.sinful == sinful), None)
        return found if found is not None and found.alive else None


def _printed(ads: Sequence[Mapping[str, Any]], words: Sequence[str]) -> str:
    """JSON as HTCondor writes it: no text for no ads, only the attributes that were asked for."""
    wanted = set(words[words.index("-attributes") + 1].split(","))
    pieces = []
    for ad in ads:
        piece = json.dumps({name: value for name, value in sorted(ad.items()) if name in wanted}, indent=2)
        pieces.append(piece.replace('"EXPR<', '"\\/Expr(').replace('>EXPR"', ')\\/"'))
    return "[\n" + "\n,\n".join(pieces) + "\n]\n" if pieces else ""
