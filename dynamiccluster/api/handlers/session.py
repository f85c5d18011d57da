"""Log-in for browsers, and who asks."""

from __future__ import annotations

import logging
from functools import partial
from http import HTTPStatus
from typing import ClassVar

from dynamiccluster.api import schemas, schemas_watch
from dynamiccluster.api.auth import Caller, Via
from dynamiccluster.api.declare import operation
from dynamiccluster.api.gate import BY_PROXY, cookie_of
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pam import groups_of, role_of, usable
from dynamiccluster.api.problems import ApiError
from dynamiccluster.api.schemas import instant
from dynamiccluster.api.sessions import COOKIE, LASTS_S
from dynamiccluster.api.tokens import Role

log = logging.getLogger(__name__)

PASSWORD_LIMIT_S = 30.0
"""PAM waits a few seconds after a wrong password, and may ask a directory over the network."""


class LogIn(ApiHandler):
    """A session's cookie is for reading; changes also need ``csrf``, which only the log-in's answer holds."""

    open_to_all: ClassVar[bool] = True

    @operation("who asks, and what may be done", schemas_watch.SessionDoc, role=Role.NOBODY)
    def get(self) -> None:
        self.answer(self._document(self.caller, BY_PROXY if self.caller.via is Via.PROXY else ""))

    @operation(
        "log in with a token, or an account's name and password where that is allowed; sets a cookie",
        schemas_watch.SessionDoc,
        body=schemas_watch.LoginRequest,
        role=Role.NOBODY,
    )
    async def post(self) -> None:
        wish = self.body(schemas_watch.LoginRequest)
        gate, clock = self.context.gate, self.context.clock
        if self.caller.via is not Via.SOCKET:
            gate.check_origin(self.request)
        if bool(wish.token) == bool(wish.user):
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad-value", "token: expected either it or user", "token")
        if wish.token:
            found = gate.with_token(self.request, wish.token)
            if found.role < Role.VIEWER:
                raise ApiError(HTTPStatus.FORBIDDEN, "role", f"{found.name} is {found.role.name.lower()}: no log-in")
        else:
            found = await self._with_password(wish.user, wish.password)
        name, role_now = found.name, partial(gate.role_now, found)
        gate.sessions.close(cookie_of(self.request))
        cookie, csrf, session = gate.sessions.open(name, role_now, clock.monotonic(), clock.now())
        log.info("%s has logged in from %s", name, self.request.remote_ip)
        secure = self.request.protocol == "https"
        self.set_cookie(COOKIE, cookie, path="/", httponly=True, samesite="Strict", secure=secure, max_age=int(LASTS_S))
        self.answer(self._document(Caller(name, role_now(), Via.SESSION, expires_at=session.expires_at), csrf))

    @operation("log out", schemas.ChangeDoc, role=Role.NOBODY)
    def delete(self) -> None:
        self.context.gate.check_origin(self.request)
        self.context.gate.sessions.close(cookie_of(self.request))
        self.clear_cookie(COOKIE, path="/")
        self.answer(schemas.ChangeDoc(message="logged out"))

    async def _with_password(self, account: str, password: str) -> Caller:
        """The account with what it may do here. Wrong ones count against address and account."""
        gate, settings = self.context.gate, self.context.settings
        authenticate, bridge = self.context.authenticate, self.context.bridge
        if authenticate is None or bridge is None:
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad-value", "user: log-in with a password is not set up", "user")

        def ask() -> Role:
            if not usable(account, password) or not authenticate(account, password, settings.pam_service):
                return Role.NOBODY
            return role_of(account, groups_of(account), settings.pam_roles)

        with gate.guess(self.request, account) as right:
            role = await bridge.call("pam", "PAM", PASSWORD_LIMIT_S, ask)
            if role is not Role.NOBODY:
                right()
        if role is Role.NOBODY:
            log.warning("log-in of %a from %s refused", account, self.request.remote_ip)
            raise ApiError(HTTPStatus.UNAUTHORIZED, "bad-password", "name or password is wrong, or has no role here")
        return Caller(f"pam {account}", role, Via.SESSION)

    def _document(self, caller: Caller, csrf: str) -> schemas_watch.SessionDoc:
        ways = [
            word for word, there in (("token", self.context.settings.tokens_file), ("password", self._pam())) if there
        ]
        return schemas_watch.SessionDoc(
            name=caller.name,
            role=caller.role.name.lower(),
            via=caller.via.value,
            csrf=csrf,
            expires_at=instant(caller.expires_at),
            ways=ways,
            reads_need_login=self.context.gate.reads_need_login,
        )

    def _pam(self) -> bool:
        return self.context.authenticate is not None
