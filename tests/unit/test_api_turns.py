"""Many requests at a time share the event loop with the engine, and none is worked upon for nobody."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from live_api import Live, live

from dynamiccluster.api.handlers import jobs as handlers
from dynamiccluster.api.turns import Turns

ASKED = b"GET /api/v1/jobs?q=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_one_turn_between_two_looks_and_the_known_first() -> None:
    found: list[str] = []

    async def ask(turns: Turns, name: str) -> None:
        await turns.mine(known=name.startswith("known"))
        found.append(name)

    async def look(turns: Turns) -> None:
        names = ["one", "two", "known", "three"]
        asking = [asyncio.ensure_future(ask(turns, name)) for name in names]
        for _ in range(12):
            before = len(found)
            await asyncio.sleep(0)
            assert len(found) <= before + 1
        await asyncio.gather(*asking)
        await turns.mine(known=False)  # nobody is in the way any more

    asyncio.run(look(Turns()))
    assert found == ["one", "known", "two", "three"]


def test_who_goes_while_he_waits_holds_nobody_up() -> None:
    async def look() -> None:
        turns = Turns()
        await turns.mine(known=False)
        gone, left = (asyncio.ensure_future(turns.mine(known=False)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait_for(left, 5)

    asyncio.run(look())


class Looks:
    """Counts, by look of the loop, what is done in it."""

    def __init__(self, api: Live, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.number = api, 0
        self.done: Counter[int] = Counter()
        made = handlers.job_list

        def noted(*words: object) -> object:
            self.done[self.number] += 1
            return made(*words)  # type: ignore[arg-type]

        monkeypatch.setattr(handlers, "job_list", noted)
        api.loop.call_soon_threadsafe(self.look)

    def look(self) -> None:
        self.number += 1
        self.api.loop.call_soon(self.look)

    def together(self, count: int) -> list[socket.socket]:
        """So many connections whose requests are there when the loop looks next."""
        asking = [socket.create_connection(("127.0.0.1", self.api.port), timeout=20) for _ in range(count)]
        for one in asking:  # so that all are taken in before the loop stands still
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(65_536)
        stands, go_on = threading.Event(), threading.Event()
        self.api.loop.call_soon_threadsafe(lambda: (stands.set(), go_on.wait(20)))
        assert stands.wait(20)
        for number, one in enumerate(asking):
            one.sendall(ASKED % number)
        go_on.set()
        return asking


def test_a_crowd_lets_the_engine_in_after_each_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with live(tmp_path) as api:
        looks = Looks(api, monkeypatch)
        for one in looks.together(20):
            assert b"200 OK" in one.recv(100_000)
            one.close()
        assert looks.done.total() == 20
        assert set(looks.done.values()) == {1}


def test_nothing_is_done_for_who_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, go_on = [], Turns._next
    with live(tmp_path) as api:
        looks = Looks(api, monkeypatch)
        monkeypatch.setattr(Turns, "_next", lambda turns, _: held.append(turns))  # who is first has his turn for long
        asking = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(20)]
        for number, one in enumerate(asking):
            one.sendall(ASKED % number)
        while not held or len(held[0]._others) < 20 - 1:
            assert api.ask("GET", "/healthz", unix=True).status == 200  # not held up by any of them
        for one in asking:
            one.close()
        assert api.ask("GET", "/healthz", unix=True).status == 200  # the loop has looked since
        monkeypatch.setattr(Turns, "_next", go_on)
        api.loop.call_soon_threadsafe(go_on, held[0], api.loop)
        assert api.ask("GET", "/healthz").status == 200  # behind them
        assert looks.done.total() == 1


def test_of_a_long_list_head_makes_nothing(tmp_path: Path) -> None:
    """To tell its length the whole of it was made and kept, and the loop held up, for as long as that took."""
    with live(tmp_path) as api:
        model = api.service.readmodel
        view = model.snapshot.scheduler
        assert view is not None
        waiting = next(job for job in view.jobs if job.state == "pending")
        jobs = tuple(replace(waiting, job_id=str(number)) for number in range(2000))
        snapshot = replace(model.snapshot, scheduler=replace(view, jobs=jobs))
        api.service.readmodel = replace(model, snapshot=snapshot)
        got, told = api.ask("GET", "/job"), api.ask("HEAD", "/job")
        assert len(got.json) == 2000
        assert (told.status, told.raw) == (200, b"")
        for name in ("content-length", "transfer-encoding", "content-type"):
            assert told.headers.get(name) == got.headers.get(name), name
