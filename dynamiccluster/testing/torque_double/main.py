"""Which program is which, and what they all have in common: faults, a server that may be down, time that goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.daemon import lives
from dynamiccluster.testing.stand_in.faults import after, before, fault_of
from dynamiccluster.testing.stand_in.place import Place, State
from dynamiccluster.testing.stand_in.programs import run_here
from dynamiccluster.testing.torque_double import maui_change, maui_check, maui_diagnose, maui_show
from dynamiccluster.testing.torque_double.advance import advance
from dynamiccluster.testing.torque_double.job_commands import qdel, qhold, qrerun, qrls, qsig
from dynamiccluster.testing.torque_double.momctl import momctl
from dynamiccluster.testing.torque_double.pbsnodes import pbsnodes
from dynamiccluster.testing.torque_double.qmgr import qmgr
from dynamiccluster.testing.torque_double.qstat import qstat
from dynamiccluster.testing.torque_double.qsub import qsub

Command = Callable[[Call, State], int]

TORQUE: dict[str, Command] = {
    "qstat": qstat,
    "pbsnodes": pbsnodes,
    "qsub": qsub,
    "qdel": qdel,
    "qrerun": qrerun,
    "qsig": qsig,
    "qhold": qhold,
    "qrls": qrls,
    "momctl": momctl,
}
"""Those that talk to ``pbs_server``; ``qmgr`` and ``qterm`` beside them."""

MAUI: dict[str, Command] = {
    "showq": maui_show.showq,
    "showres": maui_show.showres,
    "checkjob": maui_check.checkjob,
    "checknode": maui_check.checknode,
    "diagnose": maui_diagnose.diagnose,
    "setres": maui_change.setres,
    "releaseres": maui_change.releaseres,
    "releasehold": maui_change.releasehold,
    "changeparam": maui_change.changeparam,
    "showconfig": maui_change.showconfig,
}
NAMES = (*TORQUE, *MAUI, "qmgr", "qterm")

_UNABLE = ("", "Unable to communicate with {host}({address})", "Cannot connect to specified server host '{host}'.")
_MAUI_DOWN = ("ERROR:    lost connection to server", "ERROR:    cannot request service (status)")
"""As public reports have it; no recording shows a Maui that is not there."""


def main(path: str, name: str, arguments: Sequence[str]) -> int:
    return run_here(dispatch, path, name, arguments)


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
    name = call.program
    if name in MAUI:
        return _run_maui(call)
    if not server_lives(call.place):
        with call.place.locked() as state:
            return _no_server(call, state)
    if name == "qmgr":
        return qmgr(call)
    if name == "qterm":
        call.place.set_faults({**call.place.faults(), "server": "down"})
        return 0
    with call.place.locked() as state:
        advance(call.place, state, call.place.now())
        code = TORQUE[name](call, state)
        advance(call.place, state, call.place.now())
        return code


def server_lives(place: Place) -> bool:
    """Switched off by the fault ``server``, or dead: with ``pbs_server.pid`` there must be such a process."""
    if place.faults().get("server") == "down":
        return False
    return lives(place, "pbs_server")


def _no_server(call: Call, state: State) -> int:
    """What clients say when nobody listens; ``qstat`` tries three times."""
    host, address = state["host"], state["address"]
    unable = [line.format(host=host, address=address) for line in _UNABLE]
    name = call.program
    if name == "momctl":
        return momctl(call, state)
    if name == "pbsnodes":
        call.complain(*unable, f"pbsnodes: cannot connect to server {host}, error=111 (Connection refused)")
        return 1
    if name == "qmgr":
        call.complain(*unable, "qmgr: cannot connect to server  (errno=111) Connection refused")
        return 3
    if name == "qstat":
        call.complain(*unable, *unable, *unable)
        call.complain(f"qstat: cannot connect to server {host} (errno=111) Connection refused")
        call.complain("qstat: Error (111 - Connection refused) ")
        return 111
    call.complain(*unable, f"{name}: cannot connect to server {host} (errno=111) Connection refused")
    return 111


def _run_maui(call: Call) -> int:
    fault = call.place.faults().get("maui")
    with call.place.locked() as state:
        if fault == "down" or state["scheduler"] != "maui" or not lives(call.place, "maui"):
            call.complain(*_MAUI_DOWN)
            return 1
        if server_lives(call.place):
            advance(call.place, state, call.place.now())
        if state["maui"]["view"] is None:
            call.complain(*_MAUI_DOWN)  # it has not seen anything yet
            return 1
        return MAUI[call.program](call, state)
