"""Jobs that come just when their node is being let go, many times over, in lanes that do not touch each other."""

from __future__ import annotations

import datetime
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dynamiccluster.testing.bed import LANES, Bed, Job, JobState, Order
from rounds.service import OVER, Service, kind, until_declared

BEFORE_S, AFTER_S = 2.0, 2.0
"""Submissions are spread over the time from so long before the hold to so long after the terminate."""

PATIENCE_S = 90.0
MOST_EVENTS = 1000  # of one page of the history
LOOK_S = 0.1
RUNS_S = (0.2, 1.5)
"""How long jobs work, in turn: polls, one second apart, see the long ones run, and most of the short ones not."""


def lanes(bed: Bed, number: int) -> dict[str, dict[str, Any]]:
    """Resources of one node each; a job of a lane fits no other."""
    return {name: kind(2, 1000, 1) | bed.lane(name) for name in LANES[:number]}


@dataclass
class Tally:
    """What came of it."""

    span_s: tuple[float, float]  # of submissions, after the end of the job before
    met: Counter[str] = field(default_factory=Counter)  # the node's state at the moment of submission
    waits_s: list[float] = field(default_factory=list)  # from submission to the end of the job
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        met = ", ".join(f"{count} {state}" for state, count in self.met.most_common())
        least, most = self.span_s
        return (
            f"{len(self.waits_s)} jobs, {least:.1f} to {most:.1f} s after the one before, met {met}; "
            f"{min(self.waits_s):.1f} to {max(self.waits_s):.1f} s from submission to end"
        )


@dataclass
class _Lane:
    """One resource, its node, and the one job at a time that wants it."""

    name: str
    job_id: str = ""
    submissions: list[float] = field(default_factory=list)  # epoch seconds
    ended_at: float = 0.0  # its job before; 0 = it is under way
    delay_s: float = 0.0  # after the end of the job before

    def submit(self, service: Service) -> None:
        self.submissions.append(time.time())
        self.ended_at = 0.0
        run_s = RUNS_S[len(self.submissions) % len(RUNS_S)]
        order = Order(f"echo ran; sleep {run_s}", name=self.name, lane=self.name, cores=2)
        self.job_id = service.bed.submit(order)


def race(service: Service, number: int, rng: random.Random) -> Tally:
    """Submit ``number`` jobs while their node is about to be let go, is being let go, or has just been let go."""
    until_declared(service)
    all_lanes = [_Lane(name) for name in service.resources]
    tally = Tally(_span_s(service, all_lanes))
    width = (tally.span_s[1] - tally.span_s[0]) / number
    delays = [tally.span_s[0] + (at + rng.random()) * width for at in range(number)]  # uniform, and no part is left out
    rng.shuffle(delays)
    _run_once(service, all_lanes)
    running = []
    for lane in all_lanes[: len(delays)]:
        lane.delay_s = delays.pop()
        running.append(lane)
    while running:
        jobs = {job.job_id: job for job in service.jobs()}
        for lane in list(running):
            if lane.ended_at:
                if time.time() >= lane.ended_at + lane.delay_s:
                    lane.submit(service)
            elif _is_over(service, lane, jobs.get(lane.job_id), tally):
                lane.ended_at = time.time()
                if delays:
                    lane.delay_s = delays.pop()
                else:
                    running.remove(lane)
        time.sleep(LOOK_S)
    for lane in all_lanes:
        tally.met.update(_states_met(service, lane, lane.submissions[len(RUNS_S) + 1 :]))
    tally.problems += [f"job {job_id} was started twice" for job_id in service.restarts]
    return tally


def _span_s(service: Service, all_lanes: list[_Lane]) -> tuple[float, float]:
    """When to submit, in seconds after the end of a job: each lane lives undisturbed for a while to tell."""
    holds: list[float] = []
    terminates: list[float] = []
    for lap, _ in enumerate(RUNS_S, 1):
        _run_once(service, all_lanes)
        service.until(lambda: not service.living, service.bed.removal_limit_s, "all lanes are empty")
        for lane in all_lanes:
            held_at = [moved_at for moved_at, _, state in _moves(service, lane.name) if state == "holding"]
            ended_at = [one.ended_at for one in service.machines if one.resource == lane.name and one.ended_at]
            # a slow machine may let a node go, take it back for a job that is being submitted, and let it go again
            assert len(ended_at) == lap <= len(held_at), lane
            holds.append(max(held_at) - lane.ended_at)
            terminates.append(max(ended_at) - lane.ended_at)
    return max(0.0, min(holds) - BEFORE_S), max(terminates) + AFTER_S


def _run_once(service: Service, all_lanes: list[_Lane]) -> None:
    """One job in each lane, to its end."""
    for lane in all_lanes:
        lane.submit(service)
    began = time.time()
    while not all(lane.ended_at for lane in all_lanes):
        jobs = {job.job_id: job for job in service.jobs()}
        for lane in all_lanes:
            job = jobs.get(lane.job_id)
            if not lane.ended_at and job is not None and job.state in OVER:
                lane.ended_at = time.time()
        assert time.time() - began < PATIENCE_S, service.scene()
        time.sleep(LOOK_S)


def _is_over(service: Service, lane: _Lane, job: Job | None, tally: Tally) -> bool:
    job = job or service.seen.get((lane.job_id, ""))
    took_s = time.time() - lane.submissions[-1]
    if job is None or job.state not in OVER:
        if took_s < PATIENCE_S:
            return False
        tally.problems.append(f"{lane.name}: job {lane.job_id} does not run:\n{service.scene()}")
        service.bed.cancel(lane.job_id)
        return True
    tally.waits_s.append(took_s)
    output = service.bed.output_of(lane.job_id)
    if job.state is not JobState.COMPLETED or output != "ran\n":
        came = f"{lane.delay_s:.2f} s after the one before"
        tally.problems.append(f"{lane.name}: job {lane.job_id}, {came}: {job.word}, output {output!r}")
    return True


def _states_met(service: Service, lane: _Lane, submissions: list[float]) -> list[str]:
    """What the service's history says of the lane's node at these moments."""
    moves = _moves(service, lane.name)
    return [next((state for moved_at, _, state in reversed(moves) if moved_at <= at), "none") for at in submissions]


def _moves(service: Service, resource: str) -> list[tuple[float, int, str]]:
    """When nodes of a resource came to which state, oldest first."""
    moves: list[tuple[float, int, str]] = []
    before = 0
    while True:
        page = service.client.get(
            "api", "v1", "events", resource=resource, kind="node", limit=MOST_EVENTS, before=before
        )
        moves += [(_epoch(one["at"]), one["seq"], one["to_state"]) for one in page["events"] if one["to_state"]]
        before = page["next_before"]
        if not before:
            return sorted(moves)


def _epoch(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
