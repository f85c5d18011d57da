"""The lock that keeps two services off one store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.lockfile import LockFile


def test_the_second_learns_who_was_first(tmp_path: Path) -> None:
    path = str(tmp_path / "a.lock")
    first = LockFile(path, "the store a")
    with pytest.raises(BadConfigError, match=f"the store a is in use by process {os.getpid()}: stop"):
        LockFile(path, "the store a")
    first.release()
    LockFile(path, "the store a").release()
    assert (tmp_path / "a.lock").stat().st_mode & 0o077 == 0


def test_what_somebody_else_wrote_into_it_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_bytes(b"\xff" * 100)
    LockFile(str(tmp_path / "a.lock"), "a").release()
    assert (tmp_path / "a.lock").read_text() == f"{os.getpid()}\n"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadConfigError, match="cannot be written"):
        LockFile(str(tmp_path / "a.lock"), "a")
    assert not (tmp_path / "elsewhere").exists()
