"""Turns: between two looks of the event loop one request is worked upon, however many have come; and limits on how many
ask another service at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from dynamiccluster.api.problems import ApiError


class Turns:
    """Who asks much shares the loop with the engine one to one.

    The loop does all that is ready before it looks again. With 250 requests at a time, 60 ms each for a search among
    100,000 jobs, each step of a decision would wait 15 s.
    """

    def __init__(self) -> None:
        self._taken = False
        self._known: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    async def mine(self, known: bool) -> None:
        """Return when it is one's turn: at once if nobody else had one. ``known``: before all who are not."""
        loop = asyncio.get_running_loop()
        if self._taken:
            turn = loop.create_future()
            (self._known if known else self._others).append(turn)
            await turn
        else:
            self._taken = True
            loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        while waiting := self._known or self._others:
            turn = waiting.popleft()
            if not turn.done():  # who waited may have been cancelled
                turn.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._taken = False


class Few:
    """So many at a time, and so many who wait for them: strangers must not send a crowd elsewhere through us."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._here = 0

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """As one of them.

        :raises ApiError: 503, as too many wait already.
        """
        if self._here >= self._most:
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many ask for this: try again", retry_after_s=5.0
            )
        self._here += 1
        try:
            async with self._free:
                yield
        finally:
            self._here -= 1
