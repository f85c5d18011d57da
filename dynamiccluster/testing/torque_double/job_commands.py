"""``qdel``, ``qrerun``, ``qsig``, ``qhold``, ``qrls``, ``qrun``: what can be done to a job.

Recorded are ``qdel`` of vanished jobs, ``qhold`` and what the server's log says about reruns and deletions on a node
that is dead; other texts and exit codes are those of Torque's sources and public reports.
"""

from __future__ import annotations

from collections.abc import Callable

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import Job, elements, full_id, news
from dynamiccluster.testing.torque_double.life import back_to_queue, finish, purge, set_hold, stop
from dynamiccluster.testing.torque_double.moms import KILLED, beat, first_host

_UNKNOWN = 153  # 15001 & 255

Deed = Callable[[Call, State, Job, dict[str, str]], int]


def code(error: int) -> int:
    """Clients exit with the low byte of the server's error."""
    return error & 255


_MISSING = {"qdel": "qdel: nonexistent job id: {0}"}


def on_jobs(deed: Deed, with_value: str = "") -> Callable[[Call, State], int]:
    """A command that does something to each job named; an array stands for its elements."""

    def command(call: Call, state: State) -> int:
        options: dict[str, str] = {}
        words: list[str] = []
        arguments = list(call.arguments)
        while arguments:
            word = arguments.pop(0)
            if word.startswith("-") and len(word) > 1:
                letter, value = word[1], word[2:]
                options[letter] = value or (arguments.pop(0) if letter in with_value and arguments else "")
            else:
                words.append(word)
        worst = 0
        for word in words:
            job_id = word.removesuffix(f".{state['host']}")
            if job_id == "all" and call.program == "qdel":
                found = [job for job in list(state["jobs"].values()) if not job["id"].endswith("[]")]
            elif job_id.endswith("[]"):
                found = elements(state, job_id[:-2])
            else:
                found = [state["jobs"][job_id]] if job_id in state["jobs"] else []
            if not found and job_id != "all":
                unknown = f"{call.program}: Unknown Job Id {job_id}.{state['host']}"
                call.complain(_MISSING.get(call.program, unknown).format(job_id))
                worst = _UNKNOWN
            for job in found:
                worst = deed(call, state, job, options) or worst
        return worst

    return command


def _refuse(call: Call, state: State, job: Job, error: int, text: str) -> int:
    call.complain(f"{call.program}: {text} {full_id(state, job)}")
    return code(error)


def _bad_state(call: Call, state: State, job: Job) -> int:
    word = {"C": "COMPLETE", "R": "RUNNING", "Q": "QUEUED", "H": "HELD", "W": "WAITING", "E": "EXITING"}[job["state"]]
    return _refuse(call, state, job, 15018, f"Request invalid for state of job MSG=invalid state for job - {word}")


def _may(call: Call, job: Job) -> bool:
    return call.user in ("root", job["user"])


def _delete(call: Call, state: State, job: Job, options: dict[str, str]) -> int:
    if not _may(call, job):
        return _refuse(call, state, job, 15007, "Unauthorized Request ")
    now = state["now"]
    if "p" in options:
        if call.user != "root":
            return _refuse(call, state, job, 15007, "Unauthorized Request ")
        stop(state, job, "KILL")
        purge(state, job, now)
        return 0
    if job["state"] == "C":
        return _bad_state(call, state, job)
    if job["state"] != "R":
        finish(state, job, None, now)
        return 0
    stop(state, job)
    if beat(call.place, state, first_host(job), now) is None:
        return _refuse(call, state, job, 15072, "Server could not connect to MOM")
    if first_host(job) in state["moms"]:
        finish(state, job, KILLED, now)
    return 0


def _rerun(call: Call, state: State, job: Job, options: dict[str, str]) -> int:
    """``-f``: also when its mom does not answer."""
    if call.user != "root":
        return _refuse(call, state, job, 15007, "Unauthorized Request ")
    if job["state"] != "R":
        return _bad_state(call, state, job)
    if job["rerunable"] != "True":
        return _refuse(call, state, job, 15038, "Job is not rerunable")
    if "f" not in options and beat(call.place, state, first_host(job), state["now"]) is None:
        return _refuse(call, state, job, 15043, "Execution server rejected request MSG=Rejected by mom")
    stop(state, job, "KILL")
    back_to_queue(state, job, state["now"])
    return 0


def _signal(call: Call, state: State, job: Job, options: dict[str, str]) -> int:
    if not _may(call, job):
        return _refuse(call, state, job, 15007, "Unauthorized Request ")
    if job["state"] != "R":
        return _bad_state(call, state, job)
    if beat(call.place, state, first_host(job), state["now"]) is None:
        return _refuse(call, state, job, 15072, "Server could not connect to MOM")
    stop(state, job, options.get("s", "TERM"))
    return 0


def _hold(call: Call, state: State, job: Job, options: dict[str, str]) -> int:
    letters = options.get("h", "u")
    if set(letters) & {"o", "s"} and call.user != "root":
        return _refuse(call, state, job, 15007, "Unauthorized Request ")
    if job["state"] in "CE":
        return _bad_state(call, state, job)
    set_hold(job, job["hold"] + letters, state["now"])
    job["etime"] = None if job["state"] == "H" else job["etime"]
    return 0


def _release(call: Call, state: State, job: Job, options: dict[str, str]) -> int:
    letters = options.get("h", "u")
    if set(letters) & {"o", "s"} and call.user != "root":
        return _refuse(call, state, job, 15007, "Unauthorized Request ")
    set_hold(job, "".join(letter for letter in job["hold"] if letter not in letters), state["now"])
    news(state, state["now"])
    return 0


qdel = on_jobs(_delete, "mW")
qrerun = on_jobs(_rerun)
qsig = on_jobs(_signal, "s")
qhold = on_jobs(_hold, "h")
qrls = on_jobs(_release, "h")
