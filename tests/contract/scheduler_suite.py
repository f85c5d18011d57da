"""The contract of ``schedulers/base`` for every adapter. Each brings a harness: machines, jobs and time of its kind."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pytest

from dynamiccluster.errors import BusyError, NotFoundError, TransientError
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.base import Scheduler

CLUSTER = "contract"
SERIALS = itertools.count()
RESOURCE = Resource(
    "small", "any", "t", Capacity(4, 4000), max_nodes=5, features=frozenset({"fast"}), name_prefix="small"
)
SERIAL = Shape(queues=("main",), chunk=Capacity(1, 100))
FULL = Shape(queues=("main",), chunk=Capacity(4, 400))
FAST = Shape(queues=("main",), chunk=Capacity(4, 400), features=(("fast",),))


class Harness(Protocol):
    """What a test needs beside the adapter."""

    scheduler: Scheduler

    def boot(self, name: str) -> str:
        """Start a machine of :data:`RESOURCE` whose daemon reports in once the scheduler knows it. Its address."""
        ...

    def resolve(self, name: str, address: str) -> None:
        """What ``names/`` does before a scheduler hears of a name; forgotten with the machine."""
        ...

    def crash(self, name: str) -> None:
        """End the machine under its daemon."""
        ...

    def submit(self, shape: Shape, run_s: float) -> str: ...

    def hold_as_somebody(self, name: str, text: str) -> str | None:
        """As an operator would, with the scheduler's own commands. What the view then shows, if it is not this text."""
        ...

    def wait(self, seconds: float) -> None: ...


def until(harness: Harness, holds: Callable[[SchedulerView], bool], limit_s: float = 60) -> SchedulerView:
    """Poll until something is seen; the view that shows it. As the engine does, give stuck jobs a word meanwhile."""
    waited = 0.0
    view = harness.scheduler.poll()
    while not holds(view):
        assert waited < limit_s, view
        if stuck := [job.job_id for job in view.jobs if job.stuck]:
            harness.scheduler.unstick(stuck)
        harness.wait(0.5)
        waited += 0.5
        view = harness.scheduler.poll()
    return view


def host(view: SchedulerView, name: str) -> Host | None:
    return next((host for host in view.hosts if host.name == name), None)


def job(view: SchedulerView, job_id: str) -> Job | None:
    return next((job for job in view.jobs if job.job_id == job_id and job.state is not JobState.DONE), None)


def is_up(name: str) -> Callable[[SchedulerView], bool]:
    def holds(view: SchedulerView) -> bool:
        found = host(view, name)
        return found is not None and found.state is HostState.UP

    return holds


def is_held(name: str) -> Callable[[SchedulerView], bool]:
    def holds(view: SchedulerView) -> bool:
        found = host(view, name)
        return found is not None and found.hold is not None

    return holds


def runs(job_id: str) -> Callable[[SchedulerView], bool]:
    def holds(view: SchedulerView) -> bool:
        found = job(view, job_id)
        return found is not None and found.state is JobState.RUNNING

    return holds


def join(harness: Harness, *names: str) -> None:
    for name in names:
        address = harness.boot(name)
        harness.resolve(name, address)
        _add(harness, name, address)
    for name in names:
        until(harness, is_up(name), 150)  # Grid Engine's daemons learn of each other anew within two minutes


def _add(harness: Harness, name: str, address: str, limit_s: float = 90) -> None:
    """As the engine does: what fails for the moment is tried again. A daemon may remember that a name meant nothing."""
    waited = 0.0
    while True:
        try:
            return harness.scheduler.add(name, address, RESOURCE)
        except TransientError:
            if waited >= limit_s:
                raise
        harness.wait(2)
        waited += 2


def mark(node_id: str) -> str:
    return f"dynamiccluster:{CLUSTER}:{node_id}"


def real(view: SchedulerView) -> list[Host]:
    return [host for host in view.hosts if not host.template]


