"""What a supervisor hears, on a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamiccluster.kit.systemd import Systemd


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(5)
        yield made


def test_words_arrive_in_one_message(listener: socket.socket) -> None:
    Systemd({"NOTIFY_SOCKET": listener.getsockname()}).tell("READY=1", "STATUS=fine")
    assert listener.recv(1000) == b"READY=1\nSTATUS=fine"


def test_an_abstract_socket() -> None:
    name = f"\0dynamiccluster-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(name)
        made.settimeout(5)
        Systemd({"NOTIFY_SOCKET": f"@{name[1:]}"}).tell("STOPPING=1")
        assert made.recv(1000) == b"STOPPING=1"


def test_without_systemd_or_with_a_deaf_one_nothing_happens(tmp_path: Path) -> None:
    Systemd({}).tell("READY=1")
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_watchdog_is_ours_only_if_it_says_so(more: dict[str, str], expected: float) -> None:
    assert Systemd({"NOTIFY_SOCKET": "/x", **more}).watchdog_s == expected
    assert Systemd(more).watchdog_s == 0.0
