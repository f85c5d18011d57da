"""Which program is which, and what they all have in common: faults, daemons that may be down, time that goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dynamiccluster.kit.clock import pause
from dynamiccluster.testing.lsf_double.advance import advance
from dynamiccluster.testing.lsf_double.badmin import badmin, bhist
from dynamiccluster.testing.lsf_double.bhosts import bhosts
from dynamiccluster.testing.lsf_double.bjobs import bjobs
from dynamiccluster.testing.lsf_double.bsub import bmod, bsub
from dynamiccluster.testing.lsf_double.cluster import LSF
from dynamiccluster.testing.lsf_double.control import bkill, brequeue, bresume, bstop
from dynamiccluster.testing.lsf_double.lim import lsaddhost, lsadmin, lshosts, lsid, lsinfo, lsload, lsrmhost
from dynamiccluster.testing.lsf_double.queues import bqueues, busers
from dynamiccluster.testing.lsf_double.worker import Worker
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.daemon import lives
from dynamiccluster.testing.stand_in.faults import after, before, fault_of
from dynamiccluster.testing.stand_in.place import Place, State
from dynamiccluster.testing.stand_in.processes import become_daemon
from dynamiccluster.testing.stand_in.programs import run_here

Command = Callable[[Call, State], int]

LIM: dict[str, Command] = {
    "lsid": lsid,
    "lshosts": lshosts,
    "lsload": lsload,
    "lsinfo": lsinfo,
    "lsaddhost": lsaddhost,
    "lsrmhost": lsrmhost,
    "lsadmin": lsadmin,
}
BATCH: dict[str, Command] = {
    "bjobs": bjobs,
    "bhosts": bhosts,
    "bqueues": bqueues,
    "busers": busers,
    "bsub": bsub,
    "bmod": bmod,
    "bkill": bkill,
    "brequeue": brequeue,
    "bstop": bstop,
    "bresume": bresume,
    "badmin": badmin,
    "bhist": bhist,
}
NAMES = (*LIM, *BATCH)
DAEMONS = ("lim", "mbatchd", "lsf_worker")

_BATCH_DOWN = "batch system daemon not responding ... still trying"
_LIM_DOWN = "OpenLava daemon (LIM) not responding ... still trying"
_LSF_DOWN = "LSF is down. Please wait ..."  # documentation of LSF 10.1
_LOOK_S = 0.25


def main(path: str, name: str, arguments: Sequence[str]) -> int:
    """Commands; the daemons ``lim`` and ``mbatchd``, which go into the background; and
    ``lsf_worker NAME CORES MEMORY_MIB FEATURES``, which stays in the foreground."""
    place = Place(path)
    if name == "lsf_worker":
        features = [word for word in (arguments[3] if len(arguments) > 3 else "").split(",") if word]
        Worker(place, arguments[0], int(arguments[1]), int(arguments[2]), features).run()
        return 0
    if name in DAEMONS:
        return become_daemon(place.file(f"{name}.pid"), lambda: _serve(place, name))
    return run_here(dispatch, path, name, arguments)


def _serve(place: Place, name: str) -> None:
    """mbatchd lets the cluster live on when nobody asks; LIM's process only has to be there."""
    if name != "mbatchd":
        while True:
            pause(60.0)
    with place.locked() as state:
        state["now"] = max(state["now"], place.now())  # the time without a master has not been lived through
    while True:
        with place.locked() as state:
            advance(place, state, place.now())
        pause(_LOOK_S)


def dispatch(call: Call) -> int:
    """Run one command and return its exit code."""
    fault = fault_of(call)
    told = before(fault, call)
    if told is not None:
        return told
    code = _run(call)
    after(fault, call)
    return code


def _run(call: Call) -> int:
    lim, batch = lives(call.place, "lim"), lives(call.place, "mbatchd")
    if not lim:
        if call.program in LIM:
            call.complain(f"{call.program}: LIM is down; try later")
            return 246
        call.complain(_LSF_DOWN if _is_lsf(call.place) else _LIM_DOWN)
        call.hang()
    if not batch and call.program in BATCH:
        call.complain(_LSF_DOWN if _is_lsf(call.place) else _BATCH_DOWN)
        call.hang()
    with call.place.locked() as state:
        if batch:
            advance(call.place, state, call.place.now())
        code = {**LIM, **BATCH}[call.program](call, state)
        if batch:
            advance(call.place, state, call.place.now())
        return code


def _is_lsf(place: Place) -> bool:
    state = place.read("state.json") or {}
    return bool(state.get("dialect") == LSF)
