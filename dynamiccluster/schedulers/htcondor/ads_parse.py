"""From the JSON of HTCondor's programs to ads. Pure.

Two things are HTCondor's own. Nothing to show is an *empty text*, not ``[]`` (23.9.6, ``condor_q`` and
``condor_status``; ``condor_history`` prints ``[``, line end, ``]``). And what is no constant is printed as a string
that begins ``\\/Expr(``, with that backslash: texts of users are printed with plain slashes, so none of them can pass
for an expression as long as the text is not decoded. Therefore expressions are marked before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Ad = Mapping[str, Any]

_BETWEEN = "\n,\n"
"""Between two ads. No value contains it: line ends within texts are escaped, those within lists are indented."""

_PRINTED, _MARKED = '"\\/Expr(', '"\\u0001Expr('
_MARK = "\x01"  # no text of HTCondor's begins so: control characters are not allowed in them
_EXPRESSION, _END = f"{_MARK}Expr(", ")/"
_SINFUL = re.compile(r"<(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):\d+")
_LARGEST = 2**53
"""Whole numbers above it are not amounts of anything."""


def ads(text: str) -> Iterator[dict[str, Any] | ValueError]:
    """The ads in ``text``; an error in place of one that cannot be read.

    :raises ValueError: the text was cut off, or is no list of ads.
    """
    first, last = _ends(text)
    if first > last:
        return
    decode = json.JSONDecoder().raw_decode
    while first <= last:  # piece by piece: the text of a long queue is large enough once
        end = text.find(_BETWEEN, first, last + 1)
        piece = text[first : last + 1 if end < 0 else end].replace(_PRINTED, _MARKED)
        first = last + 1 if end < 0 else end + len(_BETWEEN)
        try:
            ad, end = decode(piece)
            if end < len(piece) and piece[end:].strip():
                raise ValueError(f"more than an ad: {piece[end : end + 40]!r}")  # noqa: TRY301 - said of this one ad
        except (ValueError, RecursionError) as error:
            yield ValueError(f"an ad cannot be read ({error}); it begins {piece[:60]!r}")
            continue
        yield ad if isinstance(ad, dict) else ValueError(f"no ad: {piece[:60]!r}")


def _ends(text: str) -> tuple[int, int]:
    """Where the first ad begins and the last ends; the first behind the last if there are none.

    :raises ValueError: see :func:`ads`.
    """
    first, last = 0, len(text) - 1
    while first <= last and text[first].isspace():
        first += 1
    while last >= first and text[last].isspace():
        last -= 1
    if first > last:
        return 1, 0
    if first == last or text[first] != "[" or text[last] != "]":
        raise ValueError(
            f"cut off or no list of ads: it begins {text[first : first + 40]!r} and ends {text[-40:].strip()!r}"
        )
    first, last = first + 1, last - 1
    while first <= last and text[first].isspace():
        first += 1
    while last >= first and text[last].isspace():
        last -= 1
    return (first, last) if first <= last else (1, 0)


def expression(value: object) -> str | None:
    """The text of an expression; ``None`` if the value is a constant."""
    if not isinstance(value, str) or not value.startswith(_EXPRESSION) or not value.endswith(_END):
        return None
    return value[len(_EXPRESSION) : -len(_END)]


def whole(ad: Ad, name: str, default: int = 0) -> int:
    """A number of things, 0 or more. Real numbers are rounded up (``TotalSlotDisk`` is one).

    :raises ValueError: there is something else.
    """
    value = ad.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LARGEST:
        raise ValueError(f"{name} is {str(value)[:60]!r}")
    return value if isinstance(value, int) else -int(-value // 1)


def instant(ad: Ad, name: str) -> float:
    """Epoch seconds; 0 where there are none, or no constant."""
    value = ad.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value < _LARGEST else 0.0


def text(ad: Ad, name: str) -> str:
    """A text; "" for anything else."""
    value = ad.get(name)
    return value if isinstance(value, str) and value[:1] != _MARK else ""


def address_of(sinful: str) -> str:
    """The IP address in ``<10.0.0.1:9618?addrs=...>``; "" if there is none."""
    found = _SINFUL.match(sinful)
    return (found[1] or found[2]) if found else ""


def quoted(value: str) -> str:
    """``value`` as a text of the ClassAd language.

    :raises ValueError: it has a control character, which has no place in what we write there.
    """
    if not value.isprintable():
        raise ValueError(f"{value[:60]!r} has a control character")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
