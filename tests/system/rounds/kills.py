"""One life of a small cluster during which the service is killed with -9, and what must be true all the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dynamiccluster.testing.bed import JobState, Order
from rounds.service import Service, kind, put_away, sweep, until_declared

SOME_STEPS = (
    "before-commit",
    "after-commit",
    "before-call:launch",
    "after-call:launch",
    "before-record",
    "before-call:host-add",
    "before-call:terminate",
)
STEPS = (
    *SOME_STEPS,
    "after-call:host-add",
    "before-call:hold",
    "after-call:hold",
    "before-call:host-remove",
    "after-call:host-remove",
    "after-call:terminate",
)
"""Before and after each commit, call and record of a node's life; a reply arrives at ``after-call``."""

RESOURCES: dict[str, dict[str, Any]] = {"twin": kind(2, 1000, 4)}
GENERAL = {"max_idle_time": 2}
JOB_S = 4
LIFE_S = 14.0
"""From the start of the service until both nodes have gone, with polls every second."""


def first_telling(step: str) -> int:
    """The number of this step's first occurrence that something depends on: the first commits know of nothing yet."""
    return 2 if step.endswith("commit") else 1


def live_through(service: Service, kill: Callable[[Service], bool]) -> bool:
    """Two nodes come for two jobs, work and go, while ``kill`` starts the service, sees it die, and starts it again.

    ``kill`` is called with the service stopped and the jobs waiting. Its answer, whether the service died at all, is
    passed on.

    :raises AssertionError: a machine was launched twice, forgotten or left; or a job was lost or started twice.
    """
    service.start()
    try:
        until_declared(service)
        service.stop()
        order = Order(f"echo ran; sleep {JOB_S}", cores=2)
        jobs = [service.bed.submit(order) for _ in range(2)]
        killed = kill(service)
        service.until(lambda: _books_are_right(service), 30, "what there is and what is recorded are the same")
        service.until(lambda: not service.waiting_or_running(), 60, "the jobs have ended")
        for job_id in jobs:
            assert service.job(job_id).state is JobState.COMPLETED, service.scene()
            assert service.bed.output_of(job_id) == "ran\n", service.scene()
        assert not service.restarts, service.scene()
        put_away(service)
        assert len(service.machines) == 2, service.scene()
        service.stop()
        return killed
    finally:
        service.kill()
        sweep(service)


def at_step(step: str, nth: int) -> Callable[[Service], bool]:
    """Die at the n-th such step. If there are fewer until everything is over, nothing dies."""

    def kill(service: Service) -> bool:
        service.start(die_at=step, nth=nth)
        assert service.process is not None
        began, quiet_at = time.monotonic(), 0.0
        while service.process.poll() is None and time.monotonic() - began < 60:
            service.look()
            over = not service.waiting_or_running() and not service.recorded() and not service.hosts()
            quiet_at = (quiet_at or time.monotonic()) if over else 0.0
            if quiet_at and time.monotonic() - quiet_at > 3:
                return False
            time.sleep(0.2)
        service.wait_for_death(1)
        service.start()
        return True

    return kill


def after_seconds(delay_s: float) -> Callable[[Service], bool]:
    """Be killed from outside so long after the start, wherever it is then."""

    def kill(service: Service) -> bool:
        service.start(die_at="nowhere")
        end = time.monotonic() + delay_s
        while time.monotonic() < end:
            service.look()
            time.sleep(0.05)
        service.kill()
        service.start()
        return True

    return kill


def _books_are_right(service: Service) -> bool:
    return service.living == service.recorded()
