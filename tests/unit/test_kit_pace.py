"""The paced loop: the same asyncio, on another clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamiccluster.kit.pace import PacedClock, PacedLoop


def run(main: Coroutine[Any, Any, Any], speed: float | None = None) -> Any:
    with asyncio.Runner(loop_factory=lambda: PacedLoop(speed)) as runner:
        return runner.run(main)


def test_virtual_time_jumps_from_timer_to_timer() -> None:
    async def main() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[str, float]] = []

        async def beat(name: str, every_s: float, times: int) -> None:
            for _ in range(times):
                await asyncio.sleep(every_s)
                seen.append((name, round(loop.time(), 6)))

        async with asyncio.TaskGroup() as group:
            group.create_task(beat("day", 86400 * 3, 2))  # beyond the longest single wait of asyncio
            group.create_task(beat("hour", 3600, 3))
        return seen

    began = time.monotonic()
    assert run(main()) == [
        ("hour", 3600),
        ("hour", 7200),
        ("hour", 10800),
        ("day", 259200),
        ("day", 518400),
    ]
    assert time.monotonic() - began < 5


def test_timeouts_run_on_the_same_clock() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1000)


@given(st.lists(st.floats(0, 1e7), max_size=30))
@settings(deadline=None, max_examples=30)
def test_timers_fire_in_order_and_never_early(delays: list[float]) -> None:
    async def main() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        fired: list[tuple[float, float]] = []
        base = loop.time()
        for delay in delays:
            loop.call_later(delay, lambda delay=delay: fired.append((delay, loop.time() - base)))
        await asyncio.sleep(max(delays, default=0) + 1)
        return fired

    fired = run(main())
    assert [delay for delay, _ in fired] == sorted(delays)
    assert all(at == pytest.approx(delay, abs=1e-6) for delay, at in fired)


def test_a_deadlock_is_an_error_not_a_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="no timer is set"):
        run(main())


def test_speed_runs_faster_than_life() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(50)
        return loop.time() - began

    began = time.monotonic()
    assert run(main(), speed=500) >= 50
    assert 0.09 < time.monotonic() - began < 5


def test_real_sockets_still_work_at_any_speed() -> None:
    async def main() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        answer = await reader.readline()
        writer.close()
        server.close()
        return answer

    assert run(main(), speed=20) == b"hello\n"
    assert run(main(), speed=None) == b"hello\n"


def test_the_clock_can_jump_without_the_timers_noticing() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = PacedClock(loop, 1_000_000.0)
        assert (clock.now(), clock.monotonic()) == (1_000_000.0, 0.0)
        await asyncio.sleep(10)
        assert clock.now() == pytest.approx(1_000_010)
        clock.jump(3600)
        assert clock.now() == pytest.approx(1_003_610)
        assert clock.monotonic() == pytest.approx(10)
        clock.jump(-7200)
        assert clock.now() == pytest.approx(996_410)
        await asyncio.sleep(5)
        assert clock.now() == pytest.approx(996_415)
        assert clock.monotonic() == pytest.approx(15)

    run(main())


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_impossible_speeds(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        PacedLoop(speed)
