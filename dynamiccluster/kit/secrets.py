"""Known secrets, and their removal from any text that leaves the service."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import defaultdict
from os.path import commonprefix
from urllib.parse import quote, quote_plus

HIDDEN = "**********"

SHORTEST = 4
"""Shorter values are not looked for: hiding every "1" would hide nothing and spoil every line."""

SHORTEST_LINE = 8
"""Shorter lines of a secret of several are hidden with the whole only: ``EOF`` or ``[main]`` say nothing."""

SHORTEST_HEAD = 12
"""So much of the beginning of a secret, or half of it if that is more, is hidden wherever it stands: texts are cut."""

ESCAPED = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code != 0x09} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
"""How the log writes control characters, for ``str.translate``."""

_CUT = re.compile(r"(?:\.\.\.|\u2026)?\s*\Z")
"""What may follow where a text was cut."""

_CUT_BEFORE = re.compile(r"\s*(?:\.\.\.|\u2026)?\s*")
"""What may stand before what was kept of a text's end."""

SHORTEST_REST = 8
"""So much of the end of a secret is hidden at the beginning of a text: less may be any word's end."""

_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{16,}(?:(?:\\n|\\x0a|\\r|\s){1,4}[A-Za-z0-9+/_-]{4,})*={0,2}")
"""What may be base64, in one line or several, whose ends may be escaped."""

_BREAK = re.compile(r"\\n|\\x0a|\\r|\s")


class Redactor:
    """Remembers secret values and hides them in text: also where they were quoted for a URL or for JSON, where their
    lines were joined or stand alone, where the text was cut in the middle of one, and within base64."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._by_head: dict[str, list[str]] = {}
        self._pattern: re.Pattern[str] | None = None

    def add(self, *values: str) -> None:
        """From now on hide these. Values shorter than :data:`SHORTEST` are passed over."""
        for value in values:
            if len(value) >= SHORTEST:
                self._forms |= _forms(value)
        by_head = defaultdict(list)
        for form in self._forms:
            by_head[form[: max(SHORTEST_HEAD, -(-len(form) // 2))]].append(form)
        self._by_head = dict(by_head)
        if by_head:  # the longest first, so that a secret that begins like another one is hidden whole
            ordered = sorted(by_head, key=lambda head: (-len(head), head))
            self._pattern = re.compile("|".join(re.escape(head) for head in ordered))

    def redact(self, text: str) -> str:
        """``text`` without any known secret. Of base64 that holds one the whole is hidden."""
        if self._pattern is None:
            return text
        return _ENCODED.sub(self._without_encoded, self._plain(text, self._pattern))

    def _plain(self, text: str, pattern: re.Pattern[str]) -> str:
        parts, at = [], 0
        while found := pattern.search(text, at):
            start = found.start()
            parts += [text[at:start], HIDDEN]
            at = start + max(_common(text, start, form) for form in self._by_head[found.group()])
        return self._without_head("".join(parts) + self._without_tail(text[at:]))

    def _without_head(self, text: str) -> str:
        """Without the end of a secret at the beginning, where a text may have been cut: of consoles the end is kept."""
        cut = _CUT_BEFORE.match(text)
        start = cut.end() if cut else 0
        for form in self._forms:
            rest = text.find(form[-SHORTEST_REST:], start, start + len(form)) if len(form) > SHORTEST_REST else -1
            if rest >= 0 and form.endswith(text[start : rest + SHORTEST_REST]):
                return text[:start] + HIDDEN + text[rest + SHORTEST_REST :]
        return text

    def _without_tail(self, text: str) -> str:
        """Without the beginning of a secret at the end, where a text may have been cut."""
        cut = _CUT.search(text)
        end = cut.start() if cut else len(text)
        for form in self._forms:
            begin = form[:SHORTEST]
            start = text.find(begin, max(0, end - len(form)), end)
            while start >= 0:
                if form.startswith(text[start:end]):
                    return text[:start] + HIDDEN + text[end:]
                start = text.find(begin, start + 1, end)
        return text

    def _without_encoded(self, found: re.Match[str]) -> str:
        packed = _BREAK.sub("", found.group()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
        for offset in range(4):  # other characters may stand before what was encoded
            piece = packed[offset:]
            piece = piece[: len(piece) - 1] if len(piece) % 4 == 1 else piece
            try:
                decoded = base64.b64decode(piece + "=" * (-len(piece) % 4))
            except binascii.Error:
                continue
            text = decoded.decode("utf-8", "replace")
            if self._pattern is not None and self._plain(text, self._pattern) != text:
                return HIDDEN
        return found.group()


def _forms(value: str) -> set[str]:
    """How a secret may stand in a text."""
    whole = {value, value.strip(), " ".join(value.split()), value.translate(ESCAPED)}
    lines = {line for raw in value.splitlines() if len(line := raw.strip()) >= SHORTEST_LINE}
    found = set()
    for each in whole | lines:
        found |= {
            each,
            quote(each, safe=""),
            quote_plus(each),
            json.dumps(each)[1:-1],
            json.dumps(each, ensure_ascii=False)[1:-1],
        }
    return {form for form in found if len(form) >= SHORTEST}


def _common(text: str, start: int, form: str) -> int:
    """How many characters of ``form`` stand in ``text`` from ``start`` on."""
    return len(commonprefix((text[start : start + len(form)], form)))  # noqa: RUF071 - texts, not paths
