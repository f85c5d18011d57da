"""``bhosts``: hosts as the batch system sees them."""

from __future__ import annotations

from dynamiccluster.testing.lsf_double.bjobs_json import say
from dynamiccluster.testing.lsf_double.cluster import LSF, jobs_on, shown_hosts, slots_used, status
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State

UNKNOWN = "Bad host name, host group name or cluster name"
_LOAD_HEAD = "              r15s   r1m  r15m    ut    pg    io   ls    it   tmp   swp   mem"
_NO_LOAD = " Total          -     -     -     -     -     -    -     -     -     -     - "
_RESERVED = " Reserved      0.0   0.0   0.0    0%   0.0     0    0     0    0M    0M    0M"
_THRESHOLDS = (
    " LOAD THRESHOLD USED FOR SCHEDULING:",
    "           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem",
    " loadSched   -     -     -     -       -     -    -     -     -      -      -  ",
    " loadStop    -     -     -     -       -     -    -     -     -      -      -  ",
)


def bhosts(call: Call, state: State) -> int:
    """:returns: 255 for an unknown host."""
    words, fields, flags = [], "", set()
    arguments = list(call.arguments)
    while arguments:
        word = arguments.pop(0)
        if word == "-o":
            fields = arguments.pop(0) if arguments else ""
        elif word.startswith("-"):
            flags.add(word)
        else:
            words.append(word)
    if state["dialect"] != LSF and (fields or "-json" in flags):
        call.complain("bhosts: invalid option -- 'o'")
        return 255
    known = shown_hosts(state)
    for word in words:
        if word not in known:
            call.complain(f"{word}: {UNKNOWN}")
            return 255
    names = words or known
    if fields:
        return _fields(call, state, names, fields, as_json="-json" in flags)
    if "-l" in flags:
        for name in names:
            _long(call, state, name)
        return 0
    wide = "-w" in flags
    call.say(f"HOST_NAME          STATUS       {'   ' if wide else ''}JL/U    MAX  NJOBS    RUN  SSUSP  USUSP    RSV ")
    for name in names:
        word = status(state, name)
        shown = f"{word:<14}" if wide else f"{word.partition('_')[0]:<11}"
        call.say(f"{name[:18]:<18} {shown} {'-':>5} {_counts(state, name)}")
    return 0


def _counts(state: State, name: str) -> str:
    used = slots_used(state, name)
    return f"{state['hosts'][name]['max']:>6} {used:>6} {used:>6} {0:>6} {0:>6} {0:>6}"


def _long(call: Call, state: State, name: str) -> None:
    host, load = state["hosts"][name], state["hosts"][name]["load"]
    call.say(f"HOST  {name}")
    call.say("STATUS           CPUF  JL/U    MAX  NJOBS    RUN  SSUSP  USUSP    RSV DISPATCH_WINDOW")
    call.say(f"{status(state, name):<14} {host['cpuf']:>6.2f} {'-':>5} {_counts(state, name)}      -", "")
    call.say(" CURRENT LOAD USED FOR SCHEDULING:", _LOAD_HEAD)
    if load is None or host["lim"] != "ok":
        call.say(_NO_LOAD)
    else:
        call.say(
            f" Total {load['r15s']:>11.1f} {load['r1m']:>5.1f} {load['r15m']:>5.1f} {load['ut']:>4}% "
            f"{load['pg']:>5.1f} {load['io']:>5} {load['ls']:>4} {load['it']:>5} {load['tmp']:>5} "
            f"{load['swp']:>5} {load['mem']:>5}"
        )
    call.say(_RESERVED, "", "", *_THRESHOLDS, "", "")
    if host["closed"] and host["message"]:
        call.say(f'ADMIN ACTION MESSAGE: "{host["message"]}"')


def _fields(call: Call, state: State, names: list[str], fields: str, *, as_json: bool) -> int:
    rows = []
    for name in names:
        host, used = state["hosts"][name], str(slots_used(state, name))
        values = {
            "host_name": name,
            "status": status(state, name),
            "max": str(host["max"]) if host["ncpus"] or host["static"] else "-",
            "njobs": used,
            "run": used,
            "ssusp": "0",
            "ususp": "0",
            "rsv": "0",
            "comments": host["message"] if host["closed"] else "",
            "jl_u": "-",
            "cpuf": f"{host['cpuf']:.2f}",
            "run_jobs": " ".join(str(job["id"]) for job in jobs_on(state, name)),
        }
        wanted = fields.replace(",", " ").split()
        for field in wanted:
            if field.lower() not in values:
                call.complain(f"bhosts: {field} is not a valid field name")
                return 255
        rows.append({field.upper(): values[field.lower()] for field in wanted})
    if as_json:
        say(call, "bhosts", "HOSTS", rows)
        return 0
    call.say(*(" ".join(value or "-" for value in row.values()) for row in rows))
    return 0
