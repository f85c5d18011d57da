"""The one bridge from the event loop to code that blocks: small bounded pools of threads, one per provider.

A provider that hangs fills its own pool and nobody else's. The threads are daemons: a call that hangs in the
kernel does not keep the service from ending.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from dynamiccluster.errors import TransientError, UnknownOutcomeError

T = TypeVar("T")

log = logging.getLogger(__name__)

WORKERS = 4
"""Threads of a pool for which nothing else is said: enough to hide latency, too few to anger a head node."""


class Bridge(Protocol):
    """Calls blocking functions without holding up the event loop. Used on the loop's thread only."""

    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], T]) -> T:
        """The function's result, or what it raised. ``name`` is for messages: what is being asked of whom.

        ``group`` names the pool. Calls beyond its size wait for a free worker; the time limit counts from
        the moment a worker takes the call.

        :raises UnknownOutcomeError: it did not return within ``timeout_s``; it may still be running.
        :raises TransientError: it was never started, because every worker of the group is stuck in a call that
            is beyond its limit, because too many wait for one already, or because the bridge was closed.
        """
        ...


@dataclass(eq=False)
class _Call:
    name: str
    timeout_s: float
    function: Callable[[], Any]
    future: asyncio.Future[Any]
    started_at: float = 0.0  # on the loop's clock
    limit: asyncio.TimerHandle | None = None
    stuck: bool = False  # nobody waits for it any more, and it has not returned


@dataclass(eq=False)
class _Pool:
    """Threads of one group. Everything but ``todo`` is touched on the loop's thread only, so there are no locks."""

    group: str
    size: int
    todo: queue.SimpleQueue[_Call | None] = field(default_factory=queue.SimpleQueue)
    waiting: deque[_Call] = field(default_factory=deque)
    running: set[_Call] = field(default_factory=set)
    threads: int = 0

    def stuck(self) -> str:
        """Which calls block the whole pool; "" while a worker is free or may still come back in time."""
        if len(self.running) < self.size or not all(call.stuck for call in self.running):
            return ""
        return ", ".join(sorted({call.name for call in self.running}))


class ThreadBridge:
    """The real bridge. ``workers_per_group`` sets the size of single pools, ``workers`` that of all others.

    ``{"plugin": 1}`` is for every group whose name begins with ``plugin:``. ``most_waiting``: of groups that strangers
    may call, how many calls may wait for a worker; they go on waiting when whoever asked has gone.
    """

    def __init__(
        self,
        workers_per_group: Mapping[str, int] | None = None,
        workers: int = WORKERS,
        most_waiting: Mapping[str, int] | None = None,
    ) -> None:
        self._sizes = dict(workers_per_group or {})
        self._default = workers
        self._most_waiting = dict(most_waiting or {})
        self._pools: dict[str, _Pool] = {}
        self._closed = False

    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], T]) -> T:
        if self._closed:
            raise TransientError(f"{name} was not started: the service is stopping")
        pool = self._pools.get(group)
        if pool is None:
            kind = group.partition(":")[0]
            size = self._sizes.get(group, self._sizes.get(kind, self._default))
            pool = self._pools[group] = _Pool(group, max(1, size))
        self._refuse_if_stuck(pool, name)
        if len(pool.waiting) >= self._most_waiting.get(group, len(pool.waiting) + 1):
            raise TransientError(f"{name} was not started: {len(pool.waiting)} others wait already")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        call = _Call(name, timeout_s, function, future)
        pool.waiting.append(call)
        self._dispatch(pool, loop)
        try:
            return await future
        except asyncio.CancelledError:
            self._abandon(pool, call)
            raise

    def stuck_calls(self) -> dict[str, tuple[str, ...]]:
        """Group -> names of the calls that are beyond their limit and have not returned; for status pages."""
        found = {name: tuple(call.name for call in pool.running if call.stuck) for name, pool in self._pools.items()}
        return {name: calls for name, calls in found.items() if calls}

    def close(self) -> None:
        """Fail what waits and let the threads go; a call that runs may end, unheard. May be called again."""
        self._closed = True
        for pool in self._pools.values():
            while pool.waiting:
                call = pool.waiting.popleft()
                if not call.future.done():
                    call.future.set_exception(TransientError(f"{call.name} was not started: the service is stopping"))
            for _ in range(pool.threads):
                pool.todo.put(None)
            pool.threads = 0

    def _refuse_if_stuck(self, pool: _Pool, name: str) -> None:
        if stuck := pool.stuck():
            raise TransientError(
                f"{name} was not started: all {pool.size} workers of {pool.group} are stuck in {stuck}"
            )

    def _dispatch(self, pool: _Pool, loop: asyncio.AbstractEventLoop) -> None:
        """Give waiting calls to free workers."""
        while pool.waiting and len(pool.running) < pool.size:
            call = pool.waiting.popleft()
            if call.future.done():
                continue
            call.started_at = loop.time()
            call.limit = loop.call_later(call.timeout_s, self._expire, pool, call)
            pool.running.add(call)
            if pool.threads < len(pool.running):
                pool.threads += 1
                label = f"{pool.group}-{pool.threads}"
                threading.Thread(target=_work, args=(pool, loop, self._finish), name=label, daemon=True).start()
            pool.todo.put(call)

    def _expire(self, pool: _Pool, call: _Call) -> None:
        """The time limit of a running call has come."""
        call.stuck = True
        if not call.future.done():
            text = f"{call.name} did not answer within {call.timeout_s:g} s; whether it took effect is not known"
            call.future.set_exception(UnknownOutcomeError(text))
        self._fail_waiting_if_stuck(pool)

    def _abandon(self, pool: _Pool, call: _Call) -> None:
        """Whoever asked does not want to know any more."""
        if call in pool.waiting:
            pool.waiting.remove(call)
        # A running call keeps its time limit: only beyond it does its worker count as stuck.

    def _fail_waiting_if_stuck(self, pool: _Pool) -> None:
        while pool.waiting and pool.stuck():
            call = pool.waiting.popleft()
            if not call.future.done():
                try:
                    self._refuse_if_stuck(pool, call.name)
                except TransientError as error:
                    call.future.set_exception(error)

    def _finish(
        self, pool: _Pool, loop: asyncio.AbstractEventLoop, call: _Call, result: object, error: BaseException | None
    ) -> None:
        """A worker is back."""
        pool.running.discard(call)
        if call.limit is not None:
            call.limit.cancel()
        if call.future.done():
            log.info(
                "%s returned %.0f s after it was started; nobody waits any more",
                call.name,
                loop.time() - call.started_at,
            )
        elif error is None:
            call.future.set_result(result)
        else:
            call.future.set_exception(error)
        if not self._closed:
            self._dispatch(pool, loop)


def _work(
    pool: _Pool,
    loop: asyncio.AbstractEventLoop,
    finish: Callable[[_Pool, asyncio.AbstractEventLoop, _Call, object, BaseException | None], None],
) -> None:
    """One worker: takes calls until told to go."""
    while (call := pool.todo.get()) is not None:
        result: object = None
        failure: BaseException | None = None
        try:
            result = call.function()
        except (StopIteration, SystemExit) as error:
            # a future cannot carry the first, and the second would end the whole service
            failure = RuntimeError(f"{call.name} raised {type(error).__name__}")
            failure.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - goes to the caller, whatever it is
            failure = error
        try:
            loop.call_soon_threadsafe(finish, pool, loop, call, result, failure)
        except RuntimeError:
            return  # the loop is closed: the service has stopped
