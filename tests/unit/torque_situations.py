"""Recorded situations of real Torque and Maui, as states of the double. Derived from the recordings themselves.

Jobs and nodes come from the recorded XML; what no XML says (Maui's memory, queues, numbers) is written out here.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double import maui
from dynamiccluster.testing.torque_double.cluster import FOUR, SIX, new_cluster
from dynamiccluster.testing.torque_double.request import seconds

RECORDED = Path(__file__).parents[1] / "recorded"
DAY = 1795132800  # 2026-11-20 00:00:00 UTC


def at(clock: str) -> int:
    """Epoch seconds of a time of the recorded day."""
    return DAY + seconds(clock)


def job_of(element: ElementTree.Element) -> dict[str, Any]:
    """A recorded ``<Job>`` as the double keeps it."""

    def text(name: str) -> str:
        return element.findtext(name) or ""

    def number(name: str) -> int | None:
        return int(text(name)) if text(name) else None

    job_id = text("Job_Id").partition(".")[0]
    index = number("job_array_id")
    used = element.find("resources_used")
    variables = [pair.split("=", 1) for pair in text("Variable_List").split(",")]
    hold = text("Hold_Types").replace("n", "")
    limited = index is not None and text("job_state") == "H"
    return {
        "id": job_id,
        "array": job_id.partition("[")[0] if index is not None else "",
        "index": index,
        "request": text("job_array_request"),
        "limited": limited,
        "name": text("Job_Name"),
        "user": text("euser"),
        "group": text("egroup"),
        "home": text("Error_Path").partition(":")[2].rpartition("/")[0],
        "cwd": text("init_work_dir"),
        "queue": text("queue"),
        "account": text("Account_Name"),
        "state": text("job_state"),
        "substate": number("substate"),
        "hold": hold,
        "ctime": number("ctime"),
        "qtime": number("qtime") or number("ctime"),
        "etime": number("etime"),
        "mtime": number("mtime"),
        "start": number("start_time") or 0,
        "execution_time": number("Execution_Time"),
        "resources": [[one.tag, one.text or ""] for one in element.findall("Resource_List/*")],
        "slots": slots_of(text("exec_host")),
        "session": number("session_id"),
        "rank": number("queue_rank"),
        "submit_args": text("submit_args"),
        "start_count": number("start_count") or 0,
        "comment": text("comment"),
        "exit_status": number("exit_status"),
        "comp_time": number("comp_time"),
        "depend": [text("depend")] if text("depend") else [],
        "x": text("x") or None,
        "used": None
        if used is None
        else {
            "mem": used.findtext("mem"),
            "vmem": used.findtext("vmem"),
            "walltime": seconds(used.findtext("walltime") or "0"),
        },
        "used_at": 0,
        "priority": number("Priority"),
        "join": text("Join_Path"),
        "rerunable": text("Rerunable"),
        "variables": [pair for pair in variables if pair[0] != "PBS_ARRAYID"],
        "script": "",
        "run_s": None,
    }


def slots_of(exec_host: str) -> list[list[Any]]:
    found: dict[str, list[int]] = {}
    for part in filter(None, exec_host.split("+")):
        name, _, slots = part.partition("/")
        low, _, high = slots.partition("-")
        found.setdefault(name, []).extend(range(int(low), int(high or low) + 1))
    return [[name, slots] for name, slots in found.items()]


def node_of(element: ElementTree.Element) -> dict[str, Any]:
    """A recorded ``<Node>`` as the double keeps it."""
    states = (element.findtext("state") or "").split(",")
    status = [pair.split("=", 1) for pair in (element.findtext("status") or "").split(",") if pair]
    jobs = []
    for entry in filter(None, (element.findtext("jobs") or "").split(",")):
        slots, _, job_id = entry.partition("/")
        low, _, high = slots.partition("-")
        jobs.append([list(range(int(low), int(high or low) + 1)), job_id.partition(".")[0]])
    return {
        "np": int(element.findtext("np") or 0),
        "properties": [word for word in (element.findtext("properties") or "").split(",") if word],
        "offline": "offline" in states,
        "down": "down" in states,
        "unsent_until": 2e9 if "MOM-list-not-sent" in states else 0,
        "note": element.findtext("note") or "",
        "status": status,
        "rectime": int(dict(status).get("rectime", 0)),
        "created": 0,
        "jobs": jobs,
    }


def _tree(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - our own recordings


def read(system: str, name: str) -> str:
    return (RECORDED / system / name).read_text(encoding="utf-8")


def jobs_in(*files: tuple[str, str]) -> dict[str, Any]:
    """Jobs of these recordings, in the order of their rank; of a job that is in several the first one counts."""
    found = {}
    for system, name in files:
        text = read(system, name)
        for element in _tree(text) if text.strip() else ():
            job = job_of(element)
            found.setdefault(job["id"], job)
    return dict(sorted(found.items(), key=lambda item: item[1]["rank"]))


def nodes_in(*files: tuple[str, str]) -> dict[str, Any]:
    """Nodes of these recordings; of a node that is in several the last one counts."""
    found: dict[str, Any] = {}
    for system, name in files:
        for element in _tree(read(system, name)):
            found[element.findtext("name") or ""] = node_of(element)
    return found


def six(now: int) -> State:
    """The recorded 6.1.3: its queues and server, without nodes or jobs."""
    state = new_cluster(now, version=SIX)
    batch = state["queues"]["batch"]
    batch["mtime"] = 1795157161
    limits = {"resources_default.nodes": "1", "enabled": "True", "started": "True"}
    state["queues"] = {
        "batch": batch,
        "short": {
            "queue_type": "Execution",
            "mtime": 1795157161,
            "resources_max.walltime": "01:00:00",
            "resources_default.walltime": "00:30:00",
            **limits,
        },
        "long": {
            "queue_type": "Execution",
            "mtime": 1795157161,
            "resources_default.walltime": "24:00:00",
            "resources_default.nodes": "1",
            "max_user_run": "2",
            "enabled": "True",
            "started": "True",
        },
    }
    state["maui"]["classes"] = {"short": 100, "long": 10}
    return state


def running(now: int) -> State:
    """s1: 21 jobs, two nodes full."""
    state = six(now)
    state["jobs"] = jobs_in(("torque", "s1_qstat_x_t.xml"), ("torque", "s1_qstat_x.xml"))
    state["nodes"] = nodes_in(("torque", "s1_pbsnodes_x.xml"))
    state["next_job"] = 18
    for job in state["jobs"].values():
        if job["id"] == "0":
            job["extra_s"] = 7  # what Maui counts beyond the time since the start; no rule is known
    return state


def seen(state: State, now: int, clock: int, **more: Any) -> State:
    """The same with what Maui saw at ``now``; the double's time is ``clock``."""
    state["now"] = now
    known = state["maui"]
    known.update(more)
    known["view"] = known["view"] or None
    maui.look(state, now)
    state["now"] = clock
    state["next_cycle"] = clock + 10
    return state


def four(now: int) -> State:
    """The recorded 4.2.10 with ``pbs_sched``."""
    state = new_cluster(now, version=FOUR, scheduler="pbs_sched", address="10.81.0.1")
    state["queues"]["batch"]["mtime"] = now
    return state


def deferred(**reasons: str) -> dict[str, Any]:
    """What Maui has put aside: ``_29="procs"`` or ``_29="reservation"``."""
    texts = {
        "procs": "exceeds available partition procs",
        "reservation": "cannot create reservation for job '{0}' (intital reservation attempt)\n",
    }
    return {key[1:]: {"reason": texts[how].format(key[1:]), "until": 2e9} for key, how in reasons.items()}
