"""Pieces of the XML that Grid Engine's programs print. Pure.

``qstat`` and ``qhost`` write it line by line, not with a library: of the characters that XML reserves ``<`` comes out
as ``%lt;`` (seen with 8.1.9), the others as they should. So no text can hold a ``<``, elements with text hold nothing
else, and a list can be cut into records at their end tags. That is three times as fast as a parser's events and needs
no second copy of the text (25 MB for 50,000 jobs), and a record that is damaged harms no other.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

Field = tuple[str, str, str]
"""Tag, attributes as written, text as written."""

_FIELD = re.compile(r"<([A-Za-z_]\w*)((?:\s[^<>]*)?)>([^<]*)</\1>")
_NAME = re.compile(r"""\bname=["']([^"'<>]*)["']""")
_BYTES = {
    "k": 1000.0,
    "m": 1000.0**2,
    "g": 1000.0**3,
    "t": 1000.0**4,
    "K": 1024.0,
    "M": 1024.0**2,
    "G": 1024.0**3,
    "T": 1024.0**4,
}
_MIB = 1024.0**2


def require_whole(text: str, root: str) -> None:
    """:raises ValueError: the text was cut off, or is no such list at all."""
    if f"<{root}" not in text[:2000]:
        raise ValueError(f"no list of {root}; it begins {text[:80]!r}")
    if not text.rstrip().endswith(f"</{root}>"):
        raise ValueError("the list was cut off")


def records(text: str, tag: str) -> Iterator[str]:
    """What stands in each ``<tag ...>...</tag>``, from the rest of the start tag on; one by one, without a copy of all.

    Where an end tag is missing, the next start tag ends the record.
    """
    start, end = f"<{tag} ", f"</{tag}>"
    at = text.find(start)
    while at >= 0:
        stop = text.find(end, at)
        stop = len(text) if stop < 0 else stop
        yield from text[at + len(start) : stop].split(start)
        at = text.find(start, stop)


def fields(text: str) -> list[Field]:
    """All elements without elements of their own, in order."""
    return _FIELD.findall(text)


def name_in(attributes: str) -> str:
    """The attribute ``name``; "" if there is none."""
    found = _NAME.search(attributes)
    return plain(found[1]) if found else ""


def quoted(attributes: str, key: str) -> str:
    """The attribute of this name; "" if there is none."""
    _, _, rest = attributes.partition(f"{key}=")
    return plain(rest[1:].partition(rest[:1])[0]) if rest else ""


def plain(text: str) -> str:
    """Text as it was before it became XML."""
    if "%lt;" in text:
        text = text.replace("%lt;", "&lt;")
    return html.unescape(text) if "&" in text else text


def mib(text: str) -> float:
    """``2G``, ``500M``, ``3.906G``, ``1g`` (decimal), ``1048576`` in MiB; infinity for INFINITY. ``sge_types(5)``.

    :raises ValueError: it is not an amount of memory.
    """
    if text.upper() == "INFINITY":
        return float("inf")
    factor = _BYTES.get(text[-1:])
    amount = float(text) if factor is None else float(text[:-1]) * factor
    return amount / _MIB


def seconds(text: str) -> int:
    """``3600``, ``1:00:00``, ``60.000``; 0 for INFINITY, NONE and the like.

    :raises ValueError: it is not a time.
    """
    if text.upper() in ("INFINITY", "NONE", ""):
        return 0
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part or 0)
    return int(total)
