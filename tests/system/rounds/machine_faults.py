"""The machine that the service runs on fails: its disk is full, it is suspended, its clock is set.

As in ``faults``: each function is one proof on a service that is not running yet, and returns what it measured.
"""

from __future__ import annotations

import os
import signal
import time

from dynamiccluster.testing.bed import LANES, JobState, Order
from rounds.disk import small_disk
from rounds.service import Service, kind, run_one, running, until_declared

DISK_MIB = 8
NOTICED_LIMIT_S = 20.0
SANE_LIMIT_S = 60.0
"""From the end of a fault until the service is itself again; and until all jobs have ended, their own time apart."""

SUSPENDED_S = 600.0
SHORTLY_S = 10.0
IDLE_S = 15
SET_BACK_FACTOR = 2.5
"""A clock that was set back runs at half its pace until it has been caught up with: see ``SteadyClock``."""


def disk_full(service: Service, long: bool) -> str:
    """The disk of the store and of the log is full: nothing is begun that cannot be written down, nothing is lost."""
    bed, full_s = service.bed, 180.0 if long else 10.0
    work_s = full_s + 10
    place = service.scratch / "disk"
    place.mkdir()
    service.general = {"max_idle_time": 12}
    with small_disk(place, DISK_MIB) as service.disk, running(service):
        until_declared(service)
        busy, busy_host = run_one(service, work_s + 30)
        quick, idle_host = run_one(service, 1)
        service.until(lambda: service.job(quick).state is JobState.COMPLETED, 20, "the short job has ended")
        free = service.disk.fill()
        waiting = [bed.submit(Order(f"echo ran; sleep {work_s}", cores=2)) for _ in range(2)]
        noticed_s = service.until(lambda: "disk is full" in str(service.status()), NOTICED_LIMIT_S, "it says so")
        time.sleep(full_s)
        assert service.living == sorted((busy_host, idle_host)), service.scene()
        service.kill()  # at the worst moment
        service.start(wait=False)
        time.sleep(5)
        assert service.living == sorted((busy_host, idle_host)), service.scene()
        service.disk.free()
        revive(service)
        ready_s = service.until(lambda: service.listens() and service.status()["ready"], SANE_LIMIT_S, "it is ready")
        jobs = [busy, *waiting]
        sane_s = service.until(
            lambda: all(service.job(one).state is JobState.COMPLETED for one in jobs),
            SANE_LIMIT_S + work_s,
            "all ended",
        )
        assert all(bed.output_of(one) == "ran\n" for one in jobs)
        assert not service.restarts
        assert len(service.machines) == 3, service.scene()
        assert service.living == service.recorded(), service.scene()
    return (
        f"{free >> 10} KiB filled, noticed after {noticed_s:.1f} s, ready {ready_s:.1f} s and sane {sane_s:.1f} s later"
    )


def revive(service: Service) -> None:
    """What systemd does: start it again if it has ended because it could not use its store."""
    if service.process is not None and service.process.poll() is not None:
        service.process = None
        service.start()


def suspended(service: Service, long: bool) -> str:
    """The machine sleeps for ten minutes; in the short form for ten seconds that look like ten minutes to its clock."""
    if long:
        return _clock_jump(service, by_s=0.0, frozen_s=SUSPENDED_S)
    return _clock_jump(service, by_s=SUSPENDED_S, frozen_s=SHORTLY_S)


def clock_set(service: Service, long: bool, by_s: float) -> str:
    """Somebody sets the wall clock, while everything runs; the long form is an hour."""
    return _clock_jump(service, by_s=by_s * (6.0 if long else 1.0))


def _clock_jump(service: Service, by_s: float, frozen_s: float = 0.0) -> str:
    """The service's wall clock jumps by ``by_s``, its monotonic clock does not.

    For ``frozen_s`` neither the service nor the scheduler's central daemons run; the workers do. An idle node has not
    become older by all that, a launch under way has not taken too long, and no job is lost.
    """
    bed, service.shifted = service.bed, True
    slow = SET_BACK_FACTOR if by_s < 0 else 1.0
    work, other = LANES[:2]
    service.resources = {work: kind(2, 1000, 3) | bed.lane(work), other: kind(2, 1000, 1) | bed.lane(other)}
    service.general = {"max_idle_time": IDLE_S}
    with running(service):
        until_declared(service)
        busy, busy_host = run_one(service, frozen_s + 20, work)
        quick, idle_host = run_one(service, 1, other)
        service.until(lambda: service.job(quick).state is JobState.COMPLETED, 20, "the short job has ended")
        starting = bed.submit(Order("echo ran; sleep 5", cores=2, lane=work))
        service.until(lambda: len(service.machines) == 3, 20, "a launch is under way")
        _jump(service, by_s, frozen_s)
        calm_until = time.monotonic() + IDLE_S / 3
        while time.monotonic() < calm_until:
            service.look()
            assert {busy_host, idle_host} <= set(service.living), f"the jump made a node old\n{service.scene()}"
            time.sleep(0.2)
        jobs = [busy, starting]
        ended_s = service.until(
            lambda: all(service.job(one).state is JobState.COMPLETED for one in jobs),
            SANE_LIMIT_S * slow + 20,
            "all jobs have ended",
        )
        assert all(bed.output_of(one) == "ran\n" for one in jobs), service.scene()
        assert not service.restarts, service.scene()
        gone_s = service.until(lambda: not service.leftovers(), bed.removal_limit_s * slow, "all nodes have left")
        assert len(service.machines) == 3, service.scene()
    return f"jobs ended {IDLE_S / 3 + ended_s:.1f} s after the jump of {by_s:+.0f} s, nodes gone {gone_s:.1f} s later"


def _jump(service: Service, by_s: float, frozen_s: float) -> None:
    head = service.bed.head_processes() if frozen_s else []
    if frozen_s:
        service.freeze()
        for pid in head:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(frozen_s)
        finally:
            for pid in head:
                os.kill(pid, signal.SIGCONT)
    service.shift_clock(by_s)
    if frozen_s:
        service.thaw()
