"""Who asks, and what they may do.

Every user of a login node can reach loopback, so an address proves nothing. Changes come from a peer of the
Unix socket, which the kernel names, or carry a token. TCP on loopback without a token only reads.
"""

from __future__ import annotations

import ipaddress
import pwd
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from dynamiccluster.api.tokens import Role, Token

_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Via(StrEnum):
    """How somebody came in."""

    ANONYMOUS = "anonymous"
    SOCKET = "socket"
    TOKEN = "token"  # noqa: S105 - a word
    SESSION = "session"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request; ``name`` is the actor on the audit log."""

    name: str
    role: Role
    via: Via = Via.ANONYMOUS
    token: Token | None = None
    expires_at: float = 0.0  # of a session


@lru_cache(maxsize=1024)
def user_name(uid: int) -> str:
    """The account's name, or its number. Asked once per uid, since a directory service may be slow to answer."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def peer(connection: socket.socket) -> Caller:
    """The user at the other end of a Unix socket, as the kernel vouches for it."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _pid, uid, _gid = _UCRED.unpack(raw)
    return Caller(f"{user_name(uid)} (uid {uid})", Role.ADMIN, Via.SOCKET)


def bearer(header: str) -> str | None:
    """The token of an ``Authorization: Bearer`` header; ``None`` if it is something else."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def host_name_of(header: str) -> str:
    """The name in a ``Host`` header without its port, lower case; "" if it makes no sense."""
    text = header.strip().lower()
    bracketed = re.fullmatch(r"\[([0-9a-f:.]+)\](?::\d+)?", text)
    if bracketed:
        return bracketed.group(1)
    plain = re.fullmatch(r"([a-z0-9._-]+)(?::\d+)?", text)
    return plain.group(1).rstrip(".") if plain else ""


def host_allowed(header: str, allowed: Iterable[str]) -> bool:
    """Whether a browser may have been sent here under this name: stops DNS rebinding."""
    name = host_name_of(header)
    return bool(name) and (name in LOCAL_NAMES or name in {other.lower() for other in allowed})


def is_loopback(address: str) -> bool:
    """Whether listening on ``address`` is reachable from this machine only. What cannot be resolved is not."""
    if not address:
        return False
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        pass
    try:
        answers = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(answers) and all(ipaddress.ip_address(str(answer[4][0])).is_loopback for answer in answers)
