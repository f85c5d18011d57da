"""A job's attributes in the order in which Torque prints them, for XML and text alike."""

from __future__ import annotations

from datetime import UTC, datetime

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import Job, exec_host, is_six
from dynamiccluster.testing.torque_double.request import hms, walltime_s

Attribute = tuple[str, "str | list[tuple[str, str]]"]
"""A name and its value, or the values of its parts: ``Resource_List.nodes``."""

TIMES = frozenset({"ctime", "mtime", "qtime", "etime", "start_time", "comp_time", "Execution_Time"})
"""Epoch seconds in XML, words in text."""


def ctime(at: float) -> str:
    """``Fri Nov 20 06:47:18 2026``"""
    return datetime.fromtimestamp(int(at), tz=UTC).strftime("%a %b %e %H:%M:%S %Y")


def attributes(state: State, job: Job, now: float) -> list[Attribute]:
    """Without the id. Times are still numbers; what a job does not have is left out."""
    six = is_six(state)
    base = job["array"] or job["id"].removesuffix("[]")
    suffix = f"-{job['index']}" if job["array"] else ""
    stem = job["name"].removesuffix(suffix) if suffix else job["name"]
    found: list[Attribute] = []

    def add(name: str, value: object) -> None:
        if value not in (None, ""):
            found.append((name, str(value)))

    add("Job_Name", job["name"])
    add("Job_Owner", f"{job['user']}@{state['host']}")
    if used := job["used"]:
        parts = [("cput", hms(0)), ("energy_used", "0"), ("mem", used["mem"]), ("vmem", used["vmem"])]
        parts.append(("walltime", hms(used["walltime"])))
        found.append(("resources_used", [part for part in parts if six or part[0] != "energy_used"]))
    add("job_state", job["state"])
    add("queue", job["queue"])
    add("server", state["host"])
    add("Account_Name", job["account"])
    add("Checkpoint", "u")
    add("ctime", job["ctime"])
    add("depend", ",".join(job["depend"]))
    add("Error_Path", f"{state['host']}:{job['home']}/{stem}.e{base}{suffix}")
    if job["slots"]:
        add("exec_host", exec_host(state, job))
        if not six:
            add("exec_port", "+".join("15003" for _, slots in job["slots"] for _ in slots))
    add("Execution_Time", job["execution_time"])
    if not job["array"]:
        add("Hold_Types", job["hold"] or "n")
    elif job["state"] == "H":
        found.append(("Hold_Types", job["hold"] if six else ""))
    add("Join_Path", job["join"])
    add("Keep_Files", "n")
    add("Mail_Points", "a")
    add("mtime", job["mtime"])
    add("Output_Path", f"{state['host']}:{job['home']}/{stem}.o{base}{suffix}")
    add("Priority", job["priority"])
    if not (six and job["id"].endswith("[]")):
        add("qtime", job["qtime"])
    add("Rerunable", job["rerunable"])
    found.append(("Resource_List", [(key, value) for key, value in job["resources"]]))
    add("session_id", job["session"])
    add("substate", job["substate"])
    add("Variable_List", variables(job))
    add("euser", job["user"])
    add("egroup", job["group"])
    if job["start_count"]:
        add("hashname", f"{job['id'].replace('[', '-').replace(']', '')}.{state['host']}")
    add("queue_rank", job["rank"])
    add("queue_type", "E")
    add("comment", job["comment"])
    add("etime", job["etime"])
    add("exit_status", job["exit_status"])
    add("submit_args", job["submit_args"])
    add("job_array_id", job["index"])
    add("job_array_request", job["request"] if six else job["request"].partition("%")[0])
    if job["start"]:
        add("start_time", job["start"])
        found.append(("Walltime", [("Remaining", str(int(walltime_s(job) - (int(now) - job["start"]))))]))
        add("start_count", job["start_count"])
    add("fault_tolerant", "False")
    add("comp_time", job["comp_time"])
    add("job_radix", 0)
    add("submit_host", state["host"])
    if six:
        add("init_work_dir", job["cwd"])
        add("request_version", 1)
    add("x", job["x"])
    return found


def variables(job: Job) -> str:
    """``Variable_List``; a comma in a value would be escaped, and is not allowed here."""
    first = [f"PBS_ARRAYID={job['index']}"] if job["array"] else []
    return ",".join([*first, *(f"{key}={value}" for key, value in job["variables"])])
