"""The service as a real process on the embedded cluster, for tests: started, asked, signalled, and surely ended."""

from __future__ import annotations

import copy
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 90.0
SPEED = 20.0

RESOURCE: dict[str, Any] = {
    "type": "simulated",
    "tenancy": "lab",
    "quantity": {"min": 0, "max": 4},
    "capacity": {"cores": 4, "memory_mib": 8000},
    "config": {"build_s": [2, 4], "boot_s": [2, 4], "shutdown_s": [1, 2]},
}


def configuration(folder: Path, port: int = 0, jobs_per_day: float = 0.0) -> dict[str, Any]:
    """A small embedded cluster that lives in ``folder``; polls every second of its own time."""
    return {
        "dynamic-cluster": {
            "cluster_id": "test",
            "cluster_poller_interval": 2,
            "cloud_poller_interval": 4,
            "auto_provision_interval": 10,
            "max_idle_time": 60,
            "observe_first": False,
            "admin-server": {"port": port or free_port(), "socket": str(folder / "api.sock")},
            "store": {"path": str(folder / "state" / "test.db")},
        },
        "cluster": {
            "type": "simulated",
            "config": {
                "workload": {
                    "jobs_per_day": jobs_per_day,
                    "run_s": [100000, 200000],
                    "oddities": 0,
                    "arrays": 0,
                    "first_after_s": 1,
                }
            },
        },
        "cloud": {"fast": copy.deepcopy(RESOURCE)},
        "logging": {"log_level": 2, "log_location": str(folder / "service.log")},
    }


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


class Service:
    """One process. ``with`` ends it whatever happens."""

    def __init__(self, folder: Path, config: dict[str, Any], *options: str, speed: float = SPEED) -> None:
        self.folder = folder
        self.config = config
        self.path = folder / "service.yaml"
        self.write(config)
        self.command = [sys.executable, "-m", "dynamiccluster.cli.main", "serve", "-c", str(self.path), *options]
        if speed != 1.0:
            self.command += ["--speed", str(speed)]
        self.process: subprocess.Popen[bytes] | None = None
        self.said = folder / "said.out"

    def write(self, config: dict[str, Any]) -> None:
        self.config = config
        self.path.write_text(yaml.safe_dump(config))

    def start(self, ready: bool = True) -> Service:
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [*self.command, "-f"],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        if ready:
            self.until(lambda: self.get("/readyz")[0] == 200)
        return self

    def __enter__(self) -> Service:
        return self if self.process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    # -- asking ------------------------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: object = None, tcp: bool = False, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and document; (0, "") if nobody answers."""
        general = self.config["dynamic-cluster"]["admin-server"]
        connection = (
            http.client.HTTPConnection("127.0.0.1", general["port"], timeout=PATIENCE_S)
            if tcp
            else UnixConnection(general["socket"])
        )
        try:
            data = None if body is None else json.dumps(body)
            sent = {"Content-Type": "application/json"} if data else {}
            connection.request(method, path, data, sent | (headers or {}))
            response = connection.getresponse()
            text = response.read().decode()
            kind = response.headers.get("Content-Type", "")
            return response.status, json.loads(text) if kind.startswith("application/json") else text
        except (ConnectionError, FileNotFoundError):
            return 0, ""
        finally:
            connection.close()

    def get(self, path: str, tcp: bool = False) -> tuple[int, Any]:
        return self.ask("GET", path, tcp=tcp)

    def nodes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/v1/nodes")[1]["nodes"]
        return found

    def log(self) -> str:
        location = self.config["logging"]["log_location"]
        return Path(location).read_text() if Path(location).exists() else ""

    def until(self, holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Wait in real time until ``holds()``."""
        last = time.monotonic() + within_s
        while not holds():
            code = self.process.poll() if self.process else None
            if code is not None:
                raise AssertionError(f"the service has ended with {code}: {self.said.read_text()} {self.log()}")
            if time.monotonic() > last:
                raise AssertionError(f"not within {within_s:g} s; {self.get('/api/v1/status')} {self.log()[-3000:]}")
            time.sleep(0.1)

    # -- ending ------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ends(self, within_s: float = PATIENCE_S) -> tuple[int, str]:
        """Exit code and what it printed, once it has ended by itself."""
        assert self.process is not None
        return self.process.wait(within_s), self.said.read_text()
