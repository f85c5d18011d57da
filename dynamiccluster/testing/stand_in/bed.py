"""What the beds of all doubles have in common: daemons that are processes, machines of the ``local`` cloud.

With a ``network`` (root) each machine has an address of its own, and its name resolves only while the service keeps
it in the bed's hosts file. Without one machines are plain processes, and every name resolves.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock, SystemClock, pause
from dynamiccluster.kit.runner import Runner, SubprocessRunner
from dynamiccluster.testing import bed
from dynamiccluster.testing.stand_in.place import Place

_COMMAND_TIMEOUT_S = 30.0
_HEAD_LIMIT_S = 15.0
USER = "alice"


class DoubleBed:
    """``heads``: names of the central daemons' programs; ``worker``: that of the worker daemon."""

    heads: Sequence[str] = ()
    worker = ""

    def __init__(self, prefix: str, network: str = "") -> None:
        self.prefix = pathlib.Path(prefix)
        self.place = Place(prefix)
        self.runner: Runner = SubprocessRunner()
        self.clock: Clock = SystemClock()
        self.facts: Mapping[str, Any] = {
            "prefix": prefix,
            "commands": self.place.file("bin"),
            "network": network,
            "bridge": "br0",
            "namespace": f"dc{self.prefix.name[-8:]}" if network else "",
            "worker_command": [self.place.file("bin", self.worker), "{name}", "{cores}", "{memory_mib}", "{features}"],
        }
        if network:
            self.place.set_hosts_file(self.place.file("hosts"))
            (self.prefix / "hosts").touch()

    # -- what the service is given -----------------------------------------------------------------------

    def program(self, name: str) -> str:
        return f"{self.facts['commands']}/{name}"

    def general_section(self) -> dict[str, Any]:
        if not self.facts["network"]:
            return {}
        return {"names": {"method": "hosts_file", "hosts_file": self.place.file("hosts")}}

    def cloud_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"worker_command": self.facts["worker_command"]}
        if self.facts["network"]:
            config["network"] = self.facts["network"]
            config["bridge"] = self.facts["bridge"]
            config["network_namespace"] = self.facts["namespace"]
        return config

    # -- what is there -----------------------------------------------------------------------------------

    def leftovers(self) -> dict[str, object]:
        there: dict[str, object] = {"processes": [one.pid for one in self._workers()]}
        if namespace := self.facts["namespace"]:
            there["namespaces"] = bed.namespaces_of_workers(self.runner, namespace)
            there["cables"] = bed.cables_of_workers(self.runner, namespace)
        return {what: found for what, found in there.items() if found}

    def _workers(self) -> list[bed.Process]:
        words = (f"/{self.worker} ", "dynamiccluster.clouds.local_worker")
        return [one for one in bed.processes_with(str(self.prefix)) if any(word in one.command for word in words)]

    def daemons_of(self, host: str) -> list[int]:
        return [one.pid for one in self._workers() if f"/{self.worker} {host} " in f"{one.command} "]

    # -- the head ----------------------------------------------------------------------------------------

    def head_processes(self) -> list[int]:
        pids = [bed.number_in(self.prefix / f"{name}.pid") for name in self.heads]
        return [pid for pid in pids if pid and pathlib.Path(f"/proc/{pid}").exists()]

    def stop_head(self) -> None:
        self._end_head(signal.SIGTERM)

    def kill_head(self) -> list[int]:
        return self._end_head(signal.SIGKILL)

    def start_head(self) -> None:
        for name in self.heads:
            self.ask(name)

    def _end_head(self, number: int) -> list[int]:
        pids = self.head_processes()
        for pid in pids:
            os.kill(pid, number)
        self.wait(lambda: not any(pid in self.head_processes() for pid in pids), f"{self.heads} do not end")
        return pids

    def wait(self, holds: Callable[[], bool], otherwise: str) -> None:
        """:raises DynamicClusterError: it did not come true soon."""
        end = self.clock.monotonic() + _HEAD_LIMIT_S
        while not holds():
            if self.clock.monotonic() > end:
                raise DynamicClusterError(otherwise)
            pause(0.1)

    # -- commands ----------------------------------------------------------------------------------------

    def ask(self, program: str, *arguments: str, user: str = "root", stdin: str | None = None) -> str:
        """The output of one of the double's programs.

        :raises DynamicClusterError: it failed.
        """
        argv = (self.program(program), *arguments)
        environment = {"STAND_IN_USER": user}
        completed = self.runner.run(argv, timeout_s=_COMMAND_TIMEOUT_S, stdin=stdin, env=environment)
        if completed.returncode != 0:
            raise DynamicClusterError(f"{program}: {completed.complaint}")
        return completed.stdout

    def output(self, name: str) -> str:
        """What scripts of this name have printed by now."""
        path = self.prefix / "output" / name
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def take_down(self) -> None:
        """End the head, and what workers a failed test may have left."""
        with contextlib.suppress(DynamicClusterError):
            self.kill_head()
        for one in self._workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
        if namespace := self.facts["namespace"]:
            for name in [*bed.namespaces_of_workers(self.runner, namespace), namespace]:
                self.runner.run(("ip", "netns", "delete", name), timeout_s=_COMMAND_TIMEOUT_S)


def make_bridge(runner: Runner, namespace: str) -> None:
    """A network namespace with a bridge, for the machines of the ``local`` cloud.

    :raises DynamicClusterError: it cannot be made.
    """
    for words in (
        ("netns", "add", namespace),
        ("-n", namespace, "link", "add", "br0", "type", "bridge"),
        ("-n", namespace, "link", "set", "br0", "up"),
    ):
        done = runner.run(("ip", *words), timeout_s=_COMMAND_TIMEOUT_S)
        if done.returncode != 0:
            raise DynamicClusterError(f"ip {' '.join(words)}: {done.complaint}")
