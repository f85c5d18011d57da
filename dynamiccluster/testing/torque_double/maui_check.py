"""``checkjob`` and ``checknode``: all that Maui knows of one job or node, and why a job does not run."""

from __future__ import annotations

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.attributes import ctime
from dynamiccluster.testing.torque_double.maui import View
from dynamiccluster.testing.torque_double.maui_show import node_rows, remaining, running, span, start_priority

HIGH_LOAD = 1.0


def _cannot(call: Call, kind: str, word: str) -> int:
    call.complain(f"ERROR:    '{call.program}' failed", f"ERROR:  cannot locate {kind} '{word}'", "")
    return 1


def checkjob(call: Call, state: State) -> int:
    """:returns: 1 for an unknown job."""
    view = state["maui"]["view"]
    verbose = "-v" in call.arguments
    words = [word for word in call.arguments if not word.startswith("-")]
    job_id = (words[0] if words else "").removesuffix(f".{state['host']}")
    job = view["jobs"].get(job_id)
    if job is None:
        return _cannot(call, "job", words[0] if words else "")
    deferred = state["maui"]["deferred"].get(job_id)
    word = "Idle  EState: Deferred" if job["state"] == "Deferred" else job["state"]
    shown = f"{job_id} (RM job '{job_id}.{state['host']}')" if verbose else job_id
    account = f"account:{job['account']}  " if job["account"] else ""
    is_running = job["state"] == "Running"
    used = view["at"] - job["start"] + job["extra_s"] if is_running else 0
    call.say("", "", f"checking job {shown}", "", f"State: {word}")
    call.say(f"Creds:  user:{job['user']}  group:{job['group']}  {account}class:{job['class']}  qos:DEFAULT")
    call.say(f"WallTime: {span(used)} of {span(job['limit_s'])}", f"SubmitTime: {ctime(job['queued_at'])[:-5]}")
    total = (job["start"] if is_running else view["at"]) - job["queued_at"]
    eligible = total if is_running else _eligible_s(state, view, job_id)
    call.say(f"  (Time Queued  Total: {span(total)}  Eligible: {span(eligible)})", "")
    if is_running:
        call.say(f"StartTime: {ctime(job['start'])[:-5]}")
    call.say(f"Total Tasks: {job['procs']}", "")
    _requirements(call, view, job_id, verbose=verbose)
    call.say("", "", "IWD: [NONE]  Executable:  [NONE]", f"Bypass: 0  StartCount: {job['start_count']}")
    call.say("PartitionMask: [ALL]", "Flags:       RESTARTABLE", "")
    _reservation(call, state, view, job_id)
    if deferred:
        call.say(f"job is deferred.  Reason:  NoResources  ({deferred['reason']})")
        call.say("Holds:    Defer  (hold reason:  NoResources)")
    call.say(f"PE:  {job['procs']:.2f}  StartPriority:  {start_priority(state, view, job_id)}")
    call.say(*_verdict(state, view, job_id), "")
    return 0


def _eligible_s(state: State, view: View, job_id: str) -> float:
    """Until Maui last saw the job idle; nothing for jobs on hold."""
    job = view["jobs"][job_id]
    if job["state"] == "Idle":
        return float(view["at"] - job["queued_at"])
    at = state["maui"]["idle_at"].get(job_id)
    return float(at - job["queued_at"]) if at and job["state"] == "Deferred" else 0.0


def _requirements(call: Call, view: View, job_id: str, *, verbose: bool) -> None:
    job = view["jobs"][job_id]
    properties = [word for chunk in job["parts"] for word in chunk["properties"]]
    features = "".join(f"[{word}]" for word in dict.fromkeys(properties)) or "[NONE]"
    partition = "DEFAULT" if job["state"] == "Running" else "ALL"
    call.say(f"Req[0]  TaskCount: {job['procs']}  Partition: {partition}")
    call.say("Network: [NONE]  Memory >= 0  Disk >= 0  Swap >= 0")
    call.say(f"Opsys: [NONE]  Arch: [NONE]  Features: {features}")
    if job["set"]:
        call.say(f"NodeSet={job['set']}:[NONE]")
    if verbose:
        count = sum(chunk["count"] for chunk in job["parts"])
        call.say("Exec:  ''  ExecSize: 0  ImageSize: 0", "Dedicated Resources Per Task: PROCS: 1", "NodeAccess: SHARED")
        call.say(f"TasksPerNode: {job['parts'][0]['ppn']}  NodeCount: {count}")
    if job["state"] == "Running":
        call.say("Allocated Nodes:", "".join(f"[{name}:{tasks}]" for name, tasks in job["nodes"]))


def _reservation(call: Call, state: State, view: View, job_id: str) -> None:
    job = view["jobs"][job_id]
    waiting = state["maui"]["reservations"].get(job_id)
    if job["state"] == "Running":
        begins, ends = job["start"] - view["at"], remaining(view, job)
    elif waiting:
        begins = waiting["start"] - view["at"]
        ends = begins + job["limit_s"]
    else:
        return
    call.say(f"Reservation '{job_id}' ({span(begins)} -> {span(ends)}  Duration: {span(job['limit_s'])})")


