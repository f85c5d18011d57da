"""The configuration as plain data that may be shown to anybody."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, SecretStr

HIDDEN = "**********"

_SECRET_NAME = re.compile(
    r"passw|pass(wd|phrase|code)?s?$|secret|(?<!max_)tokens?$|credential|bearer|cookies?$|jwt$|webhook|dsn$"
    r"|(^|_)(pwd|pw|sig|signature)$|auth(orization)?$"
    r"|(api|app|application|access|account|auth|client|consumer|encryption|hmac|integration|licen[cs]e|master|private"
    r"|routing|service|session|shared|signing|ssh|user|write)[_-]?keys?$",
    re.IGNORECASE,
)
_PLACE_NAME = re.compile(r"(file|path|command|name)$", re.IGNORECASE)
"""Where a secret lies is none, nor what it is called."""

_BESIDE_NAME = re.compile(r"(host|port)$|^(user|login|account|region|type|id)$", re.IGNORECASE)
"""What stands beside a secret and is none."""

_USER_INFO = re.compile(r"(?<=://)[^/?#\s]+(?=@)")
_QUERY = re.compile(r"(?<=[?&])([^=&#\s]+)=([^&#\s]+)")
_OPAQUE = re.compile(r"(?<=[^/:]/)(?=[^/?#\s]*[0-9])(?=[^/?#\s]*[A-Za-z])[\w-]{20,}(?=[/?#\s]|$)", re.ASCII)
"""Part of a URL's path that nobody would choose as a name: chat services know their users by it."""


SHORTEST_PART = 8
"""Shorter parts of a URL, such as ``/v3``, are hidden with the whole only."""

SHORTEST_SEGMENT = 12
"""Of its path alone, where there are words such as ``services``."""


def is_secret_name(name: str) -> bool:
    """Whether a free key (an argument of a plug-in) is named like something that nobody should see."""
    return _SECRET_NAME.search(name) is not None and _PLACE_NAME.search(name) is None


def is_harmless_name(name: str) -> bool:
    """Whether a key within something that is named like a secret tells none itself."""
    return _PLACE_NAME.search(name) is not None or _BESIDE_NAME.search(name) is not None


def redacted(settings: BaseModel) -> dict[str, Any]:
    """The settings under their YAML keys, defaults filled in, without secrets and without those inside URLs."""
    found: dict[str, Any] = _hide(settings.model_dump(by_alias=True, exclude_none=True))
    return found


def _hide(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, dict):
        return {str(key): _hide(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(item) for item in value]
    return _hide_in_text(value) if isinstance(value, str) else value


def _hide_in_text(text: str) -> str:
    """Without what URLs in it hold: a password, a token in the query or in the path."""
    if "://" not in text:
        return str(text)  # plain, if it was one of an enumeration
    return _OPAQUE.sub(HIDDEN, _QUERY.sub(_without_value, _USER_INFO.sub(HIDDEN, text)))


def _without_value(found: re.Match[str]) -> str:
    return f"{found[1]}={HIDDEN}" if _tells(found[1]) else found[0]


def _tells(name: str) -> bool:
    """Whether a parameter of a URL is secret. ``key`` alone is, there."""
    return is_secret_name(name) or name.lower() in {"key", "code"}


def secret_values(value: Any) -> list[str]:
    """Every secret that the settings hold, in the clear: to be hidden in logs."""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return [text, *_within(text)]
    if isinstance(value, BaseModel):
        return [secret for name in type(value).model_fields for secret in secret_values(getattr(value, name))]
    if isinstance(value, dict):
        named = [item for key, item in value.items() if isinstance(item, str) and is_secret_name(str(key))]
        return [*named, *(secret for item in value.values() for secret in secret_values(item))]
    if isinstance(value, list | tuple):
        return [secret for item in value for secret in secret_values(item)]
    return _of_urls(value) if isinstance(value, str) else []


def _of_urls(text: str) -> list[str]:
    """A password, or a token without a user, inside a URL, and what is secret in its query and path; also unquoted."""
    if "://" not in text:
        return []
    found = [one.partition(":")[2] or one for one in _USER_INFO.findall(text)]
    found += [value for name, value in _QUERY.findall(text) if _tells(name)]
    found += _OPAQUE.findall(text)
    return list(dict.fromkeys([*found, *map(unquote, found)]))


def _within(secret: str) -> list[str]:
    """Parts of a secret that messages show alone: what follows ``Bearer``, a URL's path and its password."""
    scheme, _, rest = secret.partition(" ")
    found = [rest] if scheme.lower() in {"bearer", "basic", "token"} and rest else []
    if "://" in secret:
        try:
            parts = urlsplit(secret)
        except ValueError:
            return found
        found += [parts.path + (f"?{parts.query}" if parts.query else ""), parts.path]
        found += [part for part in parts.path.split("/") if len(part) >= SHORTEST_SEGMENT]
        found += [item for _, item in parse_qsl(parts.query)]
        found = [one for one in found if len(one) >= SHORTEST_PART] + _of_urls(secret)
    return found
