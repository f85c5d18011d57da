"""A second lock on secrets: the configuration arrives without them, and what looks like one is masked again."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET = re.compile(
    r"passw|passc|secret|token|credential|bearer|cookie|authorization|dsn$|(?:^|_)(?:pwd|pw|auth)(?:$|_)"
    r"|(?:api|app|application|access|account|auth|client|consumer|encryption|hmac|integration|licen[cs]e|master|private"
    r"|routing|service|session|shared|signing|ssh|user|write)_?key",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"(?:_file|_path)$", re.IGNORECASE)  # where a secret lies is no secret
MASK = "***"


def redact(value: object) -> object:
    """``value`` with everything under a key that names a secret replaced by asterisks."""
    if isinstance(value, Mapping):
        return {str(key): _value(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact(inner) for inner in value]
    return value


def _value(key: str, inner: object) -> object:
    name = key.replace("-", "_")
    if inner and _SECRET.search(name) and not _HARMLESS.search(name):
        return MASK
    return redact(inner)
