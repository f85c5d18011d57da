"""mbatchd's round: jobs by queue and number, hosts that are open and meet the request, reasons for those that wait."""

from __future__ import annotations

import re

from dynamiccluster.testing.lsf_double.cluster import Job, is_over, ordered, shown_hosts, slots_used, status
from dynamiccluster.testing.lsf_double.life import start
from dynamiccluster.testing.lsf_double.resreq import meets, memory_mib, span
from dynamiccluster.testing.stand_in.place import State

FULL = "Job slot limit reached"
NO_LOAD = "Load information unavailable"
NOT_MET = "Job's resource requirements not satisfied"
CLOSED = "Closed by LSF administrator"  # public documentation, as the next two
UNREACHED = "Unable to reach slave batch server"
NO_MEMORY = "Job requirements for reserving resource (mem) not satisfied"
TOO_FEW = "Not enough job slot(s)"
SPREAD = "Not enough hosts to meet the job's spanning requirement"
NEW = "New job is waiting for scheduling"
HELD = "The job was suspended by the user while pending"
LATER = "The job has a specified start time"
DEPENDS = "Job dependency condition not satisfied"
NEVER = "Dependency condition invalid or never satisfied"
ARRAY = ""
"""The limit of an array has a reason without words (recorded)."""
USER = "User has reached the per-user job slot limit of the queue"
CLOSED_QUEUE = "The queue is inactivated by the administrator"

_CONDITION = re.compile(r"(done|ended|exit|started)\(\s*\"?([^)\"]+)\"?\s*\)|^\s*\"?([^()\"]+)\"?\s*$")


def cycle(state: State, now: float) -> None:
    for job in ordered(state):
        if job["state"] not in ("PEND", "PSUSP"):
            continue
        reason = not_now(state, job, now)
        if reason is not None:
            job["reasons"] = [[reason, [""]]]
            continue
        hosts, reasons = choose(state, job)
        if hosts:
            start(state, job, hosts, now)
        else:
            job["reasons"] = reasons


def not_now(state: State, job: Job, now: float) -> str | None:
    """Why no host is even looked at; ``None`` if there is no such reason."""
    if job["state"] == "PSUSP":
        return HELD
    if job["begin"] and now < job["begin"]:
        return LATER
    if job["depend"]:
        found = satisfied(state, job["depend"])
        if found is not True:
            return DEPENDS if found is False else NEVER
    queue = state["queues"][job["queue"]]
    if queue.get("inactive"):
        return CLOSED_QUEUE
    running = [state["jobs"][key] for key in state["running"]]
    limit = queue.get("user_slots")
    used = sum(len(one["exec"]) for one in running if one["queue"] == job["queue"] and one["user"] == job["user"])
    if limit and used + job["n"] > limit:
        return USER
    if job["at_once"] and sum(one["id"] == job["id"] for one in running) >= job["at_once"]:
        return ARRAY
    return None


def satisfied(state: State, condition: str) -> bool | None:
    """``None``: it can never be, or names no job."""
    found = _CONDITION.search(condition)
    if found is None:
        return None
    kind, word = found[1] or "done", (found[2] or found[3] or "").strip()
    jobs = [job for job in state["jobs"].values() if word in (str(job["id"]), job["name"])]
    if not jobs:
        return None
    if kind == "ended":
        return all(is_over(job) for job in jobs)
    if kind == "started":
        return all(job["state"] != "PEND" for job in jobs)
    if any(is_over(job) and (job["state"] == "DONE") is (kind == "exit") for job in jobs):
        return None
    return all(is_over(job) for job in jobs)


def choose(state: State, job: Job) -> tuple[list[str], list[list[object]]]:
    """One entry for each slot; or nothing, and the reasons with the hosts that give them."""
    reasons: dict[str, list[str]] = {}
    room: dict[str, int] = {}
    for name in shown_hosts(state):
        if job["hosts_asked"] and name not in job["hosts_asked"]:
            continue
        reason = refusal(state, job, name)
        if reason:
            reasons.setdefault(reason, []).append(name)
        else:
            room[name] = state["hosts"][name]["max"] - slots_used(state, name)
    hosts = spread(job, room)
    if hosts:
        return hosts, []
    if room:
        reasons.setdefault(SPREAD if span(job["resreq"]) != (0, 0) else TOO_FEW, []).extend(room)
    return [], [[reason, names] for reason, names in reasons.items()]


def refusal(state: State, job: Job, name: str) -> str:
    host = state["hosts"][name]
    word = status(state, name)
    if word == "closed_Adm":
        return CLOSED
    if word == "closed_Full":
        return FULL
    if host["lim"] != "ok":
        return NO_LOAD
    if word != "ok":
        return UNREACHED
    if not meets(job["resreq"], name, host):
        return NOT_MET
    wanted = memory_mib(job["resreq"])
    return NO_MEMORY if wanted and wanted + host["used_mem"] > (host["maxmem"] or 0) else ""


def spread(job: Job, room: dict[str, int]) -> list[str]:
    """Slots over hosts as ``span`` has it: each host filled before the next, or ``ptile`` on each."""
    most_hosts, per_host = span(job["resreq"])
    wanted = job["n"]
    if most_hosts == 1:
        name = next((name for name, free in room.items() if free >= wanted), "")
        return [name] * wanted if name else []
    found: list[str] = []
    for name, free in room.items():
        rest = wanted - len(found)
        if per_host:
            take = min(per_host, rest)
            found += [name] * take if free >= take else []
        else:
            found += [name] * min(free, rest)
        if len(found) == wanted:
            return found
    return []
