"""The service as a process, and its store: unusable, garbage, full, shared, and after a ``kill -9``."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_process import Service, configuration

from dynamiccluster.cli import exits

PAGES = 600  # of 4 kB: enough for an empty store with its log, little enough to be filled at once


def failing(service: Service) -> tuple[int, str]:
    with service.start(ready=False):
        return service.ends()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file stands in the way")
    code, said = failing(Service(tmp_path, configuration(tmp_path)))
    assert code == exits.BAD_CONFIG
    assert "the directory of" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("content", [b"this is no database\n" * 300, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_store_that_is_garbage_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").mkdir()
    store = tmp_path / "state" / "test.db"
    store.write_bytes(content)
    code, said = failing(Service(tmp_path, configuration(tmp_path)))
    assert code == exits.BAD_CONFIG
    assert str(store) in said
    assert "Traceback" not in said
    assert store.read_bytes() == content
    assert not (tmp_path / "api.sock").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "state"
    place.mkdir()
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={PAGES * 4096}", "tmpfs", str(place)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)  # noqa: S607 - where it is differs


def test_a_file_system_that_cannot_be_written(tmp_path: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)  # noqa: S607 - where it is differs
    code, said = failing(Service(tmp_path, configuration(tmp_path)))
    assert code == exits.BAD_CONFIG
    assert str(small_disk / "test.db") in said
    assert "cannot be written: Read-only file system" in said


def fill(place: Path) -> Path:
    """Write until there is no room at all."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def test_a_full_disk_while_it_runs(tmp_path: Path, small_disk: Path) -> None:
    """It stays up, says so, does nothing that it could not remember, and recovers by itself."""
    with Service(tmp_path, configuration(tmp_path)) as service:
        filler = fill(small_disk)
        code, document = 200, None
        for _ in range(200):  # the log of the store may have some room left
            code, document = service.ask("POST", "/api/v1/resources/fast/freeze")
            if code != 200:
                break
            service.ask("POST", "/api/v1/resources/fast/restore")
        assert code == 503, document
        assert "disk is full" in document["error"]["message"]
        code, document = service.get("/readyz")
        assert code == 503
        assert "disk is full" in " ".join(document["reasons"])
        assert service.get("/healthz")[0] == 200
        nodes = service.nodes()
        assert service.ask("POST", "/api/v1/resources/fast/launch", {"count": 1})[0] == 503
        assert service.nodes() == nodes
        filler.unlink()
        service.until(lambda: service.get("/readyz")[0] == 200)
        assert service.ask("POST", "/api/v1/resources/fast/launch", {"count": 1})[0] in (200, 400)
        assert "Traceback" not in service.log()


def test_a_disk_that_is_full_at_the_start(tmp_path: Path, small_disk: Path) -> None:
    fill(small_disk)
    code, said = failing(Service(tmp_path, configuration(tmp_path)))
    assert code == exits.BAD_CONFIG
    assert "disk is full" in said or "No space left" in said
    assert "Traceback" not in said


def test_a_second_service_on_the_same_store_is_refused(tmp_path: Path) -> None:
    with Service(tmp_path, configuration(tmp_path)) as first:
        (tmp_path / "second").mkdir()
        config = configuration(tmp_path / "second")
        config["dynamic-cluster"]["store"] = first.config["dynamic-cluster"]["store"]
        code, said = failing(Service(tmp_path / "second", config))
        assert code == exits.BAD_CONFIG
        assert f"in use by process {first.pid}" in said
        assert first.get("/readyz")[0] == 200
        first.signal(signal.SIGKILL)
        first.ends()
    with Service(tmp_path / "second", config) as second:  # a lock left behind stops nobody
        assert second.get("/readyz")[0] == 200


def test_a_store_written_by_somebody_else_ends_the_service(tmp_path: Path) -> None:
    """Beyond the lock's reach, on another machine, say."""
    with Service(tmp_path, configuration(tmp_path)) as service:
        with sqlite3.connect(tmp_path / "state" / "test.db", timeout=10.0) as other:
            other.execute("UPDATE state SET version = version + 1")
        other.close()
        service.ask("POST", "/api/v1/resources/fast/freeze")
        code, said = service.ends()
    assert code == exits.FAILED
    assert "another controller has written it" in said
    assert "another controller has written it" in service.log()
    assert not (tmp_path / "api.sock").exists()


def test_kill_9_in_the_middle_of_life(tmp_path: Path) -> None:
    """The embedded machines die with the process, so the next one finds its nodes without machines: each of them is
    cleaned up, and no name is used twice."""
    config = configuration(tmp_path, jobs_per_day=40_000)
    with Service(tmp_path, config) as service:
        service.until(lambda: {"busy"} <= {node["state"] for node in service.nodes()})
        before = {node["node_id"]: node for node in service.nodes()}
        service.signal(signal.SIGKILL)
        service.ends()
    quiet = configuration(tmp_path)
    with Service(tmp_path, quiet) as service:
        service.until(lambda: service.get("/api/v1/status")[1]["tick"] > 0)
        events = service.get("/api/v1/events?limit=1000")[1]["events"]
        known = [event["text"] for event in events if event["text"].startswith("started; the store knows")]
        assert f"the store knows {len(before)} node(s)" in known[0]
        service.until(lambda: not service.nodes())
        events = service.get("/api/v1/events?limit=1000")[1]["events"]
        assert set(before) == gone(events)
        assert not [event for event in events if event["to_state"] == "quarantined"]
        code, document = service.ask("POST", "/api/v1/resources/fast/launch", {"count": 1})
        assert code == 200
        assert not set(document["node_ids"]) & set(before)
        assert "Traceback" not in service.log()


def gone(events: list[dict[str, Any]]) -> set[str]:
    return {event["node_id"] for event in events if event["to_state"] == "gone"}
