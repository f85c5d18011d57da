"""``diagnose -p`` (priorities), ``-j`` (jobs), ``-n`` (nodes), ``-q`` (blocked jobs)."""

from __future__ import annotations

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.maui import View, class_priority
from dynamiccluster.testing.torque_double.maui_show import span


def diagnose(call: Call, state: State) -> int:
    view = state["maui"]["view"]
    ways = {"-p": _priorities, "-j": _jobs, "-n": _nodes, "-q": _blocked}
    way = ways.get(call.arguments[0] if call.arguments else "")
    if way is None:
        call.complain(f"ERROR:    '{call.program}' failed", "ERROR:  no such mode", "")
        return 1
    way(call, state, view)
    return 0


def _priorities(call: Call, state: State, view: View) -> None:
    idle = {job_id: job for job_id, job in view["jobs"].items() if job["state"] == "Idle"}
    terms = {
        job_id: (class_priority(state, job["class"]), (view["at"] - job["queued_at"]) / 60)
        for job_id, job in idle.items()
    }
    by_class = any(one for one, _ in terms.values())
    call.say("diagnosing job priority information (partition: ALL)", "")
    call.say("Job                    PRIORITY*   Cred(Class)  Serv(QTime)")
    call.say("             Weights   --------       1(   10)     1(    1)", "")
    for job_id, (credit, minutes) in terms.items():
        total = credit + minutes
        share = 100 * credit / total if total else 0.0
        call.say(
            f"{job_id:<20} {total:>10.0f}   {share:>5.1f}({credit / 10:>5.1f}) {100 - share:>5.1f}({minutes:>5.1f})"
        )
    credit, minutes = sum(one for one, _ in terms.values()), sum(one for _, one in terms.values())
    share = 100 * credit / (credit + minutes) if by_class else 0.0
    call.say(
        "", f"Percent Contribution   --------   {share:>5.1f}({share:>5.1f}) {100 - share:>5.1f}({100 - share:>5.1f})"
    )
    call.say("", "* indicates system prio set on job", "")


def _jobs(call: Call, state: State, view: View) -> None:
    call.say(
        "Name                  State Par Proc QOS     WCLimit R  Min     User    Group  Account  QueuedTime  Network  "
        "Opsys   Arch    Mem   Disk  Procs       Class Features",
        "",
    )
    first = [job_id for job_id, job in view["jobs"].items() if job["state"] == "Running"]
    reserved = state["maui"]["reservations"]
    for job_id, job in view["jobs"].items():
        partition = "DEF" if job_id in first else "ALL"
        has = int(job_id in first or job_id in reserved)
        properties = dict.fromkeys(word for chunk in job["parts"] for word in chunk["properties"])
        features = "".join(f"[{word}]" for word in properties) or "[NONE]"
        of_class = f"[{job['class']}:1]"
        word = "Idle" if job["state"] == "Deferred" else job["state"]
        call.say(
            f"{job_id:<18} {word:>8} {partition} {job['procs']:>4} DEF {span(job['limit_s']):>11} {has} "
            f"{job['procs']:>4} {job['user']:>8} {job['group']:>8} {job['account'] or '-':>8} "
            f"{span(view['at'] - job['queued_at']):>11}   [NONE] [NONE] [NONE] {_at_least(job):>6} "
            f"{'>=0':>6}    NC0 {of_class:>11} {features}"
        )
    call.say("", "", f"Total Jobs: {len(view['jobs'])}  Active Jobs: {len(first)}", "")


def _at_least(job: View) -> str:
    return f">={job['task_mib']}"


def _nodes(call: Call, state: State, view: View) -> None:
    call.say("diagnosing node table (5120 slots)")
    call.say(
        "Name                    State  Procs     Memory         Disk          Swap      Speed  Opsys   Arch Par   "
        "Load Res Classes                        Network                        Features              ",
        "",
    )
    total = [0] * 8
    for name, node in view["nodes"].items():
        free = 0 if node["state"] == "Down" else node["np"] - node["used"]
        memory = node["memory_kib"] // 1024
        used_mib = sum(view["jobs"][one]["memory_mib"] for one in node["jobs"] if one in view["jobs"])
        numbers = [
            free,
            node["np"],
            memory - used_mib,
            memory,
            1,
            1,
            node["free_kib"] // 1024,
            node["swap_kib"] // 1024,
        ]
        total = [one + other for one, other in zip(total, numbers, strict=True)]
        features = "".join(f"[{word}]" for word in node["features"]) or "[NONE]"
        reservations = len([entry for entry in view["slots"].get(name, []) if entry])
        call.say(
            f"{name:<20} {node['state']:>8} {numbers[0]:>3}:{numbers[1]:<3} {numbers[2]:>6}:{numbers[3]:<6} "
            f"{1:>6}:{1:<6} {numbers[6]:>6}:{numbers[7]:<6} {1:5.2f}  linux [NONE] DEF {node['load']:>6.2f} "
            f"{reservations:03}  {'[DEFAULT]':<30} {'[DEFAULT]':<30} {features:<20}"
        )
        if node["state"] == "Busy" and node["load"] > node["np"]:
            call.say(f"WARNING:  node '{name}' has excessive load (state: 'Busy'  load: {node['load']:.3f})")
        if view["at"] - node["updated"] > 300:
            call.say(f"WARNING:  node '{name}' has not been updated in {span(view['at'] - node['updated'])}")
    call.say(
        f"{'-----':<20} {'---':>8} {total[0]:>3}:{total[1]:<3} {total[2]:>6}:{total[3]:<6} {total[4]:>6}:{total[5]:<6} "
        f"{total[6]:>6}:{total[7]:<6}"
    )
    words = [node["state"] for node in view["nodes"].values()]
    active, idle = words.count("Busy") + words.count("Running"), words.count("Idle")
    call.say("", f"Total Nodes: {len(words)}  (Active: {active}  Idle: {idle}  Down: {words.count('Down')})", "")


def _blocked(call: Call, state: State, view: View) -> None:
    call.say("Diagnosing blocked jobs (policylevel SOFT  partition ALL)", "")
    for job_id, job in view["jobs"].items():
        word = job["state"]
        if word == "Deferred":
            call.say(f"job {job_id:<20} has the following hold(s) in place:  Defer")
        if word in ("Hold", "Deferred"):
            call.say(f"job {job_id:<20} has non-idle expected state (expected state: {word})")
    call.say("")
