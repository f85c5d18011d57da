"""The file that submit hooks write to: rung after a change, never before the job can be seen, never in the way."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.engine.doorbell import LOOK_S, SETTLE_S, Doorbell
from dynamiccluster.kit.pace import PacedLoop
from dynamiccluster.testing.bridge import InlineBridge


def ringing(path: Path, act: Callable[[Callable[[], int]], Coroutine[Any, Any, None]]) -> list[float]:
    """When it was rung, in seconds since the start, while ``act`` did something."""
    rung: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        bridge = InlineBridge(random.Random(1), latency_s=(0.0, 0.0))
        bell = loop.create_task(Doorbell(str(path), bridge, lambda: rung.append(loop.time() - began)).run())
        await asyncio.sleep(0.1)
        await act(lambda: len(rung))
        bell.cancel()
        await asyncio.gather(bell, return_exceptions=True)

    with asyncio.Runner(loop_factory=lambda: PacedLoop(None)) as runner:
        runner.run(main())
    return rung


def press(path: Path, at_ns: int) -> None:
    """As a hook does; the time of the change is given, as several changes may fall into one tick of the file system."""
    with path.open("r+b") as file:
        file.write(b"1")
    os.utime(path, ns=(at_ns, at_ns))


def test_the_file_is_made_and_a_change_rings_once(tmp_path: Path) -> None:
    path = tmp_path / "doorbell"

    async def act(count: Callable[[], int]) -> None:
        assert path.read_bytes() == b"0"
        assert path.stat().st_mode & 0o777 == 0o660
        await asyncio.sleep(5)
        assert count() == 0
        press(path, 10**9)
        await asyncio.sleep(5)
        assert count() == 1
        for number in range(100):  # a storm
            press(path, 10**9 + number)
        await asyncio.sleep(5)
        assert count() == 2

    rung = ringing(path, act)
    assert SETTLE_S <= rung[0] - 5.1 <= LOOK_S + SETTLE_S + 0.1
    assert path.stat().st_size == 1


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "doorbell"
    path.write_bytes(b"x")
    path.chmod(0o622)

    async def act(count: Callable[[], int]) -> None:
        await asyncio.sleep(3)
        assert (count(), path.read_bytes(), path.stat().st_mode & 0o777) == (0, b"x", 0o622)

    assert ringing(path, act) == []


def test_a_doorbell_that_cannot_be_had_is_told_once_and_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "absent" / "doorbell"

    async def act(count: Callable[[], int]) -> None:
        await asyncio.sleep(5)
        path.parent.mkdir()
        path.write_bytes(b"0")
        await asyncio.sleep(3)
        assert count() == 0  # it has only appeared
        press(path, 10**9)
        await asyncio.sleep(3)

    assert len(ringing(path, act)) == 1
    assert len(caplog.records) == 1
    assert "No such file" in caplog.text
