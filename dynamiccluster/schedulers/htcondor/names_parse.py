"""Names of machines: HTCondor's are mostly full ones (``wn-1.example.org``), ours never are. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class HostNames:
    """Shows machines by the first part of their name, unless two of them share it: those keep their full names."""

    def __init__(self, machines: Iterable[str] = ()) -> None:
        self._full = {name: name.partition(".")[0] for name in machines}
        often = Counter(self._full.values())
        self._shown = {name: short if often[short] == 1 else name for name, short in self._full.items()}

    def short(self, machine: str) -> str:
        """The name to show for a machine, whether or not it is known."""
        return self._shown.get(machine) or machine.partition(".")[0]

    def of_slot(self, slot: str) -> str:
        """The name to show for the machine of ``slot1_2@wn-1.example.org``."""
        return self.short(slot.strip().rpartition("@")[2])
