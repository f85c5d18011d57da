"""``bsub``: a job is refused at the door, or queued; ``bmod``: some of what it asked for is changed."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dynamiccluster.testing.lsf_double.bhosts import UNKNOWN
from dynamiccluster.testing.lsf_double.cluster import OPENLAVA, Job, key_of, total_slots
from dynamiccluster.testing.lsf_double.dispatch import NEW
from dynamiccluster.testing.lsf_double.resreq import sections, unknown_names, values_of
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State

_WITH_VALUE = frozenset(
    ["-J", "-n", "-q", "-m", "-R", "-o", "-e", "-P", "-W", "-w", "-b", "-M", "-i", "-L", "-u", "-G", "-sla", "-app"]
)
_SLEEP = re.compile(r"\bsleep\s+([0-9.]+)")
_ARRAY = re.compile(r"(.*)\[(.+)\](?:%(\d+))?$", re.DOTALL)
_REFUSED = "Job not submitted."


def bsub(call: Call, state: State) -> int:
    """:returns: 255 for a job that is refused."""
    options: dict[str, str] = {}
    arguments = list(call.arguments)
    while arguments and arguments[0].startswith("-"):
        word = arguments.pop(0)
        options[word] = arguments.pop(0) if word in _WITH_VALUE and arguments else ""
    command = " ".join(arguments)
    script = command or call.stdin
    for line in call.stdin.splitlines() if not command else ():
        if line.startswith("#BSUB "):
            words = line[6:].split(None, 1)
            options.setdefault(words[0], words[1].strip("\"'") if len(words) > 1 else "")
    queue = str(options.get("-q") or state["default_queue"])
    reason = _refusal(state, queue, options)
    if reason:
        state["next_job"] += 1  # a job that is refused takes a number, too
        call.complain(f"{reason} {_REFUSED}")
        return 255
    number = state["next_job"]
    state["next_job"] += 1
    jobs = _jobs(state, call, number, options, script, command or script.strip())
    for job in jobs:
        job["queue"] = queue
        state["jobs"][key_of(job)] = job
    how = "queue" if "-q" in options else "default queue"
    call.say(f"Job <{number}> is submitted to {how} <{queue}>.")
    return 0


def _refusal(state: State, queue: str, options: dict[str, str]) -> str:
    if queue not in state["queues"]:
        return f"{queue}: No such queue."
    for name in options.get("-m", "").replace("+", " ").split():
        if name not in state["hosts"]:
            return f"{name}: {UNKNOWN}."
    if state["dialect"] == OPENLAVA and _slots(options) > total_slots(state):  # LSF keeps such jobs waiting
        return "Too many processors requested."
    known = {*state["shared"], *values_of("", state["hosts"][state["master"]]), "any", "local", "fs"}
    if unknown_names(options.get("-R", ""), known | {host["type"] for host in state["hosts"].values()}):
        return "Bad resource requirement syntax."
    return ""


def _slots(options: dict[str, str]) -> int:
    return int(options.get("-n", "1").partition(",")[0] or 1)


def _jobs(state: State, call: Call, number: int, options: dict[str, str], script: str, command: str) -> list[Job]:
    now = int(state["now"])
    name = options.get("-J", command)
    array = _ARRAY.match(name) if "-J" in options else None
    sleeps = [float(found) for found in _SLEEP.findall(script)]
    minutes = options.get("-W", "").partition("/")[0]
    job: Job = {
        "id": number,
        "index": 0,
        "array_spec": "",
        "at_once": 0,
        "name": name,
        "user": call.user,
        "project": options.get("-P", "default"),
        "queue": "",
        "state": "PSUSP" if "-H" in options else "PEND",
        "held": "-H" in options,
        "n": _slots(options),
        "resreq": _normal(options.get("-R", "")),
        "hosts_asked": options.get("-m", "").replace("+", " ").split(),
        "from": state["master"],
        "submit": now,
        "start": 0,
        "end": 0,
        "exec": [],
        "command": command,
        "script": script,
        "cwd": "$HOME",
        "home": call.home(),
        "out": options.get("-o", ""),
        "depend": options.get("-w", ""),
        "begin": _date_time(options["-b"], now) if "-b" in options else 0,
        "runlimit_min": _minutes(minutes) if minutes else 0,
        "limit_host": state["master"],
        "reasons": [[NEW, [""]]],
        "exit": None,
        "rerunnable": "-r" in options,
        "started": 0,
        "pids": [],
        "used_at": 0,
        "mem_mib": 6,
        "run_s": sum(sleeps) if sleeps else 0.0,
    }
    if array is None:
        return [job]
    limit = f"%{array[3]}" if array[3] else ""
    more = {"array_spec": f"{array[1]}[{array[2]}]{limit}", "at_once": int(array[3] or 0)}
    return [{**job, **more, "index": index, "name": f"{array[1]}[{index}]"} for index in indices(array[2])]


def indices(text: str) -> list[int]:
    """``1-10:2,15``"""
    found: list[int] = []
    for part in text.split(","):
        span, _, step = part.partition(":")
        low, _, high = span.partition("-")
        found += range(int(low), int(high or low) + 1, int(step or 1))
    return found


def _normal(text: str) -> str:
    """As it is kept: sections in brackets, ``select`` first."""
    found = sections(text)
    return " ".join(f"{name}[{found[name]}]" for name in ("select", "order", "rusage", "span", "same") if name in found)


def _minutes(text: str) -> float:
    hours, _, minutes = text.rpartition(":")
    return float(int(hours or 0) * 60 + int(minutes))


def _date_time(text: str, now: float) -> int:
    """``[[[YYYY:]MM:]DD:]hh:mm``, in UTC; the next such moment."""
    parts = [int(part) for part in text.split(":")]
    today = datetime.fromtimestamp(now, tz=UTC)
    defaults = [today.year, today.month, today.day]
    given = [*defaults[: max(0, 5 - len(parts))], *parts]
    year, month, day, hour, minute = given[:5]
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp())


def bmod(call: Call, state: State) -> int:
    """``bmod -n|-R|-q|-P|-J VALUE ID``, for jobs that wait."""
    fields = {"-n": "n", "-R": "resreq", "-q": "queue", "-P": "project", "-J": "name"}
    changes: dict[str, object] = {}
    arguments = list(call.arguments)
    while arguments and arguments[0] in fields:
        word = arguments.pop(0)
        value = arguments.pop(0) if arguments else ""
        changes[fields[word]] = int(value) if word == "-n" else _normal(value) if word == "-R" else value
    for word in arguments:
        jobs = [job for job in state["jobs"].values() if word in (str(job["id"]), key_of(job))]
        if not jobs:
            call.complain(f"Job <{word}>: No matching job found")
            return 255
        for job in jobs:
            job.update(changes)
        call.say(f"Parameters of job <{word}> are being changed")
    return 0
