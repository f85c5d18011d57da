"""The scene of ``scripts/demo --sge``: a private Grid Engine, workers that are real execution daemons, and users."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

from real import RealScene

JOBS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("serial", ("-q", "main"), 30),
    ("threads", ("-q", "main", "-pe", "smp", "2"), 45),
    ("sweep", ("-q", "main", "-t", "1-6", "-tc", "3"), 15),
    ("spread", ("-q", "main", "-pe", "per2", "4"), 40),
    ("assemble", ("-q", "main", "-l", "bigmem,h_vmem=3000M"), 60),
    ("long", ("-q", "long"), 90),
    ("physics", ("-P", "physics", "-q", "physics"), 40),
    ("held", ("-q", "main", "-h"), 10),
)
"""Name, options, seconds."""


class Scene(RealScene):
    """What a scene is: see :class:`run.Scene`."""

    title = "a real Grid Engine (the first time, its packages are installed)"
    testbed = "sge"
    prefix = Path("/var/lib/dynamiccluster/demo-sge")
    network = "10.78.240.0/24"
    up_limit_s = 400.0

    def cluster(self) -> dict[str, Any]:
        programs = {name: f"{self.facts['commands']}/{name}" for name in ("qstat", "qhost", "qconf", "qmod", "qdel")}
        qconf = programs["qconf"]
        return {
            "type": "sge",
            "config": {
                "qstat_command": f"{programs['qstat']} -xml -r -u '*'",
                "qhost_command": f"{programs['qhost']} -q -j -xml {{0}} {{1}}",
                "hostgroup_command": f"{qconf} {{0}} hostgroup hostlist {{1}} {{2}}",
                "qmod_command": f"{programs['qmod']} {{0}} *@{{1}}",
                "remove_node_command": f"{qconf} -de {{0}}",
                "set_slots_command": f"{qconf} -rattr queue slots {{0}} {{1}}@{{2}}",
                "unset_slots_command": f"{qconf} -purge queue slots {{0}}@{{1}}",
                "qconf_spl_command": f"{qconf} -spl",
                "qconf_sp_command": f"{qconf} -sp {{0}}",
                "qdel_command": f"{programs['qdel']} -f {{0}}",
                "qconf_command": [qconf],
                "silent_s": 40,
            },
        }

    def resources(self) -> dict[str, Any]:
        return {
            "small": self.resource(1, 4, 2, 2000, 0.1, queues=["main"]),
            "large": self.resource(2, 2, 4, 8000, 0.4, queues=["main"], features=["bigmem"]),
            "long": self.resource(0, 2, 2, 2000, 0.1, reservation={"queue": "long"}),
            "physics": self.resource(0, 2, 2, 2000, 0.1, reservation={"account": "physics"}),
        }

    def _submit(self) -> None:
        """Until the service has declared its resources the queues have no host at all, and qsub calls them unknown."""
        look = [f"{self.facts['commands']}/qselect", "-q", "main"]
        while subprocess.run(look, capture_output=True, check=False).returncode:
            if self._over.wait(0.5):
                return
        super()._submit()

    def submit_one(self, rng: random.Random) -> list[tuple[list[str], str]]:
        name, options, seconds = rng.choice(JOBS)
        place = ["-wd", "/", "-o", "/dev/null", "-j", "y", "-S", "/bin/sh", "-N", name]
        user = rng.choice(self.facts["users"])
        command = [f"{self.facts['commands']}/as", user, "/usr/bin/qsub", "-terse", *place, *options]
        return [(command, f"sleep {seconds}\n")]
