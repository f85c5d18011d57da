"""From a job's Requirements to what decides about nodes: features, named hosts, least sizes. Pure.

HTCondor's submit adds terms of its own (operating system, sizes, file transfer), which every node meets or which
other attributes say better. What a user adds is mostly a word that a machine must have: ``BigMem``,
``TARGET.BigMem =?= true``, ``VMType =?= "centos7"``. These are understood here; a term that is neither is named as
*unknown*, and it is for ``classads`` to evaluate it, where the ``classad`` module is installed.

Source: HTCondor manual 23, "Matchmaking with ClassAds"; 23.9.6 prints ``=?=`` as ``is``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LONGEST = 4000
"""Longer expressions are not looked into. HTCondor itself takes any length."""

_DEEPEST = 40
"""Deeper nested ones neither: a parser that recurses, ours or a library's, must not be led astray."""

_NAME = r"(?:(?:TARGET|Target|target)\.)?([A-Za-z_]\w*)"
_IS = r"(?:==|=\?=|is\b)"
_SIZES = {"cpus": "cores", "memory": "memory_mib", "disk": "disk_kib", "gpus": "gpus"}
_WORD = re.compile(_NAME)
_WORD_IS_TRUE = re.compile(rf"{_NAME}\s*{_IS}\s*true", re.IGNORECASE)
_WORD_IS_TEXT = re.compile(rf'{_NAME}\s*({_IS})\s*"([^"\\]*)"', re.IGNORECASE)
_TEXT_IS_WORD = re.compile(rf'"([^"\\]*)"\s*({_IS})\s*{_NAME}', re.IGNORECASE)
_REQUESTED = re.compile(rf"{_NAME}\s*>=\s*(?:MY\.)?Request(\w+)", re.IGNORECASE)
_AT_LEAST = re.compile(rf"{_NAME}\s*(>=|>)\s*(\d{{1,12}})", re.IGNORECASE)
_GPUS_COUNTED = re.compile(
    r"countMatches\(\s*MY\.RequireGPUs\s*,\s*TARGET\.AvailableGPUs\s*\)\s*>=\s*RequestGPUs", re.IGNORECASE
)
_DEFERRAL = re.compile(
    r"time\(\)\s*(?:\+\s*ScheddInterval\s*\)\s*>=|<)\s*\(DeferralTime\s*[-+]\s*Deferral(?:PrepTime|Window)\)"
)
_DEVICE = re.compile(rf'(?:TARGET\.)?DeviceName\s*{_IS}\s*"([^"\\]+)"', re.IGNORECASE)
_EVERYWHERE = frozenset({"hasfiletransfer", "hasjobdeferral", "hasjictransfer"})
"""What every startd of today has."""

_HOST_NAMES = frozenset({"machine", "name"})
_PLATFORM = frozenset({"arch", "opsys"})


@dataclass(frozen=True, slots=True)
class Requirements:
    """What was understood, and what was not. ``groups``: each needs one of its words, a word being ``NAME`` for a
    true attribute or ``NAME=VALUE`` for a text. ``unknown``: whole terms."""

    groups: tuple[tuple[str, ...], ...] = ()
    hosts: tuple[str, ...] = ()
    cores: int = 0
    memory_mib: int = 0
    disk_kib: int = 0
    gpus: int = 0
    unknown: tuple[str, ...] = ()


def parse_requirements(text: str) -> Requirements:
    """The terms of an expression, which must all be true."""
    terms = _all_of(text)
    if terms is None:
        return Requirements(unknown=(text,))
    groups: list[tuple[str, ...]] = []
    hosts: list[str] = []
    least = dict.fromkeys(_SIZES.values(), 0)
    unknown: list[str] = []
    for term in terms:
        if _goes_without_saying(term):
            continue
        if (found := _AT_LEAST.fullmatch(term)) and found[1].lower() in _SIZES:
            size = _SIZES[found[1].lower()]
            least[size] = max(least[size], int(found[3]) + (found[2] == ">"))
            continue
        words = [_word(piece) for piece in _any_of(term)]
        known = [word for word in words if word is not None]
        if not words or len(known) < len(words):
            unknown.append(term)
        elif all(name.lower() in _HOST_NAMES for name, _ in known):
            hosts.extend(value.rpartition("@")[2] for _, value in known)
        else:
            groups.append(tuple(dict.fromkeys(f"{name}={value}" if value else name for name, value in known)))
    return Requirements(tuple(dict.fromkeys(groups)), tuple(dict.fromkeys(hosts)), **least, unknown=tuple(unknown))


