"""The scene of ``scripts/demo --htcondor``: a private HTCondor, workers that are real startds, and users."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TESTBED = [sys.executable, str(ROOT / "scripts" / "testbeds" / "htcondor")]
UP_LIMIT_S = 1200.0  # with the installation of a Debian 13 to run it in
DOWN_LIMIT_S = 60.0
PREFIX = Path("/var/lib/dynamiccluster/demo-htcondor")
"""Always the same: what a killed demo has left is put away by the next one."""

NETWORK = "10.79.250.0/24"  # exists in our own namespaces only
BURST_EVERY_S = (40.0, 80.0)

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


class Scene:
    """What a scene is: see :class:`run.Scene`."""

    title = "a real HTCondor (the first time, a Debian 13 is installed for it: a minute)"
    fastest = 1.0

    def __init__(self) -> None:
        self._prefix: Path | None = None
        self._scratch = Path()
        self._facts: dict[str, Any] = {}
        self._over = threading.Event()
        self._users = threading.Thread(target=self._submit, name="users", daemon=True)

    def prepare(self, scratch: Path, port: int) -> Path:
        if os.geteuid() != 0:
            raise SystemExit("scripts/demo: --htcondor sets up network namespaces and daemons: run it as root")
        self._scratch = scratch
        self._prefix = PREFIX
        up = [*TESTBED, "up", "--install", "--prefix", str(self._prefix), "--network", NETWORK]
        done = subprocess.run(up, stdout=subprocess.PIPE, text=True, timeout=UP_LIMIT_S, check=False)
        if done.returncode:
            raise SystemExit("scripts/demo: no HTCondor could be set up, see above")
        self._facts = json.loads(done.stdout)
        config = scratch / "demo.yaml"
        config.write_text(yaml.safe_dump(self._document(scratch, port), sort_keys=False), encoding="utf-8")
        return config

    def begin(self) -> None:
        self._users.start()

    def end(self) -> None:
        self._over.set()
        if self._users.is_alive():
            self._users.join(10.0)
        if self._prefix is not None:
            subprocess.run([*TESTBED, "down", "--prefix", str(self._prefix)], timeout=DOWN_LIMIT_S, check=False)

    def _document(self, scratch: Path, port: int) -> dict[str, Any]:
        """The configuration. Nothing of the nodes is known to HTCondor beforehand."""
        return {
            "dynamic-cluster": {
                "cluster_id": "demo",
                "max_idle_time": 45,
                "max_launch_time": 120,
                "cluster_poller_interval": 3,
                "cloud_poller_interval": 3,
                "auto_provision_interval": 15,
                "observe_first": False,
                "admin-server": {"port": port, "socket": str(scratch / "demo.sock"), "socket_mode": "0600"},
                "names": {"method": "hosts_file", "hosts_file": self._facts["hosts_file"]},
                "limits": {"max_nodes": 10},
                "timers": {"boot_s": 60},
                "store": {"path": str(scratch / "demo.db")},
            },
            "cluster": {
                "type": "htcondor",
                "config": {"bin_dir": self._facts["commands"], "silent_s": 60, "settle_s": 10},
            },
            "cloud": {
                "small": self._resource(1, 5, 2, 2000, 0.1, {"features": ["std"]}),
                "large": self._resource(2, 3, 4, 8000, 0.4, {"features": ["BigMem"]}),
                "physics": self._resource(0, 2, 2, 2000, 0.1, {"reservation": {"account": "group_physics"}}),
            },
            "logging": {"log_level": 2},
        }

    def _resource(
        self, priority: int, most: int, cores: int, memory_mib: int, price: float, more: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "type": "local",
            "tenancy": "this-machine",
            "priority": priority,
            "quantity": {"min": 0, "max": most},
            "price_per_hour": price,
            "capacity": {"cores": cores, "memory_mib": memory_mib},
            **more,
            "config": {
                "worker_command": self._facts["worker_command"],
                "network": self._facts["network"],
                "bridge": self._facts["bridge"],
                "network_namespace": self._facts["namespace"],
                "state_dir": f"{self._facts['prefix']}/instances",
            },
        }

    def _submit(self) -> None:
        """Bursts of jobs of several users until the demo is over."""
        rng = random.Random(1)
        while not self._over.is_set():
            user = rng.choice(self._facts["users"])
            for _ in range(rng.randint(3, 7)):
                self._condor_submit(user, *rng.choice(JOBS))
                if self._over.wait(rng.uniform(0.2, 2.0)):
                    return
            self._over.wait(rng.uniform(*BURST_EVERY_S))

    def _condor_submit(self, user: str, name: str, seconds: int, words: tuple[str, ...], number: int) -> None:
        lines = (
            "executable = /bin/sleep",
            f"arguments = {seconds}",
            "transfer_executable = false",
            "should_transfer_files = yes",
            "initialdir = /tmp",
            *(word.replace("USER", user) for word in words),
            f"queue {number}",
        )
        command = [f"{self._facts['commands']}/as", user, "condor_submit", "-terse", "-batch-name", name, "-"]
        with (self._scratch / "users.log").open("a", encoding="utf-8") as log:
            subprocess.run(command, input="\n".join(lines) + "\n", text=True, stdout=log, stderr=log, check=False)
