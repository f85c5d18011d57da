"""The worker daemons as the server sees them: what they last reported, and what they are told.

A mom is either a process (:mod:`~dynamiccluster.testing.torque_double.mom`) that beats its heart into
``nodes/NAME.beat`` and finds its orders in ``nodes/NAME.orders/``, or a line in ``state["moms"]`` that pretends to be
one: its jobs end after their ``run_s``, in whatever time the test has set.
"""

from __future__ import annotations

import json
import os
from typing import Any

from dynamiccluster.testing.stand_in.place import Place, State
from dynamiccluster.testing.torque_double.cluster import Job

Facts = dict[str, Any]

FACTS: Facts = {
    "kernel": "6.18.44-fc-v657 #1 SMP PREEMPT_DYNAMIC @0 x86_64",
    "physmem": 24684092,
    "availmem": 21268876,
    "ncpus": 2,
    "loadave": "0.44",
    "netload": 12446,
    "idletime": 12642,
    "macaddr": "ee:c5:cf:b9:80:81",
}
"""What the recorded machines said; a pretended mom says the same."""

KILLED = 271
"""Exit status of a job that was ended by SIGTERM: 256 + 15."""

_SLACK_S = 3.0
_REAL_SLACK_S = 1.5
"""A mom whose last beat is older is silent: in double time, and in real time for machines that are busy."""


def beat(place: Place, state: State, name: str, now: float) -> Facts | None:
    """What the mom of this node would report now; ``None`` if it is silent. ``stopped``: it said good-bye."""
    pretended = state["moms"].get(name)
    if pretended is not None:
        silent = pretended.get("silent_since") or now + 1
        if pretended["since"] > now or silent <= now:
            return {"stopped": True} if pretended.get("stopped") and silent <= now else None
        return {**FACTS, **pretended.get("facts", {}), "since": pretended["since"], "sessions": {}}
    found = read(place, name)
    if found is None:
        return None
    if found.get("stopped"):
        return {"stopped": True}
    slack = max(_SLACK_S, _REAL_SLACK_S * place.speed())
    return found if now - float(found["at"]) <= slack else None


def read(place: Place, name: str) -> Facts | None:
    try:
        with open(place.file("nodes", f"{name}.beat"), encoding="utf-8") as file:
            found: Facts = json.load(file)
            return found
    except (FileNotFoundError, ValueError):
        return None


def ended(place: Place, state: State, name: str, now: float) -> list[tuple[str, int]]:
    """Jobs that ended on this node, with their exit status. Told once."""
    if name in state["moms"]:
        jobs = [job for job in state["jobs"].values() if job["state"] == "R" and first_host(job) == name]
        done = [(job["id"], 0) for job in jobs if job["run_s"] is not None and now >= job["start"] + job["run_s"]]
        killed = [(job["id"], KILLED) for job in jobs if job.get("killed") == job["start_count"]]
        return list(dict([*killed, *done]).items())
    found = []
    directory = place.file("nodes", f"{name}.ended")
    for entry in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
        if entry.endswith(".new"):
            continue
        path = os.path.join(directory, entry)
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
        os.unlink(path)
        job = state["jobs"].get(told["job"])
        if job is not None and job["start_count"] == told["start_count"] and job["state"] == "R":
            found.append((told["job"], int(told["status"])))
    return found


def first_host(job: Job) -> str:
    """The mother superior: the mom that runs the script."""
    return str(job["slots"][0][0]) if job["slots"] else ""


def send_orders(place: Place, state: State) -> None:
    """Hand over what has been ordered since the last time. Moms that are silent find it when they wake."""
    for order in state.pop("orders", []):
        kind, name, job_id, *rest = order
        job = state["jobs"].get(job_id)
        if name in state["moms"]:
            if kind == "signal" and job is not None and rest[0] in ("TERM", "KILL", "SIGTERM", "SIGKILL"):
                job["killed"] = job["start_count"]
            continue
        directory = place.file("nodes", f"{name}.orders")
        if not os.path.isdir(directory):
            continue
        state["order_number"] = number = state.get("order_number", 0) + 1
        text = json.dumps({"kind": kind, "job": job_id, "signal": rest[0] if rest else "", "facts": job or {}})
        path = os.path.join(directory, f"{number:08}")
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.new", path)


def status_line(state: State, name: str, facts: Facts, jobs: list[Job], now: float) -> list[list[str]]:
    """The mom's ``status``: pairs in the order of the version. Values may hold blanks and ``=``."""
    host = state["host"]
    sessions = [str(job["session"]) for job in jobs if job["session"]]
    users = {job["user"] for job in jobs if job["session"]}
    listed = " ".join(f"{job['id']}.{host}" for job in jobs)
    uname = f"Linux {name} {facts['kernel']}"
    six = state["version"].startswith("6")
    memory = f"{facts['physmem']}kb"
    count = [["nsessions", str(len(sessions))], ["nusers", str(len(users))]]
    if six:
        return [
            ["opsys", "linux"],
            ["uname", uname],
            *([["sessions", " ".join(sessions)]] if sessions else []),
            *count,
            ["idletime", str(facts["idletime"])],
            ["totmem", memory],
            ["availmem", f"{facts['availmem']}kb"],
            ["physmem", memory],
            ["ncpus", str(facts["ncpus"])],
            ["loadave", str(facts["loadave"])],
            ["gres", ""],
            ["netload", str(facts["netload"])],
            ["state", "free"],
            ["varattr", " "],
            ["cpuclock", "Fixed"],
            ["macaddr", str(facts["macaddr"])],
            ["version", state["version"]],
            ["rectime", str(int(now))],
            ["jobs", listed],
        ]
    return [
        ["rectime", str(int(now))],
        ["varattr", ""],
        ["jobs", listed],
        ["state", "free"],
        ["netload", str(facts["netload"])],
        ["gres", ""],
        ["loadave", str(facts["loadave"])],
        ["ncpus", str(facts["ncpus"])],
        ["physmem", memory],
        ["availmem", f"{facts['availmem']}kb"],
        ["totmem", memory],
        ["idletime", str(facts["idletime"])],
        *reversed(count),
        *([["sessions", " ".join(sessions)]] if sessions else []),
        ["uname", uname],
        ["opsys", "linux"],
    ]
