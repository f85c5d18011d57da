"""LIM and sbatchd of the worker hosts, as the master hears them: processes, or lines in ``state["daemons"]``.

A process (:mod:`~dynamiccluster.testing.lsf_double.worker`) beats into ``nodes/NAME.beat`` and finds its orders in
``nodes/NAME.orders/``. A pretended one ends its jobs after their ``run_s``, in whatever time the test has set.
"""

from __future__ import annotations

import json
import os
from typing import Any

from dynamiccluster.testing.lsf_double.cluster import LOAD
from dynamiccluster.testing.stand_in.place import Place, State

Facts = dict[str, Any]

KILLED = 130
_SLACK_S = 3.0
_REAL_SLACK_S = 1.5


def load_of(facts: Facts) -> Facts:
    return {**LOAD, "mem": f"{max(1, facts['maxmem'])}M"}


def beat(place: Place, state: State, name: str, now: float) -> Facts | None:
    """What the host's daemons would say now; ``None`` if they are silent."""
    pretended = state["daemons"].get(name)
    if pretended is not None:
        silent = pretended.get("silent_since") or now + 1
        if pretended["since"] > now or silent <= now:
            return None
        return {"ncpus": 2, "maxmem": 24105, "sessions": {}, **pretended}
    found = place.read(os.path.join("nodes", f"{name}.beat"))
    if found is None or found.get("stopped"):
        return None
    return found if now - float(found["at"]) <= max(_SLACK_S, _REAL_SLACK_S * place.speed()) else None


def known(place: Place, state: State) -> list[str]:
    """Names of the hosts whose daemons were ever heard of."""
    directory = place.file("nodes")
    entries = os.listdir(directory) if os.path.isdir(directory) else []
    return [*state["daemons"], *(name.removesuffix(".beat") for name in entries if name.endswith(".beat"))]


def ended(place: Place, state: State, name: str, now: float) -> list[tuple[str, int]]:
    """Jobs that ended on this host, with their exit codes. Told once."""
    if name in state["daemons"]:
        jobs = [(key, state["jobs"][key]) for key in state["running"] if state["jobs"][key]["exec"][:1] == [name]]
        killed = [(key, KILLED) for key, job in jobs if job.get("killed") == job["started"]]
        done = [(key, 0) for key, job in jobs if job["run_s"] is not None and now >= job["start"] + job["run_s"]]
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
        if job is not None and told["job"] in state["running"] and job["started"] == told["started"]:
            found.append((told["job"], int(told["status"])))
    return found


def send_orders(place: Place, state: State) -> None:
    for kind, name, key, signal in state.pop("orders", []):
        job = state["jobs"].get(key)
        if name in state["daemons"]:
            if kind == "signal" and job is not None and signal in ("TERM", "KILL", "INT"):
                job["killed"] = job["started"]
            continue
        directory = place.file("nodes", f"{name}.orders")
        if not os.path.isdir(directory):
            continue
        state["order_number"] = number = state.get("order_number", 0) + 1
        path = os.path.join(directory, f"{number:08}")
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump({"kind": kind, "job": key, "signal": signal, "facts": job or {}}, file)
        os.replace(f"{path}.new", path)
