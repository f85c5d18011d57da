"""``qsub``: a job is refused at the door, or queued."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import Any

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import Job, full_id, news
from dynamiccluster.testing.torque_double.life import release_array, set_hold
from dynamiccluster.testing.torque_double.request import LIMITS, refusal, resources, split_list

_WITH_VALUE = frozenset("aACdDeIjklmMNopqrStTuvWwx")
_SLEEP = re.compile(r"^\s*(?:exec\s+)?sleep\s+([0-9.]+)", re.MULTILINE)
_PATH = "/usr/local/bin:/usr/bin:/bin"


def qsub(call: Call, state: State) -> int:
    """:returns: 190 for a job that no defined node fits, 172 for an unknown queue, 1 for root (all recorded)."""
    if call.user == "root":
        call.complain("qsub can not be run as root")
        return 1
    options, script_name = read_options(call.arguments)
    if script_name and not os.path.isabs(script_name):
        script_name = os.path.join(call.cwd, script_name)
    try:
        script = _text(script_name) if script_name else call.stdin
    except OSError:
        call.complain("qsub: script file cannot be loaded No such file or directory")
        return 1
    for line in script.splitlines():
        if line.startswith("#PBS "):
            for key, values in read_options(line[5:].split())[0].items():
                options[key] = [*values, *options.get(key, [])] if key == "l" else options.get(key) or values
    queue = options.get("q", [state["server"]["default_queue"]])[0]
    number = state["next_job"]
    state["next_job"] += 1  # also a job that is refused takes a number
    if queue not in state["queues"]:
        call.complain("qsub: submit error (Unknown queue MSG=requested queue not found)")
        return 172
    asked = resources(state, queue, options.get("l", []))
    reason = refusal(state, queue, asked)
    if reason:
        call.complain(f"qsub: submit error ({LIMITS} MSG={reason})")
        return 190
    job = new_job(state, str(number), call, options, script)
    job.update(queue=queue, resources=asked)
    if "t" in options:
        _array(state, job, options["t"][0], state["now"])
    else:
        state["jobs"][job["id"]] = job
        _first_state(state, job, options, state["now"])
    call.say(full_id(state, job))
    news(state, state["now"])
    return 0


def read_options(words: list[str]) -> tuple[dict[str, list[str]], str]:
    """Options by letter, and the script's name."""
    options: dict[str, list[str]] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            return options, word if word != "-" else ""
        letter, value = word[1:2], word[2:]
        if letter in _WITH_VALUE and not value:
            value = rest.pop(0) if rest else ""
        options.setdefault(letter, []).append(value)
    return options, ""


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def new_job(state: State, number: str, call: Call, options: dict[str, list[str]], script: str) -> Job:
    """A job as the server keeps it, still without queue and resources."""
    now = int(state["now"])
    host = state["host"]
    extras = dict(pair.partition("=")[::2] for word in options.get("W", []) for pair in split_list(word))
    depend = [word[len("depend=") :] for word in options.get("W", []) if word.startswith("depend=")]
    name = options.get("N", [os.path.basename(call.arguments[-1]) if call.arguments else "STDIN"])[0]
    sleeps = [float(found) for found in _SLEEP.findall(script)]
    variables: list[Any] = [
        ["PBS_O_QUEUE", options.get("q", ["batch"])[0]],
        ["PBS_O_HOME", call.home()],
        ["PBS_O_LOGNAME", call.user],
        ["PBS_O_PATH", _PATH],
        ["PBS_O_SHELL", "/bin/bash"],
        ["PBS_O_LANG", "C.UTF-8"],
        ["PBS_O_WORKDIR", call.cwd],
        ["PBS_O_HOST", host],
        ["PBS_O_SERVER", host],
    ]
    job: Job = {
        "id": number,
        "array": "",
        "index": None,
        "request": "",
        "limited": False,
        "name": name,
        "user": call.user,
        "group": "hpc",
        "home": call.cwd,
        "cwd": call.cwd,
        "queue": "",
        "account": options.get("A", [""])[0],
        "state": "Q",
        "substate": 10,
        "hold": "",
        "ctime": now,
        "qtime": now,
        "etime": None,
        "mtime": now,
        "start": 0,
        "execution_time": None,
        "resources": [],
        "slots": [],
        "session": None,
        "rank": state["next_rank"],
        "submit_args": " ".join(call.arguments),
        "start_count": 0,
        "comment": "",
        "exit_status": None,
        "comp_time": None,
        "depend": _dependencies(state, number, depend),
        "x": extras.get("x"),
        "used": None,
        "used_at": 0,
        "priority": int(options.get("p", ["0"])[0]),
        "join": options.get("j", ["n"])[0],
        "rerunable": "False" if options.get("r", ["y"])[0] == "n" else "True",
        "variables": variables,
        "script": script,
        "run_s": sum(sleeps) if sleeps else 0.0,
    }
    state["next_rank"] += 1
    return job


def _dependencies(state: State, number: str, words: list[str]) -> list[str]:
    """``afterok:1`` of this job, and ``beforeok:N`` written into the one that it waits for."""
    host = state["host"]
    found = []
    for word in words:
        kind, *targets = word.split(":")
        for target in targets:
            short = target.removesuffix(f".{host}")
            found.append(f"{kind}:{short}.{host}")
            other = state["jobs"].get(short)
            if other is not None:
                other["depend"] = [*other["depend"], f"{kind.replace('after', 'before')}:{number}.{host}"]
    return found


def _first_state(state: State, job: Job, options: dict[str, list[str]], now: float) -> None:
    if "a" in options:
        job["execution_time"] = _date_time(options["a"][0], now)
    hold = "u" if "h" in options else ""
    if any(_is_open(state, one) for one in job["depend"]):
        hold += "s"
    set_hold(job, hold, now)


def _is_open(state: State, condition: str) -> bool:
    kind, _, target = condition.partition(":")
    return kind.startswith("after") and target.removesuffix(f".{state['host']}") in state["jobs"]


def _date_time(text: str, now: float) -> int:
    """``[[CC]YY]MMDDhhmm[.SS]`` or ``hhmm``, in UTC."""
    digits, _, rest = text.partition(".")
    today = datetime.fromtimestamp(now, tz=UTC)
    full = f"{today:%Y%m%d}"[: max(0, 12 - len(digits))] + digits
    at = datetime.strptime(full, "%Y%m%d%H%M").replace(tzinfo=UTC)
    return int(at.timestamp()) + int(rest or 0)


def _array(state: State, parent: Job, request: str, now: float) -> None:
    """``-t 1-10%3``: the array as a whole, and its elements, of which the limit lets so many out of their hold."""
    number = parent["id"]
    parent.update(id=f"{number}[]", request=request, etime=int(now))
    state["jobs"][parent["id"]] = parent
    for index in indices(request.partition("%")[0]):
        element = {
            **parent,
            "id": f"{number}[{index}]",
            "array": number,
            "index": index,
            "request": "",
            "name": f"{parent['name']}-{index}",
            "rank": state["next_rank"],
            "variables": list(parent["variables"]),
            "depend": [],
            "state": "H",
            "substate": 20,
            "hold": "l",
            "limited": True,
        }
        state["next_rank"] += 1
        state["jobs"][element["id"]] = element
    release_array(state, number, now)


def indices(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found
