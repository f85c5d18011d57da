"""Amounts that placement reckons with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one node has, or what one piece of a job needs on one node."""

    cores: int = 0
    memory_mib: int = 0
    gpus: int = 0

    def __add__(self, other: Capacity) -> Capacity:
        return Capacity(self.cores + other.cores, self.memory_mib + other.memory_mib, self.gpus + other.gpus)

    def __sub__(self, other: Capacity) -> Capacity:
        return Capacity(self.cores - other.cores, self.memory_mib - other.memory_mib, self.gpus - other.gpus)

    def __mul__(self, factor: int) -> Capacity:
        return Capacity(self.cores * factor, self.memory_mib * factor, self.gpus * factor)

    def holds(self, need: Capacity) -> bool:
        """Whether ``need`` fits into this amount."""
        return self.cores >= need.cores and self.memory_mib >= need.memory_mib and self.gpus >= need.gpus
