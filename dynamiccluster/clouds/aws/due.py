"""When something that changes seldom is asked for again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock

log = logging.getLogger(__name__)

_TRY_AGAIN_S = 300.0

ODD = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading an answer raises that does not look as documented."""


class Due:
    """Remembers when each thing was asked for. A failure to ask, or an answer that cannot be understood, leaves what is
    known, and is tried again."""

    def __init__(self, clock: Clock, tenancy: str) -> None:
        self._clock = clock
        self._tenancy = tenancy
        self._asked_at: dict[str, float] = {}
        self._until: dict[str, float] = {}

    def __call__(self, what: str, every_s: float, ask: Callable[[], None], *, missing: bool = False) -> None:
        """Call ``ask`` if it is time. ``missing``: something is wanted that is not known, so it is time sooner."""
        now = self._clock.monotonic()
        until = self._until.get(what, 0.0)
        if missing:
            until = min(until, self._asked_at.get(what, -_TRY_AGAIN_S) + _TRY_AGAIN_S)
        if what in self._until and now < until:
            return
        self._asked_at[what] = now
        try:
            ask()
        except (DynamicClusterError, *ODD) as error:
            text = str(error) if isinstance(error, DynamicClusterError) else f"odd answer: {error!r}"
            log.warning("%s: %s cannot be read, what is known holds: %s", self._tenancy, what, text)
            self._until[what] = now + _TRY_AGAIN_S
        else:
            self._until[what] = now + every_s

    def now(self) -> float:
        """The time, for questions about the present."""
        return self._clock.now()
