"""Lives of a cluster on a real cloud during which the service is killed with -9, whose books then must be nova's."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from openstack_service import OpenstackService

from dynamiccluster.testing.bed import JobState, Order
from rounds.service import put_away, until_declared

STEPS = ("after-call:launch", "before-record", "after-call:terminate", "before-call:launch", "after-commit")
GENERAL = {"max_idle_time": 3}
JOB_S = 25
"""Longer than ten servers take to come, so that no job takes the node of another that is over."""

LIFE_S = 25.0
"""Kills at random come within so many seconds of a start: on two cores a server takes 4 to 10 s to come up."""

_OVER_LIMIT_S = 300.0


@dataclass
class Tally:
    """What came of it. ``problems`` is empty if all promises held."""

    launches: int = 0
    deaths: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.launches} launches, {self.deaths} deaths"


def kills(rng: random.Random, number: int) -> list[str | float]:
    """Where the service dies: at steps of its own, and after so many seconds."""
    return [rng.choice(STEPS) if rng.random() < 0.5 else rng.uniform(0.3, LIFE_S) for _ in range(number)]


def live_through(service: OpenstackService, jobs: int, deaths: Sequence[str | float], tally: Tally) -> None:
    """Each of ``jobs`` needs a node of its own; the service dies so often, and one more start sees to the rest."""
    service.start()
    until_declared(service)
    service.stop()
    submitted = [service.bed.submit(Order(f"echo ran; sleep {JOB_S}", cores=2)) for _ in range(jobs)]
    for death in deaths:
        tally.deaths += _die(service, death)
    service.start()
    service.until(lambda: service.living == service.recorded(), _OVER_LIMIT_S, "found and recorded are the same")
    service.until(lambda: not service.waiting_or_running(), _OVER_LIMIT_S, "the jobs are over")
    put_away(service)
    service.stop()
    names = [one.host_name for one in service.machines]
    tally.launches += len(names)
    if len(names) != len(set(names)):
        tally.problems.append(f"a node was launched twice: {sorted(names)}")
    if len(names) > jobs:
        tally.problems.append(f"{len(names)} servers for {jobs} jobs: {sorted(names)}")
    for job_id in submitted:
        if service.job(job_id).state is not JobState.COMPLETED or service.bed.output_of(job_id) != "ran\n":
            tally.problems.append(f"{service.job(job_id)} printed {service.bed.output_of(job_id)!r}")


def _die(service: OpenstackService, death: str | float) -> bool:
    """Start it, and see it die: at its step if it comes there soon, and else wherever it is. False if all was over."""
    at = death if isinstance(death, str) else ""
    service.start(die_at=at or "nowhere", nth=2 if at.endswith("commit") else 1)
    assert service.process is not None
    end = time.monotonic() + (LIFE_S if at else float(death))
    while time.monotonic() < end and service.process.poll() is None:
        service.look()
        time.sleep(0.1)
    service.kill()
    return bool(service.waiting_or_running() or service.leftovers())
