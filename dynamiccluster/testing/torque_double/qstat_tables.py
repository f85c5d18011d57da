"""The tables of ``qstat``: jobs on one line each, queues, the server."""

from __future__ import annotations

from collections import Counter

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double import qstat
from dynamiccluster.testing.torque_double.cluster import Job, exec_host, full_id, is_six
from dynamiccluster.testing.torque_double.request import hms, node_count, resource, tasks, walltime_s

_STATES = (
    ("Transit", "T"),
    ("Queued", "Q"),
    ("Held", "H"),
    ("Waiting", "W"),
    ("Running", "R"),
    ("Exiting", "E"),
    ("Complete", "C"),
)


def plain(call: Call, state: State, jobs: list[Job]) -> None:
    """``qstat`` without options. Nothing at all if there are no jobs."""
    if not jobs:
        return
    call.say(
        "Job ID                    Name             User            Time Use S Queue",
        "------------------------- ---------------- --------------- -------- - -----",
    )
    for job in jobs:
        used = hms(0) if job["used"] else "0"
        call.say(
            f"{full_id(state, job)[:25]:<25}  {job['name'][:15]:<15}  {job['user'][:15]:<15} {used:>8} {job['state']} "
            f"{job['queue']:<15}"
        )


def wide(call: Call, state: State, jobs: list[Job], now: float, flags: set[str]) -> None:
    """``qstat -a``, ``-i``, ``-r``, with ``-n -1`` the hosts at the end of the line."""
    if not jobs:
        return
    six = is_six(state)
    gap, dash, at = ("   ", "---------", 9) if six else ("", "------", 6)
    call.say(
        "",
        f"{state['host']}: ",
        f"{'':82}Req'd{gap}    Req'd       Elap",
        f"Job ID                  Username    Queue    Jobname          SessID  NDS   TSK   Memory{gap}   Time    S   "
        "Time",
        f"----------------------- ----------- -------- ---------------- ------ ----- ------ {dash} --------- - "
        "---------",
    )
    for job in jobs:
        memory = next((value for key, value in reversed(job["resources"]) if key in ("mem", "pmem")), "-- ")
        counted = bool(resource(job, "nodes"))
        total = tasks(job) if six or not resource(job, "ncpus") else 1
        row = (
            f"{full_id(state, job):<23} {job['user'][:11]:<11} {job['queue'][:8]:<8} {job['name'][:16]:<16} "
            f"{job['session'] or '-- ':>6} {node_count(job) if counted else '-- ':>5} {total:>6} {memory:>{at}} "
            f"{hms(walltime_s(job)):>9} {job['state']} {_elapsed(job, now):>9}"
        )
        if "n" in flags:
            row += f"   {exec_host(state, job) or ' -- '}"
        call.say(row)


def _elapsed(job: Job, now: float) -> str:
    """Of a running job its time; of waiting jobs and of arrays as a whole the limit (recorded)."""
    if job["start"]:
        return hms(int(now) - job["start"])
    return hms(walltime_s(job)) if job["state"] in "RW" else "-- "


def queues(call: Call, state: State, flags: set[str], words: list[str]) -> int:
    """``qstat -q`` and ``qstat -Q -f``."""
    for word in words:
        if word not in state["queues"]:
            call.complain(f"qstat: Unknown queue {word}")
            return 170
    names = words or list(state["queues"])
    if "f" in flags:
        for name in names:
            _queue_in_full(call, state, name)
        return 0
    call.say(
        "",
        f"server: {state['host']}",
        "",
        "Queue            Memory CPU Time Walltime Node  Run Que Lm  State",
        "---------------- ------ -------- -------- ----  --- --- --  -----",
    )
    running = waiting = 0
    for name in names:
        queue = state["queues"][name]
        counts = _counts(state, name)
        active, others = counts["R"], counts["Q"] + counts["H"] + counts["W"]
        running, waiting = running + active, waiting + others
        longest = queue.get("resources_max.walltime", "--   ")
        letters = f"{'E' if queue.get('enabled') == 'True' else 'D'} {'R' if queue.get('started') == 'True' else 'S'}"
        most = queue.get("max_running", "--")
        call.say(f"{name:<16}   --      --    {longest:>8}   --  {active:>3} {others:>3} {most:>2}   {letters}")
    call.say(f"{'':47}----- -----", f"{'':47}{running:>5} {waiting:>5}")
    return 0


def _counts(state: State, queue: str = "") -> Counter[str]:
    jobs = [job for job in state["jobs"].values() if not queue or job["queue"] == queue]
    return Counter(job["state"] for job in jobs if not job["id"].endswith("[]"))


def _state_count(counts: Counter[str]) -> str:
    return qstat.line("state_count", "".join(f"{word}:{counts[letter]} " for word, letter in _STATES))


def _queue_in_full(call: Call, state: State, name: str) -> None:
    queue = state["queues"][name]
    counts = _counts(state, name)
    jobs = [job for job in state["jobs"].values() if job["queue"] == name]
    call.say(
        f"Queue: {name}",
        f"    queue_type = {queue['queue_type']}",
        f"    total_jobs = {counts.total()}",
        _state_count(counts),
    )
    for key, value in queue.items():
        if key.startswith("resources_"):
            call.say(f"    {key} = {value}")
    call.say(f"    mtime = {queue['mtime']}")
    _assigned(call, jobs)
    call.say(
        *(f"    {key} = {value}" for key, value in queue.items() if not key.startswith("resources_") and _is_other(key))
    )
    call.say("")


def _is_other(key: str) -> bool:
    return key not in ("queue_type", "mtime")


def _assigned(call: Call, jobs: list[Job]) -> None:
    running = [job for job in jobs if job["state"] == "R" and job["start"]]
    memory = sum(_bytes(resource(job, "mem")) for job in running)
    if memory:
        call.say(f"    resources_assigned.mem = {memory}b")
    if running:
        call.say(f"    resources_assigned.nodect = {sum(node_count(job) for job in running)}")


def _bytes(text: str) -> int:
    units = {"kb": 10, "mb": 20, "gb": 30, "tb": 40}
    return int(text[:-2]) << units[text[-2:]] if text[-2:] in units else 0


def server(call: Call, state: State) -> int:
    """``qstat -B -f``."""
    counts = _counts(state)
    call.say(
        f"Server: {state['host']}",
        "    server_state = Active",
        f"    scheduling = {state['server']['scheduling']}",
        f"    total_jobs = {counts.total()}",
        _state_count(counts),
    )
    for key, value in state["server"].items():
        if key in ("scheduling", "managers_of_nodes"):
            continue
        if key == "scheduler_iteration":
            _assigned(call, list(state["jobs"].values()))
        call.say(f"    {key} = {value}")
        if key == "mom_job_sync":
            call.say(f"    pbs_version = {state['version']}")
        if key == "auto_node_np":
            call.say(f"    next_job_number = {state['next_job']}", "    net_counter = 5 0 0")
    call.say("")
    return 0
