"""``pbs_mom``: a worker daemon in the foreground, for the ``local`` cloud to start as a machine. It runs jobs.

It beats its heart into ``nodes/NAME.beat``; killed or frozen it falls silent, and the server draws its conclusions.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import Any

from dynamiccluster.kit.clock import SystemClock, pause
from dynamiccluster.testing.stand_in.place import Place
from dynamiccluster.testing.stand_in.processes import Jobs, signal_number
from dynamiccluster.testing.torque_double.moms import FACTS

_LOOK_S = 0.1
_BEAT_S = 0.3
_KILL_AFTER_S = 2.0  # kill_delay: between SIGTERM and SIGKILL


class Mom:
    """``name``: of its node. It forgets what an earlier machine of this name was told."""

    def __init__(self, place: Place, name: str, cores: int, memory_mib: int) -> None:
        self._place = place
        self._name = name
        self._facts = {**FACTS, "ncpus": cores, "physmem": memory_mib * 1024, "availmem": memory_mib * 1000}
        self._jobs = Jobs()
        self._running: dict[str, dict[str, Any]] = {}
        self._since = place.now()
        self._clock = SystemClock()
        self._doomed: dict[str, float] = {}
        self._stopped = False

    def run(self) -> None:
        for kind in ("orders", "ended"):
            shutil.rmtree(self._directory(kind), ignore_errors=True)
            os.makedirs(self._directory(kind))
        os.makedirs(self._place.file("output"), exist_ok=True)
        signal.signal(signal.SIGTERM, self._stop)
        beaten = 0.0
        while not self._stopped:
            for entry in sorted(os.listdir(self._directory("orders"))):
                if not entry.endswith(".new"):
                    self._obey(os.path.join(self._directory("orders"), entry))
            self._finish_off()
            for key, status in self._jobs.reap().items():
                self._report(key, status)
            if self._clock.monotonic() - beaten >= _BEAT_S:
                beaten = self._clock.monotonic()
                self._beat()
            pause(_LOOK_S)
        for key in list(self._jobs.pids):
            self._jobs.signal(key, signal.SIGKILL)
        self._write(self._place.file("nodes", f"{self._name}.beat"), {"stopped": True})

    def _stop(self, number: int, frame: object) -> None:
        self._stopped = True

    def _directory(self, kind: str) -> str:
        return self._place.file("nodes", f"{self._name}.{kind}")

    def _beat(self) -> None:
        sessions = {key: self._jobs.pids[key] for key in self._jobs.pids}
        beat = {**self._facts, "at": self._place.now(), "since": self._since, "sessions": sessions, "pid": os.getpid()}
        self._write(self._place.file("nodes", f"{self._name}.beat"), beat)

    def _obey(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            order = json.load(file)
        os.unlink(path)
        key = order["job"]
        if order["kind"] == "run":
            self._running[key] = order["facts"]
            job = order["facts"]
            self._jobs.start(
                key,
                job["script"],
                self._environment(job),
                cwd=job["cwd"],
                output=self._place.file("output", f"{key}.OU"),
            )
            return
        number = signal_number(order["signal"])
        if number:
            self._jobs.signal(key, number)
        if number == signal.SIGTERM:
            self._doomed[key] = self._clock.monotonic() + _KILL_AFTER_S

    def _finish_off(self) -> None:
        for key, at in list(self._doomed.items()):
            if self._clock.monotonic() >= at:
                self._jobs.signal(key, signal.SIGKILL)
                del self._doomed[key]

    def _environment(self, job: dict[str, Any]) -> dict[str, str]:
        nodes = self._place.file("nodes", f"{job['id']}.hosts")
        with open(nodes, "w", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name, slots in job["slots"] for _ in slots)
        found = {key: str(value) for key, value in job["variables"]}
        found.update(
            PATH="/usr/local/bin:/usr/bin:/bin",
            HOME=found.get("PBS_O_HOME", "/"),
            USER=job["user"],
            PBS_ENVIRONMENT="PBS_BATCH",
            PBS_JOBID=job["id"],
            PBS_JOBNAME=job["name"],
            PBS_QUEUE=job["queue"],
            PBS_NODEFILE=nodes,
            PBS_O_WORKDIR=job["cwd"],
        )
        if job["array"]:
            found["PBS_ARRAYID"] = str(job["index"])
        return found

    def _report(self, key: str, status: int) -> None:
        job = self._running.pop(key)
        told = {"job": key, "start_count": job["start_count"], "status": status if status >= 0 else 256 - status}
        self._write(os.path.join(self._directory("ended"), f"{key}-{job['start_count']}"), told)

    def _write(self, path: str, value: dict[str, Any]) -> None:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.replace(f"{path}.new", path)
