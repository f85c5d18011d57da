"""Situations of the recorded Torque 4.2.10 with ``pbs_sched``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torque_situations import at, four, jobs_in, nodes_in

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import new_node


def older(now: int, nodes: str) -> Callable[[], State]:
    """4.2.10 without jobs, with the nodes of a recording."""

    def make() -> State:
        state = four(now)
        state["nodes"] = nodes_in(("torque42", nodes))
        return state

    return make


def with_array42(file: str, state: str) -> dict[str, Any]:
    """The jobs of a recording of elements, and the array as a whole, which only a later one shows."""
    parent = jobs_in(("torque42", "s5_qstat_after_pbs_sched_cycle.txt"))["4[]"]
    found = {**jobs_in(("torque42", file)), "4[]": {**parent, "state": state}}
    return dict(sorted(found.items(), key=lambda item: item[1]["rank"]))


def waiting42() -> State:
    state = older(at("07:13:20"), "s1_pbsnodes_x.xml")()
    state["jobs"] = with_array42("s1_qstat_x_t.xml", "Q")
    state["next_job"] = 7
    return state


def running42() -> State:
    state = older(at("07:14:10"), "s3_pbsnodes_x_running.xml")()
    state["jobs"] = with_array42("s3_qstat_x_t_running.xml", "R")
    return state


def orphaned42() -> State:
    """node01 was deleted with jobs on it: they stay R on no node; others were deleted as infeasible."""
    state = running42()
    state.update(now=at("07:14:17"), next_job=10)
    state["nodes"] = nodes_in(("torque42", "s4_pbsnodes_x_after.xml"))
    for job_id in ("1", "3"):
        state["jobs"][job_id].update(state="C", substate=59, expires=2e9)
    return state


def transit42() -> State:
    state = orphaned42()
    state["queues"]["batch"]["is_transit"] = "True"
    return state


def deleted42() -> State:
    """07:16:39: the job that was let in is completed already; arrays are shown as a whole."""
    state = orphaned42()
    state["now"] = 1795158999
    state["jobs"] = jobs_in(
        ("torque42", "s5_qstat_after_pbs_sched_cycle.txt"), ("torque42", "s3_qstat_x_t_running.xml")
    )
    listed = jobs_in(("torque42", "s5_qstat_after_pbs_sched_cycle.txt"))
    state["jobs"] = {job_id: job for job_id, job in state["jobs"].items() if job_id in listed or job["array"]}
    state["jobs"]["10"]["expires"] = 2e9
    return state


def placeholder42() -> State:
    state = orphaned42()
    node = {**new_node(4, 0, six=False), "properties": ["cloud"], "note": "placeholder"}
    state["nodes"]["node01"] = node
    state["next_job"] = 11
    return state


def placeholder42_queue() -> State:
    """07:18:12, after two jobs that the placeholder lets in."""
    state = deleted42()
    state["now"] = at("07:18:12")
    for job_id, name, nodes in (("11", "ph2", "2:ppn=4"), ("12", "phc", "1:ppn=2:cloud")):
        made = {**state["jobs"]["10"], "id": job_id, "name": name, "state": "Q", "substate": 10, "rank": 12}
        asked = {"neednodes": nodes, "nodect": nodes[0], "nodes": nodes, "walltime": "01:00:00"}
        state["jobs"][job_id] = {**made, "resources": [list(pair) for pair in asked.items()]}
    return state
