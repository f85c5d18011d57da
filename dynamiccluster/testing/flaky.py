"""What flaky wrappers have in common: actions whose request or reply is lost, refused, or late."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from dynamiccluster.errors import DynamicClusterError, TransientError, UnknownOutcomeError
from dynamiccluster.testing.faults import FaultKind, Faults

T = TypeVar("T")
Later = Callable[[float, Callable[[], None]], None]
"""``later(delay_s, function)``: let something happen by itself after a while, whoever is still alive then."""

log = logging.getLogger(__name__)


class FlakyCalls:
    """Calls of one source, struck by the faults of ``target``."""

    def __init__(self, faults: Faults, target: str, later: Later, latest_s: float) -> None:
        self.faults = faults
        self.target = target
        self._later = later
        self._latest_s = latest_s

    def strikes(self, kind: FaultKind) -> bool:
        return self.faults.strikes(kind, self.target)

    def before_list(self) -> None:
        """Raise where a list cannot be had now."""
        if self.strikes(FaultKind.POLL_FAILS):
            raise TransientError(f"{self.target}: connection refused")
        if self.strikes(FaultKind.POLL_LOST):
            raise UnknownOutcomeError(f"{self.target}: no answer in time")

    def act(self, name: str, function: Callable[[], T], can_be_late: bool = True) -> T:
        """Carry an action out, or not, or later, and say so or not."""
        if self.strikes(FaultKind.ACT_FAILS):
            raise TransientError(f"{self.target}: {name} failed, try again")
        if self.strikes(FaultKind.LOST_REQUEST):
            raise UnknownOutcomeError(f"{self.target}: {name} was not answered")
        if can_be_late and self.strikes(FaultKind.LATE_EFFECT):
            self._later(self.faults.rng.uniform(5.0, self._latest_s), lambda: self._unheard(name, function))
            raise UnknownOutcomeError(f"{self.target}: {name} is not answered yet")
        result = function()
        if self.strikes(FaultKind.LOST_REPLY):
            raise UnknownOutcomeError(f"{self.target}: the answer to {name} was lost")
        return result

    def _unheard(self, name: str, function: Callable[[], object]) -> None:
        try:
            function()
        except DynamicClusterError as error:
            log.debug("late %s of %s: %s", name, self.target, error)
