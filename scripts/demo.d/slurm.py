"""The scene of ``scripts/demo --slurm``: a private Slurm, workers that are real ``slurmd`` processes, and users."""

from __future__ import annotations

import json
import os
import pwd
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TESTBED = [sys.executable, str(ROOT / "scripts" / "testbeds" / "slurm")]
UP_LIMIT_S = 400.0  # with the installation of packages
DOWN_LIMIT_S = 60.0
PREFIX = Path("/var/lib/dynamiccluster/demo")
"""Short, for the sake of sockets, and always the same: what a killed demo has left is put away by the next one."""

NETWORK = "10.78.0.0/24"  # exists in our own namespaces only
FAILS_S = 240  # how long the image of one resource is broken
BURST_EVERY_S = (40.0, 80.0)
USERS = [user for user in ("games", "news", "mail", "backup") if user in {entry.pw_name for entry in pwd.getpwall()}]

JOBS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("serial", ("-p", "main"), "sleep 30"),
    ("threads", ("-p", "main", "-c2"), "sleep 45"),
    ("sweep", ("-p", "main", "--array=1-6%3"), "sleep 15"),
    ("mpi", ("-p", "main", "-N2", "-n4"), "srun hostname; sleep 40"),
    ("exclusive", ("-p", "main", "--exclusive"), "sleep 25"),
    ("assemble", ("-p", "main", "--mem=3000", "-C", "bigmem"), "sleep 60"),
    ("long", ("-p", "long", "-c2"), "sleep 90"),
    ("later", ("-p", "main", "--begin=now+120"), "sleep 10"),
    ("held", ("-p", "main", "--hold"), "sleep 10"),
)


class Scene:
    """What a scene is: see :class:`run.Scene`."""

    title = "a real Slurm (the first time, its packages are installed)"
    fastest = 1.0

    def __init__(self) -> None:
        self._prefix: Path | None = None
        self._scratch = Path()
        self._commands = ""
        self._over = threading.Event()
        self._users = threading.Thread(target=self._submit, name="users", daemon=True)

    def prepare(self, scratch: Path, port: int) -> Path:
        if os.geteuid() != 0:
            raise SystemExit("scripts/demo: --slurm sets up network namespaces and daemons: run it as root")
        self._scratch = scratch
        self._prefix = PREFIX
        up = [*TESTBED, "up", "--install", "--prefix", str(self._prefix), "--network", NETWORK]
        done = subprocess.run(up, stdout=subprocess.PIPE, text=True, timeout=UP_LIMIT_S, check=False)
        if done.returncode:
            raise SystemExit("scripts/demo: no Slurm could be set up, see above")
        facts = json.loads(done.stdout)
        self._commands = facts["commands"]
        config = scratch / "demo.yaml"
        config.write_text(yaml.safe_dump(self._document(scratch, port, facts), sort_keys=False), encoding="utf-8")
        return config

    def begin(self) -> None:
        self._users.start()

    def end(self) -> None:
        self._over.set()
        if self._users.is_alive():
            self._users.join(10.0)
        if self._prefix is not None:
            subprocess.run([*TESTBED, "down", "--prefix", str(self._prefix)], timeout=DOWN_LIMIT_S, check=False)

    def _document(self, scratch: Path, port: int, facts: dict[str, Any]) -> dict[str, Any]:
        """The configuration. Nothing of the nodes is known to Slurm beforehand."""
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
                "limits": {"max_nodes": 12},
                "failure": {"breaker_failures": 2, "breaker_open_s": 60, "breaker_max_s": 120, "missing_s": 15},
                "timers": {"boot_s": 60},
                "store": {"path": str(scratch / "demo.db")},
            },
            "cluster": {
                "type": "slurm",
                "config": {
                    "queue_to_monitor": ["main", "long"],
                    **{f"{name}_command": [f"{self._commands}/{name}"] for name in ("squeue", "scontrol", "scancel")},
                },
            },
            "cloud": {
                "small": self._resource(facts, 1, 5, 2, 2000, 0.1, ["main"]),
                "cheap": self._resource(facts, 0, 4, 4, 8000, 0.05, ["main"], worker=self._broken_for_a_while(facts)),
                "large": self._resource(facts, 2, 3, 4, 8000, 0.4, ["main", "long"], ["bigmem"]),
            },
            "logging": {"log_level": 2},
        }

    def _resource(
        self,
        facts: dict[str, Any],
        priority: int,
        most: int,
        cores: int,
        memory_mib: int,
        price: float,
        queues: list[str],
        features: list[str] | None = None,
        worker: list[str] | None = None,
    ) -> dict[str, Any]:
        return {
            "type": "local",
            "tenancy": "this-machine",
            "priority": priority,
            "quantity": {"min": 0, "max": most},
            "price_per_hour": price,
            "capacity": {"cores": cores, "memory_mib": memory_mib},
            "features": features or [],
            "queues": queues,
            "config": {
                "worker_command": worker or facts["worker_command"],
                "network": facts["network"],
                "bridge": facts["bridge"],
                "network_namespace": facts["namespace"],
                "state_dir": f"{facts['prefix']}/instances",
            },
        }

    def _broken_for_a_while(self, facts: dict[str, Any]) -> list[str]:
        """A worker whose machines die soon after they have come up, until somebody has mended the image."""
        good, name = facts["worker_command"][0], facts["worker_command"][1:]
        script = Path(facts["prefix"], "bin", "worker-of-a-broken-image")
        mended = int(time.time()) + FAILS_S
        script.write_text(
            f'#!/bin/sh\n[ $(date +%s) -lt {mended} ] && {{ sleep 4; echo broken image; exit 1; }}\nexec {good} "$@"\n',
            encoding="utf-8",
        )
        script.chmod(0o755)
        return [str(script), *name]

    def _submit(self) -> None:
        """Bursts of jobs of several users until the demo is over."""
        rng = random.Random(1)
        while not self._sbatch(USERS[0] if USERS else "root", *JOBS[0]):  # until the service has declared its shapes
            if self._over.wait(1.0):
                return
        while not self._over.is_set():
            user = rng.choice(USERS or ["root"])
            for _ in range(rng.randint(4, 9)):
                name, words, script = rng.choice(JOBS)
                self._sbatch(user, name, words, script)
                if self._over.wait(rng.uniform(0.2, 2.0)):
                    return
            self._over.wait(rng.uniform(*BURST_EVERY_S))

    def _sbatch(self, user: str, name: str, words: tuple[str, ...], script: str) -> bool:
        """Whether Slurm took the job."""
        entry = pwd.getpwnam(user)
        owner = [f"--uid={entry.pw_uid}", f"--gid={entry.pw_gid}"]
        where = ["--chdir=/", "--output=/dev/null", "--error=/dev/null"]
        command = [f"{self._commands}/sbatch", "--parsable", "-J", name, *owner, *where, *words, f"--wrap={script}"]
        with (self._scratch / "users.log").open("a", encoding="utf-8") as log:
            return subprocess.run(command, stdout=log, stderr=log, timeout=60.0, check=False).returncode == 0
