"""Everything around the service fails: the scheduler's daemons, its answers, the store. Each ends in a sane cluster.

Each function is one proof on a service that is not running yet; what it returns is one line of measured figures. In
the ``long`` form, which ``scripts/soak`` runs, what takes time takes more of it.
"""

from __future__ import annotations

import functools
import os
import pathlib
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dynamiccluster.testing.bed import Bed, JobState, Order
from rounds import machine_faults
from rounds.service import Service, kind, run_one, running, until_declared

PAIR: dict[str, dict[str, Any]] = {"pair": kind(2, 1000, 3)}
"""The resources of all of these."""

SEEN_LIMIT_S = 40.0
"""Until the service has noticed that the scheduler is away, or is back: two polls, their time limits, and the pauses
between polls that have failed for long."""

SANE_LIMIT_S = 60.0
"""From the end of a fault until every job has ended that could."""

AWAY_S = 30.0
LONG_AWAY_S = 300.0


def head_away(service: Service, long: bool, how: str) -> str:
    """The scheduler's central daemons are ``stopped`` or ``killed``, and come back.

    What is not seen does not age: meanwhile nothing is launched, held or ended, and the running job runs on.
    """
    bed, away_s = service.bed, LONG_AWAY_S if long else AWAY_S
    service.general = {"max_idle_time": 8}
    with running(service):
        until_declared(service)
        _, quick_host = run_one(service, 1)
        busy, busy_host = run_one(service, away_s / 2 + 5)
        before = service.living
        assert {quick_host, busy_host} <= set(before)
        if how == "killed":
            assert bed.kill_head()
        else:
            bed.stop_head()
        noticed_s = service.until(lambda: not service.source()["ok"], SEEN_LIMIT_S, "the service says that it is blind")
        assert service.source()["error"]
        time.sleep(away_s)
        assert service.living == before
        bed.start_head()
        back_s = service.until(lambda: bool(service.source()["ok"]), SEEN_LIMIT_S, "the scheduler is seen again")
        later = bed.submit(Order(cores=2))
        done = (JobState.COMPLETED, JobState.COMPLETED)
        sane_s = service.until(
            lambda: (service.job(busy).state, service.job(later).state) == done, SANE_LIMIT_S, "both jobs have ended"
        )
        assert not service.restarts
        assert bed.output_of(busy) == "ran\n"
    return f"noticed after {noticed_s:.1f} s, seen again after {back_s:.1f} s, all jobs ended {sane_s:.1f} s later"


def worker_dies(service: Service, long: bool, how: str) -> str:
    """The daemon of a busy node is ``killed``, and the machine with it; or ``frozen``, and only the scheduler sees."""
    bed = service.bed
    with running(service):
        until_declared(service)
        job_id, host = run_one(service, 60 if long else 5)
        daemons = bed.daemons_of(host)
        assert len(daemons) > 1  # that of the node, and what minds the job
        for pid in daemons:
            with suppress(ProcessLookupError):  # with the first the whole machine may have gone
                os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        took_s = service.until(
            lambda: service.job(job_id).state is JobState.COMPLETED, 180 if long else 120, "the job has run elsewhere"
        )
        assert host not in service.job(job_id).hosts
        service.until(lambda: host not in service.living, SANE_LIMIT_S, "the dead machine is gone")
        service.until(lambda: host not in service.hosts(), SANE_LIMIT_S, "the dead host is in no list")
        assert bed.output_of(job_id) == "ran\nran\n"
    return f"the job had run elsewhere after {took_s:.1f} s"


BAD_LISTS = {
    "garbage": "head -c 3000 /dev/urandom",
    "a damaged list": "\"$@\" | tr '|<>{}:=' '!!!!!!!'",
    "half a list": '"$@" | head -c 100',
    "an error": "echo 'Unexpected message received' >&2; exit 1",
}


