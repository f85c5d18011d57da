"""Time goes on: moms report or fall silent, jobs end, completed ones are forgotten, the scheduler looks around."""

from __future__ import annotations

from dynamiccluster.testing.stand_in.place import Place, State
from dynamiccluster.testing.torque_double import maui, pbs_sched
from dynamiccluster.testing.torque_double.cluster import Node, jobs_on, news
from dynamiccluster.testing.torque_double.life import back_to_queue, finish, purge, set_hold, stop
from dynamiccluster.testing.torque_double.moms import beat, ended, first_host, send_orders, status_line
from dynamiccluster.testing.torque_double.request import walltime_s

_STEP_S = 1.0
_LONG_STEP_S = 10.0  # when more than ten minutes have gone by unseen
_STOPPED_S = 3.0  # a mom that says good-bye is down so soon


def advance(place: Place, state: State, now: float) -> None:
    """Bring the state to ``now``. The server is up."""
    while state["now"] < now:
        gap = now - state["now"]
        state["now"] += min(gap, _LONG_STEP_S if gap > 600 else _STEP_S)
        tick(place, state, state["now"])
    if state.get("orders"):
        send_orders(place, state)


def tick(place: Place, state: State, now: float) -> None:
    for name in list(state["nodes"]):
        _hear(place, state, name, now)
    _walltimes(state, now)
    _waiting(state, now)
    _deletions(place, state, now)
    for job in [job for job in state["jobs"].values() if job["state"] == "C" and job.get("expires", 0) <= now]:
        del state["jobs"][job["id"]]
    due = now >= state["next_cycle"] or (state["news"] and now >= state["news"])
    if due and state["server"].get("scheduling") == "True" and not _scheduler_is_dead(place, state):
        state["news"] = 0.0
        state["next_cycle"] = now + state["poll_s"]
        (maui if state["scheduler"] == "maui" else pbs_sched).cycle(state, now)
    if state.get("orders"):
        send_orders(place, state)


def _scheduler_is_dead(place: Place, state: State) -> bool:
    return place.faults().get(state["scheduler"]) in ("down", "stale")


def _hear(place: Place, state: State, name: str, now: float) -> None:
    """What the mom of one node has to say, and what the server concludes from its silence."""
    node: Node = state["nodes"][name]
    if node["unsent_until"] and now >= node["unsent_until"]:
        node.update(unsent_until=0, offline=False)
        news(state, now)
    if node["unsent_until"]:
        return  # its mom is not trusted yet
    facts = beat(place, state, name, now)
    if facts is None or facts.get("stopped"):
        patience = _STOPPED_S if facts else float(state["server"].get("node_check_rate", 150))
        if not node["down"] and now - node["rectime"] > patience:
            node["down"] = True
        return
    for job_id, status in ended(place, state, name, now):
        finish(state, state["jobs"][job_id], status, now)
    jobs = [state["jobs"][job_id] for job_id in jobs_on(node) if job_id in state["jobs"]]
    for job in jobs:
        if first_host(job) != name:
            continue
        if job["session"] is None and now > job["start"]:
            state["next_session"] = state.get("next_session", 58) + (name in state["moms"])
            job["session"] = state["next_session"] if name in state["moms"] else facts["sessions"].get(job["id"])
        if job["session"] and now >= job["used_at"] + state["report_s"]:
            job["used_at"] = now
            job["used"] = {"mem": "8084kb", "vmem": "11640kb", "walltime": int(now - job["start"])}
    phase = float(facts.get("since", 0))
    due = phase + (now - phase) // state["report_s"] * state["report_s"]
    if node["down"] or node["rectime"] < int(due):
        if node["down"]:
            node["down"] = False
            news(state, now)
        node["rectime"] = int(now)
        node["status"] = status_line(state, name, facts, jobs, now)


def _walltimes(state: State, now: float) -> None:
    """Moms end jobs that have had their time."""
    for job in state["jobs"].values():
        limit = walltime_s(job) if job["state"] == "R" and job["start"] else 0
        if limit and now >= job["start"] + limit and not job.get("told_to_end"):
            job["told_to_end"] = True
            stop(state, job)


def _waiting(state: State, now: float) -> None:
    """Jobs submitted with ``-a`` whose time has come; state and time of arrays as a whole."""
    for job in state["jobs"].values():
        if job["state"] == "W" and job["execution_time"] <= now:
            set_hold(job, job["hold"], now)
            news(state, now)
        if job["id"].endswith("[]") and job["state"] != "C":
            states = {one["state"] for one in state["jobs"].values() if one["array"] == job["id"][:-2]}
            job["state"] = next((word for word in "RQWH" if word in states), job["state"])


def _deletions(place: Place, state: State, now: float) -> None:
    """``delete node`` of a node with jobs, on 6.x: for each job a rerun that comes back to the same node at once
    (nobody has closed it), then, after ``timeout_for_job_requeue``, a purge; at last the node goes (recorded).
    """
    for name, deletion in list(state["deletions"].items()):
        node = state["nodes"].get(name)
        if node is None or deletion["done_at"]:
            if deletion["done_at"] and now > deletion["done_at"] + 600:
                del state["deletions"][name]
            continue
        job = state["jobs"].get(deletion["job"]) if deletion["job"] else None
        if job is not None and now >= deletion["since"] + float(state["server"]["timeout_for_job_requeue"]):
            if job["id"] in jobs_on(node):
                stop(state, job, "KILL")
                purge(state, job, now)
            deletion.update(job="", since=now)
        elif deletion["job"] and (job is None or job["state"] == "C"):
            deletion.update(job="", since=now)
        if deletion["job"]:
            continue
        left = [job_id for job_id in jobs_on(node) if job_id in state["jobs"]]
        if not left:
            del state["nodes"][name]
            deletion["done_at"] = now
        else:
            deletion.update(job=left[0], since=now)
            if state["jobs"][left[0]]["rerunable"] == "True" and beat(place, state, name, now):
                stop(state, state["jobs"][left[0]], "KILL")
                back_to_queue(state, state["jobs"][left[0]], now)
