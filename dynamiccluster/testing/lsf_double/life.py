"""What can happen to a job: it starts, ends, goes back to the queue, is lost with its host."""

from __future__ import annotations

from typing import Any

from dynamiccluster.testing.lsf_double.cluster import Job, key_of
from dynamiccluster.testing.lsf_double.resreq import memory_mib
from dynamiccluster.testing.stand_in.place import State

KILLED = 130
"""Exit code of a job that was ended by bkill (recorded)."""


def start(state: State, job: Job, hosts: list[str], now: float) -> None:
    """``hosts``: one entry for each slot."""
    key = key_of(job)
    job.update(state="RUN", exec=hosts, start=int(now), reasons=[], pids=[], used_at=0, end=0)
    job["started"] += 1
    state["running"].insert(0, key)
    _reserve(state, job, 1)
    order(state, "run", job)


def finish(state: State, job: Job, code: int | None, now: float) -> None:
    """``code``: of the script; ``None``: nobody knows (its host is gone)."""
    key = key_of(job)
    if key in state["running"]:
        state["running"].remove(key)
        _reserve(state, job, -1)
    job.update(state="DONE" if code == 0 else "EXIT", end=int(now), exit=code)
    state["finished"].append(key)


def back_to_queue(state: State, job: Job, now: float, *, held: bool = False) -> None:
    key = key_of(job)
    if key in state["running"]:
        state["running"].remove(key)
        _reserve(state, job, -1)
    if key in state["finished"]:
        state["finished"].remove(key)
    job.update(state="PSUSP" if held else "PEND", exec=[], start=0, end=0, exit=None, pids=[])
    job["reasons"] = [["New job is waiting for scheduling", [""]]]


def lose(state: State, job: Job, now: float) -> None:
    """Its host was removed under it (recorded): it has ended, on ``lost_and_found``."""
    finish(state, job, None, now)
    job.update(dispatched=job["exec"], exec=["lost_and_found"])


def order(state: State, kind: str, job: Job, signal: str = "") -> None:
    """Something to tell the worker daemon of the job's first host."""
    if job["exec"]:
        told: list[Any] = [kind, job["exec"][0], key_of(job), signal]
        state["orders"] = [*state.get("orders", []), told]


def _reserve(state: State, job: Job, sign: int) -> None:
    for name in dict.fromkeys(job["exec"]):
        host = state["hosts"].get(name)
        if host is not None:
            host["used_mem"] = max(0, host["used_mem"] + sign * memory_mib(job["resreq"]))
