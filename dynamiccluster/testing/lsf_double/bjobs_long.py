"""``bjobs -l``, wrapped inside words, and ``bjobs -UF``, which is not."""

from __future__ import annotations

from dynamiccluster.testing.lsf_double.bjobs_tables import reasons
from dynamiccluster.testing.lsf_double.cluster import Job, key_of
from dynamiccluster.testing.lsf_double.words import full_time, wrapped
from dynamiccluster.testing.stand_in.call import Call

_PARAMETERS = (
    " SCHEDULING PARAMETERS:",
    "           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem",
    " loadSched   -     -     -     -       -     -    -     -     -      -      -  ",
    " loadStop    -     -     -     -       -     -    -     -     -      -      -  ",
)
_RULE = "-" * 78


def show(call: Call, jobs: list[Job], options: dict[str, str], *, each: bool) -> None:
    """``each``: a rule stands before every job, also the first (several ids with ``-p``, recorded)."""
    for at, job in enumerate(jobs):
        if at or each:
            call.say(_RULE)
        call.say("", *wrapped(_head(job, "Job Id")), *wrapped(_submitted(job)))
        call.say(*_run_limit(job))
        if job["start"]:
            call.say(*wrapped(_started(job)))
        if job["state"] == "RUN" and job["pids"]:
            pids = "".join(f"{pid} " for pid in job["pids"])
            call.say(f"{full_time(job['used_at'])}: Resource usage collected.")
            call.say(f"{'':21}MEM: {job['mem_mib']} Mbytes;  SWAP: 12 Mbytes")
            call.say(f"{'':21}PGID: {job['pids'][0]};  PIDs: {pids}", "")
        if job["end"]:
            call.say(*wrapped(_ended(job)))
        if job["reasons"] and job["state"] in ("PEND", "PSUSP"):
            call.say(" PENDING REASONS:", *reasons(job, names="-p" in options))
        call.say("", *_PARAMETERS)
    call.say("")


def unformatted(call: Call, jobs: list[Job], options: dict[str, str]) -> None:
    for at, job in enumerate(jobs):
        if at:
            call.say(_RULE)
        call.say("", _head(job, "Job"), _submitted(job), *_run_limit(job))
        if job["start"]:
            call.say(_started(job))
        if job["state"] == "RUN" and job["pids"]:
            pids = " ".join(str(pid) for pid in job["pids"])
            used = f"MEM: {job['mem_mib']} Mbytes; SWAP: 12 Mbytes; PGID: {job['pids'][0]}; PIDs: {pids};"
            call.say(f"{full_time(job['used_at'])}: Resource usage collected. {used}")
            call.say("", " MEMORY USAGE:", " MAX MEM: N/A MBytes;  AVG MEM: N/A MBytes")
        if job["end"]:
            call.say(_ended(job))
        if job["reasons"] and job["state"] in ("PEND", "PSUSP"):
            call.say(" PENDING REASONS:", *reasons(job, names="-p" in options))
        call.say("", *_PARAMETERS, "", " RESOURCE REQUIREMENT DETAILS:")
        call.say(f" Combined: {job['resreq']}", f" Effective: {job['resreq']}")
    call.say("")


def _head(job: Job, word: str) -> str:
    return (
        f"{word} <{key_of(job)}>, Job Name <{job['name']}>, User <{job['user']}>, Project <{job['project']}>, "
        f"Status <{job['state']}>, Queue <{job['queue']}>, Command <{job['command']}>"
    )


def _submitted(job: Job) -> str:
    parts = [f"{full_time(job['submit'])}: Submitted from host <{job['from']}>{' on hold' if job['held'] else ''}"]
    if job["begin"]:
        parts.append(f"Specified Start Time <{full_time(job['begin'])}>")
    parts.append(f"CWD <{job['cwd']}>")
    if job["out"]:
        parts.append(f"Output File <{job['out']}>")
    if job["n"] > 1:
        parts.append(f"{job['n']} Processors Requested")
    if job["resreq"]:
        parts.append(f"Requested Resources <{job['resreq']}>")
    if job["depend"]:
        parts.append(f"Dependency Condition <{job['depend']}>")
    return ", ".join(parts) + ";"


def _run_limit(job: Job) -> list[str]:
    if not job["runlimit_min"]:
        return []
    return ["", " RUNLIMIT                ", f" {job['runlimit_min']:.1f} min of {job['limit_host']}        "]


def _started(job: Job) -> str:
    hosts = job["exec"]
    shown = f"{len(hosts)} Hosts/Processors {' '.join(f'<{name}>' for name in hosts)}" if len(hosts) > 1 else ""
    where = shown or f"<{hosts[0]}>"
    home = f"Execution Home <{job['home']}>, Execution CWD <{job['home']}>"
    return f"{full_time(job['start'])}: Started on {where}, {home};"


def _ended(job: Job) -> str:
    at = full_time(job["end"])
    if job["exit"] is None:
        return f"{at}: Exited The CPU time used is unknown."
    used = "The CPU time used is 0.0 seconds."
    if job["exit"] == 0:
        return f"{at}: Done successfully. {used}"
    return f"{at}: Exited with exit code {job['exit']}. {used}"
