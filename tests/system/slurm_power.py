"""A real Slurm that picks the nodes of some partitions itself: its bed, and a service that launches them.

The lines of its ``slurm.conf`` are those that ``dynamiccluster slurm-config`` prints, with shorter times.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import yaml
from rounds.service import OVER, Machine, Service, kind

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.testing.bed import Host, bed_of
from dynamiccluster.testing.slurm_bed import SCRIPT, SlurmBed

NETWORK = "10.83.0.0/24"
SUSPEND_S, SUSPENDING_S, LAUNCH_S = 4, 8, 40
LATE_S = 12
"""How long a machine of the resource ``slow``, which never joins, is waited for."""

GIVEN_UP_S = 15
"""``ResumeTimeout`` of the partition ``late``, far too short."""


def switched(queues: list[str], most: int, priority: int, **more: Any) -> dict[str, Any]:
    return kind(2, 1000, most, queues=queues, provisioning="scheduler", priority=priority, **more)


def resources(scripts: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Both ways. ``spare`` is Slurm's second choice wherever another resource fails."""
    command = {name: [str(scripts / "nothing-left"), name] for name in ("list", "launch", "terminate")}
    return {
        "pa": switched(["cloud"], 4, 1),
        "dry": switched(["dry"], 2, 1)
        | {
            "type": "command",
            "tenancy": "elsewhere",
            "config": {f"{name}_command": words for name, words in command.items()},
        },
        "slow": switched(["slow"], 2, 1, timers={"launch_s": LATE_S, "boot_s": LATE_S}),
        "late": switched(["late"], 2, 1),
        "spare": switched(["dry", "slow"], 3, 5),
        "small": kind(2, 1000, 2, queues=["main"]),
    }


GENERAL = {
    "observe_first": False,  # a service with fewer resources sees hosts of others, and may see no machine of its own
    "max_idle_time": SUSPEND_S,
    "max_down_time": 6,
    "max_launch_time": LAUNCH_S,
    "timers": {"boot_s": 30, "down_hard_s": 10},
    "failure": {
        "missing_s": 5,
        "settle_s": 5,
        "step_retry_s": 1,
        "step_retry_max_s": 5,
        "breaker_failures": 1,
        "breaker_open_s": 20,
        "backoff_s": 15,
        "backoff_max_s": 15,
    },
}


class PowerBed(SlurmBed):
    """Nodes of ``slurm.conf`` that are off, and may be given to jobs, are not there; they are never deleted."""

    scripts: pathlib.Path

    def nodes(self) -> dict[str, str]:
        """States of the nodes of ``slurm.conf``, and reasons, as ``scontrol`` shows them."""
        lines = self.run("scontrol", "-o", "show", "node").splitlines()
        found = (re.match(r"NodeName=(\S+) .*?State=(\S+)(?:.*?Reason=(\S+))?", line) for line in lines)
        return {one[1]: f"{one[2]} {one[3] or ''}".strip() for one in found if one and "DYNAMIC" not in one[2]}

    def hosts(self) -> dict[str, Host]:
        off = {name for name, state in self.nodes().items() if state.split()[0] == "IDLE+CLOUD+POWERED_DOWN"}
        return {name: host for name, host in super().hosts().items() if name not in off}

    def forget_host(self, name: str) -> None:
        if name not in self.nodes():
            super().forget_host(name)

    def calls(self) -> list[str]:
        """What slurmctld has called: ``resume pa-0001 0``, with the exit code."""
        path = self.scripts / "calls"
        return path.read_text().splitlines() if path.exists() else []


