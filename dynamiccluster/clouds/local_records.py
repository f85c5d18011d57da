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
from dataclasses import dataclass, fields

from dynamiccluster.clouds.local_worker import boot_id, start_time
from dynamiccluster.errors import BadConfigError, CapacityError, TransientError

_KINDS = ("pid", "log", "ended", "json.new", "pid.new", "ended.new")
_LOCK = "lock"
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
        self._seen = False
        self._locked = False  # the lock was seen there, which nobody removes

    def file(self, record: Record, kind: str) -> pathlib.Path:
        return self._directory / f"{record.instance_id}.{kind}"

    def all(self) -> list[Record]:
        """:raises TransientError: the directory or one of its records cannot be read; then no list is complete."""
        names = [name for name in self._names() if name.endswith(".json") and _ID.fullmatch(name[:-5])]
        return [record for name in names if (record := self._parsed(name[:-5])) is not None]

    def _names(self) -> list[str]:
        """All files. A directory that was there and is not any more (a file system that has come off) is a failure."""
        try:
            names = sorted(os.listdir(self._directory))
        except FileNotFoundError as error:
            if self._seen:
                raise TransientError(f"{self._directory} (state_dir) is not there any more") from error
            return []
        except OSError as error:
            raise TransientError(f"{self._directory}: {error.strerror}") from error
        self._seen = True
        self._same(_LOCK in names)
        return names

    def _same(self, locked: bool) -> None:
        """Another directory in its place, as remains where a file system has come off, is no empty cloud."""
        if self._locked and not locked:
            raise TransientError(f"{self._directory} (state_dir) is another directory now: it has no {_LOCK} any more")
        self._locked = locked

    def read(self, instance_id: str) -> Record | None:
        return self._parsed(instance_id) if _ID.fullmatch(instance_id) else None

    def _parsed(self, instance_id: str) -> Record | None:
        """``None`` if it is not there: never was, or was forgotten a moment ago."""
        path = self._directory / f"{instance_id}.json"
        try:
            record = Record(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TransientError(f"{path}: {error.strerror}") from error
        except (ValueError, TypeError) as error:
            raise TransientError(f"{path} is damaged: {error}") from error
        kinds = {field.name: float if field.name == "created_at" else str for field in fields(Record)}
        if record.instance_id != instance_id or any(type(getattr(record, name)) is not kinds[name] for name in kinds):
            raise TransientError(f"{path} is damaged: it is not the record of {instance_id}")
        return record

    def living(self, record: Record) -> int:
        """The pid of the instance's first process; 0 if it does not live. Never that of somebody else's process."""
        path = self.file(record, "pid")
        try:
            pid, began, *boot = path.read_text(encoding="ascii").split()  # the third word is younger than the others
            number = int(pid)
            same_life = not boot or boot == [boot_id()]
            return number if same_life and start_time(number) == began else 0
        except FileNotFoundError:
            return 0
        except (OSError, ValueError) as error:  # whether it lives is not known then
            raise TransientError(f"{path} is damaged: {error}") from error

    def ended_at(self, record: Record) -> float:
        """When its end was asked for; 0 = not yet."""
        try:
            return float(self.file(record, "ended").read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0.0
        except (OSError, ValueError) as error:
            raise TransientError(f"{self.file(record, 'ended')} is damaged: {error}") from error

    def remove(self, record: Record) -> None:
        """The json first: who lists meanwhile must not see it without its end."""
        try:
            self.file(record, "json").unlink(missing_ok=True)
        except OSError as error:
            raise TransientError(f"{self._directory}: {error.strerror}") from error
        for kind in _KINDS:
            with contextlib.suppress(OSError):  # swept later
                self.file(record, kind).unlink()

    def sweep(self) -> None:
        """Remove what a removal that was interrupted has left. Only inside :meth:`alone`."""
        names = self._names()
        for name in names:
            instance_id, _, kind = name.partition(".")
            if _ID.fullmatch(instance_id) and kind in _KINDS and f"{instance_id}.json" not in names:
                with contextlib.suppress(OSError):  # it is nobody's, and costs nothing
                    (self._directory / name).unlink()

    def somebody_launches(self) -> bool:
        """Whether anybody is inside :meth:`alone`."""
        try:
            handle = os.open(self._directory / _LOCK, os.O_RDWR)
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
            self._same((self._directory / _LOCK).exists())
            handle = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise BadConfigError(f"{self._directory} (state_dir) cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


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
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise CapacityError(f"{path}: {error.strerror}") from error
