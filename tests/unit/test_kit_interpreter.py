"""Collection is put off and always comes back, also from threads that overlap; what is old is seldom looked through."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from dynamiccluster.kit.interpreter import (
    COLLECT_EVERY_S,
    SETTLE_EVERY_S,
    SWITCH_S,
    collection_put_off,
    keep_collections_short,
    share_time_finely,
)


def fails_within() -> None:
    with collection_put_off():
        assert not gc.isenabled()
        raise KeyError


def test_it_is_put_off_and_comes_back_even_after_an_error() -> None:
    with pytest.raises(KeyError):
        fails_within()
    assert gc.isenabled()


def test_overlapping_blocks_leave_it_on() -> None:
    first, second = collection_put_off(), collection_put_off()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_what_is_old_is_set_aside_and_looked_through_every_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    rounds = round(COLLECT_EVERY_S / SETTLE_EVERY_S)
    for name in ("freeze", "unfreeze", "collect"):
        monkeypatch.setattr(gc, name, lambda name=name: done.append(name))

    async def sleep(seconds: float) -> None:
        assert seconds == SETTLE_EVERY_S
        if done.count("freeze") > 2 * rounds:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keep_collections_short())
    life = [*["freeze"] * rounds, "unfreeze", "collect"]
    assert done == [*life, *life, "freeze", "unfreeze"]  # and nothing stays set aside


def test_threads_that_wait_get_their_turn_soon() -> None:
    was = sys.getswitchinterval()
    try:
        share_time_finely()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    finally:
        sys.setswitchinterval(was)
