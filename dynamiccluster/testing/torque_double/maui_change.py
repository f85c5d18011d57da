"""What changes Maui's mind: reservations of users, holds that are lifted, parameters."""

from __future__ import annotations

import re

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.maui import look, release
from dynamiccluster.testing.torque_double.maui_show import span
from dynamiccluster.testing.torque_double.request import seconds

_ACL = {"-u": "user", "-a": "account", "-g": "group", "-q": "class"}
_WITH_VALUE = {*_ACL, "-s", "-d", "-e", "-n", "-c", "-f", "-p", "-r", "-t", "-x", "-Q", "-R"}
_SOON_S = 5  # "now" begins so much later (recorded)


def setres(call: Call, state: State) -> int:
    """``setres -a ACCOUNT [-s +TIME] [-d TIME] [-n NAME] HOSTS``; hosts are a regular expression, or ``ALL``."""
    options: dict[str, str] = {}
    words: list[str] = []
    arguments = list(call.arguments)
    while arguments:
        word = arguments.pop(0)
        if word in _WITH_VALUE:
            options[word] = arguments.pop(0) if arguments else ""
        elif word.startswith("-") and word[:2] in _WITH_VALUE:
            options[word[:2]] = word[2:]
        else:
            words.append(word)
    view = state["maui"]["view"]
    nodes = [name for name in view["nodes"] if any(_names(word, name) for word in words)]
    if not nodes:
        call.say("", "", f"ERROR:    invalid hostlist ('{' '.join(words)}')", "", "")  # public reports, not recorded
        return 1
    start = view["at"] + _SOON_S
    if options.get("-s", "").startswith("+"):
        start += seconds(options["-s"][1:])
    length = seconds(options["-d"]) if "-d" in options else 0
    acl = {kind: re.split("[:,]", options[letter]) for letter, kind in _ACL.items() if letter in options}
    stem = options.get("-n") or next((names[0] for names in acl.values()), "SYSTEM")  # without -n: as the guide has it
    taken = {one["name"] for one in state["maui"]["user_reservations"]}
    number = next(at for at in range(len(taken) + 1) if f"{stem}.{at}" not in taken)
    name = f"{stem}.{number}"
    one = {"name": name, "start": start, "end": start + length if length else 0, "nodes": nodes, "acl": acl}
    state["maui"]["user_reservations"].append(one)
    look(state, view["at"])
    slots = sum(view["nodes"][node]["np"] for node in nodes)
    plural = "s" if len(nodes) != 1 else ""
    call.say(
        "reservation created", "", "", f"reservation '{name}' created on {len(nodes)} node{plural} ({slots} tasks)"
    )
    call.say(*(f"{node}:1" for node in nodes), "", "")
    return 0


def _names(word: str, name: str) -> bool:
    try:
        return word == "ALL" or re.fullmatch(word, name) is not None
    except re.error:
        return word == name


def releaseres(call: Call, state: State) -> int:
    """Also for a reservation that is not there it returns 0 (recorded)."""
    call.say("", "")
    known = state["maui"]["user_reservations"]
    for name in call.arguments:
        if any(one["name"] == name for one in known):
            call.say(f"released User reservation '{name}'")
        else:
            call.say(f"ERROR:    cannot locate reservation '{name}'")
    state["maui"]["user_reservations"] = [one for one in known if one["name"] not in call.arguments]
    look(state, state["maui"]["view"]["at"])
    call.say("", "")
    return 0


def releasehold(call: Call, state: State) -> int:
    words = [word for word in call.arguments if not word.startswith("-")]
    for word in words:
        job_id = word.removesuffix(f".{state['host']}")
        if not release(state, job_id, state["now"]):
            call.complain(f"ERROR:    '{call.program}' failed", f"ERROR:  cannot locate job '{word}'", "")
            return 1
    call.say("", "job holds adjusted")
    return 0


_PARAMETERS = {
    "JOBNODEMATCHPOLICY[0]": "EXACTNODE",
    "BACKFILLPOLICY[0]": "FIRSTFIT",
    "NODEALLOCATIONPOLICY[0]": "MINRESOURCE",
    "RESERVATIONPOLICY[0]": "CURRENTHIGHEST",
    "JOBNODEMATCHPOLICY[1]": "",
    "RMPOLLINTERVAL": "00:00:10",
    "NODEACCESSPOLICY": "SHARED",
    "DEFERTIME": "",
    "DEFERCOUNT": "24",
    "DEFERSTARTCOUNT": "1",
    "JOBMAXOVERRUN": "00:10:00",
}


def showconfig(call: Call, state: State) -> int:
    """Only the parameters that matter here."""
    for key, value in _PARAMETERS.items():
        shown = span(state["maui"]["defer_s"]) if key == "DEFERTIME" else value
        call.say(f"{key:<33} {shown}" if "[" in key else f"{key:<31} {shown}")
    return 0


def changeparam(call: Call, state: State) -> int:
    """``DEFERTIME`` takes effect for jobs that are deferred from now on; others are taken and forgotten."""
    if len(call.arguments) > 1 and call.arguments[0] == "DEFERTIME":
        state["maui"]["defer_s"] = seconds(call.arguments[1])
    call.say("", "", "parameters modified", "")
    return 0
