"""The systems that the long proofs run on. To add one, add a line; it brings ``dynamiccluster.testing.bed.Bed``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

PROOFS = ("races", "kills", "faults")


@dataclass(frozen=True)
class System:
    """``module`` has ``why_not()``, and a context manager ``function(*arguments)`` that gives the bed."""

    module: str
    function: str
    arguments: tuple[str, ...] = ()
    races: int = 100

    def why_not(self) -> str:
        """Why it cannot be had on this machine; "" if it can."""
        reason: str = importlib.import_module(self.module).why_not()
        return reason

    def bed(self) -> AbstractContextManager[Any]:
        """A new one."""
        made: Callable[..., AbstractContextManager[Any]] = getattr(importlib.import_module(self.module), self.function)
        return made(*self.arguments)


SYSTEMS = {
    "slurm": System("dynamiccluster.testing.slurm_bed", "slurm_bed", ("10.77.8.0/24",), races=200),
    "slurm-24.11": System(
        "dynamiccluster.testing.slurm_bed", "slurm_bed", ("10.81.8.0/24", "--release", "24.11"), races=200
    ),
    "sge": System("dynamiccluster.testing.sge_bed", "sge_bed", ("10.78.8.0/24",)),
    "htcondor": System("dynamiccluster.testing.htcondor_bed", "htcondor_bed", ("10.79.8.0/24",)),
    "torque": System("dynamiccluster.testing.torque_bed", "torque_bed", ("10.80.8.0/24",)),
    "lsf": System("dynamiccluster.testing.lsf_bed", "lsf_bed", ("10.80.9.0/24",)),
}
