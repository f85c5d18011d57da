"""``showq`` and ``showres``: Maui's picture of jobs and reservations, as old as its last look."""

from __future__ import annotations

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.attributes import ctime
from dynamiccluster.testing.torque_double.maui import View, class_priority


def span(seconds: float) -> str:
    """``[-][D:]HH:MM:SS``; hours are padded only where they are none, or follow days."""
    sign, whole = ("-" if seconds < 0 else ""), abs(int(seconds))
    days, hours, rest = whole // 86400, whole // 3600 % 24, f"{whole // 60 % 60:02}:{whole % 60:02}"
    if days:
        return f"{sign}{days}:{hours:02}:{rest}"
    return f"{sign}{hours or '00'}:{rest}"


def remaining(view: View, job: View) -> float:
    return float(job["start"] + job["limit_s"] - view["at"])


def running(view: View) -> list[str]:
    """Ids of running jobs, the one that ends first first."""
    found = [job_id for job_id, job in view["jobs"].items() if job["state"] == "Running"]
    return sorted(found, key=lambda job_id: remaining(view, view["jobs"][job_id]))


def start_priority(state: State, view: View, job_id: str) -> int:
    job = view["jobs"][job_id]
    minutes = (view["at"] - job["queued_at"]) / 60
    told: int | None = state["maui"].get("priorities", {}).get(job_id)
    return told if told is not None else max(1, int(minutes + class_priority(state, job["class"])))


def showq(call: Call, state: State) -> int:
    view = state["maui"]["view"]
    if "-i" in call.arguments:
        return _idle(call, state, view)
    if "-b" in call.arguments:
        return _blocked(call, view)
    jobs = view["jobs"]
    active = running(view)
    idle = [job_id for job_id, job in jobs.items() if job["state"] == "Idle"]
    blocked = [job_id for job_id, job in jobs.items() if job["state"] not in ("Idle", "Running")]
    call.say("ACTIVE JOBS--------------------")
    call.say("JOBNAME            USERNAME      STATE  PROC   REMAINING            STARTTIME", "")
    for job_id in active:
        call.say(_row(job_id, jobs[job_id], span(remaining(view, jobs[job_id])), jobs[job_id]["start"]))
    nodes = [node for node in view["nodes"].values() if node["state"] not in ("Down", "Drained") or node["used"]]
    _usage(call, len(active), sum(jobs[job_id]["procs"] for job_id in active), nodes)
    for title, names in (("IDLE JOBS----------------------", idle), ("BLOCKED JOBS----------------", blocked)):
        call.say(title, "JOBNAME            USERNAME      STATE  PROC     WCLIMIT            QUEUETIME", "")
        for job_id in names:
            job = jobs[job_id]
            call.say(_row(job_id, job, span(job["limit_s"]), job["queued_at"]))
        call.say(*(("", f"{len(names)} Idle Job{'s' if len(names) != 1 else ''}", "") if title[0] == "I" else ("",)))
    total = len(active) + len(idle) + len(blocked)
    call.say(
        f"Total Jobs: {total}   Active Jobs: {len(active)}   Idle Jobs: {len(idle)}   Blocked Jobs: {len(blocked)}"
    )
    return 0


def _row(job_id: str, job: View, length: str, at: float) -> str:
    return f"{job_id:<17} {job['user']:>9} {job['state']:>10} {job['procs']:>5} {length:>11}  {ctime(at)[:-5]}"


def _usage(call: Call, active: int, busy: int, nodes: list[View]) -> None:
    slots = sum(node["np"] for node in nodes)
    in_use = sum(1 for node in nodes if node["used"])
    call.say(
        "",
        f"{active:>6} Active Job{'s' if active != 1 else ' '}  {busy:>6} of {slots:>4} Processors Active "
        f"({_percent(busy, slots)})",
        f"{'':19}{in_use:>7} of {len(nodes):>4} Nodes Active      ({_percent(in_use, len(nodes))})",
        "",
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole if whole else 0:.2f}%"


def _idle(call: Call, state: State, view: View) -> int:
    call.say(
        "           JobName    Priority  XFactor  Q      User    Group  Procs     WCLimit     Class      "
        "SystemQueueTime",
        "",
    )
    jobs = {job_id: job for job_id, job in view["jobs"].items() if job["state"] == "Idle"}
    work = 0.0
    for job_id, job in jobs.items():
        waited = view["at"] - job["queued_at"]
        star = "*" if job_id in state["maui"]["reservations"] else " "
        factor = 1 + waited / job["limit_s"] if job["limit_s"] else 1
        work += job["procs"] * job["limit_s"] / 3600
        call.say(
            f"{job_id:>18}{star} {start_priority(state, view, job_id):>10} {factor:>8.1f}  - {job['user']:>9} "
            f"{job['group']:>8} {job['procs']:>6} {span(job['limit_s']):>11} {job['class']:>9}  "
            f"{ctime(job['queued_at'])[:-5]}"
        )
    slots = sum(node["np"] for node in view["nodes"].values() if node["state"] != "Down")
    call.say(
        "", f"Jobs: {len(jobs)}  Total Backlog: {work:>6.2f} ProcHours  ({work / slots if slots else 0:.2f} Hours)"
    )
    return 0


