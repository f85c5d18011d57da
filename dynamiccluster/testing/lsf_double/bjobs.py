"""``bjobs``: which jobs, and in which form."""

from __future__ import annotations

from dynamiccluster.testing.lsf_double import bjobs_json, bjobs_long, bjobs_tables
from dynamiccluster.testing.lsf_double.cluster import LSF, Job, is_over, key_of, ordered
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State

USAGE = """Usage: bjobs [-h] [-V] [-w |-l] [-W] [-a] [-d] [-p] [-s] [-r] [-g job_group]
             [-A] [-m host_name] [-q queue_name] [-u user_name | -u all]
             [-P project_name] [-N host_spec] [-J name_spec] [-UF] [-WL|-WP|-WF] [-noheader]
             [jobId | "jobId[idxList]" ...]"""
_WITH_VALUE = {"-u": "user", "-q": "queue", "-m": "host", "-J": "name", "-P": "project", "-g": "group", "-N": "spec"}
_FLAGS = {"-w", "-l", "-W", "-a", "-d", "-p", "-s", "-r", "-A", "-UF", "-WL", "-WP", "-WF", "-noheader", "-X", "-json"}


def bjobs(call: Call, state: State) -> int:
    """:returns: 255 when there is nothing to show: that is no failure."""
    options: dict[str, str] = {}
    words: list[str] = []
    arguments = list(call.arguments)
    while arguments:
        word = arguments.pop(0)
        if word in _WITH_VALUE or (word == "-o" and state["dialect"] == LSF):
            options[word] = arguments.pop(0) if arguments else ""
        elif word in _FLAGS and (word != "-json" or state["dialect"] == LSF):
            options[word] = ""
        elif word.startswith("-"):
            call.complain(f"bjobs: invalid option -- '{word[1:2]}'", USAGE)
            return 255
        else:
            words.append(word)
    jobs, unknown = chosen(call, state, options, words)
    if "-o" in options:
        return bjobs_json.show(call, state, jobs, options)
    for word in unknown:
        call.complain(f"Job <{word}> is not found")
    if not jobs:
        if not unknown:
            call.complain("No unfinished job found" if not _wants_ended(options) else "No job found")
        return 255
    if "-A" in options:
        bjobs_tables.arrays(call, state, jobs, options)
    elif "-UF" in options:
        bjobs_long.unformatted(call, jobs, options)
    elif "-l" in options:
        bjobs_long.show(call, jobs, options, each="-p" in options and len(words) > 1)
    else:
        bjobs_tables.plain(call, jobs, options)
    return 255 if unknown else 0


def _wants_ended(options: dict[str, str]) -> bool:
    return "-a" in options or "-d" in options


def chosen(call: Call, state: State, options: dict[str, str], words: list[str]) -> tuple[list[Job], list[str]]:
    """Jobs of the caller, or of ``-u``; with ids also ended ones."""
    jobs = ordered(state)
    user = options.get("-u", call.user)
    unknown: list[str] = []
    if words:
        found = []
        for word in words:
            these = [job for job in jobs if word in (str(job["id"]), key_of(job))]
            found += these
            if not these:
                unknown.append(word)
        jobs = found
    else:
        jobs = [job for job in jobs if user in ("all", job["user"])]
        if "-d" in options:
            jobs = [job for job in jobs if is_over(job)]
        elif "-a" not in options:
            jobs = [job for job in jobs if not is_over(job)]
    for flag, field in (("-q", "queue"), ("-P", "project")):
        if flag in options:
            jobs = [job for job in jobs if job[field] == options[flag]]
    if "-J" in options:
        jobs = [job for job in jobs if job["name"].partition("[")[0] == options["-J"].partition("[")[0]]
    if "-m" in options:
        jobs = [job for job in jobs if options["-m"] in job["exec"]]
    if "-p" in options:
        jobs = [job for job in jobs if job["state"] in ("PEND", "PSUSP")]
    if "-r" in options:
        jobs = [job for job in jobs if job["state"] in ("RUN", "UNKWN")]
    return jobs, unknown
