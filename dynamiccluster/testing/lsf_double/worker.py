"""``lsf_worker``: LIM and sbatchd of one host as one process in the foreground, for the ``local`` cloud to start."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import Any

from dynamiccluster.kit.clock import SystemClock, pause
from dynamiccluster.testing.stand_in.place import Place
from dynamiccluster.testing.stand_in.processes import Jobs, signal_number

_LOOK_S = 0.1
_BEAT_S = 0.3
_KILL_AFTER_S = 2.0


class Worker:
    """``name``: of its host. It forgets what an earlier machine of this name was told."""

    def __init__(self, place: Place, name: str, cores: int, memory_mib: int, resources: list[str]) -> None:
        self._place = place
        self._name = name
        self._facts = {"ncpus": cores, "maxmem": memory_mib, "resources": resources, "since": place.now()}
        self._jobs = Jobs()
        self._running: dict[str, dict[str, Any]] = {}
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
            for key, at in list(self._doomed.items()):
                if self._clock.monotonic() >= at:
                    self._jobs.signal(key, signal.SIGKILL)
                    del self._doomed[key]
            for key, status in self._jobs.reap().items():
                self._report(key, status)
            if self._clock.monotonic() - beaten >= _BEAT_S:
                beaten = self._clock.monotonic()
                sessions = {key: [pid] for key, pid in self._jobs.pids.items()}
                self._write(self._beat_file(), {**self._facts, "at": self._place.now(), "sessions": sessions})
            pause(_LOOK_S)
        for key in list(self._jobs.pids):
            self._jobs.signal(key, signal.SIGKILL)
        self._write(self._beat_file(), {"stopped": True})

    def _stop(self, number: int, frame: object) -> None:
        self._stopped = True

    def _beat_file(self) -> str:
        return self._place.file("nodes", f"{self._name}.beat")

    def _directory(self, kind: str) -> str:
        return self._place.file("nodes", f"{self._name}.{kind}")

    def _obey(self, path: str) -> None:
        with open(path, encoding="utf-8") as file:
            order = json.load(file)
        os.unlink(path)
        key, job = order["job"], order["facts"]
        if order["kind"] == "run":
            self._running[key] = job
            name = key.replace("[", "_").replace("]", "")
            output = self._place.file("output", f"{name}.out")
            self._jobs.start(key, job["script"], self._environment(job), cwd=job["home"], output=output)
            return
        number = signal_number(order["signal"])
        if number:
            self._jobs.signal(key, number)
        if number == signal.SIGTERM:
            self._doomed[key] = self._clock.monotonic() + _KILL_AFTER_S

    def _environment(self, job: dict[str, Any]) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": job["home"],
            "USER": job["user"],
            "LSB_JOBID": str(job["id"]),
            "LSB_JOBINDEX": str(job["index"]),
            "LSB_JOBNAME": job["name"],
            "LSB_QUEUE": job["queue"],
            "LSB_HOSTS": " ".join(job["exec"]),
            "STAND_IN_PLACE": self._place.path,
        }

    def _report(self, key: str, status: int) -> None:
        job = self._running.pop(key)
        told = {"job": key, "started": job["started"], "status": status if status >= 0 else 128 - status}
        name = key.replace("[", "_").replace("]", "")
        self._write(os.path.join(self._directory("ended"), f"{name}-{job['started']}"), told)

    def _write(self, path: str, value: dict[str, Any]) -> None:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(value, file)
        os.replace(f"{path}.new", path)
