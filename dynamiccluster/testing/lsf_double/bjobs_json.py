"""``-o`` and ``-json`` of LSF 10.1, in the shapes of its documentation (never seen from a real one)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dynamiccluster.testing.lsf_double.cluster import Job, key_of
from dynamiccluster.testing.lsf_double.words import short_time
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State


def _pending(job: Job) -> str:
    if job["state"] not in ("PEND", "PSUSP"):
        return ""
    told = []
    for text, hosts in job["reasons"]:
        plain = text or "The job array has reached its job slot limit"
        many = f": {len(hosts)} host{'s' if len(hosts) != 1 else ''}" if any(hosts) else ""
        told.append(f"{plain}{many};")
    return " ".join(told)


def _hosts(job: Job) -> str:
    counts = {name: job["exec"].count(name) for name in dict.fromkeys(job["exec"])}
    return ":".join(f"{count}*{name}" if count > 1 else name for name, count in counts.items())


FIELDS: dict[str, Callable[[State, Job], str]] = {
    "jobid": lambda state, job: key_of(job),
    "jobindex": lambda state, job: str(job["index"]),
    "stat": lambda state, job: str(job["state"]),
    "user": lambda state, job: job["user"],
    "user_group": lambda state, job: "",
    "queue": lambda state, job: job["queue"],
    "proj_name": lambda state, job: job["project"],
    "job_name": lambda state, job: job["name"],
    "nreq_slot": lambda state, job: str(job["n"]),
    "min_req_proc": lambda state, job: str(job["n"]),
    "max_req_proc": lambda state, job: str(job["n"]),
    "slots": lambda state, job: str(len(job["exec"]) or ""),
    "exec_host": lambda state, job: _hosts(job),
    "nexec_host": lambda state, job: str(len(set(job["exec"]))),
    "effective_resreq": lambda state, job: f"{job['resreq']} " if job["resreq"] else "",
    "combined_resreq": lambda state, job: f"{job['resreq']} " if job["resreq"] else "",
    "runtimelimit": lambda state, job: f"{float(job['runlimit_min']):.1f}" if job["runlimit_min"] else "",
    "run_time": lambda state, job: f"{_run_s(state, job)} second(s)",
    "submit_time": lambda state, job: short_time(job["submit"]),
    "start_time": lambda state, job: short_time(job["start"]),
    "finish_time": lambda state, job: short_time(job["end"]),
    "specified_start_time": lambda state, job: short_time(job["begin"] or 0),
    "pend_reason": lambda state, job: _pending(job),
    "exec_cwd": lambda state, job: job["home"] if job["start"] else "",
    "from_host": lambda state, job: job["from"],
    "dependency": lambda state, job: job["depend"],
    "ask_hosts": lambda state, job: " ".join(job["hosts_asked"]),
    "exclusive": lambda state, job: "N",
    "job_priority": lambda state, job: "",
    "exit_code": lambda state, job: str(job["exit"] or ""),
    "command": lambda state, job: job["command"],
    "gpu_num": lambda state, job: "",
}


def _run_s(state: State, job: Job) -> int:
    if not job["start"]:
        return 0
    return int((job["end"] or state["now"]) - job["start"])


def show(call: Call, state: State, jobs: list[Job], options: dict[str, str]) -> int:
    """``-o "f1 f2"`` with ``-json``, or as a table with ``delimiter='...'``."""
    names = [word for word in options["-o"].replace(",", " ").split() if not word.startswith("delimiter")]
    names = [name.partition(":")[0] for name in names]
    for name in names:
        if name not in FIELDS:
            call.complain(f"bjobs: {name} is not a valid field name")
            return 255
    rows = [{name.upper(): FIELDS[name](state, job) for name in names} for job in jobs]
    if "-json" in options:
        if "-noheader" in options:
            call.complain("bjobs: -json and -noheader cannot be used together")
            return 255
        say(call, "bjobs", "JOBS", rows)
        return 0
    if not rows:
        call.complain("No unfinished job found")
        return 255
    call.say(" ".join(name.upper() for name in names))
    call.say(*(" ".join(value or "-" for value in row.values()) for row in rows))
    return 0


def say(call: Call, command: str, count: str, rows: list[dict[str, Any]]) -> None:
    """The one form of all of LSF's JSON: all values are text, ``/`` is escaped."""
    text = json.dumps({"COMMAND": command, count: len(rows), "RECORDS": rows}, indent=2)
    call.say(text.replace("/", "\\/"))
