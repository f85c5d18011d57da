"""Who has logged in with a browser. In memory only: a restart ends all sessions.

Cookies go to every port of a host, so on a shared head node whoever serves pages on another port may be sent ours.
Therefore a session's cookie alone only reads: changes need its second half, which is given once, at log-in, and which
the page keeps where no other origin can look.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from dynamiccluster.api.tokens import Role

COOKIE = "dynamiccluster_session"

LASTS_S = 12 * 3600.0
"""A working day; then one logs in again."""

MOST = 1000
"""Sessions kept; the oldest end first."""

MOST_OF_ONE = 50
"""Of one token or account: who logs in again and again ends sessions of his own, not those of others."""


@dataclass(frozen=True, slots=True)
class Session:
    name: str  # the actor on the audit log
    csrf_digest: str
    expires_s: float  # monotonic
    expires_at: float
    role_now: Callable[[], Role]  # asked at each request, so that a revoked token ends its sessions


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class Sessions:
    """Found by the hash of their cookie, so that the time a search takes tells nothing about one."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Session] = OrderedDict()

    def open(self, name: str, role_now: Callable[[], Role], now_s: float, now: float) -> tuple[str, str, Session]:
        """A new session's cookie and second half, which are stored nowhere, and what is kept."""
        cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        session = Session(name, _digest(csrf), now_s + LASTS_S, now + LASTS_S, role_now)
        self._known[_digest(cookie)] = session
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        mine = [key for key, known in self._known.items() if known.name == name]
        for key in mine[:-MOST_OF_ONE]:
            del self._known[key]
        return cookie, csrf, session

    def find(self, cookie: str, now_s: float) -> Session | None:
        """The session with this cookie, unless it has ended or its holder may do nothing any more."""
        key = _digest(cookie)
        session = self._known.get(key)
        if session is None:
            return None
        if session.expires_s <= now_s or session.role_now() is Role.NOBODY:
            del self._known[key]
            return None
        return session

    def close(self, cookie: str) -> None:
        self._known.pop(_digest(cookie), None)


def vouches(session: Session, csrf: str) -> bool:
    """Whether this is the second half of the session."""
    return hmac.compare_digest(session.csrf_digest, _digest(csrf))
