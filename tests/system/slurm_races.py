"""Jobs that come just when their node is being let go, many times over, in lanes that do not touch each other."""

from __future__ import annotations

import datetime
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from slurm_service import Record, Service

IDLE_S = 4.0  # the services' max_idle_time
BEFORE_S, AFTER_S = 2.0, 2.0
"""Submissions are spread over the time from so long before the hold to so long after the terminate."""

REMOVAL_S = 3.0
"""Hold to terminate with polls every second: two polls and their jitter (seen: 1.3 to 2.9 s)."""

PATIENCE_S = 90.0


def lanes(number: int) -> dict[str, dict[str, Any]]:
    """Resources of one node each; a job of a lane fits no other."""
    return {
        f"lane{at}": {
            "quantity": {"min": 0, "max": 1},
            "capacity": {"cores": 2, "memory_mib": 1000},
            "features": [f"lane{at}"],
        }
        for at in range(number)
    }


@dataclass
class _Lane:
    name: str
    job_id: str = ""
    submit_at: float = 0.0  # monotonic; 0 = a job is under way
    submitted_at: float = 0.0
    delay_s: float = 0.0  # after the end of the lane's job before
    submissions: list[float] = field(default_factory=list)  # epoch seconds


@dataclass
class Tally:
    """What came of it."""

    met: Counter[str] = field(default_factory=Counter)  # the node's state at the moment of submission
    waits_s: list[float] = field(default_factory=list)  # from sbatch to the end of the job
    problems: list[str] = field(default_factory=list)


def race(service: Service, number: int, rng: random.Random) -> Tally:
    """Submit ``number`` jobs, each to a node that has been idle for nearly, about, or more than the idle limit."""
    tally = Tally()
    least, most = IDLE_S - BEFORE_S, IDLE_S + REMOVAL_S + AFTER_S
    width = (most - least) / number
    delays = [least + (at + rng.random()) * width for at in range(number)]  # uniform, and every part of it is met
    rng.shuffle(delays)
    all_lanes = [_Lane(name) for name in service.resources]
    running = list(all_lanes)
    for lane in running:
        lane.job_id = _submit(service, lane)
    while running:
        jobs = service.jobs()
        for lane in list(running):
            if lane.submit_at:
                if time.monotonic() >= lane.submit_at:
                    lane.job_id, lane.submit_at = _submit(service, lane), 0.0
            elif _ended(service, lane, jobs, tally):
                if not delays:
                    running.remove(lane)
                    continue
                lane.delay_s = delays.pop()
                lane.submit_at = time.monotonic() + lane.delay_s
        time.sleep(0.1)
    for lane in all_lanes:
        tally.met.update(_states_met(service, lane))
    tally.problems += [f"job {job_id} was started twice" for job_id in service.restarts]
    return tally


def _submit(service: Service, lane: _Lane) -> str:
    lane.submitted_at = time.monotonic()
    lane.submissions.append(time.time())
    return service.bed.sbatch("-J", lane.name, "-C", lane.name, "-c2", wrap="echo ran; sleep 0.3")


def _ended(service: Service, lane: _Lane, jobs: dict[str, Record], tally: Tally) -> bool:
    job = jobs.get(lane.job_id, service.seen.get(lane.job_id))
    took_s = time.monotonic() - lane.submitted_at
    if job is None or job["JobState"] in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING"):
        if took_s < PATIENCE_S:
            return False
        tally.problems.append(f"{lane.name}: job {lane.job_id} does not run:\n{service.scene()}")
        service.bed.run("scancel", lane.job_id)
        return True
    tally.waits_s.append(took_s)
    if int(job.get("Restarts", "0")):
        service.restarts.add(lane.job_id)
    output = service.bed.output_of(lane.job_id)
    if job["JobState"] != "COMPLETED" or output != "ran\n":
        came = f"{lane.delay_s:.2f} s after the one before"
        tally.problems.append(f"{lane.name}: job {lane.job_id}, {came}: {job['JobState']}, output {output!r}")
    return True


def _states_met(service: Service, lane: _Lane) -> list[str]:
    """What the service's history says of the lane's node at each submission but the first."""
    moves: list[tuple[float, int, str]] = []
    before = 0
    while True:
        page = service.client.get("api", "v1", "events", resource=lane.name, kind="node", limit=1000, before=before)
        moves += [
            (_epoch(event["at"]), event["seq"], event["to_state"]) for event in page["events"] if event["to_state"]
        ]
        before = page["next_before"]
        if not before:
            break
    moves.sort()
    return [
        next((state for moved_at, _, state in reversed(moves) if moved_at <= at), "none") for at in lane.submissions[1:]
    ]


def _epoch(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
