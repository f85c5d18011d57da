"""A new cluster, and words about its hosts and jobs that everything else uses."""

from __future__ import annotations

from typing import Any

from dynamiccluster.testing.stand_in.place import State

Host = dict[str, Any]
Job = dict[str, Any]

OPENLAVA, LSF = "openlava", "lsf"
SHARED = {"bigmem": "Large memory node", "gpu": "GPU node", "cloudhost": "Borrowed cloud node", "cs": "Compute server"}
"""Boolean resources of ``lsf.shared``, with their descriptions."""

LOAD: dict[str, Any] = {
    "r15s": 0.2,
    "r1m": 0.2,
    "r15m": 0.2,
    "ut": 5,
    "pg": 0.0,
    "io": 0,
    "ls": 0,
    "it": "2e+08",
    "tmp": "72G",
    "swp": "0M",
    "mem": "19G",
}


def new_cluster(now: float, *, dialect: str = OPENLAVA, master: str = "hn01", shared: tuple[str, ...] = ()) -> State:
    """A master that takes no jobs, three queues. ``shared``: further boolean resources."""
    return {
        "dialect": dialect,
        "cluster": "openlava" if dialect == OPENLAVA else "cluster1",
        "master": master,
        "shared": {**SHARED, **dict.fromkeys(shared, "Site resource")},
        "hosts": {master: {**new_host(max_slots=0, resources=["cs"], static=True), "lim": "ok", "sbd": "ok"}},
        "queues": {
            "short": {"priority": 35, "description": "short jobs", "runlimit_min": 30},
            "normal": {"priority": 30, "description": "default queue"},
            "long": {"priority": 20, "description": "long jobs, 2 slots per user", "user_slots": 2},
        },
        "default_queue": "normal",
        "default_max": 4,
        "jobs": {},
        "running": [],  # the one that was started last first
        "finished": [],  # in the order of their ends
        "next_job": 101,
        "daemons": {},
        "history": [],
        "now": now,
        "next_cycle": now,
        "cycle_s": 4,  # MBD_SLEEP_TIME
        "refresh_s": 9,  # until mbatchd shows a host that was added (recorded)
        "lim_start_s": 33,  # until a new LIM is ok (recorded)
        "sbd_dead_s": 60,  # not recorded, as the next one: after 90 s a closed host's death was still unnoticed
        "lim_dead_s": 120,
        "clean_s": 3600,  # CLEAN_PERIOD
    }


def new_host(*, max_slots: int, resources: list[str], static: bool = False, added_at: float = 0.0) -> Host:
    return {
        "static": static,
        "type": "linux",
        "model": "IntelI5",
        "cpuf": 100.0,
        "resources": resources,
        "max": max_slots,
        "ncpus": 2 if static else None,
        "maxmem": 24105 if static else None,
        "closed": False,
        "message": "",
        "lim": "unavail",
        "sbd": "unreach",
        "shown_at": added_at,
        "lim_heard": 0.0,
        "sbd_heard": 0.0,
        "load": dict(LOAD) if static else None,
        "rank": 0,
        "used_mem": 0,
    }


def key_of(job: Job) -> str:
    """``108[4]``, ``106``: also the key of ``state["jobs"]``."""
    return f"{job['id']}[{job['index']}]" if job["index"] else str(job["id"])


def shown_hosts(state: State) -> list[str]:
    """Hosts that mbatchd knows by now, by name."""
    return sorted(name for name, host in state["hosts"].items() if host["shown_at"] <= state["now"])


def jobs_on(state: State, name: str) -> list[Job]:
    return [state["jobs"][key] for key in state["running"] if name in state["jobs"][key]["exec"]]


def slots_used(state: State, name: str) -> int:
    return sum(job["exec"].count(name) for job in jobs_on(state, name))


def status(state: State, name: str) -> str:
    """The word of ``bhosts -w``. Closed by an administrator hides everything else, also death (recorded)."""
    host = state["hosts"][name]
    if host["closed"]:
        return "closed_Adm"
    if host["sbd"] == "unavail" or (host["lim"] == "unavail" and host["sbd"] != "ok"):
        return "unavail" if host["sbd"] == "unavail" else "unreach"
    if host["sbd"] != "ok":
        return str(host["sbd"])
    return "closed_Full" if slots_used(state, name) >= host["max"] else "ok"


def ordered(state: State) -> list[Job]:
    """All jobs as ``bjobs -a`` lists them: running ones, those that wait by queue and number, ended ones."""
    jobs = state["jobs"]
    waiting = [job for key, job in jobs.items() if key not in state["running"] and key not in state["finished"]]
    waiting.sort(key=lambda job: (-state["queues"][job["queue"]]["priority"], job["id"], job["index"]))
    return [*(jobs[key] for key in state["running"]), *waiting, *(jobs[key] for key in state["finished"])]


def is_over(job: Job) -> bool:
    return job["state"] in ("DONE", "EXIT")


def total_slots(state: State) -> int:
    """What ``Too many processors requested`` compares with: all hosts that are defined, dead ones included."""
    return sum(host["max"] for host in state["hosts"].values())