class PowerService(Service):
    """Always the same installation, with a new store: it must put right what an earlier one has left."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.born_at = time.time()

    @property
    def machines(self) -> list[Machine]:
        return [one for one in super().machines if one.created_at >= self.born_at or one.ended_at is None]

    def scene(self) -> str:
        told = []
        with contextlib.suppress(Exception):
            events = self.client.get("api", "v1", "events", limit=80)["events"]
            told = [f"{one['at']} {one['host_name']} {one['resource']}: {one['text']}" for one in reversed(events)]
        return "\n".join([*told, str(self.bed.nodes()), super().scene()])  # type: ignore[attr-defined]  # a PowerBed

    def _document(self) -> dict[str, Any]:
        (self.bed.scripts / "socket").write_text(str(self.scratch / f"{self.cluster_id}.sock"))  # type: ignore[attr-defined]  # a PowerBed
        return super()._document()

    def alive(self, host: str) -> int:
        """Machines of this name that were not told to go."""
        return self.living.count(host)

    def all_over(self) -> bool:
        """Whether the jobs have ended; slurmctld may be too busy to say."""
        with contextlib.suppress(DynamicClusterError):
            return all(job.state in OVER for job in self.jobs())
        return False


@contextlib.contextmanager
def power_bed(scratch: pathlib.Path, release: str) -> Iterator[PowerBed]:
    """A bed whose ``slurm.conf`` has the printed lines. The programs serve whichever service has started last."""
    _write_scripts(scratch)
    config = scratch / "printed.yaml"
    local = {"type": "local", "tenancy": "this-machine", "config": {"worker_command": ["true"]}}
    document = {
        "dynamic-cluster": {"cluster_id": "c", "cluster_poller_interval": 1, "cloud_poller_interval": 1} | GENERAL,
        "cluster": {"type": "slurm"},
        "cloud": {name: local | own for name, own in resources(scratch).items()},
    }
    config.write_text(yaml.safe_dump(document))
    call = [sys.executable, "-m", "dynamiccluster.cli.main", "slurm-config", "-c", str(config)]
    printed = subprocess.run([*call, "--programs", str(scratch)], capture_output=True, text=True, check=True).stdout
    part = scratch / "part.conf"
    part.write_text(_for_the_bed(printed))
    with bed_of(SCRIPT, "--install", "--release", release, "--network", NETWORK, "--part", str(part)) as facts:
        bed = PowerBed(facts, SubprocessRunner(), SystemClock())
        bed.scripts = scratch
        checked = subprocess.run([*call, "--check", facts["slurm_conf"]], capture_output=True, text=True, check=False)
        short = f"the partition late is {GIVEN_UP_S} s"
        assert [line for line in checked.stdout.splitlines() if short not in line] == [], checked.stdout
        yield bed


def _for_the_bed(printed: str) -> str:
    """Without what the bed's own file says, and with shorter times."""
    theirs = r"(ReturnToService|GresTypes|SelectType|SelectTypeParameters|MaxNodeCount|TreeWidth|NodeSet)="
    lines = [line for line in printed.splitlines() if not re.match(rf"{theirs}|PartitionName=main ", line)]
    text = re.sub(r"SuspendTimeout=\d+", f"SuspendTimeout={SUSPENDING_S}", "\n".join(lines) + "\n")
    return re.sub(r"(PartitionName=late .*ResumeTimeout=)\d+", rf"\g<1>{GIVEN_UP_S}", text)


def _write_scripts(scratch: pathlib.Path) -> None:
    program = f'{sys.executable} -m dynamiccluster.cli.main "$verb" --connect "$(/bin/cat {scratch}/socket)" "$@"'
    sold_out = '{"error": {"class": "capacity", "message": "none left"}}'
    scripts = {
        f"slurm-{verb}": f'verb=slurm-{verb}\n{program}\n/bin/echo {verb} "$*" $? >> {scratch}/calls'
        for verb in ("resume", "suspend")
    } | {"nothing-left": f"case $1 in launch) echo '{sold_out}' ;; *) echo '{{\"instances\": []}}' ;; esac"}
    for name, text in scripts.items():
        path = scratch / name
        here = f'[ -x {sys.executable} ] || exec /usr/sbin/chroot /machine "$0" "$@"'  # slurmctld may be elsewhere
        path.write_text(f"#!/bin/sh\n{here}\n{text}\n")
        path.chmod(0o755)
