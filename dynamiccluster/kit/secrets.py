"""Known secrets, and their removal from any text that leaves the service."""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

HIDDEN = "**********"

SHORTEST = 4
"""Shorter values are not looked for: hiding every "1" would hide nothing and spoil every line."""


class Redactor:
    """Remembers secret values and hides them in text, also where they were quoted for a URL or for JSON."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, *values: str) -> None:
        """From now on hide these. Values shorter than :data:`SHORTEST` are passed over."""
        for value in values:
            if len(value) >= SHORTEST:
                self._values |= {value, quote(value, safe=""), quote_plus(value), json.dumps(value)[1:-1]}
        if self._values:  # the longest first, so that a secret that begins like another one is hidden whole
            ordered = sorted(self._values, key=lambda value: (-len(value), value))
            self._pattern = re.compile("|".join(re.escape(value) for value in ordered))

    def redact(self, text: str) -> str:
        """``text`` without any known secret."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text
