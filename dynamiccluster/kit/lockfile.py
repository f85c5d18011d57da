"""A file that one process holds for as long as it lives: whoever comes second learns who was first."""

from __future__ import annotations

import contextlib
import fcntl
import os

from dynamiccluster.errors import BadConfigError


class LockFile:
    """An advisory lock on a file of its own, with our process id in it.

    The lock goes with the process, however that ends, so a file left behind stops nobody. It is never removed:
    whoever had opened it a moment before would then hold a lock that nobody else can see.
    """

    def __init__(self, path: str, what: str) -> None:
        """Take the lock on ``path``, which guards ``what``.

        :raises BadConfigError: somebody else holds it, or the file cannot be written.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            raise BadConfigError(f"{what}: the lock {path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            text = f"{what} is in use by process {pid or '(unknown)'}: stop that service first (its lock is {path})"
            raise BadConfigError(text) from error
        with contextlib.suppress(OSError):  # the disk is full: the lock counts, the number is for people
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        os.close(self._file)
