"""Text for terminals. Job fields and host names are hostile: nothing that could steer a terminal gets through."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

ELLIPSIS = "…"


def clean(value: object, longest: int = 0) -> str:
    """``value`` on one line, with every character that is not printable shown as its escape.

    That takes in control and escape codes, line breaks, direction marks, invisible characters and broken bytes.
    ``longest`` cuts what is longer, 0 = never.
    """
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if longest and len(text) > longest:
        text = text[: longest - 1] + ELLIPSIS
    return text


def clean_lines(text: str) -> str:
    """Several lines, each cleaned; tabs become spaces."""
    return "\n".join(clean(line.expandtabs()) for line in text.replace("\r\n", "\n").split("\n"))


def joined(values: Iterable[object], longest: int = 60) -> str:
    """A short list with spaces between."""
    return clean(" ".join(str(value) for value in values), longest)


def duration(seconds: float | None) -> str:
    """Seconds as people read them, in two units at most: ``42s``, ``3m05s``, ``2h10m``, ``3d04h``."""
    if seconds is None:
        return "never"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def clock(instant: str | None) -> str:
    """The local date and time of an ISO 8601 instant; "-" for never."""
    if not instant:
        return "-"
    try:
        return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return clean(instant)


def money(amount: float) -> str:
    """An amount in the unit of the configured prices; "-" for nothing."""
    return f"{amount:.2f}" if amount else "-"
