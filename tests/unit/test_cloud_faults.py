"""The fault matrix of clouds has no holes, and its rows for the embedded cloud and for workers of this machine hold."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cloud_faults import FAULTS, LAUNCH, LIST, MATRIX, OF_ANOTHER, TERMINATE, Row, cells, go_through, named, rows
from cloud_rig import CloudRig
from engine_harness import Tap, on_virtual_time, resource

from dynamiccluster.clouds import local_records
from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.local_worker import boot_id, start_time
from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.config.tenancies import PLACE
from dynamiccluster.embedded.machines import Kind
from dynamiccluster.embedded.site import Site
from dynamiccluster.errors import UnknownOutcomeError
from dynamiccluster.kit.pace import PacedClock
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.testing.faults import Fault, FaultKind, Faults
from dynamiccluster.testing.flaky_cloud import FlakyCloud

JUMP_S = 7200.0


@pytest.mark.parametrize("cloud", sorted({*PLACE, *OF_ANOTHER}))
def test_every_fault_is_in_the_table(cloud: str) -> None:
    table = MATRIX[OF_ANOTHER.get(cloud, cloud)]
    assert list(table)[: len(FAULTS)] == list(FAULTS)
    assert all(isinstance(row, Row) or row for row in table.values())


class HereSite:
    """What both have in common: the clock that jumps."""

    clock: PacedClock
    cloud: Any

    def begin(self, site: Site, clock: PacedClock) -> None:
        raise NotImplementedError

    def living(self) -> set[str]:
        raise NotImplementedError

    def strike(self, row: Row, phase: str) -> None:
        if row.how == "jump":
            self.clock.jump(JUMP_S if phase == LAUNCH else -JUMP_S)


class HereRig(CloudRig):
    """An engine on virtual time with a cloud of this process."""

    def __init__(self, site: HereSite) -> None:
        super().__init__(site)
        site.begin(self.site, self.clock)
        self.cloud = Tap(site.cloud)


# -- the embedded cloud, on a bad day ------------------------------------------------------------------------------


class SimulatedSite(HereSite):
    def begin(self, site: Site, clock: PacedClock) -> None:
        self.site, self.clock = site, clock
        self.tenancy = site.add_tenancy("t", {"r": Kind(boot_s=(1e6, 1e6))})  # the rig says when daemons come up
        self.faults = Faults((), random.Random(1), lambda: 0.0)
        inner = SimulatedCloud(site, "t", clock, "c1")
        loop = asyncio.get_running_loop()
        self.cloud = FlakyCloud(inner, self.faults, "x", lambda delay_s, act: loop.call_later(delay_s, act) and None)

    def living(self) -> set[str]:
        with self.site.at(self.clock):
            return {name for name, machine in self.tenancy.machines.items() if machine.exists}

    def strike(self, row: Row, phase: str) -> None:
        super().strike(row, phase)
        kind = row.how.get(LIST if row.lists_only else phase) if row.how != "jump" else None
        self.calm()
        if isinstance(kind, FaultKind):
            self.faults._by_key[kind, "x"] = [Fault(kind, "x", 0.0, 1.0)]

    def calm(self) -> None:
        self.faults._by_key.clear()


# -- workers of this machine ---------------------------------------------------------------------------------------


class LocalSite(HereSite):
    """Starts a process for each worker, as the real starter does, but at once; and takes things away from it."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.patch = patch
        self.how = ""
        self.workers: list[subprocess.Popen[bytes]] = []

    def begin(self, site: Site, clock: PacedClock) -> None:
        self.clock = clock
        self.cloud, self.others = (
            LocalCloud(
                self,  # type: ignore[arg-type]  # a runner
                clock,
                cluster_id,
                "t",
                state_dir=str(self.directory / "state"),
                worker_command=["worker"],
                max_instances=4,
            )
            for cluster_id in ("c1", "others")
        )

    def living(self) -> set[str]:
        self._reap()
        return {one.instance_id for one in self.cloud.list_instances().instances if one.state is InstanceState.ACTIVE}

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        max_output_bytes: int = 0,
    ) -> Completed:
        if self.how == "fails":
            return Completed(tuple(argv), 1, "", "no", 0.1)
        if self.how != "slow":
            worker = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
            self.workers.append(worker)
            Path(argv[3]).write_text(f"{worker.pid} {start_time(worker.pid)} {boot_id()}\n")
        if self.how in ("lost", "slow"):
            raise UnknownOutcomeError(f"it did not end within {timeout_s:g} s and was killed")
        return Completed(tuple(argv), 0, "", "", 0.1)

    def strike(self, row: Row, phase: str) -> None:
        super().strike(row, phase)
        self.how = row.how
        state = self.directory / "state"
        if self.how == "full disk":
            self.patch.setattr(local_records.os, "fsync", _full)
        elif self.how == "taken":
            names = [NodeSpec(name, f"others-{name}") for name in "abcd"]
            self.others.launch(f"others-{phase}", resource("r"), names)
        elif self.how == "no directory":
            state.mkdir(exist_ok=True)
            state.rename(self.directory / "aside")
            state.write_text("a file")
        elif self.how == "damaged":
            state.mkdir(exist_ok=True)
            (state / "local-0123456789abcdef.json").write_text("{")

    def calm(self) -> None:
        state = self.directory / "state"
        if self.how == "full disk":
            self.patch.undo()
        elif self.how == "taken":
            self.others.terminate([one.instance_id for one in self.others.list_instances().instances])
        elif self.how == "no directory":
            state.unlink()
            (self.directory / "aside").rename(state)
        elif self.how == "damaged":
            (state / "local-0123456789abcdef.json").unlink()
        self.how = ""
        self._reap()

    def _reap(self) -> None:
        for worker in self.workers:
            worker.poll()

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait(10)


def _full(_handle: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSite]:
    site = LocalSite(tmp_path, monkeypatch)
    yield site
    site.end()


# -- the cells -----------------------------------------------------------------------------------------------------

BOTH = [(kind, cell) for kind in ("local", "simulated") for cell in cells(kind)]


@pytest.mark.parametrize(("kind", "cell"), BOTH, ids=[f"{kind}-{named(cell)}" for kind, cell in BOTH])
@on_virtual_time
async def test_what_the_adapter_raises(local: LocalSite, kind: str, cell: tuple[str, str]) -> None:
    name, phase = cell
    row = rows(kind)[name]
    site = local if kind == "local" else SimulatedSite()
    clock = PacedClock(asyncio.get_running_loop(), time.time())
    site.begin(Site(1, clock.now()), clock)
    (machine,) = site.cloud.launch("before", resource("r"), [NodeSpec("n0", "r-0")])
    site.cloud.list_instances()
    site.strike(row, phase)
    act = {
        LAUNCH: lambda: site.cloud.launch("l", resource("r"), [NodeSpec("n1", "r-1")]),
        LIST: site.cloud.list_instances,
        TERMINATE: lambda: site.cloud.terminate([machine.instance_id]),
    }[phase]
    expected = row.raised(phase)
    if expected is None:
        act()
    else:
        with pytest.raises(expected) as raised:
            act()
        assert type(raised.value) is expected
    site.calm()
    if phase == LAUNCH and expected not in (None, UnknownOutcomeError):
        assert len(site.living()) == 1  # a refusal is one


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ("local", "simulated") for name in rows(kind)])
@on_virtual_time
async def test_promises_hold(local: LocalSite, kind: str, name: str) -> None:
    row = rows(kind)[name]
    site = local if kind == "local" else SimulatedSite()
    await go_through(HereRig(site), row, lambda phase: site.strike(row, phase), site.calm)
