"""Names of machines: HTCondor's are mostly full ones (``wn-1.example.org``), ours never are. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class HostNames:
    """Shows machines by the first part of their name, unless two of them share it: those keep their full names."""

    def __init__(self, machines: Iterable[str] = ()) -> None:
        by_short: dict[str, list[str]] = {}
        for name in machines:
            by_short.setdefault(name.partition(".")[0], []).append(name)
        self.shared: Mapping[str, tuple[str, ...]] = {
            short: tuple(sorted(names)) for short, names in by_short.items() if len(names) > 1
        }
        """The machines that share a short name, by that name."""
        self._shown = {
            name: name if short in self.shared else short for short, names in by_short.items() for name in names
        }

    def short(self, machine: str) -> str:
        """The name to show for a machine, whether or not it is known."""
        return self._shown.get(machine) or machine.partition(".")[0]

    def of_slot(self, slot: str) -> str:
        """The name to show for the machine of ``slot1_2@wn-1.example.org``."""
        return self.short(slot.strip().rpartition("@")[2])
