"""Lives of a cluster on a real cloud during which the service is killed with -9, whose books then must be nova's."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from openstack_service import OpenstackService

from dynamiccluster.client.rest import Document
from dynamiccluster.model.worker_node import NodeState
from dynamiccluster.testing.bed import JobState, Order
from rounds.service import put_away, until_declared

STEPS = (
    *("before-commit", "after-commit", "before-call:launch", "after-call:launch", "before-record"),
    *("before-call:terminate", "after-call:terminate"),
)
GENERAL = {"max_idle_time": 3, "cluster_poller_interval": 3}
JOB_S = 25.0

LIFE_S = 15.0
"""Kills at random come within so many seconds of the service's first word: on two cores it takes 5 s until it launches,
and a server 4 to 10 s to come up."""

STEP_S = 25.0
"""So long after that a step is waited for. It does not always come: no machine may be due to end, for example."""

_START_LIMIT_S = 60.0
_LOOK_AGAIN_S = 0.2
_OVER_LIMIT_S = 300.0
_PAGE = 1000  # the most that the API gives at once


@dataclass
class Tally:
    """What came of it. ``problems`` is empty if all promises held."""

    launches: int = 0  # servers in nova's books
    recorded: int = 0  # nodes of which the service's history says that they had a machine
    deaths: int = 0
    at_steps: int = 0  # of the deaths
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        deaths = f"{self.deaths} deaths ({self.at_steps} at a step, {self.deaths - self.at_steps} at a random moment)"
        return f"{self.launches} launches, {self.recorded} recorded, {deaths}"


def kills(rng: random.Random, number: int) -> list[str | float]:
    """Where the service dies: at steps of its own, and after so many seconds."""
    return [rng.choice(STEPS) if rng.random() < 0.5 else rng.uniform(0.0, LIFE_S) for _ in range(number)]


def live_through(
    service: OpenstackService, jobs: int, deaths: Sequence[str | float], tally: Tally, *, job_s: float = JOB_S
) -> None:
    """The service dies so often, and one more start sees to the rest. ``jobs``, each for a whole node, come in equal
    parts before each start, so that each of them has something to launch."""
    service.start()
    until_declared(service)
    service.stop()
    submitted: list[str] = []
    for number, death in enumerate(deaths, 1):
        while len(submitted) < jobs * number // len(deaths):
            submitted.append(service.bed.submit(Order(f"echo ran; sleep {job_s}", cores=2)))
        _die(service, death, tally)
    service.start()
    service.until(lambda: service.living == service.recorded(), _OVER_LIMIT_S, "found and recorded are the same")
    service.until(lambda: not service.waiting_or_running(), _OVER_LIMIT_S, "the jobs are over")
    put_away(service)
    _compare(service, jobs, tally)
    service.stop()
    for job_id in submitted:
        if service.job(job_id).state is not JobState.COMPLETED or service.bed.output_of(job_id) != "ran\n":
            tally.problems.append(f"{service.job(job_id)} printed {service.bed.output_of(job_id)!r}")


def _die(service: OpenstackService, death: str | float, tally: Tally) -> None:
    """Start it, and see it die: at its step if it comes there soon, and else wherever it is."""
    at = death if isinstance(death, str) else ""
    service.start(die_at=at or "nowhere", nth=2 if at.endswith("commit") else 1)
    assert service.process is not None
    over = time.monotonic() + _START_LIMIT_S
    while not service.listens() and service.process.poll() is None and time.monotonic() < over:
        time.sleep(_LOOK_AGAIN_S)
    with contextlib.suppress(subprocess.TimeoutExpired):
        service.process.wait(STEP_S if at else float(death))
    code = service.process.poll()
    assert code in (None, -signal.SIGKILL), service.log[-3000:]
    service.kill()
    service.look()
    tally.at_steps += code is not None
    tally.deaths += 1


def _compare(service: OpenstackService, jobs: int, tally: Tally) -> None:
    """Nova's books of this life, which know each server that there ever was, and the service's history."""
    names = [one.host_name for one in service.machines]
    had_one = {event["host_name"] for event in _history(service) if event["to_state"] == NodeState.STARTING}
    tally.launches += len(names)
    tally.recorded += len(had_one)
    if len(names) != len(set(names)):
        tally.problems.append(f"a node was launched twice: {sorted(names)}")
    if len(names) > jobs:
        tally.problems.append(f"{len(names)} servers for {jobs} jobs: {sorted(names)}")
    if had_one != set(names):
        tally.problems.append(f"in nova's books or in the service's history, not in both: {had_one ^ set(names)}")


def _history(service: OpenstackService) -> Iterator[Document]:
    before = 0
    while True:
        page = service.client.get("api", "v1", "events", limit=_PAGE, before=before)
        yield from page["events"]
        before = page["next_before"]
        if not before:
            return
