"""One life of a small cluster during which the service is killed with -9, and what must be true all the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from slurm_service import Service, nodes_of, put_away, sweep, until_declared

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
RESOURCES: dict[str, dict[str, Any]] = {
    "twin": {"quantity": {"min": 0, "max": 4}, "capacity": {"cores": 2, "memory_mib": 1000}},
}
GENERAL = {"max_idle_time": 2}
JOB_S = 4
LIFE_S = 14.0
"""From the start of the service until both nodes have gone, with polls every second."""


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
        array = service.bed.sbatch("-a", "0-1", "--exclusive", "--open-mode=append", wrap=f"echo ran; sleep {JOB_S}")
        killed = kill(service)
        service.until(lambda: _books_are_right(service), 30, "what there is and what is recorded are the same")
        service.until(lambda: not service.waiting_or_running(), 60, "the jobs have ended")
        states = {service.seen[job_id]["JobState"] for job_id in service.jobs()}
        assert states == {"COMPLETED"}, service.scene()
        assert service.bed.output_of(array) == "ran\nran\n", service.scene()
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
            over = not service.waiting_or_running() and not service.recorded() and not nodes_of(service.bed)
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
    living = sorted(one.host_name for one in service.machines if one.ended_at is None)
    return living == service.recorded()
