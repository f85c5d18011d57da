"""How LSF writes times, and lines that are wrapped inside words."""

from __future__ import annotations

from datetime import UTC, datetime

_FIRST = 79
_MARGIN = 21


def full_time(at: float) -> str:
    """``Fri Nov 20 06:54:41``"""
    return f"{datetime.fromtimestamp(at, tz=UTC):%a %b %e %H:%M:%S}"


def short_time(at: float) -> str:
    """``Nov 20 06:54``"""
    return f"{datetime.fromtimestamp(at, tz=UTC):%b %e %H:%M}" if at else ""


def wrapped(text: str) -> list[str]:
    """Broken after 79 characters, wherever that is; following lines are indented and begin without a blank."""
    lines = [text[:_FIRST]]
    rest = text[_FIRST:].lstrip(" ") if len(text) > _FIRST else ""
    while rest:
        room = _FIRST - _MARGIN
        lines.append(" " * _MARGIN + rest[:room])
        rest = rest[room:].lstrip(" ")
    return lines
