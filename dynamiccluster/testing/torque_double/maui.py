"""Maui's way of thinking: it asks Torque every ten seconds, and shows what it saw then, however old that is.

It starts jobs by priority, reserves for the first that must wait, and *defers* for an hour what it cannot place at
all. Configuration as recorded (``maui.cfg.used``): EXACTNODE, MINRESOURCE, FIRSTFIT, CURRENTHIGHEST.
"""

from __future__ import annotations

from typing import Any

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import Job, Node, free_slots, jobs_on, news, state_words
from dynamiccluster.testing.torque_double.life import is_eligible, place, start
from dynamiccluster.testing.torque_double.request import Chunk, chunks, resource, walltime_s

View = dict[str, Any]

_EXCEEDS = "exceeds available partition procs"
_NO_RESERVATION = "cannot create reservation for job '{0}' (intital reservation attempt)\n"  # sic, recorded
CLASS_WEIGHT = 10


def parts(job: Job) -> list[Chunk]:
    """What Maui reads in a request: ``ncpus=N`` as N slots of a node, ``procs=N`` as one (recorded)."""
    if spec := resource(job, "nodes"):
        if not resource(job, "ncpus"):
            return chunks(spec)
        spec = "1"
    return chunks(f"1:ppn={resource(job, 'ncpus') or 1}")


def procs(job: Job) -> int:
    return sum(chunk["count"] * chunk["ppn"] for chunk in parts(job))


def cycle(state: State, now: float) -> None:
    """One round: look, defer what is too big, start what fits, reserve for the first that does not."""
    maui = state["maui"]
    look(state, now)
    up = {name: node for name, node in state["nodes"].items() if not (node["down"] or node["offline"])}
    idle = [job for job in state["jobs"].values() if is_eligible(state, job)]
    for job in idle:
        deferred = maui["deferred"].get(job["id"])
        if deferred and now >= deferred["until"]:
            del maui["deferred"][job["id"]]
        if procs(job) > sum(node["np"] for node in up.values()) and job["id"] not in maui["deferred"]:
            defer(state, job, _EXCEEDS, now)
    idle = [job for job in idle if job["id"] not in maui["deferred"]]
    idle.sort(key=lambda job: -priority(state, job, now))
    reserved: dict[str, Any] = {}
    for job in idle:
        maui["idle_at"][job["id"]] = now
        if not is_eligible(state, job):
            continue  # a limit of its queue was reached in this very round
        chosen = place(state, job, room(state, job, up, reserved, now), last_of_equals=True, wanted=parts(job))
        if chosen:
            start(state, job, [(name, 1 if _is_one_slot(job) else count) for name, count in chosen], now)
        elif not reserved:
            found = reservation(state, job, up, now)
            if found:
                reserved[job["id"]] = found
            else:
                defer(state, job, _NO_RESERVATION.format(job["id"]), now)
    maui["reservations"] = reserved
    maui["deferred"] = {key: value for key, value in maui["deferred"].items() if key in state["jobs"]}
    maui["idle_at"] = {key: value for key, value in maui["idle_at"].items() if key in state["jobs"]}
    look(state, now)


def _is_one_slot(job: Job) -> bool:
    return not resource(job, "nodes") or bool(resource(job, "ncpus"))


def defer(state: State, job: Job, reason: str, now: float) -> None:
    state["maui"]["deferred"][job["id"]] = {"reason": reason, "until": now + state["maui"]["defer_s"]}


def release(state: State, job_id: str, now: float) -> bool:
    """``releasehold -a``: no deferral any more; the next round looks at the job again."""
    if job_id not in state["maui"]["view"]["jobs"]:
        return False
    state["maui"]["deferred"].pop(job_id, None)
    if job_id in state["jobs"]:
        news(state, now)
    return True


def priority(state: State, job: Job, now: float) -> float:
    """Class, and minutes in the queue."""
    return class_priority(state, job["queue"]) + (now - float(job["qtime"])) / 60


