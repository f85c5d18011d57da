"""Who asks, and what they may do.

Every user of a login node can reach loopback, so an address proves nothing. Changes come from a peer of the
Unix socket, which the kernel names, or carry a token. TCP on loopback without a token only reads.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import pwd
import re
import secrets
import socket
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dynamiccluster.errors import BadConfigError

TOKEN_PREFIX = "dct_"  # noqa: S105 -- a recognisable start, so that scanners find leaked tokens
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}\Z")
_HASH = re.compile(r"sha256:[0-9a-f]{64}\Z")
_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request; ``name`` is the actor on the audit log."""

    name: str
    may_change: bool


def make_token(name: str) -> tuple[str, str]:
    """A new token and its line for the tokens file. The token itself is stored nowhere."""
    if not _NAME.match(name):
        raise BadConfigError(f"a token's name is 1 to 64 letters, digits, and . _ @ -; got {name!r}")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return token, f"{name}:{hash_token(token)}"


def hash_token(token: str) -> str:
    """``sha256:HEX``. One fast round is enough because tokens are 256 random bits, never chosen by people."""
    return "sha256:" + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def parse_tokens(text: str, where: str) -> dict[str, str]:
    """Hash -> name. Empty lines and ``#`` comments are skipped; an odd line is refused with its number."""
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, _, digest = line.partition(":")
        if not _NAME.match(name) or not _HASH.match(digest):
            raise BadConfigError(f"{where}, line {number}: expected NAME:sha256:HEX")
        found[digest] = name
    return found


class TokenFile:
    """The tokens file, read again whenever it changes, so that removing a line revokes its token at once."""

    def __init__(self, path: str) -> None:
        """``BadConfigError`` if the file cannot be read, is malformed, or others may write it."""
        self._path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._names: dict[str, str] = {}
        self._read()
        if not self._names:
            raise BadConfigError(f"{path} holds no token")

    def name_of(self, token: str) -> str | None:
        """The name behind a token, or ``None``. A file that has become unreadable makes all tokens invalid."""
        try:
            self._read()
        except BadConfigError:
            return None
        wanted = hash_token(token)
        found = None
        for digest, name in self._names.items():  # all of them, so that the time taken says nothing
            if hmac.compare_digest(digest, wanted):
                found = name
        return found

    def _read(self) -> None:
        try:
            info = self._path.stat()
            now = (info.st_ino, info.st_mtime_ns, info.st_size)
            if now == self._seen:
                return
            self._seen, self._names = None, {}
            if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise BadConfigError(f"{self._path} can be written by others: chmod go-w {self._path}")
            self._names = parse_tokens(self._path.read_text("utf-8"), str(self._path))
            self._seen = now
        except OSError as error:
            raise BadConfigError(f"the tokens file {self._path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BadConfigError(f"the tokens file {self._path} is not text") from error


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
    return Caller(f"{user_name(uid)} (uid {uid})", may_change=True)


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
