"""Situations of the recorded Torque 6.1.3, one for each stage of its day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torque_situations import at, deferred, jobs_in, nodes_in, running, seen, six

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import new_node
from dynamiccluster.testing.torque_double.maui import reservation

S1 = 1795157267
"""06:47:47, when the queue of the first situation was listed."""


def s1(clock: int = S1, maui: int = at("06:47:49")) -> Callable[[], State]:
    def make() -> State:
        state = running(clock)
        found = reservation(state, state["jobs"]["1"], state["nodes"], maui)
        return seen(state, maui, clock, reservations={"1": found})

    return make


def created() -> State:
    """Before s1: two nodes, the second just created."""
    state = six(at("06:46:34"))
    state["nodes"] = nodes_in(("torque", "s1_pbsnodes_x.xml"))
    one = state["nodes"]["node01"]
    listed = "nsessions=0,nusers=0,idletime=11062,totmem=24684092kb,availmem=21268876kb,physmem=24684092kb,ncpus=2"
    first = "opsys=linux,uname=Linux node01 6.18.44-fc-v657 #1 SMP PREEMPT_DYNAMIC @0 x86_64"
    last = "loadave=126.73,gres=,netload=10146,state=free,varattr= ,cpuclock=Fixed,macaddr=ee:c5:cf:b9:80:81"
    text = f"{first},{listed},{last},version=6.1.3,rectime=1795157194,jobs="
    one.update(jobs=[], status=[pair.split("=", 1) for pair in text.split(",")])
    state["nodes"]["node02"] = {**new_node(4, state["now"], six=True), "properties": ["bigmem"]}
    return state


def without(node: str) -> Callable[[], State]:
    def make() -> State:
        state = created()
        state["nodes"].pop(node, None)
        return state

    return make


def with_node(name: str, **facts: Any) -> Callable[[], State]:
    def make() -> State:
        state = created()
        state["nodes"][name] = {**new_node(4, state["now"], six=True), **facts}
        return state

    return make


def offered(number: int, server: bool = False, queue: bool = False, transit: bool = False) -> Callable[[], State]:
    """s1 at 06:48, with the number of the next job and what lets infeasible jobs in."""

    def make() -> State:
        state = running(at("06:48:11"))
        state["next_job"] = number
        if server:
            state["server"]["resources_available.nodect"] = "100"
        if queue:
            state["queues"]["batch"]["resources_available.nodect"] = "100"
        if transit:
            state["queues"]["batch"]["is_transit"] = "True"
        return state

    return make


def empty() -> State:
    return six(at("06:46:40"))


def draining() -> State:
    state = running(1795157350)
    state["nodes"].update(nodes_in(("torque", "s2_pbsnodes_x_draining_node01.xml")))
    return state


def third(how: str) -> Callable[[], State]:
    def make() -> State:
        state = running(at("06:50:45"))
        state["nodes"].update(nodes_in(("torque", f"s3_pbsnodes_x_node03_{how}.xml")))
        return state

    return make


def third_in_use() -> State:
    """06:51:08: two of the waiting jobs run on the new node."""
    state = running(1795157468)
    state["jobs"] = jobs_in(("torque", "s4_qstat_x_after_down.xml"), ("torque", "s1_qstat_x.xml"))
    state["nodes"] = nodes_in(("torque", "s3_pbsnodes_x_after_node03.xml"))
    return state


def third_down() -> State:
    state = third_in_use()
    state["now"] = 1795157470
    state["nodes"].update(nodes_in(("torque", "s4_pbsnodes_x_node03_down.xml")))
    return state


def third_being_deleted() -> State:
    """One of its jobs is purged, the other still there, and so is the node: the deletion is under way."""
    state = third_down()
    state["nodes"] = nodes_in(("torque", "s4_pbsnodes_x_after_delete.xml"))
    return state


def held() -> State:
    """s5, 07:11: jobs held in all ways, others still deferred by Maui."""
    state = running(1795158676)
    state["jobs"] = jobs_in(("torque", "s5_qstat_x_holds_and_completed.xml"), ("torque", "s1_qstat_x.xml"))
    names = [*jobs_in(("torque", "s5_qstat_x_holds_and_completed.xml")), "4[]"]
    state["jobs"] = {job_id: job for job_id, job in state["jobs"].items() if job_id in names}
    del state["nodes"]["node01"]
    return state


def not_held() -> State:
    """The same before an operator and two users held some."""
    state = held()
    for job_id in ("13", "24", "26"):
        state["jobs"][job_id].update(state="Q", hold="", substate=10)
    return state


def fourth() -> State:
    state = held()
    state["nodes"].update(nodes_in(("torque", "s5_pbsnodes_x_node04_offline_idle.xml")))
    return state


def placeholders() -> State:
    """s7: two nodes that are free; of two others the records were deleted."""
    state = held()
    state["maui"]["deferred"] = deferred(_1="procs", _23="procs", _29="procs", _30="procs", _31="reservation")
    state["jobs"]["4[9]"]["state"] = "H"  # by then it ran; which of the nodes it is on does not matter here
    state["nodes"] = {}
    for name, np in (("node02", 4), ("node04", 16)):
        state["nodes"][name] = {**new_node(np, 0, six=True), "offline": False, "down": False, "unsent_until": 0}
        state["nodes"][name]["rectime"] = state["now"]
    return state


def placeholders_later() -> State:
    """The mom of the first one was alive: it opened by itself, which is the trap."""
    state = placeholders()
    for name, features in (("node01", ["cloud", "dynamic"]), ("node03", ["gpuplace"])):
        state["nodes"][name] = {**state["nodes"]["node02"], "properties": features, "jobs": []}
    state["nodes"]["node03"]["down"] = True
    return state


def placeholders_last() -> State:
    state = placeholders_later()
    state["nodes"]["node03"]["offline"] = True
    state["next_job"] = 32
    return state


def server_down() -> State:
    return {**held(), "fault": {"server": "down"}}
