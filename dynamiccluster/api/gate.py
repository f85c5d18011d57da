"""Lets callers in: by the Unix socket's peer, a token, a session's cookie, or a proxy's word."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest

from dynamiccluster.api import auth
from dynamiccluster.api.auth import Caller, Via
from dynamiccluster.api.failures import MOST_FOR_ACCOUNT, Failures, origin
from dynamiccluster.api.owner import holder, peer_uid
from dynamiccluster.api.problems import ApiError
from dynamiccluster.api.sessions import COOKIE, Sessions, vouches
from dynamiccluster.api.settings import ApiSettings
from dynamiccluster.api.tokens import ROLES, Role, TokenFile
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock

ANONYMOUS = "anonymous"

CSRF_HEADER = "X-CSRF-Token"
BY_PROXY = "by-proxy"
"""What a page behind a proxy sends as second half: no secret, but a header that no form of another site can set."""

LONGEST_NAME = 100
"""Characters of a user's name."""


class Gate:
    """One for all handlers."""

    def __init__(self, settings: ApiSettings, clock: Clock, tokens: TokenFile | None, reads_need_login: bool) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens = tokens
        self._proxies = [ipaddress.ip_network(one, strict=False) for one in settings.proxies]
        self._names = {name.lower() for name in (*settings.allowed_hosts, settings.address, socket.gethostname())}
        self.reads_need_login = reads_need_login
        self._failures = Failures()
        self._accounts = Failures(MOST_FOR_ACCOUNT)
        self.sessions = Sessions()

    def caller(self, request: HTTPServerRequest, changing: bool) -> Caller:
        """Who asks; with the role ``NOBODY`` if it is not known and nothing may be read without.

        ``changing``: what browsers carry by themselves is not enough for it.

        :raises ApiError: wrong credentials, or a name or page that the request must not come from.
        """
        peer = cast(HTTP1Connection, request.connection).stream.socket
        if peer is None:
            raise ApiError(HTTPStatus.BAD_REQUEST, "closed", "the connection is closed")
        if peer.family == socket.AF_UNIX:
            return auth.peer(peer)
        header = request.headers.get("Authorization", "")
        token = auth.bearer(header)
        if token or (header and not self._names_user(request)):  # what a proxy was told is none of ours
            return self.with_token(request, token or "")
        self._check_name(request, str(peer.getsockname()[0]))
        return self._by_proxy(request, changing) or self._by_session(request, changing) or self._anonymous()

    def _anonymous(self) -> Caller:
        return Caller(ANONYMOUS, Role.NOBODY if self.reads_need_login else Role.VIEWER)

    def _check_name(self, request: HTTPServerRequest, address: str) -> None:
        """Browsers carry what we believe without their user's doing: they must have meant us (DNS rebinding).

        ``address``: ours, of this connection. An address cannot be made to lead elsewhere.
        """
        if not auth.host_allowed(request.headers.get("Host", ""), {*self._names, address}):
            text = "this name for the service is not allowed; add it to admin-server allowed_hosts, or use localhost"
            raise ApiError(HTTPStatus.FORBIDDEN, "host-not-allowed", text)

    # --- tokens -------------------------------------------------------------------------------------------

    def with_token(self, request: HTTPServerRequest, secret: str) -> Caller:
        """The holder of a token. A known one is always listened to: it is nobody's guess, and on a login node, or
        behind a proxy, many come from one address. Who sends wrong ones is told to wait.

        :raises ApiError: 401 for a wrong one, 429 for too many.
        """
        token = self._tokens.find(secret) if secret and self._tokens else None
        if token is None:
            whom, now = _whom(request), self._clock.monotonic()
            self._refuse(self._failures, whom, now)
            self._failures.failed(whom, now)
            raise ApiError(HTTPStatus.UNAUTHORIZED, "bad-token", "this token is not known here")
        return Caller(f"token {token.name}", token.role, Via.TOKEN, token=token)

    @contextmanager
    def guess(self, request: HTTPServerRequest, account: str) -> Iterator[Callable[[], None]]:
        """Around a look at a password. It counts as wrong from before it is looked at, or many at a time would all be
        looked at; unless the function given is called, or nobody could say what it is. Directories take an account
        for the same however its letters are written.

        :raises ApiError: 429 for an address or account with too many wrong ones.
        """
        now = self._clock.monotonic()
        counted = ((self._failures, _whom(request)), (self._accounts, f"account {account.lower()}"))
        for failures, whom in counted:
            self._refuse(failures, whom, now)
        for failures, whom in counted:
            failures.failed(whom, now)

        def right() -> None:
            for failures, whom in counted:
                failures.withdraw(whom, now)

        try:
            yield right
        except DynamicClusterError:
            right()
            raise

    def _refuse(self, failures: Failures, whom: str, now: float) -> None:
        """:raises ApiError: 429 for whoever has failed too often."""
        wait_s = failures.wait_s(whom, now)
        if wait_s > 0:
            text = f"too many wrong tokens or passwords from {whom}: try again in {wait_s:.0f} s"
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "too-many-failures", text, retry_after_s=wait_s)

    def role_now(self, caller: Caller) -> Role:
        """The role of whoever logged in: a token's as the file says now, none once it is revoked."""
        if caller.token is None:
            return caller.role
        return self._tokens.role_of(caller.token.digest) if self._tokens else Role.NOBODY

    # --- browsers -----------------------------------------------------------------------------------------

    def _by_session(self, request: HTTPServerRequest, changing: bool) -> Caller | None:
        cookie = cookie_of(request)
        session = self.sessions.find(cookie, self._clock.monotonic()) if cookie else None
        if session is None:
            return None
        if changing:
            self.check_origin(request)
            if not vouches(session, request.headers.get(CSRF_HEADER, "")):
                text = f"a change needs the header {CSRF_HEADER} with what log-in gave; log in again"
                raise ApiError(HTTPStatus.FORBIDDEN, "csrf", text)
        return Caller(session.name, session.role_now(), Via.SESSION, expires_at=session.expires_at)

    def _by_proxy(self, request: HTTPServerRequest, changing: bool) -> Caller | None:
        """The user that a proxy of ours names. It proves itself by address and secret: on a shared machine everybody
        can connect from loopback."""
        settings, name = self._settings, self._names_user(request)
        if not name:
            return None
        address = ipaddress.ip_address(str(request.remote_ip).partition("%")[0])
        told = request.headers.get("X-Proxy-Secret", "")
        known = any(address in network for network in self._proxies)
        if not known or not hmac.compare_digest(told.encode(), settings.proxy_secret.encode()):
            raise ApiError(HTTPStatus.FORBIDDEN, "proxy", "this is not a proxy whose word is believed")
        role = settings.proxy_roles.get(name, settings.proxy_roles.get("*", ""))
        if changing:
            self.check_origin(request)
            if not request.headers.get(CSRF_HEADER):
                text = f"a change needs the header {CSRF_HEADER}: {BY_PROXY}"
                raise ApiError(HTTPStatus.FORBIDDEN, "csrf", text)
        return Caller(f"proxy {name}", ROLES.get(role, Role.NOBODY), Via.PROXY)

    def _names_user(self, request: HTTPServerRequest) -> str:
        """Whom a proxy names, if one is believed at all.

        :raises ApiError: 400 for what is no name: it would stand on the audit log.
        """
        header = self._settings.proxy_user_header
        name = request.headers.get(header, "") if header else ""
        with suppress(UnicodeError):  # headers are read as Latin-1; names of users come in UTF-8
            name = name.encode("latin-1").decode("utf-8")
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad-value", f"{header}: expected the name of a user")
        return name

    def check_origin(self, request: HTTPServerRequest) -> None:
        """What a page asks for must come from a page of ours, port included."""
        origin, host = request.headers.get("Origin", ""), request.headers.get("Host", "")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if site not in {"same-origin", "none"} or (origin and urlsplit(origin).netloc.lower() != host.strip().lower()):
            raise ApiError(HTTPStatus.FORBIDDEN, "csrf", "this page may not ask for that here")


def _whom(request: HTTPServerRequest) -> str:
    """Whom wrong tokens and passwords count against: the user, if this machine's kernel knows, else the address."""
    peer = cast(HTTP1Connection, request.connection).stream.socket
    uid = peer_uid(peer) if peer is not None else None
    return origin(str(request.remote_ip)) if uid is None else holder(uid)


def cookie_of(request: HTTPServerRequest) -> str:
    """The session's cookie; "" if there is none, or cookies are malformed."""
    found = request.cookies.get(COOKIE)
    return found.value if found else ""
