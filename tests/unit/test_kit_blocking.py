"""The thread bridge: results, time limits, and pools that say so when they are stuck."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from dynamiccluster.errors import NotFoundError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.blocking import ThreadBridge


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 30))


def test_results_and_errors_come_back() -> None:
    async def main() -> None:
        bridge = ThreadBridge()
        here = threading.get_ident()
        assert await bridge.call("a", "ident", 5, threading.get_ident) != here

        def fail() -> None:
            raise NotFoundError("no such host")

        with pytest.raises(NotFoundError, match="no such host"):
            await bridge.call("a", "fail", 5, fail)

        def stop() -> None:
            raise StopIteration

        with pytest.raises(RuntimeError, match="StopIteration"):
            await bridge.call("a", "stop", 5, stop)

        def leave() -> None:
            raise SystemExit(3)

        with pytest.raises(RuntimeError, match="SystemExit"):  # somebody's plug-in must not end the service
            await bridge.call("a", "leave", 5, leave)
        assert await bridge.call("a", "again", 5, lambda: 7) == 7  # the workers have survived all of it
        bridge.close()

    run(main())


def test_a_group_never_runs_more_than_its_workers_and_serves_in_order() -> None:
    async def main() -> None:
        bridge = ThreadBridge({"a": 2})
        lock = threading.Lock()
        state = {"now": 0, "most": 0}
        order: list[int] = []
        both = threading.Barrier(2, timeout=10)

        def work(number: int) -> int:
            with lock:
                state["now"] += 1
                state["most"] = max(state["most"], state["now"])
                order.append(number)
            both.wait()  # passes only when two run at the same time
            with lock:
                state["now"] -= 1
            return number

        calls = [bridge.call("a", "work", 20, lambda number=number: work(number)) for number in range(10)]  # type: ignore[misc]
        assert await asyncio.gather(*calls) == list(range(10))
        assert state["most"] == 2
        assert [sorted(order[at : at + 2]) for at in range(0, 10, 2)] == [[at, at + 1] for at in range(0, 10, 2)]
        bridge.close()

    run(main())


def test_a_hanging_group_fails_fast_and_harms_nobody_else() -> None:
    async def main() -> None:
        bridge = ThreadBridge({"cloud": 2, "other": 1})
        hang = threading.Event()
        first = asyncio.ensure_future(bridge.call("cloud:x", "list instances", 0.05, hang.wait))
        second = asyncio.ensure_future(bridge.call("cloud:x", "terminate", 0.1, hang.wait))
        waiting = asyncio.ensure_future(bridge.call("cloud:x", "launch", 5, lambda: "never"))
        with pytest.raises(UnknownOutcomeError, match=r"list instances did not answer within 0\.05 s"):
            await first
        with pytest.raises(UnknownOutcomeError):
            await second
        both = "all 2 workers of cloud:x are stuck in list instances, terminate"
        with pytest.raises(TransientError, match=f"launch was not started: {both}"):
            await waiting
        with pytest.raises(TransientError, match=both):
            await bridge.call("cloud:x", "launch", 5, lambda: "never")
        assert {name: set(calls) for name, calls in bridge.stuck_calls().items()} == {
            "cloud:x": {"list instances", "terminate"}
        }
        assert await bridge.call("scheduler", "poll", 5, lambda: "fine") == "fine"
        hang.set()
        while bridge.stuck_calls():
            await asyncio.sleep(0.001)  # until the real threads have come back
        assert await bridge.call("cloud:x", "launch", 5, lambda: "again") == "again"
        bridge.close()

    run(main())


def test_waiting_for_a_worker_does_not_count_against_the_limit() -> None:
    async def main() -> None:
        bridge = ThreadBridge({"a": 1})
        gate = threading.Event()
        slow = asyncio.ensure_future(bridge.call("a", "slow", 10, gate.wait))
        quick = asyncio.ensure_future(bridge.call("a", "quick", 0.01, lambda: "done"))
        await asyncio.sleep(0.05)  # real: five times the limit of the one that waits
        assert not quick.done()
        gate.set()
        assert await slow
        assert await quick == "done"
        bridge.close()

    run(main())


def test_cancelled_calls_give_their_place_back() -> None:
    async def main() -> None:
        bridge = ThreadBridge({"a": 1})
        gate = threading.Event()
        ran: list[str] = []
        running = asyncio.ensure_future(bridge.call("a", "running", 10, gate.wait))
        waiting = asyncio.ensure_future(bridge.call("a", "waiting", 10, lambda: ran.append("waiting")))
        last = asyncio.ensure_future(bridge.call("a", "last", 10, lambda: ran.append("last")))
        await asyncio.sleep(0)
        running.cancel()
        waiting.cancel()
        await asyncio.wait([running, waiting])
        gate.set()
        await last
        assert ran == ["last"]
        bridge.close()

    run(main())


def test_close_fails_what_waits() -> None:
    async def main() -> None:
        bridge = ThreadBridge({"a": 1})
        gate = threading.Event()
        running = asyncio.ensure_future(bridge.call("a", "running", 10, gate.wait))
        waiting = asyncio.ensure_future(bridge.call("a", "waiting", 10, lambda: None))
        await asyncio.sleep(0)
        bridge.close()
        with pytest.raises(TransientError, match="stopping"):
            await waiting
        with pytest.raises(TransientError, match="stopping"):
            await bridge.call("a", "late", 10, lambda: None)
        gate.set()
        assert await running
        bridge.close()

    run(main())


def test_of_what_strangers_ask_only_so_much_waits() -> None:
    """Who asked may have gone; what was asked for would be done all the same, for hours."""

    async def main() -> None:
        bridge = ThreadBridge({"dry-run": 1}, most_waiting={"dry-run": 2})
        go_on = threading.Event()
        under_way = asyncio.ensure_future(bridge.call("dry-run", "first", 20, go_on.wait))
        waiting = [asyncio.ensure_future(bridge.call("dry-run", "next", 20, lambda: 7)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(TransientError, match="2 others wait"):
            await bridge.call("dry-run", "one too many", 20, lambda: 7)
        assert await bridge.call("another", "this", 20, lambda: 8) == 8
        go_on.set()
        assert await asyncio.gather(under_way, *waiting) == [True, 7, 7]
        assert await bridge.call("dry-run", "again", 20, lambda: 9) == 9
        bridge.close()

    run(main())
