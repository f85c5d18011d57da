"""What can happen to a job: it starts, ends, goes back to the queue, vanishes; and what follows for others."""

from __future__ import annotations

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import Job, elements, free_slots, is_six, news
from dynamiccluster.testing.torque_double.request import Chunk, hardest_first, slots_wanted


def start(state: State, job: Job, nodes: list[tuple[str, int]], now: float) -> None:
    """Run it on these nodes, so many slots on each; the server takes the lowest free ones."""
    job["slots"] = []
    for name, count in nodes:
        slots = free_slots(state["nodes"][name])[:count]
        job["slots"].append([name, slots])
        if is_six(state):
            state["nodes"][name]["jobs"].append([slots, job["id"]])
        else:
            state["nodes"][name]["jobs"] += [[[slot], job["id"]] for slot in slots]
    job.update(state="R", substate=42, start=int(now), mtime=int(now), session=None, used=None, used_at=int(now))
    job["start_count"] += 1
    state["orders"] = [*state.get("orders", []), ["run", nodes[0][0], job["id"]]]


def free(state: State, job: Job) -> None:
    for name, _ in job["slots"]:
        node = state["nodes"].get(name)
        if node is not None:
            node["jobs"] = [entry for entry in node["jobs"] if entry[1] != job["id"]]


def finish(state: State, job: Job, exit_status: int | None, now: float) -> None:
    """It is over; it stays listed as C for ``keep_completed``."""
    free(state, job)
    job.update(state="C", substate=59, mtime=int(now), comp_time=int(now) if job["start"] else None)
    job["exit_status"] = exit_status if job["start"] else None
    job["expires"] = now + keep_completed(state)
    _consequences(state, job, exit_status, now)
    news(state, now)


def purge(state: State, job: Job, now: float) -> None:
    """It is not there any more, not even as completed."""
    free(state, job)
    state["jobs"].pop(job["id"], None)
    _consequences(state, job, None, now)
    news(state, now)


def back_to_queue(state: State, job: Job, now: float) -> None:
    free(state, job)
    job.update(state="Q", substate=10, slots=[], start=0, session=None, used=None, mtime=int(now), comp_time=None)
    news(state, now)


def stop(state: State, job: Job, signal: str = "TERM") -> None:
    """Tell the mom that runs it to send it a signal."""
    if job["slots"]:
        state["orders"] = [*state.get("orders", []), ["signal", job["slots"][0][0], job["id"], signal]]


def keep_completed(state: State) -> float:
    return float(state["server"].get("keep_completed", 0))


def _consequences(state: State, job: Job, exit_status: int | None, now: float) -> None:
    """Slots of an array that are free again, jobs that waited for this one."""
    if job["array"]:
        release_array(state, job["array"], now)
        if all(element["state"] == "C" for element in elements(state, job["array"])):
            parent = state["jobs"].get(f"{job['array']}[]")
            if parent is not None:
                parent.update(state="C", substate=59, mtime=int(now), expires=now + keep_completed(state))
    for other in state["jobs"].values():
        for condition in other["depend"]:
            kind, _, target = condition.partition(":")
            if target.partition(".")[0] == job["id"] and _satisfied(kind, exit_status):
                other["depend"] = [one for one in other["depend"] if one != condition]
                set_hold(other, other["hold"].replace("s", ""), now)
                break


def _satisfied(kind: str, exit_status: int | None) -> bool:
    if exit_status is None:
        return False
    return kind == "afterany" or (kind == "afterok" and exit_status == 0) or (kind == "afternotok" and exit_status != 0)


def release_array(state: State, array: str, now: float) -> None:
    """Let as many elements out of their hold as the slot limit ``%N`` allows."""
    parent = state["jobs"].get(f"{array}[]")
    limit = int(parent["request"].partition("%")[2] or 0) if parent else 0
    inside = [job for job in elements(state, array) if job["state"] in "QRE"]
    room = limit - len(inside) if limit else len(state["jobs"])
    for job in elements(state, array):
        if room > 0 and job["state"] == "H" and job["limited"]:
            job["limited"] = False
            set_hold(job, job["hold"].replace("l", ""), now)
            room -= 1


def set_hold(job: Job, hold: str, now: float) -> None:
    """``hold``: letters of ``uosl``; waiting jobs become H, or Q again if there is none left."""
    job["hold"] = "".join(letter for letter in "uosl" if letter in hold)
    if job["state"] not in "QHW":
        return
    job["mtime"] = int(now)
    if job["hold"] or job["limited"]:
        waits = any(one.startswith("after") for one in job["depend"])
        job.update(state="H", substate=22 if waits and job["hold"] == "s" else 20)
    elif job["execution_time"] and job["execution_time"] > now:
        job.update(state="W", substate=30)
    else:
        job.update(state="Q", substate=10, etime=int(now))


def is_eligible(state: State, job: Job) -> bool:
    """Whether a scheduler would look at it at all: queued, in a started queue, within the queue's limits."""
    if job["state"] != "Q" or job["id"].endswith("[]"):
        return False
    queue = state["queues"].get(job["queue"], {})
    if queue.get("started") != "True":
        return False
    running = [one for one in state["jobs"].values() if one["state"] == "R" and one["queue"] == job["queue"]]
    running = [one for one in running if not one["id"].endswith("[]")]
    limits = ((queue.get("max_running"), running), (queue.get("max_user_run"), _of_user(running, job["user"])))
    return all(not limit or len(found) < int(limit) for limit, found in limits)


def _of_user(jobs: list[Job], user: str) -> list[Job]:
    return [job for job in jobs if job["user"] == user]


def place(
    state: State, job: Job, allowed: dict[str, int], *, last_of_equals: bool, wanted: list[Chunk] | None = None
) -> list[tuple[str, int]]:
    """Nodes for a job among ``allowed`` (free slots by name); empty if there is no room now.

    ``wanted``: its request as the scheduler reads it. Each part of it gets a node of its own, the smallest that will
    do. Of equal ones Maui takes the last (recorded), ``pbs_sched`` the first.
    """
    found: list[tuple[str, int]] = []
    taken: set[str] = set()
    for chunk in sorted(wanted or slots_wanted(job), key=hardest_first):
        for _ in range(chunk["count"]):
            names = list(allowed)
            if last_of_equals:
                names.reverse()
            fitting = [
                name
                for name in names
                if name not in taken
                and allowed[name] >= chunk["ppn"]
                and (not chunk["host"] or chunk["host"] == name)
                and set(chunk["properties"]) <= set(state["nodes"][name]["properties"])
                and not chunk["gpus"]
            ]
            if not fitting:
                return []
            name = min(fitting, key=lambda one: state["nodes"][one]["np"])
            taken.add(name)
            found.append((name, chunk["ppn"]))
    return found