def gpu_type(text: str) -> str | None:
    """The device that ``RequireGPUs`` names, as a plain word; ``None`` if it asks for something else."""
    terms = _all_of(text)
    if terms is None or len(terms) != 1:
        return None
    found = _DEVICE.fullmatch(terms[0])
    return plain_device(found[1]) if found else None


def plain_device(name: str) -> str:
    """A device name as one word: ``NVIDIA A100-SXM4`` as ``NVIDIA_A100-SXM4``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_")


def evaluable(text: str) -> bool:
    """Whether an expression is short and flat enough to be given to a library."""
    return len(text) <= _LONGEST and _all_of(text) is not None


def _goes_without_saying(term: str) -> bool:
    if (found := _REQUESTED.fullmatch(term)) and found[1].lower() == found[2].lower():
        return True
    if (word := _word(term)) is not None:
        name, value = word[0].lower(), word[1]
        return (not value and name in _EVERYWHERE) or (name in _PLATFORM and value.upper() in ("X86_64", "LINUX"))
    if any((word := _word(piece)) is not None and word[0].lower() in _EVERYWHERE for piece in _any_of(term)):
        return True  # or a shared file system, say: one of the two will do
    return bool(_GPUS_COUNTED.fullmatch(term) or _DEFERRAL.search(term))


def _word(term: str) -> tuple[str, str] | None:
    """``(name, "")`` for an attribute that must be true, ``(name, value)`` for one that must be this text."""
    if found := _WORD_IS_TRUE.fullmatch(term):
        return found[1], ""
    if found := _WORD_IS_TEXT.fullmatch(term):
        return found[1], found[3]
    if found := _TEXT_IS_WORD.fullmatch(term):
        return found[3], found[1]
    if found := _WORD.fullmatch(term):
        return None if found[1].lower() in ("true", "false", "undefined", "error") else (found[1], "")
    return None


def _all_of(text: str) -> list[str] | None:
    """The terms that ``&&`` joins, however they are nested in brackets; ``None`` if it is too much."""
    if len(text) > _LONGEST:
        return None
    return _split(text, "&&", 0)


def _any_of(term: str) -> list[str]:
    return _split(term, "||", 0) or [term]


def _split(text: str, joint: str, depth: int) -> list[str] | None:
    text = _unwrapped(text)
    if depth > _DEEPEST:
        return None
    pieces = _at_top(text, joint)
    if pieces is None:
        return None
    if len(pieces) == 1:
        return [] if joint == "&&" and text.lower() == "true" else [text]
    terms: list[str] = []
    for piece in pieces:
        inner = _split(piece, joint, depth + 1)
        if inner is None:
            return None
        terms.extend(inner)
    return terms


def _at_top(text: str, joint: str) -> list[str] | None:
    """``text`` cut at each ``joint`` outside of brackets and quotes; ``None`` if those do not close or go deep.

    An operator that binds less (``||`` where ``&&`` was asked for, ``?``) leaves the text whole.
    """
    pieces: list[str] = []
    depth = start = at = 0
    quote = ""
    while at < len(text):
        character = text[at]
        if quote:
            at += character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
            if depth > _DEEPEST:
                return None
        elif character in ")]}":
            depth -= 1
        elif depth == 0 and _binds_less(text, at, joint):
            return [text]
        elif depth == 0 and text.startswith(joint, at):
            pieces.append(text[start:at])
            at += 1
            start = at + 1
        at += 1
    if quote or depth:
        return None
    return [*pieces, text[start:]]


def _binds_less(text: str, at: int, joint: str) -> bool:
    if text[at] == "?":
        return text[at - 1 : at + 2] != "=?="
    return joint == "&&" and text.startswith("||", at)


def _unwrapped(text: str) -> str:
    """Without brackets around the whole."""
    text = text.strip()
    for _ in range(_DEEPEST):
        if not text.startswith("(") or not text.endswith(")"):
            return text
        depth, quote = 0, ""
        for at, character in enumerate(text):
            if quote:
                quote = "" if character == quote and text[at - 1] != "\\" else quote
            elif character in "\"'":
                quote = character
            else:
                depth += (character == "(") - (character == ")")
            if depth == 0 and at < len(text) - 1:
                return text
        text = text[1:-1].strip()
    return text
