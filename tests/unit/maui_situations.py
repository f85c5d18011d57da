"""Situations of the recorded Maui: what it believed at each stage of the same day as ``torque_six_situations``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from replay import masked
from torque_situations import at, deferred, jobs_in, nodes_in, seen
from torque_six_situations import held, placeholders_last, placeholders_later, s1, third_in_use

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import new_node
from dynamiccluster.testing.torque_double.maui import reservation


def told(state: State, name: str, at_s: int, /, **facts: Any) -> State:
    """What Maui believes of a node, where it depends on what happened before the situation."""
    node = state["maui"]["view"]["nodes"][name]
    node.update(facts)
    if "age_s" in facts:
        node["since"] = at_s - node.pop("age_s")
    return state


def first_node() -> State:
    return told(s1()(), "node01", at("06:47:49"), age_s=20, total_s=54, up_s=54, active_s=19)


def more_jobs(clock: str, **put_aside: str) -> Callable[[], State]:
    """s2 and s3: the jobs of s1, and those that were let in since."""

    def make() -> State:
        state = s1(at(clock))()
        added = jobs_in(("torque", "s4_qstat_x_after_down.xml"))
        state["jobs"] = {**state["jobs"], **{job_id: job for job_id, job in added.items() if int(job["rank"]) > 22}}
        state["maui"]["idle_at"] = {job_id: at("06:49:03") for job_id in ("1", "23")}
        return seen(state, at(clock), at(clock), deferred=deferred(**put_aside))

    return make


both = more_jobs("06:49:03", _29="procs", _30="procs")
later = more_jobs("06:49:33", _1="procs", _23="procs", _29="procs", _30="procs")


def drained() -> State:
    """06:49:13: node01 is held; Maui reserves for another job than before."""
    state = both()
    state["nodes"].update(nodes_in(("torque", "s2_pbsnodes_x_draining_node01.xml")))
    put_aside = deferred(_1="procs", _23="procs", _29="procs", _30="procs")
    when = at("06:49:13")
    up = {"node02": state["nodes"]["node02"]}
    state["now"] = when
    kept = {"7": reservation(state, state["jobs"]["7"], up, when)}
    seen(state, when, when, reservations=kept, deferred=put_aside)
    return told(state, "node01", when, age_s=0, total_s=133, up_s=133, active_s=98)


def reserved(*names: str) -> Callable[[], State]:
    """The same with reservations of users."""

    def make() -> State:
        state = drained()
        start = at("06:49:18")
        known = {
            "hpcxres": {
                "name": "hpcxres.0",
                "start": start + 3600,
                "end": start + 5 * 3600,
                "nodes": ["node02"],
                "acl": {"user": ["bob"]},
            },
            "cloudres": {
                "name": "cloudres.0",
                "start": start,
                "end": 0,
                "nodes": ["node01", "node02"],
                "acl": {"account": ["projX"]},
            },
        }
        for name in names:
            state["maui"]["user_reservations"].append(known[name])
            seen(state, at("06:49:13"), at("06:49:13"))
        return state

    return make


def grown() -> State:
    """06:51:03: two jobs run on node03, which Maui still believes to be alive."""
    state = third_in_use()
    state["now"] = at("06:51:03")
    put_aside = deferred(_1="procs", _23="procs", _29="procs", _30="procs")
    seen(state, at("06:51:03"), at("06:51:03"), deferred=put_aside)
    told(state, "node03", at("06:51:03"), age_s=0, total_s=75, up_s=19, active_s=9)
    return told(state, "node03", at("06:51:03"), load=3.56, free_kib=24684092 - 3841 * 1024)


def newest() -> State:
    """07:11: node04 was just created; Maui saw it before its mom had reported."""
    state = held()
    state["nodes"]["node04"] = new_node(2, 0, six=True)
    put_aside = deferred(_1="procs", _23="procs", _29="procs", _30="procs", _31="reservation")
    seen(state, at("07:11:10"), at("07:11:10"), deferred=put_aside)
    kib = {"memory_kib": 24684092, "swap_kib": 24684092, "free_kib": 24684092 - 3463 * 1024}
    return told(state, "node04", at("07:11:10"), age_s=0, up_s=0, load=1.03, shown_load=0.0, **kib)


def bigger(clock: str, reason: str, idle_at: str = "", **priorities: int) -> Callable[[], State]:
    """s6 and s7: node04 has 16 slots now, job 29 is deferred all the same."""

    def make() -> State:
        state = placeholders_last()
        state["now"] = at(clock)
        state["maui"]["idle_at"] = {"23": at("06:49:03"), **({"29": at(idle_at)} if idle_at else {})}
        state["maui"]["priorities"] = {key[1:]: value for key, value in priorities.items()}
        jobs = state["jobs"]
        for job_id, name, nodes in (("32", "phg", "1:ppn=2:gpuplace"), ("33", "phx", "4:ppn=4")):
            asked = [["nodes", nodes], ["nodect", nodes[0]], ["neednodes", nodes], ["walltime", "01:00:00"]]
            jobs[job_id] = {**jobs["31"], "id": job_id, "name": name, "resources": asked, "qtime": at("07:18:44")}
        state["maui"]["idle_at"]["32"] = at("07:18:45")
        put_aside = deferred(
            _1="procs", _23="procs", _29=reason, _30="procs", _31="reservation", _32="reservation", _33="procs"
        )
        for job_id, start in (("4[9]", "07:16:03"), ("4[10]", "07:17:22")):
            jobs[job_id].update(state="R", start=at(start), slots=[["node04", [int(job_id == "4[10]")]]], hold="")
            state["nodes"]["node04"]["jobs"].append([[int(job_id == "4[10]")], job_id])
        for job_id in ("10", "4[7]", "4[8]"):
            del jobs[job_id]
        return seen(state, at(clock), at(clock), deferred=put_aside)

    return make


showing = bigger("07:19:05", "reservation", "07:16:13", _29=27)


def placeholder_node() -> State:
    state = told(showing(), "node01", at("07:19:05"), age_s=10, total_s=692, up_s=682, active_s=637, load=4.22)
    kib = {"memory_kib": 24684092, "swap_kib": 24684092, "free_kib": 24684092 - 3635 * 1024}
    return told(state, "node01", at("07:19:05"), **kib)


def node_table() -> State:
    """Four nodes; of node03 Maui has the old picture, with the properties it had before it was deleted."""
    state = showing()
    state["maui"]["view"]["nodes"] = dict(sorted(state["maui"]["view"]["nodes"].items()))
    kib = {"memory_kib": 24684092, "swap_kib": 24684092, "load": 4.22}
    told(state, "node01", 0, **kib, free_kib=20470 * 1024)
    told(state, "node02", 0, **kib, free_kib=20483 * 1024, state="Running", used=1, features=["bigmem"])
    told(state, "node04", 0, **kib, free_kib=20483 * 1024, features=["cloud"])
    told(state, "node03", 0, **{**kib, "load": 3.17}, free_kib=20293 * 1024, features=["cloud", "dynamic"])
    told(state, "node03", 0, state="Down", updated=at("07:19:05") - 1391)
    state["maui"]["view"]["slots"] = {"node02": ["4[8]"], "node04": ["4[9]", "4[10]"]}
    return state


def stale() -> State:
    """The server is down: Maui goes on showing what it saw last."""
    state = showing()
    job = {**state["jobs"]["4[9]"], "id": "34", "array": "", "user": "alice", "start": at("07:20:06")}
    asked = [["nodes", "1:ppn=1"], ["walltime", "00:05:00"]]
    state["jobs"]["34"] = {**job, "resources": asked, "slots": [["node02", [3]]]}
    state["nodes"]["node02"]["jobs"].append([[3], "34"])
    return {**seen(state, at("07:20:06"), at("07:21:00")), "fault": {"server": "down"}}


def lone(clock: str, *, node: bool = True, starts: str = "") -> Callable[[], State]:
    """s8: two jobs of 16 slots, deferred before node04 came; one of them released."""

    def make() -> State:
        state = placeholders_later()
        state["now"] = at(clock)
        like = state["jobs"]["29"]
        asked = [["nodes", "1:ppn=16"], ["nodect", "1"], ["walltime", "00:10:00"]]
        made = {**like, "resources": asked, "qtime": at("07:27:36"), "user": "bob"}
        state["jobs"] = {job_id: {**made, "id": job_id} for job_id in ("35", "36")}
        del state["nodes"]["node03"]
        if not node:
            state["nodes"]["node04"]["np"] = 8
        put_aside = deferred(_35="procs", _36="procs")
        if starts:
            del put_aside["35"]
            state["jobs"]["35"].update(state="R", start=at(starts), start_count=1)
            state["jobs"]["35"]["slots"] = [["node04", list(range(16))]]
            state["nodes"]["node04"]["jobs"] = [[list(range(16)), "35"]]
        seen(state, at(clock), at(clock), deferred=put_aside)
        kib = {"memory_kib": 24684092, "swap_kib": 24684092, "free_kib": 24684092 - 2381 * 1024}
        return told(state, "node04", at(clock), age_s=30, **kib)

    return make


no_columns = masked(
    r" +(?:CLIENT=\[NONE\] CLIENT=\[NONE\]\[s|\[DEFAULT\]\[DEFAULT\]\[short_\S*|\[DEFAULT\]) +\[DEFAULT\]"
)
"""Classes and networks of ``diagnose -n``: leftovers of a buffer, different from line to line."""
