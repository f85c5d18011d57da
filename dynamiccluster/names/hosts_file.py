"""Names in a hosts file, in a block that is ours; every other byte of the file stays as it is.

Format: ``hosts(5)``. The block stands between ``# BEGIN dynamiccluster CLUSTER_ID`` and ``# END dynamiccluster
CLUSTER_ID``, so that several installations can share one file. It goes away with its last name.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dynamiccluster.errors import BadConfigError, TransientError
from dynamiccluster.kit.hostname import require_address, require_host_name

_LATER = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


@dataclass(slots=True)
class _Content:
    """A hosts file in three parts, by lines with their ends."""

    before: list[bytes] = field(default_factory=list)
    ours: list[bytes] = field(default_factory=list)  # without the two comment lines
    after: list[bytes] = field(default_factory=list)


class HostsFileNames:
    """Implements :class:`~dynamiccluster.names.base.Names` for the file ``path``, which must exist.

    The file is replaced in one step, with its mode, owner and extended attributes kept; where it is a mount of its
    own (containers) it is rewritten in place. A lock on its directory keeps other installations out meanwhile.
    """

    def __init__(self, path: str | Path, cluster_id: str) -> None:
        self._path = Path(path)
        require_host_name(cluster_id)  # one plain word: it becomes part of a line
        self._begin = f"# BEGIN dynamiccluster {cluster_id}".encode()
        self._end = f"# END dynamiccluster {cluster_id}".encode()

    def add(self, host_name: str, address: str) -> None:
        """:raises BadConfigError: the name stands elsewhere in the file with another address, the block is damaged,
        or the file may not be written."""
        name, target = require_host_name(host_name), require_address(address)
        line = f"{target}\t{name}\n".encode()
        with self._locked() as path:
            content = self._read(path)
            for other in (*content.before, *content.after):
                fields = _fields(other)
                if name.lower() in fields[1:] and fields[0] != target:
                    raise BadConfigError(f"{path} already has {name}, outside of our block, with address {fields[0]}")
            kept = [each for each in content.ours if name.lower() not in _fields(each)[1:]]
            self._write_if_changed(path, content, [*kept, line] if line not in content.ours else content.ours)

    def remove(self, host_name: str) -> None:
        name = require_host_name(host_name).lower()
        with self._locked() as path:
            content = self._read(path)
            self._write_if_changed(path, content, [each for each in content.ours if name not in _fields(each)[1:]])

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Path]:
        """The real file behind any symbolic link, while nobody else of us changes it."""
        try:
            path = self._path.resolve(strict=True)
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(directory, fcntl.LOCK_EX)
                yield path
            finally:
                os.close(directory)
        except OSError as error:
            kind = TransientError if error.errno in _LATER else BadConfigError
            raise kind(f"{self._path} cannot be changed: {error.strerror}") from error

    def _read(self, path: Path) -> _Content:
        lines = path.read_bytes().splitlines(keepends=True)
        marks = [at for at, line in enumerate(lines) if line.strip() in (self._begin, self._end)]
        if not marks:
            return _Content(before=lines)
        if len(marks) != 2 or lines[marks[0]].strip() != self._begin or lines[marks[1]].strip() != self._end:
            raise BadConfigError(f"{path}: the lines BEGIN and END of our block are not one pair; repair it by hand")
        begin, end = marks
        return _Content(lines[:begin], lines[begin + 1 : end], lines[end + 1 :])

    def _write_if_changed(self, path: Path, content: _Content, ours: list[bytes]) -> None:
        if ours == content.ours:
            return
        before = list(content.before)
        if before and not before[-1].endswith((b"\n", b"\r")):
            before[-1] += b"\n"
        block = [self._begin + b"\n", *ours, self._end + b"\n"] if ours else []
        _replace(path, b"".join([*before, *block, *content.after]))


def _fields(line: bytes) -> list[str]:
    """Address and names (in lower case) of a line; [""] for a comment or an empty line."""
    return line.split(b"#", 1)[0].decode(errors="replace").lower().split() or [""]


def _replace(path: Path, data: bytes) -> None:
    old = path.stat()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            if (os.geteuid(), os.getegid()) != (old.st_uid, old.st_gid):
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), old.st_mode & 0o7777)
            for attribute in os.listxattr(path):
                with contextlib.suppress(OSError):  # some may be set by the kernel only
                    os.setxattr(file.fileno(), attribute, os.getxattr(path, attribute))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.replace(name, path)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            path.write_bytes(data)  # it is a mount point: Docker and Podman give containers such an /etc/hosts
            os.unlink(name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
