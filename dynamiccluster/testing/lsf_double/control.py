"""``bkill``, ``brequeue``, ``bstop``, ``bresume``: no recording shows them; texts are those of OpenLava's source."""

from __future__ import annotations

from collections.abc import Callable

from dynamiccluster.testing.lsf_double import workers
from dynamiccluster.testing.lsf_double.cluster import Job, is_over, key_of
from dynamiccluster.testing.lsf_double.life import KILLED, back_to_queue, finish, order
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State

ADMINISTRATORS = ("root", "openlava", "lsfadmin")

Deed = Callable[[Call, State, Job, set[str]], bool]


def on_jobs(deed: Deed) -> Callable[[Call, State], int]:
    """A command that does something to each job named; ``0`` are all of the caller's."""

    def command(call: Call, state: State) -> int:
        flags = {word for word in call.arguments if word.startswith("-") and not word[1:].isdigit()}
        words = [word for word in call.arguments if not word.startswith("-")]
        if "-s" in call.arguments and words:
            at = call.arguments.index("-s") + 1
            words = [word for word in words if word != call.arguments[at]] if at < len(call.arguments) else words
        worst = 0
        for word in words:
            jobs = [job for job in state["jobs"].values() if word in (str(job["id"]), key_of(job), "0")]
            if word == "0":
                jobs = [job for job in jobs if not is_over(job) and (job["user"] == call.user or call.user == "root")]
            if not jobs:
                call.complain(f"Job <{word}>: No matching job found")
                worst = 255
            for job in jobs:
                if call.user not in (*ADMINISTRATORS, job["user"]):
                    call.complain(f"Job <{key_of(job)}>: User permission denied")
                    worst = 255
                elif not deed(call, state, job, flags):
                    worst = 255
        return worst

    return command


def _kill(call: Call, state: State, job: Job, flags: set[str]) -> bool:
    """``-r``: it is forgotten at once, whatever its host says."""
    key = key_of(job)
    if is_over(job):
        call.complain(f"Job <{key}>: Job has already finished")
        return False
    if "-r" in flags or not job["exec"]:
        order(state, "signal", job, "KILL")
        finish(state, job, None if job["exec"] else KILLED, state["now"])
    else:
        order(state, "signal", job, "TERM")
        if job["exec"][0] in state["daemons"] and workers.beat(call.place, state, job["exec"][0], state["now"]):
            finish(state, job, KILLED, state["now"])
    call.say(f"Job <{key}> is being terminated")
    return True


def _requeue(call: Call, state: State, job: Job, flags: set[str]) -> bool:
    """``-e`` ended ones, ``-d`` those that are done, ``-r`` (and without any) running ones, ``-H`` on hold."""
    key = key_of(job)
    if is_over(job):
        if not ("-e" in flags and job["state"] == "EXIT") and not ("-d" in flags and job["state"] == "DONE"):
            call.complain(f"Job <{key}> : Job has already finished")
            return False
    elif job["state"] not in ("RUN", "UNKWN", "USUSP", "SSUSP") or (flags & {"-e", "-d"} and "-r" not in flags):
        call.complain(f"Job <{key}> : Job has not started yet" if not job["exec"] else f"Job <{key}> : Job is running")
        return False
    elif workers.beat(call.place, state, job["exec"][0], state["now"]) is None:
        call.complain(f"Job <{key}> : Slave batch daemon not responding ... request is kept")
        return False
    order(state, "signal", job, "KILL")
    back_to_queue(state, job, state["now"], held="-H" in flags)
    call.say(f"Job <{key}> is being requeued ")
    return True


def _stop(call: Call, state: State, job: Job, flags: set[str]) -> bool:
    if job["state"] != "PEND":
        call.complain(f"Job <{key_of(job)}>: Job is not waiting")
        return False
    job["state"] = "PSUSP"
    call.say(f"Job <{key_of(job)}> is being stopped")
    return True


def _resume(call: Call, state: State, job: Job, flags: set[str]) -> bool:
    if job["state"] != "PSUSP":
        call.complain(f"Job <{key_of(job)}>: Job is not suspended")
        return False
    job.update(state="PEND", held=False)
    call.say(f"Job <{key_of(job)}> is being resumed")
    return True


bkill = on_jobs(_kill)
brequeue = on_jobs(_requeue)
bstop = on_jobs(_stop)
bresume = on_jobs(_resume)
