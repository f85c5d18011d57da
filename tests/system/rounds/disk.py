"""A disk of a few MiB that a test can fill: a tmpfs that only the service sees, in a mount namespace of its own."""

from __future__ import annotations

import errno
import os
import pathlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_MOUNT = (
    # mounts below the one that holds the directory stay in this namespace; those of /run/netns are still everybody's
    'mount --make-private "$(findmnt -n -o TARGET -T "$1")" && mount -t tmpfs -o "size=$2" small "$1" && '
    "echo mounted && exec sleep infinity"
)


@dataclass(frozen=True)
class SmallDisk:
    """``inside``: where the service sees it. ``outside``: the same for everybody else. ``holder``: keeps it."""

    inside: pathlib.Path
    outside: pathlib.Path
    holder: int

    @property
    def before_program(self) -> tuple[str, ...]:
        """Stands before the argv of a program that is to see it."""
        return ("nsenter", f"--mount=/proc/{self.holder}/ns/mnt", f"--wd={os.getcwd()}", "--")

    def fill(self) -> int:
        """Leave no byte free. How many were."""
        block, written = b"\0" * 4096, 0
        handle = os.open(self.outside / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while True:
                try:
                    written += os.write(handle, block)
                except OSError as error:
                    if error.errno == errno.ENOSPC:
                        return written
                    raise
        finally:
            os.close(handle)

    def free(self) -> None:
        """Give back what :meth:`fill` took."""
        (self.outside / "ballast").unlink()


@contextmanager
def small_disk(directory: pathlib.Path, mib: int) -> Iterator[SmallDisk]:
    """A disk of this size over ``directory``, which must exist; it is gone at the end with all of its files."""
    command = ("unshare", "--mount", "--propagation", "unchanged", "sh", "-c", _MOUNT, "sh", str(directory), f"{mib}m")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "mounted\n"
            yield SmallDisk(directory, pathlib.Path(f"/proc/{holder.pid}/root{directory}"), holder.pid)
        finally:
            holder.kill()
