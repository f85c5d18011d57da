"""Watches the engine's pictures and notes their figures, so that charts have a past."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from pathlib import Path

from dynamiccluster.api.pictures.resources import cost_per_hour
from dynamiccluster.api.pictures.service import supply_doc
from dynamiccluster.api.series import Rows, Series, dumped
from dynamiccluster.engine.attention import Attention
from dynamiccluster.engine.lost_nodes import LostNodes
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.engine.service import Service
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock, month
from dynamiccluster.model.job import JobState
from dynamiccluster.model.worker_node import COUNTED, ORIGINAL_GROUP, ORIGINAL_NUMBER

log = logging.getLogger(__name__)

EVERY_S = 10.0
SAVE_EVERY = 60
"""Samples between two writes of the file: ten minutes, which is what a crash may lose."""

WRITE_LIMIT_S = 60.0


class Recorder:
    """Takes a sample every :data:`EVERY_S` seconds. ``path``: where the past is kept; "" = nowhere."""

    def __init__(self, service: Service, clock: Clock, bridge: Bridge | None = None, path: str = "") -> None:
        """``bridge``: where the file is written without holding up the loop."""
        self._service = service
        self._bridge = bridge
        self._clock = clock
        self._path = Path(path) if path else None
        self._nodes: frozenset[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost = LostNodes()
        self.series = Series()

    def start(self) -> None:
        if self._path is not None:
            try:
                self.series.load(self._path.read_bytes())
            except FileNotFoundError:
                log.debug("charts begin today: there is no %s", self._path)
            except (OSError, ValueError) as error:
                log.warning("the past of the charts in %s is not usable and begins anew: %s", self._path, error)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="recorder")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            if self._path is not None:
                _write(self._path, self.series.rows())

    async def _run(self) -> None:
        samples = 0
        while True:
            self.sample()
            samples += 1
            if samples % SAVE_EVERY == 0:
                await self._save()
            await asyncio.sleep(EVERY_S)

    def sample(self) -> None:
        """Note the present picture. Before the first decision there is nothing to note."""
        model = self._service.readmodel
        if not model.tick:
            return
        now = self._clock.now()
        present = frozenset(node.node_id for node in model.snapshot.nodes.values() if node.state in COUNTED)
        before, self._nodes = self._nodes, present
        values = figures(model, now)
        values["launched"] = float(len(present - before)) if before is not None else 0.0
        values["removed"] = float(len(before - present)) if before is not None else 0.0
        self.series.add(now, values, by_resource(model))
        self._lost, _ = self._lost.look(model, now, ())

    def lost_nodes(self) -> tuple[Attention, ...]:
        """Nodes that were lost with jobs on them, as the samples have shown, for some minutes after they have left."""
        return tuple(self._lost.lost.values())

    async def _save(self) -> None:
        path, bridge, rows = self._path, self._bridge, self.series.rows()
        if path is None or bridge is None:
            return
        try:
            await bridge.call("charts", f"write {path}", WRITE_LIMIT_S, lambda: _write(path, rows))
        except DynamicClusterError as error:
            log.warning("%s", error)


def _write(path: Path, rows: Rows) -> None:
    """One file, replaced whole; about 4 MB when it is full."""
    fresh = path.with_name(path.name + ".new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(dumped(rows))
        fresh.replace(path)
    except OSError as error:
        log.warning("the past of the charts cannot be written to %s: %s", path, error.strerror)


def figures(model: ReadModel, now: float) -> dict[str, float | None]:
    """Everything but launches and removals, which need a picture before this one."""
    seen = model.snapshot.scheduler is not None
    supply, demand, spend = supply_doc(model), model.demand, model.snapshot.memory.spend
    jobs = model.jobs_by_state
    groups: Counter[str] = Counter()
    for node in model.snapshot.nodes.values():
        group = ORIGINAL_GROUP.get(ORIGINAL_NUMBER[node.state])
        if group:
            groups[group] += 1
    of_jobs = {
        "waiting_tasks": demand.waiting_tasks,
        "waiting_cores": demand.waiting_cores,
        "unplaced_tasks": demand.unplaced_tasks,
        "pending_jobs": jobs.get(JobState.PENDING.value, 0),
        "running_jobs": jobs.get(JobState.RUNNING.value, 0),
    }
    found: dict[str, float | None] = {name: float(value) if seen else None for name, value in of_jobs.items()}
    found |= {name: float(value) for name, value in dict(supply).items()}
    found |= {f"nodes_{name}": float(groups[name]) for name in dict.fromkeys(ORIGINAL_GROUP.values())}
    found["nodes"] = float(groups.total())
    found["cost_per_hour"] = cost_per_hour(model)
    found["spent"] = round(spend.amount, 4) if spend.month == month(now) else 0.0
    return found


def by_resource(model: ReadModel) -> dict[str, tuple[float, float]]:
    nodes: Counter[str] = Counter()
    cores: Counter[str] = Counter()
    for node in model.snapshot.nodes.values():
        if node.state in COUNTED:
            nodes[node.resource] += 1
            cores[node.resource] += model.capacity_of(node).cores
    return {name: (float(nodes[name]), float(cores[name])) for name in {*model.policy.resources, *nodes}}
