"""The scene of ``scripts/demo --htcondor``: a private HTCondor, workers that are real startds, and users."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from real import RealScene

JOBS: tuple[tuple[str, int, tuple[str, ...], int], ...] = (
    ("serial", 30, (), 1),
    ("threads", 45, ("request_cpus = 2",), 1),
    ("sweep", 15, ("max_materialize = 3",), 6),
    ("assemble", 60, ("request_memory = 3000", "requirements = BigMem"), 1),
    ("either", 25, ("requirements = BigMem || std =?= true",), 2),
    ("physics", 40, ("accounting_group = group_physics", "accounting_group_user = USER"), 2),
    ("later", 10, ("deferral_time = (CurrentTime + 120)", "deferral_prep_time = 10"), 1),
    ("held", 10, ("hold = true",), 1),
)
"""Name, seconds, lines of the submit file, and how many of them."""


class Scene(RealScene):
    """What a scene is: see :class:`run.Scene`."""

    title = "a real HTCondor (the first time, a Debian 13 is installed for it: a minute)"
    testbed = "htcondor"
    prefix = Path("/var/lib/dynamiccluster/demo-htcondor")
    network = "10.79.250.0/24"
    up_limit_s = 1200.0

    def cluster(self) -> dict[str, Any]:
        return {
            "type": "htcondor",
            "config": {"bin_dir": self.facts["commands"], "silent_s": 60, "settle_s": 10},
        }

    def resources(self) -> dict[str, Any]:
        return {
            "small": self.resource(1, 5, 2, 2000, 0.1, features=["std"]),
            "large": self.resource(2, 3, 4, 8000, 0.4, features=["BigMem"]),
            "physics": self.resource(0, 2, 2, 2000, 0.1, reservation={"account": "group_physics"}),
        }

    def submit_one(self, rng: random.Random) -> list[tuple[list[str], str]]:
        user = rng.choice(self.facts["users"])
        name, seconds, words, number = rng.choice(JOBS)
        lines = (
            "executable = /bin/sleep",
            f"arguments = {seconds}",
            "transfer_executable = false",
            "should_transfer_files = yes",
            "initialdir = /tmp",
            *(word.replace("USER", user) for word in words),
            f"queue {number}",
        )
        command = [f"{self.facts['commands']}/as", user, "condor_submit", "-terse", "-batch-name", name, "-"]
        return [(command, "\n".join(lines) + "\n")]
