"""Time goes on: daemons are heard or not, hosts become known, jobs end, mbatchd makes its rounds."""

from __future__ import annotations

from dynamiccluster.testing.lsf_double import workers
from dynamiccluster.testing.lsf_double.cluster import LSF, Host, Job, is_over, jobs_on, key_of, new_host
from dynamiccluster.testing.lsf_double.dispatch import cycle
from dynamiccluster.testing.lsf_double.life import back_to_queue, finish, order
from dynamiccluster.testing.stand_in.place import Place, State

_STEP_S = 1.0
_LONG_STEP_S = 10.0


def advance(place: Place, state: State, now: float) -> None:
    """Bring the state to ``now``. The central daemons run."""
    while state["now"] < now:
        gap = now - state["now"]
        state["now"] += min(gap, _LONG_STEP_S if gap > 600 else _STEP_S)
        tick(place, state, state["now"])
    if state.get("orders"):
        workers.send_orders(place, state)


def tick(place: Place, state: State, now: float) -> None:
    if state["dialect"] == LSF:
        _join(place, state, now)
    for name in list(state["hosts"]):
        _hear(place, state, name, now)
    for key in [key for key in state["finished"] if state["jobs"][key]["end"] + state["clean_s"] <= now]:
        state["finished"].remove(key)
        del state["jobs"][key]
    _limits(state, now)
    if now >= state["next_cycle"]:
        state["next_cycle"] = now + state["cycle_s"]
        cycle(state, now)
    if state.get("orders"):
        workers.send_orders(place, state)


def _join(place: Place, state: State, now: float) -> None:
    """LSF 10.1 (documented): a host joins when its LIM reports, if the site allows dynamic hosts."""
    for name in workers.known(place, state):
        facts = workers.beat(place, state, name, now) if name not in state["hosts"] else None
        if facts is not None and now >= facts["since"] + state["lim_start_s"] and place.resolves(name):
            host = new_host(max_slots=facts["ncpus"], resources=list(facts.get("resources", ())), added_at=now)
            state["hosts"][name] = host


def _hear(place: Place, state: State, name: str, now: float) -> None:
    """The two daemons of a host: LIM says its load, sbatchd takes and ends jobs. Both must be ok."""
    host = state["hosts"][name]
    if name == state["master"]:
        return
    facts = workers.beat(place, state, name, now)
    if facts is not None:
        host["sbd_heard"] = now
        host["sbd"] = "ok"
        if now >= facts["since"] + state["lim_start_s"]:
            host.update(lim="ok", lim_heard=now, ncpus=facts["ncpus"], maxmem=facts["maxmem"])
            host["load"] = host["load"] or {**workers.load_of(facts)}
        for key, code in workers.ended(place, state, name, now):
            finish(state, state["jobs"][key], code, now)
    else:
        if host["lim"] == "ok" and now - host["lim_heard"] > state["lim_dead_s"]:
            host.update(lim="unavail", load=None)
        if host["sbd"] == "ok" and now - host["sbd_heard"] > state["sbd_dead_s"]:
            host["sbd"] = "unreach"
        if host["sbd"] == "unreach" and host["lim"] == "unavail" and now - host["shown_at"] > state["sbd_dead_s"]:
            host["sbd"] = "unavail"
    for job in jobs_on(state, name):
        _job_on(state, job, host, facts, now)


def _job_on(state: State, job: Job, host: Host, facts: workers.Facts | None, now: float) -> None:
    """Its pids while the host is heard; UNKWN when it is dead, then back to the queue if it may be run again."""
    if facts is not None:
        if job["state"] == "UNKWN":
            job["state"] = "RUN"
        if not job["pids"] and now > job["start"]:
            job["pids"] = facts["sessions"].get(key_of(job)) or [20 + job["id"] % 1000]
            job["used_at"] = int(now)
    elif host["sbd"] == "unavail" and job["rerunnable"]:
        back_to_queue(state, job, now)
    elif host["sbd"] != "ok" and job["state"] == "RUN":
        job["state"] = "UNKWN"


def _limits(state: State, now: float) -> None:
    for key in state["running"]:
        job = state["jobs"][key]
        limit = job["runlimit_min"] or state["queues"][job["queue"]].get("runlimit_min")
        if limit and now >= job["start"] + limit * 60 and not job.get("told_to_end") and not is_over(job):
            job["told_to_end"] = True
            order(state, "signal", job, "TERM")
