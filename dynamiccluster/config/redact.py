"""The configuration as plain data that may be shown to anybody."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, SecretStr

HIDDEN = "**********"

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token$|credential|api_?key|access_?key|private_?key", re.IGNORECASE
)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def is_secret_name(name: str) -> bool:
    """Whether a free key (an argument of a plug-in) is named like something that nobody should see."""
    return _SECRET_NAME.search(name) is not None


def redacted(settings: BaseModel) -> dict[str, Any]:
    """The settings under their YAML keys, defaults filled in, without secrets and without passwords inside URLs."""
    found: dict[str, Any] = _hide(settings.model_dump(by_alias=True, exclude_none=True))
    return found


def _hide(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, dict):
        return {str(key): _hide(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hide(item) for item in value]
    return _USER_INFO.sub(HIDDEN, value) if isinstance(value, str) else value


def secret_values(value: Any) -> list[str]:
    """Every secret that the settings hold, in the clear: to be hidden in logs."""
    if isinstance(value, SecretStr):
        return [value.get_secret_value()]
    if isinstance(value, BaseModel):
        return [secret for name in type(value).model_fields for secret in secret_values(getattr(value, name))]
    if isinstance(value, dict):
        return [secret for item in value.values() for secret in secret_values(item)]
    if isinstance(value, list | tuple):
        return [secret for item in value for secret in secret_values(item)]
    if isinstance(value, str):  # a password, or a token without a user, inside a URL
        return [found.partition(":")[2] or found for found in _USER_INFO.findall(value)]
    return []