def nonsense(service: Service, long: bool) -> str:
    """The program that lists jobs prints nonsense: the service complains and changes nothing."""
    bed = service.bed
    real = bed.program(bed.job_list)
    trouble, wrapper = service.scratch / "trouble", service.scratch / bed.job_list
    wrapper.write_text(f'#!/bin/sh\nset -- {real} "$@"\n[ -e {trouble} ] && . {trouble} && exit\nexec "$@"\n')
    wrapper.chmod(0o755)
    service.programs = {bed.job_list: str(wrapper)}
    with running(service):
        until_declared(service)
        busy, host = run_one(service, 200 if long else 12)
        for name, script in BAD_LISTS.items():
            new = service.scratch / "new"
            new.write_text(f"{script}\n")
            new.replace(trouble)
            service.until(lambda: not service.source()["ok"], 10, f"the service complains of {name}")
            bed.submit(Order(cores=2))
            time.sleep(20 if long else 1.5)
            assert not service.source()["ok"], name
            assert service.living == [host], name
            bed.cancel(*(service.waiting_or_running() - {busy}))
            trouble.unlink()
            service.until(lambda: bool(service.source()["ok"]), SEEN_LIMIT_S, f"{name} is over")
        service.until(lambda: not service.waiting_or_running(), 2 * SANE_LIMIT_S, "all jobs have ended")
        assert service.job(busy).state is JobState.COMPLETED
        assert not service.restarts
    return f"{len(BAD_LISTS)} kinds"


def never_reached(service: Service, long: bool) -> str:
    """The scheduler's programs are not where the configuration says: the service says so, and launches nothing."""
    service.resources = {"pair": kind(2, 1000, 2, 1)}
    service.programs = dict.fromkeys((service.bed.job_list,), "/nowhere/program")
    try:
        service.start(wait=False)
        service.until(lambda: bool(service.log) and service.listens(), 20, "it listens")
        time.sleep(60 if long else 4)
        source = service.source()
        assert not source["ok"]
        assert "/nowhere/program" in source["error"]
        assert service.status()["not_ready"]
        assert service.machines == []
        service.stop()
    finally:
        service.kill()
    return "nothing was launched"


def store_lost(service: Service, long: bool) -> str:
    """The store is deleted between two lives of the service: what runs is adopted, and leaves like everything else."""
    with running(service):
        until_declared(service)
        jobs = [run_one(service, 40 if long else 12) for _ in range(2)]
        service.stop()
        for path in service.store.parent.glob(f"{service.store.name}*"):
            path.unlink()
        service.start()
        adopted_s = service.until(lambda: service.recorded() == service.living, 15, "what runs is adopted")
        assert service.recorded() == sorted(host for _, host in jobs)
        service.until(lambda: not service.waiting_or_running(), SANE_LIMIT_S, "the jobs have ended")
        for job_id, host in jobs:
            job = service.job(job_id)
            assert (job.state, job.hosts) == (JobState.COMPLETED, (host,))
        assert not service.restarts
        gone_s = service.until(lambda: not service.leftovers(), service.bed.removal_limit_s, "adopted nodes leave")
        assert len(service.machines) == 2
    return f"adopted after {adopted_s:.1f} s, gone {gone_s:.1f} s after the jobs"


FAULTS: dict[str, Callable[[Service, bool], str]] = {
    "head-stopped": functools.partial(head_away, how="stopped"),
    "head-killed": functools.partial(head_away, how="killed"),
    "worker-killed": functools.partial(worker_dies, how="killed"),
    "worker-frozen": functools.partial(worker_dies, how="frozen"),
    "nonsense": nonsense,
    "never-reached": never_reached,
    "store-lost": store_lost,
    "disk-full": machine_faults.disk_full,
    "suspended": machine_faults.suspended,
    "clock-set-forward": functools.partial(machine_faults.clock_set, by_s=600.0),
    "clock-set-back": functools.partial(machine_faults.clock_set, by_s=-600.0),
}


def run(bed: Bed, scratch: pathlib.Path, name: str, *, long: bool = False) -> str:
    """One of :data:`FAULTS` with a service of its own; what was measured.

    :raises AssertionError: the cluster was not sane again in time.
    """
    return FAULTS[name](Service(bed, scratch, name, dict(PAIR)), long)
