"""Which of the things that need attention were told, and which are to be told now. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dynamiccluster.engine.attention import Attention, Severity


class Turn(StrEnum):
    BEGIN = "begin"
    REPEAT = "repeat"  # told before, and it has not ended
    END = "end"


@dataclass(frozen=True, slots=True)
class Word:
    """One thing to tell. Of an end, ``about`` is what was last known of it."""

    turn: Turn
    about: Attention
    began_at: float


@dataclass(frozen=True, slots=True)
class _Entry:
    about: Attention
    began_at: float  # first seen
    seen_at: float  # last seen
    told_at: float = 0.0  # 0 = not yet


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is open, by the attention's key. Replaced by each look.

    ``settle_s``: what has lasted so long is told, and what was gone for so long is over; a thing that comes and goes
    is told once. ``repeat_s``: what lasts is told again after so long; 0 = never. ``least``: the lowest severity told.
    """

    settle_s: float = 60.0
    repeat_s: float = 86400.0
    least: Severity = Severity.WARNING
    entries: Mapping[str, _Entry] = field(default_factory=dict)

    def look(self, found: Iterable[Attention], now: float) -> tuple[Ledger, tuple[Word, ...]]:
        """The ledger after this look, and what is to be told, the most urgent first, ends last."""
        order = list(Severity)
        grave = {one.key: one for one in found if order.index(one.severity) <= order.index(self.least)}
        entries, begun, ended = dict(self.entries), [], []
        for key, about in grave.items():
            entry = entries.get(key) or _Entry(about, now, now)
            entries[key] = entry = replace(entry, about=about, seen_at=now)
            if turn := self._turn(entry, now):
                entries[key] = replace(entry, told_at=now)
                begun.append(Word(turn, about, entry.began_at))
        for key, entry in self.entries.items():
            if key not in grave and now - entry.seen_at >= self.settle_s:
                del entries[key]
                if entry.told_at:
                    ended.append(Word(Turn.END, entry.about, entry.began_at))
        begun.sort(key=lambda word: order.index(word.about.severity))
        return replace(self, entries=entries), (*begun, *ended)

    def _turn(self, entry: _Entry, now: float) -> Turn | None:
        if not entry.told_at:
            return Turn.BEGIN if now - entry.began_at >= self.settle_s else None
        return Turn.REPEAT if self.repeat_s and now - entry.told_at >= self.repeat_s else None
