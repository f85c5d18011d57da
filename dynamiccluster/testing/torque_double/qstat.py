"""``qstat``: jobs as XML, as attributes, as tables; queues and the server."""

from __future__ import annotations

from xml.sax.saxutils import escape

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double import qstat_tables
from dynamiccluster.testing.torque_double.attributes import TIMES, Attribute, attributes, ctime
from dynamiccluster.testing.torque_double.cluster import COMMITS, Job, full_id, is_six

_LINE = 78


def qstat(call: Call, state: State) -> int:
    """:returns: 153 for an unknown job, as recorded."""
    words = [word for word in call.arguments if not word.startswith("-")]
    flags = {letter for word in call.arguments if word.startswith("-") and word[1:2] != "-" for letter in word[1:]}
    if "--version" in call.arguments:
        version(call, state)
        return 0
    if "Q" in flags or ("q" in flags and not words):
        return qstat_tables.queues(call, state, flags, words)
    if "B" in flags:
        return qstat_tables.server(call, state)
    jobs, code = chosen(call, state, flags, words)
    now = state["now"]
    if "x" in flags:
        _xml(call, state, jobs, now, asked=bool(words) and not jobs)
    elif "f" in flags:
        for job in jobs:
            _text(call, state, job, now, wrap="1" not in flags)
    elif flags & set("ainr"):
        qstat_tables.wide(call, state, jobs, now, flags)
    else:
        qstat_tables.plain(call, state, jobs)
    return code


def version(call: Call, state: State) -> None:
    """6.x says it on standard output (``qstat`` on the error output), 4.2 on the error output."""
    say = call.say if is_six(state) and call.program != "qstat" else call.complain
    blank = " " if is_six(state) and call.program == "qstat" else ""
    say(f"Version: {state['version']}", f"Commit: {COMMITS[state['version']]}{blank}")


def chosen(call: Call, state: State, flags: set[str], words: list[str]) -> tuple[list[Job], int]:
    """The jobs that were asked for. Arrays are one line, or with ``-t`` one line for each element."""
    if not words:
        wanted = list(state["jobs"].values())
        if "r" in flags:
            wanted = [job for job in wanted if job["state"] in "RE"]
        if "i" in flags:
            wanted = [job for job in wanted if job["state"] not in "REC"]
        if "t" in flags:
            return [job for job in wanted if not job["id"].endswith("[]")], 0
        return [job for job in wanted if not job["array"]], 0
    found: list[Job] = []
    code = 0
    for word in words:
        job_id = short_id(state, word)
        if job_id in state["jobs"]:
            found.append(state["jobs"][job_id])
        elif word in state["queues"]:
            found += [job for job in state["jobs"].values() if job["queue"] == word and not job["array"]]
        else:
            call.complain(f"qstat: Unknown Job Id Error {job_id}.{state['host']}")
            code = 153
    return found, code


def short_id(state: State, word: str) -> str:
    return word.removesuffix(f".{state['host']}")


def _xml(call: Call, state: State, jobs: list[Job], now: float, *, asked: bool) -> None:
    if asked or (not jobs and not is_six(state)):
        return
    if is_six(state):
        call.say('<?xml version="1.0"?>')
    rows = "".join(
        f"<Job><Job_Id>{full_id(state, job)}</Job_Id>{_elements(attributes(state, job, now))}</Job>" for job in jobs
    )
    call.say(f"<Data>{rows}</Data>")


def _elements(found: list[Attribute]) -> str:
    parts = []
    for name, value in found:
        inside = escape(value) if isinstance(value, str) else _elements([*value])
        parts.append(f"<{name}>{inside}</{name}>")
    return "".join(parts)


def _text(call: Call, state: State, job: Job, now: float, *, wrap: bool) -> None:
    call.say(f"Job Id: {full_id(state, job)}")
    for name, value in attributes(state, job, now):
        if isinstance(value, str):
            call.say(line(name, ctime(float(value)) if name in TIMES else value, wrap=wrap))
        else:
            call.say(*(line(f"{name}.{part}", text, wrap=wrap) for part, text in value))
    call.say("")


def line(name: str, value: str, *, wrap: bool = True) -> str:
    """``    name = value``, broken after commas, or anywhere in words that are longer than a line."""
    start = f"    {name} = "
    if not wrap:
        return start + value
    lines: list[str] = []
    current = start
    pieces = value.split(",")
    for at, piece in enumerate(pieces):
        word = piece + ("," if at < len(pieces) - 1 else "")
        if len(current) + len(word) > _LINE and [*lines, current] != [start] and current not in ("\t", start):
            lines.append(current)
            current = "\t"
        while len(current.expandtabs()) + len(word) > _LINE:
            cut = _LINE - len(current.expandtabs())
            lines.append(current + word[:cut])
            current, word = "\t", word[cut:]
        current += word
    return "\n".join([*lines, current])
