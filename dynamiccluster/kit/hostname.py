"""What a host name and an address look like, for everything that hands them to a file or a program."""

from __future__ import annotations

import ipaddress
import re

from dynamiccluster.errors import BadConfigError

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
"""RFC 1123 section 2.1, and the underscore inside, which schedulers allow and some sites use."""


def require_host_name(name: str) -> str:
    """``name``, if it can be a host name (so never an option, a path, two words or a line of its own).

    :raises BadConfigError: it cannot.
    """
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise BadConfigError(f"{name[:100]!r} cannot be a host name")
    return name


def require_address(address: str) -> str:
    """``address``, if it is an IPv4 or IPv6 address.

    :raises BadConfigError: it is not.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError as error:
        raise BadConfigError(f"{address[:100]!r} is not an IP address") from error
    if "%" in address:
        raise BadConfigError(f"{address[:100]!r} is valid on one interface only")
    return str(parsed)
