"""The note of a node: our mark, what is still to be done before its hold ends, and what somebody wrote before.

``dynamiccluster:c1:wn-1`` or ``dynamiccluster:c1:wn-1 reserve -a projX | rack 4``. The server may append to a note
(``note_append_on_error``); that ends up in the last part. Torque takes 256 characters and no line end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dynamiccluster.errors import BadConfigError
from dynamiccluster.schedulers.torque.nodes_parse import MARK_START

_MARK = re.compile(r"[A-Za-z0-9._:-]+")
_OURS = re.compile(rf"({MARK_START}\S+)(?: reserve (-[aq]) (\S+))?\s*(?:[|-]\s*)?(.*)", re.DOTALL)
_MOST = 250


@dataclass(frozen=True, slots=True)
class Note:
    """``reservation``: option and name for ``setres``, empty if the node needs none."""

    mark: str = ""
    reservation: tuple[str, str] | tuple[()] = ()
    rest: str = ""

    @classmethod
    def read(cls, text: str) -> Note:
        found = _OURS.fullmatch(text.strip())
        if found is None:
            return cls(rest=text.strip())
        return cls(found[1], (found[2], found[3]) if found[2] else (), found[4].strip())

    def under(self, mark: str) -> Note:
        """The same with this mark."""
        return Note(mark, self.reservation, self.rest)

    def __str__(self) -> str:
        words = [self.mark] if self.mark else []
        if self.reservation:
            words += ["reserve", *self.reservation]
        if self.rest:
            words += ["|", self.rest] if words else [self.rest]
        return " ".join(" ".join(words).split())[:_MOST]


def require_mark(mark: str) -> None:
    """:raises BadConfigError: it would not stand in a note as one word."""
    if not _MARK.fullmatch(mark):
        raise BadConfigError(f"{mark[:100]!r} cannot be a mark")