def class_priority(state: State, queue: str) -> float:
    return float(state["maui"]["classes"].get(queue, 0)) * CLASS_WEIGHT


def taken(state: State, node: Node) -> int:
    """Slots that Maui holds for taken: what the jobs there asked for, not what Torque gave them."""
    total = 0
    for job_id in jobs_on(node):
        job = state["jobs"].get(job_id)
        if job is not None:
            given = sum(len(slots) for slots, one in node["jobs"] if one == job_id)
            total += procs(job) if _is_one_slot(job) else given
    return total


def room(state: State, job: Job, up: dict[str, Node], reserved: dict[str, Any], now: float) -> dict[str, int]:
    """Slots that this job may have now, by node."""
    ends = now + walltime_s(job)
    found = {}
    for name, node in up.items():
        if node["unsent_until"] or not may_use(state, job, name, now, ends) or not _has_memory(state, job, node):
            continue
        found[name] = min(len(free_slots(node)), node["np"] - taken(state, node))
        for one in reserved.values():
            if ends > one["start"]:
                found[name] -= dict(one["nodes"]).get(name, 0)
    return found


def _has_memory(state: State, job: Job, node: Node) -> bool:
    """Whether the memory that jobs here asked for leaves enough; ``mem`` is of the whole job, spread over its slots."""
    wanted = _share_mib(job)
    if not wanted:
        return True
    there = int(dict(node["status"]).get("physmem", "0kb")[:-2]) // 1024
    used = sum(_share_mib(state["jobs"][one]) for one in jobs_on(node) if one in state["jobs"])
    return used + wanted <= there


def _share_mib(job: Job) -> int:
    """Memory of the job on one of its nodes."""
    return _mib(resource(job, "mem")) // max(1, int(sum(chunk["count"] for chunk in parts(job))))


def may_use(state: State, job: Job, node: str, begins: float, ends: float) -> bool:
    """Whether no reservation of others stands on the node in that time."""
    for one in state["maui"]["user_reservations"]:
        if node not in one["nodes"] or one["start"] >= ends or (one["end"] and one["end"] <= begins):
            continue
        value = {"user": job["user"], "account": job["account"], "class": job["queue"], "group": job["group"]}
        if not any(value[kind] in names for kind, names in one["acl"].items()):
            return False
    return True


def reservation(state: State, job: Job, up: dict[str, Node], now: float) -> dict[str, Any] | None:
    """The earliest time at which running jobs will have left enough room, and where; ``None`` if never."""
    running = [one for one in state["jobs"].values() if one["state"] == "R" and one["start"]]
    ends = sorted({one["start"] + walltime_s(one) for one in running if not one["id"].endswith("[]")})
    for at in [now, *(end for end in ends if end > now)]:
        free = {}
        for name, node in up.items():
            if not may_use(state, job, name, at, at + walltime_s(job)):
                continue
            still = [one for one in jobs_on(node) if _end(state, one) > at]
            free[name] = node["np"] - taken(state, {**node, "jobs": [e for e in node["jobs"] if e[1] in still]})
        chosen = place(state, job, free, last_of_equals=False, wanted=parts(job))
        if chosen:
            nodes = sorted(chosen, key=lambda one: list(up).index(one[0]))
            return {"start": at, "nodes": [list(one) for one in nodes]}
    return None


def _end(state: State, job_id: str) -> float:
    job = state["jobs"].get(job_id)
    return float(job["start"] + walltime_s(job)) if job else 0.0


def look(state: State, now: float) -> None:
    """Take the picture that all of Maui's commands show until the next one."""
    maui = state["maui"]
    old = maui["view"] or {"at": now, "nodes": {}, "jobs": {}, "slots": {}}
    nodes = {}
    for name in dict.fromkeys([*old["nodes"], *state["nodes"]]):
        if name in state["nodes"]:
            nodes[name] = node_view(state, name, old["nodes"].get(name), now, now - old["at"])
        else:  # it is never forgotten: Down, and not updated any more
            nodes[name] = {**old["nodes"][name], "state": "Down", "jobs": [], "used": 0}
    jobs = {
        job["id"]: job_view(state, job)
        for job in state["jobs"].values()
        if job["state"] in "QHWRE" and not job["id"].endswith("[]")
    }
    maui["view"] = {"at": now, "nodes": nodes, "jobs": jobs, "slots": old["slots"]}
    _keep_slots(state, maui["view"])