class SchedulerSuite:
    """Every adapter's test class inherits it and brings a fixture ``harness``."""

    spreads_gangs = True
    """Whether a job can ask for a host of its own for each of its pieces. HTCondor knows no such wish."""

    def test_an_empty_cluster_is_an_empty_view(self, harness: Harness) -> None:
        view = harness.scheduler.poll()
        assert not view.jobs
        assert not real(view)
        assert view.started_at <= view.completed_at
        assert not view.dropped

    def test_shapes_may_be_declared_again_and_jobs_of_them_are_accepted(self, harness: Harness) -> None:
        harness.scheduler.declare([RESOURCE, replace(RESOURCE, name="other", features=frozenset({"other"}))])
        harness.scheduler.declare([RESOURCE])
        gang = harness.submit(replace(FAST, chunks=3, distinct=True), 1)
        view = until(harness, lambda view: (found := job(view, gang)) is not None and found.wait is Wait.HELPS)
        assert not real(view)
        waiting = job(view, gang)
        assert waiting is not None
        assert (waiting.shape.chunks, waiting.shape.distinct, waiting.shape.chunk.cores) == (3, self.spreads_gangs, 4)
        assert waiting.shape.features == (("fast",),)

    def test_a_host_joins_when_its_daemon_reports_in(self, harness: Harness) -> None:
        harness.resolve("small-1", "10.77.1.200")
        harness.scheduler.add("small-1", "10.77.1.200", RESOURCE)
        found = harness.scheduler.find("small-1")
        assert found is not None
        assert found.state is HostState.JOINING
        address = harness.boot("small-1")
        harness.resolve("small-1", address)
        harness.scheduler.add("small-1", address, RESOURCE)
        harness.scheduler.add("small-1", address, RESOURCE)
        view = until(harness, is_up("small-1"))
        found = host(view, "small-1")
        assert found is not None
        assert found.total == RESOURCE.capacity
        assert found.address == address
        assert not found.busy
        assert found.hold is None
        assert "fast" in found.features

    def test_a_waiting_job_runs_on_the_new_host_and_ends(self, harness: Harness) -> None:
        submitted = harness.submit(FAST, 4)
        until(harness, lambda view: (found := job(view, submitted)) is not None and found.wait is Wait.HELPS)
        join(harness, "small-1")
        view = until(harness, runs(submitted))
        found = job(view, submitted)
        assert found is not None
        assert found.hosts == ("small-1",)
        until(harness, lambda view: (on := host(view, "small-1")) is not None and on.busy, 3)
        until(harness, lambda view: job(view, submitted) is None)

    def test_a_held_host_keeps_its_job_and_takes_no_other(self, harness: Harness) -> None:
        join(harness, "small-1")
        first = harness.submit(SERIAL, 300)
        until(harness, runs(first))
        harness.scheduler.hold("small-1", mark("n1"))
        harness.scheduler.hold("small-1", mark("n1"))
        view = until(harness, is_held("small-1"), 5)
        found = host(view, "small-1")
        assert found is not None
        assert found.hold is not None
        assert (found.hold.mark, found.hold.ours) == (mark("n1"), True)
        second = harness.submit(SERIAL, 1)
        harness.wait(7)
        view = harness.scheduler.poll()
        assert runs(first)(view)
        waiting = job(view, second)
        assert waiting is not None
        assert waiting.state is JobState.PENDING
        harness.scheduler.release("small-1", mark("n1"))
        harness.scheduler.release("small-1", mark("n1"))
        until(harness, lambda view: job(view, second) is None)

    def test_the_hold_of_somebody_else_is_respected(self, harness: Harness) -> None:
        join(harness, "small-1")
        shown = harness.hold_as_somebody("small-1", "disk is dying") or "disk is dying"
        with pytest.raises(BusyError):
            harness.scheduler.hold("small-1", mark("n1"))
        with pytest.raises(BusyError):
            harness.scheduler.release("small-1", mark("n1"))
        found = host(harness.scheduler.poll(), "small-1")
        assert found is not None
        assert found.hold is not None
        assert (found.hold.mark, found.hold.ours) == (shown, False)

    def test_what_is_not_there_cannot_be_held_but_is_removed_already(self, harness: Harness) -> None:
        with pytest.raises(NotFoundError):
            harness.scheduler.hold("small-9", mark("n9"))
        harness.scheduler.remove("small-9")
        assert harness.scheduler.find("small-9") is None

    def test_vacated_jobs_go_elsewhere_soon(self, harness: Harness) -> None:
        join(harness, "small-1")
        moved = harness.submit(FULL, 300)
        until(harness, runs(moved))
        harness.scheduler.hold("small-1", mark("n1"))
        harness.scheduler.vacate("small-1", [moved, "999999"])
        until(harness, lambda view: (on := host(view, "small-1")) is not None and not on.busy)
        join(harness, "small-2")
        view = until(harness, runs(moved), 40)
        found = job(view, moved)
        assert found is not None
        assert found.hosts == ("small-2",)

    def test_a_busy_host_is_not_removed(self, harness: Harness) -> None:
        join(harness, "small-1")
        kept = harness.submit(SERIAL, 300)
        until(harness, runs(kept))
        harness.scheduler.hold("small-1", mark("n1"))
        with pytest.raises(BusyError):
            harness.scheduler.remove("small-1")
        view = harness.scheduler.poll()
        assert host(view, "small-1") is not None
        assert runs(kept)(view)

    def test_removing_the_last_host_of_a_shape_leaves_its_jobs_runnable(self, harness: Harness) -> None:
        join(harness, "small-1")
        harness.scheduler.hold("small-1", mark("n1"))
        waiting = harness.submit(FAST, 2)
        harness.wait(6)
        harness.scheduler.remove("small-1")
        harness.scheduler.remove("small-1")
        assert not real(harness.scheduler.poll())
        harness.crash("small-1")
        harness.wait(6)
        found = job(harness.scheduler.poll(), waiting)
        assert found is not None
        assert found.wait is Wait.HELPS
        assert not found.stuck
        join(harness, "small-2")
        until(harness, lambda view: job(view, waiting) is None)

    @pytest.mark.parametrize("delete", [False, True])
    def test_a_dead_host_lets_go_of_its_jobs(self, harness: Harness, delete: bool) -> None:
        join(harness, "small-1")
        lost = harness.submit(SERIAL, 300)
        until(harness, runs(lost))
        harness.crash("small-1")
        harness.scheduler.evacuate("small-1", [lost], delete_jobs=delete)
        view = until(harness, lambda view: (on := host(view, "small-1")) is None or not on.busy, 20)
        found = job(view, lost)
        if delete:
            assert found is None
        else:
            assert found is not None
            assert not found.hosts
        harness.scheduler.remove("small-1")
        assert host(harness.scheduler.poll(), "small-1") is None

    def test_a_job_that_runs_elsewhere_by_now_goes_on(self, harness: Harness) -> None:
        join(harness, "small-1")
        elsewhere = harness.submit(FULL, 300)
        until(harness, runs(elsewhere))
        join(harness, "small-2")
        harness.scheduler.hold("small-2", mark("n2"))
        harness.scheduler.vacate("small-2", [elsewhere])
        harness.crash("small-2")
        harness.scheduler.evacuate("small-2", [elsewhere], delete_jobs=False)
        harness.scheduler.evacuate("small-2", [elsewhere], delete_jobs=True)
        harness.wait(1)
        found = job(harness.scheduler.poll(), elsewhere)
        assert found is not None
        assert (found.state, found.hosts) == (JobState.RUNNING, ("small-1",))

    def test_jobs_that_are_gone_cannot_be_stuck(self, harness: Harness) -> None:
        harness.scheduler.unstick(["999999"])
        harness.scheduler.unstick([])
