"""Slurm's host list expressions. They come from outside, so they may be damaged, or mean more names than there are."""

from __future__ import annotations

import re

MOST_NAMES = 100_000
"""Nobody means more hosts than that at a time; a list that would is damaged."""

_RANGE = re.compile(r"\[([^\[\]]*)\]")


def expand(text: str) -> tuple[str, ...]:
    """``a1,n[1-3,07],r[1-2]c[1-2]`` as names, in order. The names themselves are not looked at.

    :raises ValueError: a damaged expression, or one with more than :data:`MOST_NAMES` names.
    """
    if not text:
        return ()
    if "[" not in text and "]" not in text:
        return tuple(text.split(","))
    names: list[str] = []
    for piece in re.split(r",(?![^\[]*\])", text):
        names.extend(_expanded(piece))
        _check(len(names))
    return tuple(names)


def _expanded(piece: str) -> list[str]:
    names = [""]
    at = 0
    for found in _RANGE.finditer(piece):
        numbers: list[str] = []
        for part in found[1].split(","):
            low, dash, high = part.partition("-")
            first, last = int(low), int(high if dash else low)
            _check(len(numbers) + last - first + 1)
            numbers.extend(str(number).zfill(len(low)) for number in range(first, last + 1))
        before = piece[at : found.start()]
        _check(len(names) * len(numbers))
        names = [name + before + number for name in names for number in numbers]
        at = found.end()
    rest = piece[at:]
    if "[" in rest or "]" in rest:
        raise ValueError(f"damaged host list {piece[:60]!r}")
    return [name + rest for name in names]


def _check(number: int) -> None:
    if number > MOST_NAMES:
        raise ValueError(f"more than {MOST_NAMES} hosts")
