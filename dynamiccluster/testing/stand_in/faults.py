"""Faults of the commands themselves, on request.

``faults.json`` maps the name of a command (or ``*``) to a fault::

    {"qstat": {"hang": true}}                          never answers
    {"qstat": {"delay_s": 5}}                          answers late
    {"pbsnodes": {"cut": 0.5}}                         half of the output, exit code 0
    {"qstat": {"garbage": "...", "rc": 0}}             something else in its place
    {"qmgr": {"rc": 1, "stderr": "...", "times": 2}}   fails, but only twice

Other keys (``server``, ``maui``, ...) are switches of a whole daemon, which the stand-in itself looks at.
"""

from __future__ import annotations

from typing import Any

from dynamiccluster.testing.stand_in.call import Call

_WAYS = frozenset({"hang", "delay_s", "cut", "garbage", "rc", "stderr", "times", "unless", "only"})


def fault_of(call: Call) -> dict[str, Any]:
    """The fault that this call must suffer; empty if none. Uses up one of its ``times``."""
    faults = call.place.faults()
    for name in (call.program, "*"):
        fault = faults.get(name)
        if not isinstance(fault, dict) or not applies(fault, call):
            continue
        if "times" in fault:
            fault["times"] -= 1
            if fault["times"] <= 0:
                del faults[name]
            call.place.set_faults(faults)
        return fault
    return {}


def applies(fault: dict[str, Any], call: Call) -> bool:
    """``only``: a word that must stand in the command line."""
    if unknown := set(fault) - _WAYS:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    words = " ".join(call.arguments)
    return str(fault.get("only", "")) in words


def before(fault: dict[str, Any], call: Call) -> int | None:
    """What the fault does in place of the command: its exit code, or ``None`` if the command shall run."""
    if fault.get("hang"):
        call.hang()
    if "delay_s" in fault:
        call.wait(float(fault["delay_s"]))
    if "garbage" in fault:
        call.out.append(str(fault["garbage"]))
        call.err.append(str(fault.get("stderr", "")))
        return int(fault.get("rc", 0))
    if "rc" in fault:
        call.err.append(str(fault.get("stderr", "")))
        return int(fault["rc"])
    return None


def after(fault: dict[str, Any], call: Call) -> None:
    """What the fault does to the command's output."""
    if "cut" in fault:
        whole = "".join(call.out)
        call.out[:] = [whole[: int(len(whole) * float(fault["cut"]))]]
