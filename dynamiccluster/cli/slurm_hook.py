"""Slurm's ResumeProgram and SuspendProgram: tell the service, within a second, and never fail.

slurmctld starts these without ``PATH`` and with one argument, the host list. They are nudges only: the service reads
from Slurm itself which nodes are wanted, at every poll, so that nothing is lost when it is down, slow or away. This
file imports next to nothing, as it is started for every burst of jobs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

DEFAULT_SOCKET = "/run/dynamiccluster/api.sock"
"""The same as in ``client/rest``, which would take its time to import."""

LIMIT_S = 0.6
LOG_LIMIT_S = 0.15
"""For the request, and for each place where a failure is told: together under a second. slurmctld would wait longer,
but it starts one such program after the other."""

MOST_CHARACTERS = 40_000
"""Of a host list: it and what belongs to it must fit into a request of 64 KiB."""

Tell = Callable[[str], None]


def resume() -> int:
    """``dynamiccluster-slurm-resume HOSTLIST``."""
    return run("resume", sys.argv[1:])


def suspend() -> int:
    """``dynamiccluster-slurm-suspend HOSTLIST``, which also serves as ResumeFailProgram."""
    return run("suspend", sys.argv[1:])


def run(wants: str, arguments: list[str], where: str = "", tell: Tell | None = None) -> int:
    """Always 0. What goes wrong is one line in the system's log (and on standard error, if anybody reads it).

    ``where``: path of the service's Unix socket.
    """
    where = (where or os.environ.get("DYNAMICCLUSTER_CONNECT") or DEFAULT_SOCKET).removeprefix("unix:")
    hosts = ",".join(arguments)
    before = signal.signal(signal.SIGALRM, _too_late)
    with contextlib.suppress(Exception):  # the alarm may also ring where nothing is left to be done
        try:
            signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
            _post(where, wants, hosts)
        except Exception as error:  # noqa: BLE001 - whatever it is, slurmctld must hear that all is well
            signal.setitimer(signal.ITIMER_REAL, LOG_LIMIT_S, LOG_LIMIT_S)
            text = f"{wants} {hosts[:200]}: {where}: {error}; the service finds out at its next poll of Slurm"
            _say(tell or _to_syslog, text)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    return 0


class _LateError(Exception):
    pass


def _too_late(number: int, frame: FrameType | None) -> None:
    raise _LateError(f"no answer within {LIMIT_S} s")


def _post(where: str, wants: str, hosts: str) -> None:
    """One request. Raises whatever keeps it from being taken."""
    if not where.startswith("/"):
        raise ValueError("only the path of a Unix socket will do here")
    if not hosts or len(hosts) > MOST_CHARACTERS:
        raise ValueError(f"a host list of {len(hosts)} characters")
    body = json.dumps({"wants": wants, "hosts": hosts}).encode()
    head = (
        "POST /api/v1/power HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(where)
        connection.sendall(head.encode() + body)
        status = connection.recv(200).split(b"\r\n", 1)[0].decode("ascii", "replace")
    if status.split(" ")[1:2] != ["200"]:
        raise ValueError(status or "the service closed the connection")


def _say(tell: Tell, line: str) -> None:
    """Tell it, without control characters and within the time; a log that cannot be written must not matter either."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in line)
    for medium in (tell, _to_stderr):
        with contextlib.suppress(Exception):
            medium(shown)


def _to_syslog(line: str) -> None:
    import syslog

    syslog.openlog("dynamiccluster-slurm", 0, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_WARNING, line)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
