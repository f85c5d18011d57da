"""Words that several rooms share when they speak to people: amounts, and names that there are not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMES = 20
"""A sentence with more of them is read by nobody."""


def amount(count: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def unknown(noun: str, name: str, known: Iterable[str]) -> str:
    """That there is no such thing, which there are, and which was probably meant."""
    names = sorted(known)
    if not names:
        return f"there is no {noun} {name!r}, nor any other"
    shown = ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
    told = f"there is no {noun} {name!r}; there {'is' if len(names) == 1 else 'are'} {shown}"
    by_lower = {one.lower(): one for one in names}
    near = difflib.get_close_matches(name.lower()[:100], by_lower, 1)
    return f"{told}; did you mean {by_lower[near[0]]}?" if near and len(names) > 1 else told
