"""One caller at a time for a plain object that several pools of the thread bridge reach."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Exclusive:
    """A lock that first brings the protected object up to date."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def after(self, prepare: Callable[[], None]) -> Iterator[None]:
        """Wait for one's turn, call ``prepare``, and hold the turn for the length of the ``with`` block."""
        with self._lock:
            prepare()
            yield
