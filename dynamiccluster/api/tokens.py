"""Tokens: who may ask over TCP, and what. Kept as hashes in a file that the service reads again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from dynamiccluster.errors import BadConfigError

TOKEN_PREFIX = "dct_"  # noqa: S105 -- a recognisable start, so that scanners find leaked tokens
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_EXPECTED = "expected NAME:ROLE:sha256:HEX with the role agent, viewer, operator or admin"


class Role(IntEnum):
    """What a caller may do; from the viewer on, each may do what those before may."""

    NOBODY = 0
    AGENT = 1  # a program on a node: say that this node's machine is taken away, and nothing else, not even look
    VIEWER = 2  # look
    OPERATOR = 3  # hold, launch, delete, freeze ...: nodes and resources
    ADMIN = 4  # change how the service works: automatic mode, observe-only, adopting, reading the configuration again


ROLES = {role.name.lower(): role for role in (Role.AGENT, Role.VIEWER, Role.OPERATOR, Role.ADMIN)}
"""Roles that a token may have."""


@dataclass(frozen=True, slots=True)
class Token:
    """One line of the file."""

    name: str
    role: Role
    digest: str  # SHA-256, in hexadecimal digits

    def line(self) -> str:
        return f"{self.name}:{self.role.name.lower()}:sha256:{self.digest}"


def make_token(name: str, role: Role) -> tuple[str, Token]:
    """A new token's secret, which is stored nowhere, and what the file keeps of it.

    :raises BadConfigError: the name is not one.
    """
    if not _NAME.match(name):
        raise BadConfigError(f"a token's name is 1 to 64 letters, digits, and . _ @ -; got {name[:100]!r}")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return secret, Token(name, role, digest_of(secret))


def digest_of(secret: str) -> str:
    """One fast round is enough because tokens are 256 random bits, never chosen by people."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def parse_tokens(text: str, where: str) -> list[Token]:
    """The lines of a tokens file. Empty lines and ``#`` comments are skipped.

    A line without a role, ``NAME:sha256:HEX``, is an administrator's: all were before there were roles.

    :raises BadConfigError: an odd line, by its number; nothing of it is repeated, it may hold a secret.
    """
    found = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        parts = line.split(":")
        if len(parts) == 3:
            parts.insert(1, "admin")
        if len(parts) != 4 or not _NAME.match(parts[0]) or parts[2] != "sha256" or not _HASH.match(parts[3]):
            raise BadConfigError(f"{where}, line {number}: {_EXPECTED}")
        if parts[1] not in ROLES:
            raise BadConfigError(f"{where}, line {number}: {_EXPECTED}")
        found.append(Token(parts[0], ROLES[parts[1]], parts[3]))
    return found


class TokenFile:
    """The tokens file, read again whenever it changes, so that removing a line revokes its token at once."""

    def __init__(self, path: str) -> None:
        """``BadConfigError`` if the file cannot be read, is malformed, holds no token, or others may write it."""
        self._path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._tokens: list[Token] = []
        self._read()
        if not self._tokens:
            raise BadConfigError(f"{path} holds no token; `dynamiccluster token add NAME --file {path}` makes one")

    def find(self, secret: str) -> Token | None:
        """The token with this secret, or ``None``. A file that has become unreadable makes all tokens invalid."""
        try:
            self._read()
        except BadConfigError:
            return None
        wanted = digest_of(secret)
        found = None
        for token in self._tokens:  # all of them, so that the time taken says nothing
            if hmac.compare_digest(token.digest, wanted):
                found = token
        return found

    def role_of(self, digest: str) -> Role:
        """The role of the token with this hash; none if there is none any more."""
        try:
            self._read()
        except BadConfigError:
            return Role.NOBODY
        return next((token.role for token in self._tokens if token.digest == digest), Role.NOBODY)

    def _read(self) -> None:
        try:
            info = self._path.stat()
            now = (info.st_ino, info.st_mtime_ns, info.st_size)
            if now == self._seen:
                return
            self._seen, self._tokens = None, []
            if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise BadConfigError(f"{self._path} can be written by others: chmod go-w {self._path}")
            self._tokens = parse_tokens(self._path.read_text("utf-8"), str(self._path))
            self._seen = now
        except OSError as error:
            raise BadConfigError(f"the tokens file {self._path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise BadConfigError(f"the tokens file {self._path} is not text") from error