def _verdict(state: State, view: View, job_id: str) -> list[str]:
    job = view["jobs"][job_id]
    up = [node for node in view["nodes"].values() if node["state"] not in ("Down", "Drained")]
    total = sum(node["np"] for node in up)
    if job["state"] == "Running":
        return []
    if job["state"] == "Hold":
        return [f"cannot select job {job_id} for partition DEFAULT (non-idle state 'Hold')", ""]
    if job["state"] == "Deferred":
        found = []
        if total < job["procs"]:
            found.append(f"job cannot run in any partition  (insufficient total procs:  {total} available)")
        return [*found, f"cannot select job {job_id} for partition DEFAULT (job hold active)", ""]
    free = sum(node["np"] - node["used"] for node in up)
    if free < job["procs"]:
        reason = f"insufficient idle procs available: {free} < {job['procs']}"
        return [f"job cannot run in partition DEFAULT ({reason})", ""]
    reason = f"idle procs do not meet requirements : 0 of {job['procs']} procs found"  # public reports, not recorded
    return [f"job cannot run in partition DEFAULT ({reason})", f"idle procs: {free:>3}  feasible procs:   0", ""]


def checknode(call: Call, state: State) -> int:
    """:returns: 1 for a node that Maui has not seen (yet)."""
    view = state["maui"]["view"]
    words = [word for word in call.arguments if not word.startswith("-")]
    name = words[0] if words else ""
    node = view["nodes"].get(name)
    if node is None:
        return _cannot(call, "node", name)
    state_word = node["state"]
    used = f"PROCS: {node['np']}  " if state_word in ("Busy", "Drained", "Down") else ""
    memory = sum(_memory(view, job_id) for job_id in node["jobs"])
    dedicated = f"PROCS: {node['used']}" if node["used"] else "[NONE]"
    if memory:
        dedicated += f"  MEM: {memory}M"
    gib = f"{node['memory_kib'] // 2**20}G"
    call.say("", "", f"checking node {name}", "")
    call.say(f"State:{state_word:>10}  (in current state for {span(view['at'] - node['since'])})")
    call.say(f"Configured Resources: PROCS: {node['np']}  MEM: {gib}  SWAP: {node['swap_kib'] // 2**20}G  DISK: 1M")
    call.say(f"Utilized   Resources: {used}SWAP: {round((node['swap_kib'] - node['free_kib']) / 1024)}M")
    call.say(f"Dedicated  Resources: {dedicated}", "Opsys:         linux  Arch:      [NONE]")
    call.say(f"Speed:      1.00  Load:{node.get('shown_load', node['load']):12.3f}", "Network:    [DEFAULT]")
    call.say("Features:   " + ("".join(f"[{word}]" for word in node["features"]) or "[NONE]"), "Attributes: [Batch]")
    call.say(f"Classes:    [Batch][Batch]{_classes(state, view, name)}", "")
    if node["up_s"]:
        active, up, total = node["active_s"], node["up_s"], node["total_s"] or 1
        call.say(
            f"Total Time: {span(total)}  Up: {span(up)} ({100 * up / total:.2f}%)  Active: {span(active)} "
            f"({100 * active / total:.2f}%)",
            "",
        )
    call.say("Reservations:")
    rows = node_rows(state, view, name)
    for entry, kind, tasks, start, length in rows:
        begins = start - view["at"]
        ends = span(begins + length) if length is not None else "INFINITY"
        call.say(
            f"  {kind} '{entry}'(x{tasks})  {span(begins)} -> {ends} "
            f"({span(length) if length is not None else 'INFINITY'})"
        )
    if not rows:
        call.say("NOTE:  no reservations on node")
    jobs = [job_id for job_id in running(view) if job_id in node["jobs"]]
    if jobs:
        call.say(f"JobList:  {','.join(jobs)}")
    if jobs and state_word == "Drained":
        call.say("ALERT:  jobs active on node but state is Drained")
    if state_word in ("Drained", "Idle", "Down") and node["load"] > HIGH_LOAD:
        call.say(f"ALERT:  node is in state {state_word} but load is high ({node['load']:.3f})")
    call.say("")
    return 0


def _memory(view: View, job_id: str) -> int:
    job = view["jobs"].get(job_id)
    return int(job["memory_mib"]) if job else 0


def _classes(state: State, view: View, name: str) -> str:
    """Free and configured slots for each class; those of the configuration first."""
    node = view["nodes"][name]
    known = [*state["maui"]["classes"], *(one for one in state["queues"] if one not in state["maui"]["classes"])]
    found = []
    for one in known:
        jobs = [view["jobs"][job_id] for job_id in node["jobs"] if job_id in view["jobs"]]
        used = sum(dict(job["nodes"]).get(name, 0) for job in jobs if job["class"] == one)
        found.append(f"[{one} {node['np'] - used}:{node['np']}]")
    return "".join(found)
