"""What the scenes on real schedulers have in common: a test bed, local workers in its namespaces, and users."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOWN_LIMIT_S = 60.0
BURST_EVERY_S = (40.0, 80.0)


class RealScene:
    """One scheduler's scene tells its test bed, its part of the configuration, and how its users submit."""

    title = ""
    fastest = 1.0
    testbed: ClassVar[str]
    prefix: ClassVar[Path]
    """Always the same: what a killed demo has left is put away by the next one."""

    network: ClassVar[str]  # exists in our own namespaces only
    up_limit_s: ClassVar[float]

    def __init__(self) -> None:
        self.scratch = Path()
        self.facts: dict[str, Any] = {}
        self._is_up = False
        self._over = threading.Event()
        self._users = threading.Thread(target=self._submit, name="users", daemon=True)

    def cluster(self) -> dict[str, Any]:
        """The ``cluster:`` section."""
        raise NotImplementedError

    def resources(self) -> dict[str, Any]:
        """The ``cloud:`` section."""
        raise NotImplementedError

    def submit_one(self, rng: random.Random) -> list[tuple[list[str], str]]:
        """A job: commands, each with its standard input."""
        raise NotImplementedError

    def prepare(self, scratch: Path, port: int) -> Path:
        if os.geteuid() != 0:
            raise SystemExit(f"scripts/demo: --{self.testbed} sets up network namespaces and daemons: run it as root")
        self.scratch = scratch
        self._is_up = True
        up = [*self._bed(), "up", "--install", "--prefix", str(self.prefix), "--network", self.network]
        done = subprocess.run(up, stdout=subprocess.PIPE, text=True, timeout=self.up_limit_s, check=False)
        if done.returncode:
            raise SystemExit(f"scripts/demo: {self.title.partition('(')[0].strip()} could not be set up, see above")
        self.facts = json.loads(done.stdout)
        config = scratch / "demo.yaml"
        config.write_text(yaml.safe_dump(self._document(port), sort_keys=False), encoding="utf-8")
        return config

    def begin(self) -> None:
        self._users.start()

    def end(self) -> None:
        self._over.set()
        if self._users.is_alive():
            self._users.join(10.0)
        if self._is_up:
            subprocess.run([*self._bed(), "down", "--prefix", str(self.prefix)], timeout=DOWN_LIMIT_S, check=False)

    def resource(
        self, priority: int, most: int, cores: int, memory_mib: int, price: float, **more: Any
    ) -> dict[str, Any]:
        """A resource of local workers."""
        return {
            "type": "local",
            "tenancy": "this-machine",
            "priority": priority,
            "quantity": {"min": 0, "max": most},
            "price_per_hour": price,
            "capacity": {"cores": cores, "memory_mib": memory_mib},
            **more,
            "config": {
                "worker_command": self.facts["worker_command"],
                "network": self.facts["network"],
                "bridge": self.facts["bridge"],
                "network_namespace": self.facts["namespace"],
                "state_dir": f"{self.facts['prefix']}/instances",
            },
        }

    def _bed(self) -> list[str]:
        return [sys.executable, str(ROOT / "scripts" / "testbeds" / self.testbed)]

    def _document(self, port: int) -> dict[str, Any]:
        """The configuration. Nothing of the nodes is known to the scheduler beforehand."""
        return {
            "dynamic-cluster": {
                "cluster_id": "demo",
                "max_idle_time": 45,
                "max_launch_time": 120,
                "cluster_poller_interval": 3,
                "cloud_poller_interval": 3,
                "auto_provision_interval": 15,
                "observe_first": False,
                "admin-server": {"port": port, "socket": str(self.scratch / "demo.sock"), "socket_mode": "0600"},
                "names": {"method": "hosts_file", "hosts_file": self.facts["hosts_file"]},
                "limits": {"max_nodes": 10},
                "timers": {"boot_s": 60},
                "store": {"path": str(self.scratch / "demo.db")},
            },
            "cluster": self.cluster(),
            "cloud": self.resources(),
            "logging": {"log_level": 2},
        }

    def _submit(self) -> None:
        """Bursts of jobs until the demo is over."""
        rng = random.Random(1)
        while not self._over.is_set():
            for _ in range(rng.randint(3, 7)):
                for command, given in self.submit_one(rng):
                    with (self.scratch / "users.log").open("a", encoding="utf-8") as log:
                        subprocess.run(command, input=given, text=True, stdout=log, stderr=log, check=False)
                if self._over.wait(rng.uniform(0.2, 2.0)):
                    return
            self._over.wait(rng.uniform(*BURST_EVERY_S))
