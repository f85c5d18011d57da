"""The Torque that behaves as the recorded ones, in this process and in a time set by hand, with an adapter on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.job import Shape
from dynamiccluster.schedulers.torque.adapter import TorqueScheduler
from dynamiccluster.testing.stand_in.place import Place
from dynamiccluster.testing.stand_in.runner import InProcessRunner
from dynamiccluster.testing.torque_double.cluster import new_cluster
from dynamiccluster.testing.torque_double.main import MAUI, NAMES, dispatch

NOW = 1_800_000_000.0
MEMORY_KIB = 4000 * 1024


class PlaceClock:
    """The double's time as the adapter's."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def now(self) -> float:
        return self._place.now()

    def monotonic(self) -> float:
        return self._place.now()


class TorqueHarness:
    """``version`` and ``manager`` (``maui`` or ``pbs_sched``): which of the recorded ones it behaves like."""

    def __init__(
        self, path: Path, version: str = "6.1.3", manager: str = "maui", *, cluster_id: str = "c1", **options: Any
    ) -> None:
        self.place = Place(str(path))
        self.place.set_clock(NOW)
        state = new_cluster(NOW, version=version, scheduler=manager)
        state["queues"]["main"] = dict(state["queues"]["batch"])
        self.place.write_state(state)
        Path(self.place.hosts_file()).write_text("127.0.0.1 localhost\n", encoding="utf-8")
        names = NAMES if manager == "maui" else [name for name in NAMES if name not in MAUI]
        self.root = InProcessRunner(self.place, dispatch, names)
        self.user = InProcessRunner(self.place, dispatch, names, user="alice")
        settings: dict[str, Any] = {"resolve": self.resolve, "template_limit": 5} | options
        self.scheduler = TorqueScheduler(self.root, PlaceClock(self.place), cluster_id, **settings)
        self.machines = 0

    def another(self) -> TorqueScheduler:
        """An adapter that remembers nothing, as after a restart of the service."""
        return TorqueScheduler(self.root, PlaceClock(self.place), "c1", resolve=self.resolve, template_limit=5)

    def boot(self, name: str) -> str:
        self.machines += 1
        with self.place.locked() as state:
            facts = {"physmem": MEMORY_KIB, "availmem": MEMORY_KIB, "ncpus": 4}
            state["moms"][name] = {"since": self.place.now() + 2, "facts": facts}
        return f"10.79.0.{self.machines + 1}"

    def resolve(self, name: str, address: str) -> None:
        hosts = Path(self.place.hosts_file())
        kept = [line for line in hosts.read_text(encoding="utf-8").splitlines() if line.split()[1:] != [name]]
        hosts.write_text("\n".join([*kept, f"{address} {name}"]) + "\n", encoding="utf-8")

    def crash(self, name: str) -> None:
        with self.place.locked() as state:
            state["moms"].pop(name, None)

    def submit(self, shape: Shape, run_s: float) -> str:
        words = [f"{shape.chunks}:ppn={shape.chunk.cores}", *(group[0] for group in shape.features)]
        asked = f"nodes={':'.join(words)},mem={shape.chunk.memory_mib * shape.chunks}mb"
        argv = ["qsub", "-q", shape.queues[0], "-l", asked]
        return self.run(self.user, argv, f"sleep {run_s:g}\n").stdout.strip()

    def hold_as_somebody(self, name: str, text: str) -> None:
        self.run(self.root, ["pbsnodes", "-o", "-N", text, name])

    def sh(self, *argv: str, user: str = "root", stdin: str = "") -> str:
        """One of the double's own commands, which must succeed; what it prints."""
        return self.run(self.user if user != "root" else self.root, list(argv), stdin).stdout.strip()

    def commands(self, *names: str) -> list[tuple[str, ...]]:
        """What was run since the last time it was asked, of these programs (all if none is named)."""
        found = [call for call in self.root.calls if not names or Path(call[0]).name in names]
        self.root.calls.clear()
        return found

    def run(self, runner: InProcessRunner, argv: list[str], stdin: str = "") -> Completed:
        completed = runner.run(argv, timeout_s=10, stdin=stdin)
        assert completed.returncode == 0, completed
        return completed

    def wait(self, seconds: float) -> None:
        self.place.set_clock(self.place.now() + seconds)
