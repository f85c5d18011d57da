"""The interpreter's habits: when it collects garbage, and how finely it shares time among threads."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_put_off() -> Iterator[None]:
    """No collection within the ``with`` block.

    A decision on 100,000 jobs makes so many objects that the collector would look through all of them, jobs
    included, several times: 0.1 s of 0.4 s (measured 2026-11-20). May be entered by several threads: whoever
    found it on puts it on again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


SWITCH_S = 0.0005
"""How long a thread that computes lets others wait. Python's own 5 ms are felt: each request needs the interpreter anew
after each of its system calls, some four times, and so does a commit. While 5,000 nodes were decided upon, with 200
requests a second, a commit took 6 ms longer, and the slowest hundredth of the requests 140 ms instead of 80 (measured
2026-11-20)."""

SETTLE_EVERY_S = 2.0
COLLECT_EVERY_S = 600.0


async def keep_collections_short() -> None:
    """Let the collector look at what is young only; runs until cancelled.

    A full collection of the pictures of a large cluster holds everything up for 0.1 s and more (5,000 nodes and 5,000
    jobs, measured 2026-11-20), finds nothing, as pictures have no cycles, and comes every few polls, as each poll
    brings a new picture. So what has lived for :data:`SETTLE_EVERY_S` is set aside (``gc.freeze``; it is freed all the
    same when nobody refers to it), and everything is looked through every :data:`COLLECT_EVERY_S` only.
    """
    rounds = max(1, round(COLLECT_EVERY_S / SETTLE_EVERY_S))
    try:
        while True:
            for _ in range(rounds):
                gc.freeze()
                await asyncio.sleep(SETTLE_EVERY_S)
            gc.unfreeze()
            gc.collect()
    finally:
        gc.unfreeze()


def share_time_finely() -> None:
    """For a process that computes in one thread while others are to answer quickly; of the whole process."""
    sys.setswitchinterval(SWITCH_S)
