"""The LSF that behaves as recorded (OpenLava) or described (10.1), in a time set by hand, with an adapter on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dynamiccluster.model.job import Shape
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.lsf.adapter import LsfScheduler, LsfSettings
from dynamiccluster.testing.lsf_double.cluster import LSF, OPENLAVA, new_host
from dynamiccluster.testing.lsf_double.double import LsfDouble
from dynamiccluster.testing.stand_in.place import Place

NOW = 1_795_176_000.0
CORES, MEMORY_MIB = 4, 4000
PLACEHOLDER = "dc-placeholder"
_SUBMITTED = re.compile(r"Job <(\d+)> is submitted")


class PlaceClock:
    """The double's time as the adapter's."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def now(self) -> float:
        return self._place.now()

    def monotonic(self) -> float:
        return self._place.now()


class LsfHarness:
    def __init__(self, path: Path, dialect: str = OPENLAVA, *, cluster_id: str = "c1", **options: Any) -> None:
        self.double = LsfDouble(str(path), now=NOW, dialect=dialect, shared=("fast", "other"))
        self.double.queue("main", default=True)
        self.double.settings(lim_start_s=8)
        self.double.resolve("hn01", "10.79.0.1")  # from now on unknown names do not resolve
        if dialect == LSF:  # the double counts slots as OpenLava does; lsaddhost is not there to add some
            with self.double.place.locked() as state:
                state["hosts"][PLACEHOLDER] = new_host(max_slots=20, resources=[], static=True)
        settings = LsfSettings(placeholder_hosts=(PLACEHOLDER,))
        more: dict[str, Any] = {"resolve": self.double.resolve, "settings": settings} | options
        self.root = self.double.runner()
        self.scheduler: Scheduler = LsfScheduler(self.root, PlaceClock(self.double.place), cluster_id, **more)
        self.machines = 0

    def boot(self, name: str) -> str:
        self.double.boot(name, CORES, MEMORY_MIB, ("fast",))
        self.machines += 1
        return f"10.79.0.{self.machines + 1}"

    def resolve(self, name: str, address: str) -> None:
        self.double.resolve(name, address)

    def crash(self, name: str) -> None:
        self.double.crash(name)

    def submit(self, shape: Shape, run_s: float) -> str:
        cores, wanted = shape.chunk.cores, " && ".join(group[0] for group in shape.features)
        parts = [f"select[{wanted}]"] if wanted else []
        parts.append(f"rusage[mem={shape.chunk.memory_mib}]")
        parts.append(f"span[ptile={cores}]" if shape.chunks > 1 else "span[hosts=1]")
        words = ["-q", min(shape.queues), "-n", str(shape.chunks * cores), "-R", " ".join(parts)]
        said = self.double.run("bsub", *words, "sleep", f"{run_s:g}", user="alice")
        found = _SUBMITTED.search(said)
        assert found, said
        return found[1]

    def hold_as_somebody(self, name: str, text: str) -> None:
        self.double.run("badmin", "hclose", "-C", text, name)

    def wait(self, seconds: float) -> None:
        self.double.pass_time(seconds)
