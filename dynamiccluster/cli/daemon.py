"""Going into the background, with a pid file that only one service can hold."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
from collections.abc import Callable
from types import TracebackType

from dynamiccluster.cli.text import clean
from dynamiccluster.errors import BadConfigError

_STARTED = "started"
_PATIENCE_S = 120.0
_LONGEST = 4000  # bytes of a reason; a pipe takes them in one piece


class PidFile:
    """A locked file that holds our process id for as long as we live; removed at the end.

    The lock goes with the open file, so it outlives the forks of :func:`detach`, and a pid file left by a crash
    stops nobody.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> PidFile:
        """``BadConfigError`` if another service holds the file, or it cannot be written."""
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            text = f"cannot write the pid file {self._path}: {error.strerror}; choose another with -p"
            raise BadConfigError(text) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            self._file = -1
            raise BadConfigError(f"the service is running already, as process {pid} ({self._path})") from error
        self.write()
        return self

    def write(self) -> None:
        """Put the present process's id into the file: again after each fork."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode("ascii"), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.unlink(self._path)
        os.close(self._file)
        self._file = -1


def detach() -> Callable[[str], None]:
    """Continue as a background process without a terminal.

    The process that was called stays until it is told: the function returned ends it, with code 0 for "", else with
    the reason on standard error and code 1. It also ends, with code 1, when the background process does.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        os._exit(_wait_for_word(reading))
    os.close(reading)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o022)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    if nothing > 2:
        os.close(nothing)
    told = False

    def tell(reason: str) -> None:
        nonlocal told
        if not told:
            told = True
            with contextlib.suppress(OSError):  # nobody waits any more
                os.write(writing, (reason or _STARTED).encode("utf-8", "replace")[:_LONGEST])
            os.close(writing)

    return tell


def _wait_for_word(reading: int) -> int:
    said = b""
    while select.select([reading], [], [], _PATIENCE_S)[0]:
        part = os.read(reading, _LONGEST)
        if not part:
            break
        said += part
    else:
        said = f"the service does not listen after {_PATIENCE_S:g} s, but goes on trying; see its log".encode()
    text = said.decode("utf-8", "replace")
    if text == _STARTED:
        return 0
    sys.stderr.write(f"Error: {clean(text or 'the service ended while it started; its log says why')}\n")
    sys.stderr.flush()
    return 1