def node_view(state: State, name: str, old: View | None, now: float, passed: float) -> View:
    node = state["nodes"][name]
    used = taken(state, node)
    word = "Busy" if "job-exclusive" in state_words(node) else "Running" if used else "Idle"
    if node["down"]:
        word = "Down"
    elif node["offline"]:
        word = "Drained"
    status = dict(node["status"])
    old = old or {"state": "", "since": now, "total_s": 0, "up_s": 0, "active_s": 0}
    return {
        "state": word,
        "since": old["since"] if old["state"] == word else now,
        "updated": now,
        "total_s": old["total_s"] + passed,
        "up_s": old["up_s"] + (0 if old["state"] in ("", "Down") else passed),
        "active_s": old["active_s"] + (passed if old["state"] in ("Busy", "Running") else 0),
        "np": node["np"],
        "used": used,
        "features": list(node["properties"]),
        "memory_kib": int(status.get("physmem", "0kb")[:-2]),
        "swap_kib": int(status.get("totmem", "0kb")[:-2]),
        "free_kib": int(status.get("availmem", "0kb")[:-2]),
        "load": float(status.get("loadave", 0)),
        "jobs": jobs_on(node),
    }


def job_view(state: State, job: Job) -> View:
    words = {"R": "Running", "E": "Running", "H": "Hold", "W": "Hold"}
    return {
        "state": words.get(job["state"], "Deferred" if job["id"] in state["maui"]["deferred"] else "Idle"),
        "user": job["user"],
        "group": job["group"],
        "account": job["account"],
        "class": job["queue"],
        "procs": procs(job),
        "limit_s": walltime_s(job),
        "queued_at": job["qtime"],
        "start": job["start"],
        "start_count": job["start_count"],
        "nodes": [[name, procs(job) if _is_one_slot(job) else len(slots)] for name, slots in job["slots"]],
        "parts": parts(job),
        "one_task": _is_one_slot(job),
        "memory_mib": _mib(resource(job, "mem")),
        "task_mib": _mib(resource(job, "pmem")),
        "set": (job["x"] or "").removeprefix("NODESET:") if "NODESET" in (job["x"] or "") else "",
        "extra_s": job.get("extra_s", 0),
    }


def _mib(text: str) -> int:
    units = {"kb": 1 / 1024, "mb": 1, "gb": 1024, "tb": 1024 * 1024}
    return int(float(text[:-2]) * units[text[-2:]]) if text[-2:] in units else 0


def _keep_slots(state: State, view: View) -> None:
    """Reservations of each node in Maui's own table, where a new one takes the first place that has become free."""
    places: dict[str, list[str]] = {}
    waiting = state["maui"]["reservations"]
    for job_id in sorted(view["jobs"], key=lambda one: -class_priority(state, view["jobs"][one]["class"])):
        job = view["jobs"][job_id]
        nodes = job["nodes"] if job["state"] == "Running" else waiting[job_id]["nodes"] if job_id in waiting else ()
        for name, _ in nodes:
            places.setdefault(name, []).append(job_id)
    for one in state["maui"]["user_reservations"]:
        for name in one["nodes"]:
            places.setdefault(name, []).append(one["name"])
    for name in view["nodes"]:
        wanted = places.get(name, [])
        slots = [entry if entry in wanted else "" for entry in view["slots"].get(name, [])]
        for entry in wanted:
            if entry not in slots:
                if "" in slots:
                    slots[slots.index("")] = entry
                else:
                    slots.append(entry)
        view["slots"][name] = slots
