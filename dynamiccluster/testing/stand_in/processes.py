"""Processes of a stand-in: a daemon that leaves the one who started it, and jobs that really run."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Mapping

_SET_PARENT_DEATH_SIGNAL = 1  # linux/prctl.h


def become_daemon(pid_file: str, body: Callable[[], None]) -> int:
    """Run ``body`` in a process of its own whose pid stands in ``pid_file`` when this returns (0, an exit code)."""
    read_end, write_end = os.pipe()
    first = os.fork()
    if first:
        os.close(write_end)
        os.waitpid(first, 0)
        with os.fdopen(read_end, "rb") as pipe:
            return 0 if pipe.read(1) else 1
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for at in (0, 1, 2):
        os.dup2(nothing, at)
    with open(f"{pid_file}.new", "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    os.replace(f"{pid_file}.new", pid_file)
    os.write(write_end, b"1")
    os.closerange(3, 256)
    body()
    os._exit(0)


class Jobs:
    """The running jobs of one worker daemon, by a key of its own. A process beside the daemon minds each."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}  # of the scripts, which lead sessions of their own
        self._minders: dict[str, int] = {}

    def start(self, key: str, script: str, env: Mapping[str, str], *, cwd: str, output: str) -> None:
        """Run a script of ``/bin/sh``; what it prints is added to the file ``output``."""
        read_end, write_end = os.pipe()
        minder = os.fork()
        if minder == 0:
            try:
                _mind(write_end, script, env, cwd, output)
            finally:
                os._exit(126)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as pipe:
            self.pids[key] = int(pipe.readline() or 0)
        self._minders[key] = minder

    def reap(self) -> dict[str, int]:
        """Jobs that have ended: exit codes, negative for those ended by a signal."""
        ended = {}
        for key, minder in list(self._minders.items()):
            found, status = os.waitpid(minder, os.WNOHANG)
            if found:
                del self.pids[key], self._minders[key]
                ended[key] = os.waitstatus_to_exitcode(status)
        return ended

    def signal(self, key: str, number: int) -> None:
        """To all processes of the job's group; nothing if it has ended."""
        if self.pids.get(key):
            try:
                os.killpg(self.pids[key], number)
            except ProcessLookupError:
                return


def _mind(told: int, script: str, env: Mapping[str, str], cwd: str, output: str) -> None:
    """Start the job, say its pid, wait for it, and end as it has ended."""
    _die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    job = os.fork()
    if job == 0:
        try:
            _exec(script, env, cwd, output)
        finally:
            os._exit(126)
    os.write(told, f"{job}\n".encode())
    os.close(told)
    code = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _die_with_parent() -> None:
    """A machine that dies takes its jobs along."""
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _exec(script: str, env: Mapping[str, str], cwd: str, output: str) -> None:
    os.setsid()
    _die_with_parent()
    log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, 256)
    os.chdir(cwd if os.path.isdir(cwd) else "/")
    os.execve("/bin/sh", ["/bin/sh", "-c", script], dict(env))  # noqa: S606 - the user's script, as the user's own shell


def signal_number(word: str) -> int:
    """``TERM``, ``SIGKILL``, ``9``; 0 for what is no signal, such as ``suspend``."""
    if word.isdigit():
        return int(word)
    name = word if word.startswith("SIG") else f"SIG{word}"
    return int(getattr(signal, name, 0))
