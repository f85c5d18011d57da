"""What local instances are written down in: the files of ``state_dir``, and the lock on it.

``ID.json`` (what was asked for, written first), ``ID.pid`` (written before the worker runs), ``ID.log`` (its console)
and ``ID.ended`` (its end was asked for).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dynamiccluster.clouds.local_worker import start_time
from dynamiccluster.errors import BadConfigError, CapacityError, TransientError

_ID = re.compile(r"local-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Record:
    """``ID.json``."""

    instance_id: str
    cluster_id: str
    tenancy: str
    launch_id: str
    node_id: str
    resource: str
    host_name: str
    address: str
    offering: str
    created_at: float


class Records:
    """Those of everybody who uses this directory."""

    def __init__(self, directory: str) -> None:
        self._directory = pathlib.Path(directory)

    def file(self, record: Record, kind: str) -> pathlib.Path:
        return self._directory / f"{record.instance_id}.{kind}"

    def all(self) -> list[Record]:
        """:raises TransientError: the directory or one of its records cannot be read; then no list is complete."""
        try:
            return [_parsed(path) for path in sorted(self._directory.glob("local-*.json"))]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TransientError(f"{self._directory}: {error.strerror}") from error

    def read(self, instance_id: str) -> Record | None:
        if not _ID.fullmatch(instance_id):
            return None
        try:
            return _parsed(self._directory / f"{instance_id}.json")
        except FileNotFoundError:
            return None

    def living(self, record: Record) -> int:
        """The pid of the instance's first process; 0 if it does not live. Never that of somebody else's process."""
        try:
            pid, began = self.file(record, "pid").read_text(encoding="ascii").split()
            return int(pid) if start_time(int(pid)) == began else 0
        except (FileNotFoundError, ValueError):
            return 0

    def ended_at(self, record: Record) -> float:
        """When its end was asked for; 0 = not yet."""
        try:
            return float(self.file(record, "ended").read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0.0

    def remove(self, record: Record) -> None:
        for kind in ("pid", "log", "ended", "json"):  # the json last: until then it is known
            self.file(record, kind).unlink(missing_ok=True)

    def somebody_launches(self) -> bool:
        """Whether anybody is inside :meth:`alone`."""
        try:
            handle = os.open(self._directory / "lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One launch at a time in this directory, threads and other services included."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise BadConfigError(f"{self._directory} (state_dir) cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _parsed(path: pathlib.Path) -> Record:
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise TransientError(f"{path} is damaged: {error}") from error


def write_whole(path: pathlib.Path, text: str) -> None:
    """The file has all of the text or is not there. :raises CapacityError: the disk is full or not writable."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise CapacityError(f"{path}: {error.strerror}") from error
