"""From what OpenStack's services refuse to our word for it. Pure.

Sources: nova 31, neutron 26 and keystone 27 as recorded in ``tests/recorded/openstack``. The status alone says little:
403 is a full quota as well as a forbidden call, 400 stands for names that do not exist, and of servers that were
accepted and then failed there is only the text of their fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    CapacityError,
    DynamicClusterError,
    ErrorClass,
    NotFoundError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)

_LIMIT = re.compile(
    r"quota|maximum number of (ports|fixed ips|floating|volumes|instances)|limit exceeded", re.IGNORECASE
)
_BY_US = re.compile(r"maximum number of (metadata items|tags|personality)", re.IGNORECASE)
_FULL = re.compile(
    r"no valid host|exhausted all hosts|no more ip addresses|no fixed ips? available|insufficient|"
    r"could not be found with the requested|not enough|no free|server group policy|affinity",
    re.IGNORECASE,
)
_NOT_THERE = re.compile(r"could not be found|not found|invalid key_name|unable to find|does not exist", re.IGNORECASE)
_LONGEST = 500


def mapped(status: int, text: str, *, launching: bool) -> DynamicClusterError:
    """The error to raise for a reply. ``launching``: whether a machine may have come of the request."""
    return _kind(status, text, launching)(f"{status}: {text}"[:_LONGEST] if text else f"HTTP status {status}")


def _kind(status: int, text: str, launching: bool) -> type[DynamicClusterError]:
    match status:
        case 401:
            return AuthError
        case 403 | 413:
            if _BY_US.search(text):
                return BadConfigError
            if _LIMIT.search(text):
                return QuotaError
            return ThrottledError if status == 413 else AuthError  # 413: nova's old word for "too often"
        case 404:
            return BadConfigError if launching else NotFoundError
        case 409:
            if _LIMIT.search(text):  # neutron's OverQuota
                return QuotaError
            if _FULL.search(text):
                return CapacityError
            return BadConfigError if launching else BusyError  # 'in a state in which this is not possible', 'locked'
        case 429:
            return ThrottledError
        case 503 if not launching:
            return TransientError
    if status >= 500:
        return UnknownOutcomeError if launching else TransientError
    if _FULL.search(text) and not _NOT_THERE.search(text):
        return CapacityError
    return BadConfigError


def message_in(body: object) -> str:
    """The sentence in a reply's document: ``{KIND: {"code": ..., "message": ...}}``, or neutron's own form."""
    if not isinstance(body, Mapping):
        return ""
    for key, inside in body.items():
        if isinstance(inside, Mapping) and isinstance(inside.get("message"), str):
            return _plain(str(inside["message"]))
        if key == "NeutronError":
            return _plain(str(inside))
    return str(body.get("message", ""))


def _plain(text: str) -> str:
    """In one line. Nova quotes what it refuses: of user data that would be the site's secrets."""
    line = " ".join(text.split())
    return line.partition(" Value: ")[0] if "user_data" in line else line


def fault_of(server: Mapping[str, Any]) -> tuple[str, str]:
    """Why a server is in ERROR: the cloud's text and an :class:`ErrorClass`; empty if it does not say.

    A server for which the quota no longer sufficed, though its request had been accepted, has that in its fault.
    """
    fault = server.get("fault")
    text = " ".join(str(fault.get("message", "")).split())[:_LONGEST] if isinstance(fault, Mapping) else ""
    if not text:
        return "", ""
    if _LIMIT.search(text):
        return text, ErrorClass.QUOTA
    return text, ErrorClass.CAPACITY if _FULL.search(text) else ""