def _blocked(call: Call, view: View) -> int:
    call.say("           JobName      User               Reason", "")
    for job_id, job in view["jobs"].items():
        if job["state"] == "Hold":
            call.say(f"{job_id:>18} {job['user']:>9} 'Hold'")
        elif job["state"] == "Deferred":
            call.say(f"{job_id:>18} {job['user']:>9} state 'Deferred'")
    return 0


def showres(call: Call, state: State) -> int:
    """``-n``: one line for each node of each reservation."""
    view = state["maui"]["view"]
    if "-n" in call.arguments:
        return _by_node(call, state, view)
    found = _reservations(state, view)
    call.say("Reservations", "")
    call.say("ReservationID       Type S       Start         End    Duration    N/P    StartTime", "")
    for name, kind, letter, start, length, nodes, slots in found:
        begins, ends = _relative(view, start, length)
        shown = f"{nodes}/{slots}"
        length_text = span(length) if length is not None else "INFINITY"
        call.say(
            f"{name:<18} {kind:>5} {letter} {begins:>11} {ends:>11} {length_text:>11} {shown:>6}    {ctime(start)[:-5]}"
        )
    call.say("", f"{len(found)} reservation{'s' if len(found) != 1 else ''} located", "")
    return 0


Row = tuple[str, str, str, float, "float | None", int, int]
"""Name, kind, letter of state, start, length (``None``: for ever), nodes, slots."""


def _reservations(state: State, view: View) -> list[Row]:
    jobs = view["jobs"]
    rows: list[Row] = []
    for job_id in sorted(job_id for job_id, job in jobs.items() if job["state"] == "Running"):
        job = jobs[job_id]
        rows.append((job_id, "Job", "R", job["start"], job["limit_s"], len(job["nodes"]), job["procs"]))
    for job_id, one in state["maui"]["reservations"].items():
        if job_id in jobs:
            job = jobs[job_id]
            rows.append((job_id, "Job", "I", one["start"], job["limit_s"], len(one["nodes"]), job["procs"]))
    rows.sort(key=lambda row: _order(row[0]))
    for one in state["maui"]["user_reservations"]:
        slots = sum(view["nodes"][name]["np"] for name in one["nodes"] if name in view["nodes"])
        length = one["end"] - one["start"] if one["end"] else None
        rows.append((one["name"], "User", "-", one["start"], length, len(one["nodes"]), slots))
    return rows


def _order(job_id: str) -> tuple[int, int]:
    number, _, index = job_id.rstrip("]").partition("[")
    return int(number), int(index or 0)


def _relative(view: View, start: float, length: float | None) -> tuple[str, str]:
    begins = start - view["at"]
    return span(begins), span(begins + length) if length is not None else "INFINITY"


def node_rows(state: State, view: View, name: str) -> list[tuple[str, str, int, float, float | None]]:
    """Reservations of one node in the order of Maui's table: id, kind, tasks, start, length."""
    rows: list[tuple[str, str, int, float, float | None]] = []
    users = {one["name"]: one for one in state["maui"]["user_reservations"]}
    for entry in view["slots"].get(name, []):
        if entry in users:
            one = users[entry]
            rows.append((entry, "User", 1, one["start"], one["end"] - one["start"] if one["end"] else None))
        elif entry in view["jobs"]:
            job = view["jobs"][entry]
            waiting = state["maui"]["reservations"].get(entry)
            if job["state"] == "Running":
                rows.append((entry, "Job", _tasks(job, job["nodes"], name), job["start"], job["limit_s"]))
            elif waiting:
                rows.append((entry, "Job", _tasks(job, waiting["nodes"], name), waiting["start"], job["limit_s"]))
    return rows


def _tasks(job: View, nodes: list[tuple[str, int]], name: str) -> int:
    """``ncpus=3`` is one task of three slots, ``ppn=3`` are three tasks."""
    return 1 if job["one_task"] else dict(nodes).get(name, 0)


def _by_node(call: Call, state: State, view: View) -> int:
    call.say(f"reservations on {ctime(view['at'])[:-5]}", "")
    call.say(
        "            NodeName       Type      ReservationID   JobState Task       Start    Duration            "
        "StartTime",
        "",
    )
    count = 0
    for name in view["nodes"]:
        for entry, kind, tasks, start, length in node_rows(state, view, name):
            word = view["jobs"][entry]["state"] if kind == "Job" else "N/A"
            length_text = span(length) if length is not None else "INFINITE"
            count += 1
            call.say(
                f"{name:>20} {kind:>10} {entry:>18} {word:>10} {tasks:>4} {span(start - view['at']):>11} "
                f"{length_text:>11}  {ctime(start)[:-5]}"
            )
    call.say(f"{count} nodes reserved")
    return 0
