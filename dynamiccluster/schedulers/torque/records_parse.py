"""Cuts the XML of ``qstat -x`` and ``pbsnodes -x`` into records. Pure.

That XML is flat and plain: a list of records, each a list of elements with text, some of them (``Resource_List``)
one level deeper; no attributes of elements, no comments, no namespaces, and ``<``, ``>``, ``&`` written as entities. A
queue of 50,000 jobs is 80 MB of it, of which we want a fiftieth. Searching it record by record takes 0.7 s, a tree of
it 2.6 s and several times the memory (CPython 3.11); and a damaged record stays the only one that is lost.
``tests/unit/test_torque_records.py`` compares every recording with what the XML parser of the standard library reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PROLOGUE = re.compile(r"\s*(?:<\?xml[^>]*\?>)?\s*")
_EMPTY = frozenset({"<Data></Data>", "<Data/>", "<Data />"})
_ENTITY = re.compile(r"&(lt|gt|amp|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_PLAIN = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_FIELDS = re.compile(r"<([\w.]+)>([^<]*)</\1>")


def records(text: str, kind: str) -> Iterator[str]:
    """What stands between ``<kind>`` and ``</kind>``, for each such element of ``<Data>``.

    Nothing at all is an empty list: Torque 4.2 prints nothing where there are no jobs.

    :raises ValueError: it is not such XML, or was cut off. The records before that have been yielded.
    """
    start = _PROLOGUE.match(text)
    at = start.end() if start else 0
    rest = text[at : at + 64].strip()
    if not rest and len(text) - at < 64:
        return
    if not rest.startswith("<Data"):
        raise ValueError(f"it does not begin with <Data>: {rest[:40]!r}")
    end = len(text.rstrip())
    if text[at:end] in _EMPTY:
        return
    if not text.endswith("</Data>", at, end):
        raise ValueError("it was cut off")
    opening, closing = f"<{kind}>", f"</{kind}>"
    if text.find(opening, at, end) < 0:
        raise ValueError(f"there is no <{kind}> in it")
    while (begin := text.find(opening, at, end)) >= 0:
        close = text.find(closing, begin, end)
        if close < 0:
            raise ValueError("its last record was cut off")
        yield text[begin + len(opening) : close]
        at = close + len(closing)


def fields(record: str) -> dict[str, str]:
    """The text of each element that has no elements in it, by name; the last of a name counts."""
    return dict(_FIELDS.findall(record))


def inner(record: str, name: str) -> str:
    """What stands in the first element of that name; "" if there is none."""
    begin = record.find(f"<{name}>")
    if begin < 0:
        return ""
    begin += len(name) + 2
    end = record.find(f"</{name}>", begin)
    return record[begin:end] if end >= 0 else ""


def plain(text: str) -> str:
    """With its entities as the characters that they stand for."""
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    name = found[1]
    if name[0] != "#":
        return _PLAIN[name]
    number = int(f"0{name[1:]}", 0) if name[1] == "x" else int(name[1:])
    return chr(number) if 0 < number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else "\ufffd"
