"""``bqueues``, ``busers``, ``bparams``: queues, users, parameters of the batch system."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dynamiccluster.testing.lsf_double.cluster import Job, is_over
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State

_PARAMETERS = (
    "           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem",
    " loadSched   -     -     -     -       -     -    -     -     -      -      -  ",
    " loadStop    -     -     -     -       -     -    -     -     -      -      -  ",
)


def _counts(jobs: list[Job]) -> Counter[str]:
    """Slots by state."""
    found: Counter[str] = Counter()
    for job in jobs:
        word = "PEND" if job["state"] in ("PEND", "PSUSP") else "RUN" if job["exec"] else job["state"]
        found[word] += job["n"]
    return found


def _jobs(state: State, queue: str) -> list[Job]:
    return [job for job in state["jobs"].values() if job["queue"] == queue and not is_over(job)]


def _word(queue: dict[str, Any]) -> str:
    return f"{'Closed' if queue.get('closed') else 'Open'}:{'Inact' if queue.get('inactive') else 'Active'}"


def bqueues(call: Call, state: State) -> int:
    words = [word for word in call.arguments if not word.startswith("-")]
    for word in words:
        if word not in state["queues"]:
            call.complain(f"{word}: No such queue")
            return 255
    names = words or sorted(state["queues"], key=lambda name: -state["queues"][name]["priority"])
    if "-l" in call.arguments:
        for at, name in enumerate(names):
            if at:
                call.say("-" * 79)
            _long(call, state, name)
        return 0
    call.say("QUEUE_NAME     PRIO      STATUS      MAX  JL/U JL/P JL/H NJOBS  PEND  RUN  SUSP")
    for name in names:
        queue, counts = state["queues"][name], _counts(_jobs(state, name))
        call.say(
            f"{name:<14} {queue['priority']:>3} {_word(queue):>14} {queue.get('max_slots', '-'):>6} "
            f"{queue.get('user_slots', '-'):>4} {'-':>4} {'-':>4} {counts.total():>5} {counts['PEND']:>5} "
            f"{counts['RUN']:>5} {0:>5} "
        )
    return 0


def _long(call: Call, state: State, name: str) -> None:
    queue, counts = state["queues"][name], _counts(_jobs(state, name))
    default = "  This is the default queue." if name == state["default_queue"] else ""
    call.say("", f"QUEUE: {name}", f"  -- {queue['description']}{default}", "", "PARAMETERS/STATISTICS")
    call.say("PRIO NICE     STATUS       MAX JL/U JL/P JL/H NJOBS  PEND  RUN  SSUSP USUSP  RSV")
    slots = queue.get("user_slots")
    users = f"{slots:>6}   -" if slots else "    -    -"
    call.say(
        f"{queue['priority']:>4} {0:>3} {_word(queue):>14} {queue.get('max_slots', '-'):>5}"
        f"{users}{'-':>5} "
        f"{counts.total():>5} {counts['PEND']:>5} "
        f"{counts['RUN']:>5} {0:>5} {0:>5} {0:>4}"
    )
    call.say("", "Interval for a host to accept two jobs is 0 seconds")
    if limit := queue.get("runlimit_min"):
        call.say("", " RUNLIMIT                ", f" {limit:.1f} min of {state['master']}        ")
    call.say("", "SCHEDULING PARAMETERS", *_PARAMETERS, "", "USERS:  all users")
    call.say("HOSTS:  all hosts used by the OpenLava system", "")


def busers(call: Call, state: State) -> int:
    """``busers all``."""
    call.say("USER/GROUP          JL/P    MAX  NJOBS   PEND    RUN  SSUSP  USUSP    RSV ")
    jobs = [job for job in state["jobs"].values() if not is_over(job)]
    for user in sorted({job["user"] for job in jobs}):
        counts = _counts([job for job in jobs if job["user"] == user])
        call.say(
            f"{user:<18} {'-':>5} {'-':>6} {counts.total():>6} {counts['PEND']:>6} {counts['RUN']:>6} {0:>6} {0:>6} "
            f"{0:>6}"
        )
    call.say("default                -      -      -      -      -      -      -      - ")
    return 0
