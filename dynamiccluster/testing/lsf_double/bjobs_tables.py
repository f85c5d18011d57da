"""The short forms of ``bjobs``: one line for each job, hosts below each other or joined, arrays counted."""

from __future__ import annotations

from dynamiccluster.testing.lsf_double.cluster import Job
from dynamiccluster.testing.lsf_double.words import short_time
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State

_HEAD = "JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME"
_MORE = {"-WL": "TIME_LEFT", "-WP": "%COMPLETE", "-WF": "FINISH_TIME"}


def plain(call: Call, jobs: list[Job], options: dict[str, str]) -> None:
    more = next((_MORE[flag] for flag in _MORE if flag in options), "")
    wide = "-w" in options or "-W" in options
    if "-noheader" not in options:
        call.say(_HEAD + (f"   {more}" if more else ""))
    for job in jobs:
        lines = _wide(job) if wide else _narrow(job, more)
        call.say(*(lines[:1] if "-noheader" in options else lines))  # then only the first host (recorded)
        if "-p" in options:
            call.say(*reasons(job, names=False))


def _wide(job: Job) -> list[str]:
    hosts = ":".join(job["exec"]) or "   -"
    return [
        f"{job['id']:<7} {job['user']:<7} {job['state']:<5} {job['queue']:<10} {job['from']:<11} {hosts:<11} "
        f"{job['name']:<10} {short_time(job['submit'])}"
    ]


def _narrow(job: Job, more: str) -> list[str]:
    first = job["exec"][0] if job["exec"] else ""
    end = "     -" if more else "  "
    return [
        f"{job['id']:<7} {job['user'][:7]:<7} {job['state']:<5} {job['queue'][:10]:<10} {job['from'][:11]:<11} "
        f"{first[:11]:<11} {job['name'][:10]:<10} {short_time(job['submit'])}{end}",
        *(f"{'':45}{name}" for name in job["exec"][1:]),
    ]


def reasons(job: Job, *, names: bool) -> list[str]:
    """`` TEXT: N hosts;`` or, with ``-l -p``, the hosts by name."""
    lines = []
    for text, hosts in job["reasons"]:
        count = f"{len(hosts)} host{'s' if len(hosts) != 1 else ''}"
        shown = ", ".join(host or job["from"] for host in hosts) if names else count
        lines.append(f" {text}: {shown};")
    return lines


def arrays(call: Call, state: State, jobs: list[Job], options: dict[str, str]) -> None:
    """``-A``; the specification is cut off at ten characters, with ``-w`` it is whole (OpenLava's source)."""
    call.say("JOBID    ARRAY_SPEC  OWNER   NJOBS PEND DONE  RUN EXIT SSUSP USUSP PSUSP")
    for number in dict.fromkeys(job["id"] for job in jobs if job["index"]):
        tasks = [job for job in state["jobs"].values() if job["id"] == number]
        first = tasks[0]
        spec = first["array_spec"] if "-w" in options else first["array_spec"][:8]
        counts = {word: sum(one["state"] == word for one in tasks) for word in ("PEND", "DONE", "RUN", "EXIT", "PSUSP")}
        call.say(
            f"{number:<8} {spec:<8} {first['user']:>8} {len(tasks):>7} {counts['PEND']:>4} {counts['DONE']:>4} "
            f"{counts['RUN']:>4} {counts['EXIT']:>4} {0:>5} {0:>5} {counts['PSUSP']:>5}"
        )
