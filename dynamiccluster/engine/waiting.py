"""Waiting for something to happen, but not for ever."""

from __future__ import annotations

import asyncio


async def happens(event: asyncio.Event, within_s: float | None) -> bool:
    """Whether ``event`` was set within so many seconds (``None``: however long it takes).

    Not ``asyncio.wait_for``: until Python 3.12 that one loses a cancellation which comes together with the event.
    """
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
