"""``badmin``: hosts closed and opened, the history of that; and ``bhist -l``."""

from __future__ import annotations

from dynamiccluster.testing.lsf_double.bhosts import UNKNOWN
from dynamiccluster.testing.lsf_double.cluster import Job, shown_hosts
from dynamiccluster.testing.lsf_double.control import ADMINISTRATORS
from dynamiccluster.testing.lsf_double.words import full_time, wrapped
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State


def badmin(call: Call, state: State) -> int:
    words = list(call.arguments)
    verb = words.pop(0) if words else ""
    if verb in ("hclose", "hopen"):
        return _switch(call, state, verb, words)
    if verb == "hhist":
        call.say(*state["history"])
        return 0
    if verb == "reconfig":
        call.complain("", "Checking configuration files ...", "")
        call.say("No errors found.", "", "Reconfiguration initiated")
        return 0
    call.complain(f"badmin: {verb}: command not supported by this double")
    return 255


def _switch(call: Call, state: State, verb: str, words: list[str]) -> int:
    """Closing again is success, and replaces the message (recorded)."""
    message = ""
    if words[:1] == ["-C"]:
        message = words[1] if len(words) > 1 else ""
        del words[:2]
    if not words:
        call.complain("Bad host name, host group name or cluster name")
        return 255
    worst = 0
    for name in words:
        if name not in shown_hosts(state):
            call.complain(UNKNOWN)
            worst = 255
            continue
        doing, done = ("Close", "closed") if verb == "hclose" else ("Open", "opened")
        if call.user not in ADMINISTRATORS:
            call.complain(f"{doing} <{name}> ...... Host control failed.: User permission denied")
            worst = 255
            continue
        state["hosts"][name].update(closed=verb == "hclose", message=message if verb == "hclose" else "")
        told = f"Host <{name}> {done} by administrator <{call.user}> {message}."
        state["history"].append(f"{full_time(state['now'])}: {told}")
        call.complain(f"{doing} <{name}> ...... done")
    return worst


def bhist(call: Call, state: State) -> int:
    """``bhist -l [-u all] ID`` for a job that was started once."""
    words = [word for word in call.arguments if word.isdigit()]
    jobs = [job for job in state["jobs"].values() if str(job["id"]) in words and not job["index"]]
    if not jobs:
        call.complain("No matching job found")
        return 255
    for job in jobs:
        _history(call, state, job)
    return 0


def _history(call: Call, state: State, job: Job) -> None:
    asked = f", Requested Resources <{job['resreq']}>" if job["resreq"] else ""
    slots = f", {job['n']} Processors Requested" if job["n"] > 1 else ""
    name, project = job["name"], job["project"]
    head = f"Job Id <{job['id']}>, Job Name <{name}>, User <{job['user']}>, Project <{project}>, "
    submit = f"{full_time(job['submit'])}: Submitted from host <{job['from']}> to Queue <{job['queue']}>, "
    call.say("", *wrapped(f"{head}Command <{job['command']}>"))
    call.say(*wrapped(f"{submit}CWD <{job['cwd']}>{slots}{asked};"))
    end = job["end"] or int(state["now"])
    hosts = job.get("dispatched") or job["exec"]
    if job["start"]:
        begun, pid = full_time(job["start"]), (job["pids"] or [0])[0]
        shown = " ".join(f"<{host}>" for host in hosts)
        call.say(f"{begun}: Dispatched to {len(hosts)} Hosts/Processors {shown};", f"{begun}: Starting (Pid {pid});")
        running = f"{begun}: Running with execution home <{job['home']}>, Execution CWD <{job['home']}>, "
        call.say(*wrapped(f"{running}Execution Pid <{pid}>;"))
    if job["end"]:
        used = "unknown" if job["exit"] is None else "0.0 seconds"
        call.say(f"{full_time(end)}: Exited. The CPU time used is {used};")
    waited = (job["start"] or end) - job["submit"]
    ran = end - job["start"] if job["start"] else 0
    call.say("", f"Summary of time in seconds spent in various states by  {full_time(end)}")
    call.say("  PEND     PSUSP    RUN      USUSP    SSUSP    UNKWN    TOTAL")
    call.say("  " + "".join(f"{value:<9}" for value in (waited, 0, ran, 0, 0, 0, waited + ran)), "")
