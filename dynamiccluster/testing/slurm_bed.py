"""A real Slurm for tests: started by ``scripts/testbeds/slurm``, used through the adapters.

Only in a source checkout, only as root on Debian, and only when ``DYNAMICCLUSTER_TESTBEDS=1`` says that this machine
may be used so.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.kit.runner import Runner, SubprocessRunner
from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "testbeds" / "slurm"
SWITCH = "DYNAMICCLUSTER_TESTBEDS"
INSTALLED_BY_US = pathlib.Path("/var/lib/dynamiccluster/testbed-slurm.installed")
"""The test bed's own mark that it was the one to install the packages."""
_ENDED = re.compile(r"^JobId=(\d+) .*?\bJobState=([A-Z_]+) ", re.MULTILINE | re.DOTALL)
_UP_TIMEOUT_S = 300.0
_DOWN_TIMEOUT_S = 60.0
_COMMAND_TIMEOUT_S = 30.0


def why_not() -> str:
    """Why there can be no real Slurm here; "" if there can."""
    if os.environ.get(SWITCH) != "1":
        return f"needs a real Slurm: set {SWITCH}=1 to let one be installed (root, Debian)"
    if os.geteuid() != 0:
        return "needs a real Slurm: must be root"
    if not pathlib.Path("/etc/debian_version").exists():
        return "needs a real Slurm: must be Debian"
    if shutil.which("slurmctld") and not INSTALLED_BY_US.exists():
        return "needs a real Slurm of our own: this machine has one already, which is left alone"
    return "" if SCRIPT.exists() else f"needs a real Slurm: {SCRIPT} is not there"


class SlurmBed:
    """A running test bed. ``facts``: what ``scripts/testbeds/slurm up`` printed."""

    def __init__(self, facts: Mapping[str, Any], runner: Runner, clock: Clock) -> None:
        self.facts = facts
        self.prefix = pathlib.Path(facts["prefix"])
        self.runner = runner
        self.clock = clock

    def scheduler(self, cluster_id: str) -> SlurmScheduler:
        return SlurmScheduler(
            self.runner,
            self.clock,
            cluster_id,
            squeue=(self._program("squeue"),),
            scontrol=(self._program("scontrol"),),
            scancel=(self._program("scancel"),),
        )

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

    def sbatch(self, *arguments: str, wrap: str) -> str:
        """Submit a job whose output goes to :meth:`output_of`. Its id.

        :raises DynamicClusterError: Slurm refused it.
        """
        output = f"--output={self.prefix}/%A.out"
        words = self.run("sbatch", "--parsable", output, *arguments, f"--wrap={wrap}").split(";")
        return words[0].strip()

    def output_of(self, job_id: str) -> str:
        path = self.prefix / f"{job_id}.out"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def completed(self) -> dict[str, str]:
        """Final states of ended jobs by id, as Slurm wrote them down."""
        path = self.prefix / "log" / "jobcomp.log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return dict(_ENDED.findall(text))

    def run(self, program: str, *arguments: str) -> str:
        """The output of one of Slurm's programs.

        :raises DynamicClusterError: it failed.
        """
        completed = self.runner.run((self._program(program), *arguments), timeout_s=_COMMAND_TIMEOUT_S)
        if completed.returncode != 0:
            raise DynamicClusterError(f"{program}: {completed.complaint}")
        return completed.stdout

    def _program(self, name: str) -> str:
        return f"{self.facts['commands']}/{name}"


@contextlib.contextmanager
def slurm_bed(network: str = "10.77.0.0/24") -> Iterator[SlurmBed]:
    """A test bed in a new directory; nothing of it is left afterwards, installed packages apart.

    :raises DynamicClusterError: it could not be started.
    """
    runner = SubprocessRunner()
    prefix = tempfile.mkdtemp(prefix="dcbed-", dir="/tmp")  # paths of sockets must be short
    call = (sys.executable, str(SCRIPT))
    try:
        completed = runner.run(
            (*call, "up", "--install", "--prefix", prefix, "--network", network), timeout_s=_UP_TIMEOUT_S
        )
        if completed.returncode != 0:
            raise DynamicClusterError(f"the test bed did not start: {completed.complaint}")
        yield SlurmBed(json.loads(completed.stdout), runner, SystemClock())
    finally:
        runner.run((*call, "down", "--prefix", prefix), timeout_s=_DOWN_TIMEOUT_S)
