"""What every handler does: let in or refuse, read what was sent, carry out commands, answer in JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import zlib
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ValidationError
from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from dynamiccluster.api import auth, schemas
from dynamiccluster.api.cache import Cache
from dynamiccluster.api.declare import Operation, Param, number, operation_of, word
from dynamiccluster.api.gate import Gate
from dynamiccluster.api.pam import Authenticate
from dynamiccluster.api.pictures.rows import Wanted, Window
from dynamiccluster.api.problems import REPLY_STATUS, ApiError, bad_field, of_error
from dynamiccluster.api.series import Series
from dynamiccluster.api.settings import ApiSettings
from dynamiccluster.api.tokens import Role
from dynamiccluster.api.turns import Few, Turns
from dynamiccluster.api.versions import Topic, Versions
from dynamiccluster.engine.attention import Attention
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.engine.service import Service
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.command import Command, CommandKind, CommandReply, ReplyCode
from dynamiccluster.model.view import SourceStatus

log = logging.getLogger(__name__)

READING = frozenset({"GET", "HEAD"})
MAX_PAGE = 1000  # documents per answer: about 20 ms of the loop's time
_CHUNK = 500  # objects per piece of a streamed list, for the same reason

AT_ONCE = 8
MOST_WAITING = 56
"""Of questions to Graphite, some 8 for a page: each may bring 8 MiB, and cost its host as much as the asker likes."""

HOW_TO_CHANGE = (
    "without a token this port only reads. On the command line: run the verb as a user who may open the service's Unix "
    "socket (as root: sudo dynamiccluster VERB ...), or with --token-file FILE; `dynamiccluster token add NAME` makes "
    "a token. Over HTTP: send 'Authorization: Bearer TOKEN' (docs/rest-api.md)"
)

LIMIT = number("limit", 500, 1, MAX_PAGE, "rows of one page")
OFFSET = number("offset", 0, 0, 10**7, "rows to skip; not with `after`")
AFTER = word("after", "continue after this row: `next` of the page before; not with `sort`")

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")

Metrics = Callable[[], Awaitable[tuple[str, bytes]]]
"""Figures for a scrape: their content type, and the text."""

Plugins = Callable[[], Iterable[SourceStatus]]
"""How plug-ins are doing; ``source`` is a plug-in's name."""


@dataclass(frozen=True, slots=True)
class Context:
    """What handlers may use."""

    service: Service
    settings: ApiSettings
    clock: Clock
    gate: Gate
    bridge: Bridge | None = None  # for what blocks
    authenticate: Authenticate | None = None  # PAM, if log-in with a password is allowed
    versions: Versions = field(default_factory=Versions)
    cache: Cache = field(default_factory=Cache)
    series: Series = field(default_factory=Series)
    metrics: Metrics | None = None  # for Prometheus, if they are kept
    plugins: Plugins = tuple
    lost_nodes: Callable[[], Iterable[Attention]] = tuple  # with jobs on them, not long ago
    turns: Turns = field(default_factory=Turns)
    graphite: Few = field(default_factory=lambda: Few(AT_ONCE, MOST_WAITING))  # who asks it through us
    closing: asyncio.Event = field(default_factory=asyncio.Event)  # the service stops: streams end


_UNDECLARED = {verb: getattr(RequestHandler, verb.lower()) for verb in RequestHandler.SUPPORTED_METHODS}
"""What Tornado answers for verbs that a handler does not have."""


class ApiHandler(RequestHandler):
    """Base of all handlers."""

    context: Context
    caller: auth.Caller
    open_to_all: ClassVar[bool] = False
    """Whether it holds nothing that must not be seen before log-in."""

    operation: Operation | None
    """What is declared for the verb that is asked."""

    def initialize(self, context: Context) -> None:
        self.context = context

    # --- letting in ---------------------------------------------------------------------------------------

    async def prepare(self) -> None:
        method = self.request.method or ""
        self.operation = operation_of(type(self), "GET" if method == "HEAD" else method)
        self.caller = self.context.gate.caller(self.request, method not in READING and not self.open_to_all)
        needed = Role.VIEWER if method in READING else Role.OPERATOR
        if self.operation:
            needed = self.operation.needs(method)
        if self.open_to_all:
            needed = Role.NOBODY
        admitted = self.operation is not None and self.operation.admits(self.caller.role, method)
        if self.caller.role < needed and not admitted:
            if self.caller.role is Role.NOBODY and self.caller.via is auth.Via.ANONYMOUS:
                raise ApiError(HTTPStatus.UNAUTHORIZED, "token-needed", "send 'Authorization: Bearer TOKEN', or log in")
            if self.caller.via is auth.Via.ANONYMOUS:
                raise ApiError(HTTPStatus.FORBIDDEN, "read-only", HOW_TO_CHANGE)
            text = f"{self.caller.name} is {self.caller.role.name.lower()}; this needs {needed.name.lower()}"
            raise ApiError(HTTPStatus.FORBIDDEN, "role", text)
        if self.operation and self.request.path.startswith("/api/v1/"):
            self._refuse_unknown_parameters(self.operation.names)
        if self.request.body:
            kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                text = "a body must be JSON with Content-Type: application/json"
                raise ApiError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not-json", text)
        await self._turn()

    async def _turn(self) -> None:
        """Wait for one's turn; who may open the socket need not.

        :raises StreamClosedError: who asked has gone meanwhile; nothing is done for nobody.
        """
        if self.caller.via is not auth.Via.SOCKET:
            await self.context.turns.mine(self.caller.via is not auth.Via.ANONYMOUS)
            if cast(HTTP1Connection, self.request.connection).stream.closed():
                raise StreamClosedError

    def _refuse_unknown_parameters(self, takes: frozenset[str]) -> None:
        """On our own paths, so that a slip of the pen does not filter nothing."""
        unknown = sorted(set(self.request.query_arguments) - takes)
        if unknown:
            expected = f"one of the parameters {', '.join(sorted(takes))}" if takes else "no parameters here"
            raise bad_field(unknown[0][:100], expected)

    # --- reading ------------------------------------------------------------------------------------------

    async def head(self, *args: str, **kwargs: str) -> None:
        """As GET; what it writes is counted and not sent (RFC 9110, section 9.3.2)."""
        if "GET" not in self.verbs():
            raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED)
        done = cast(object, self.get(*args, **kwargs))
        if isinstance(done, Awaitable):
            await done

    @property
    def model(self) -> ReadModel:
        return self.context.service.readmodel

    @property
    def now(self) -> float:
        return self.context.clock.now()

    def asked(self, param: Param[T]) -> T:
        """The value of a declared query parameter.

        :raises ApiError: 400 that names it.
        """
        if self.operation is None or param.name not in self.operation.names:
            raise AssertionError(f"{param.name} is not declared for this verb")
        if param.repeated:
            texts = self.get_query_arguments(param.name, strip=False)
            return param.value("\n".join(texts) if texts else None)
        return param.value(self.get_query_argument(param.name, None, strip=False))

    def window(self, wanted: Wanted) -> Window:
        """The part of a list that is asked for."""
        after, offset = self.asked(AFTER), self.asked(OFFSET)
        if after and (offset or wanted.sort):
            raise bad_field("after", "no offset and no sort beside it")
        return Window(self.asked(LIMIT), offset, after)

    def body(self, kind: type[Model]) -> Model:
        """The request's JSON body; an absent one counts as ``{}``."""
        if self.operation is None or self.operation.body is not kind:
            raise AssertionError(f"{kind.__name__} is not declared for this verb")
        try:
            return kind.model_validate_json(self.request.body or b"{}")
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ApiError(
                HTTPStatus.BAD_REQUEST, "bad-value", f"{field}: {first['msg']}".lstrip(": "), field
            ) from error

    # --- changing -----------------------------------------------------------------------------------------

    async def carry_out(
        self,
        kind: CommandKind,
        target: str = "",
        *,
        count: int = 1,
        resource: str = "",
        instance_id: str = "",
        force: bool = False,
    ) -> CommandReply:
        """Have a command committed. Anything but ``OK`` becomes the error that it stands for."""
        command = Command(
            secrets.token_hex(8),
            kind,
            self.caller.name,
            target=target,
            count=count,
            resource=resource,
            instance_id=instance_id,
            force=force,
        )
        reply = await self.within_limit(self.context.service.command(command))
        if reply.code is not ReplyCode.OK:
            raise ApiError(REPLY_STATUS[reply.code], reply.code.value, reply.message)
        return reply

    async def within_limit(self, work: Awaitable[T]) -> T:
        """``work`` with the time limit of changes. It is not undone when the limit passes, only not awaited."""
        try:
            return await asyncio.wait_for(asyncio.shield(work), self.context.settings.command_timeout_s)
        except TimeoutError as error:
            text = "no answer in time: it may or may not be carried out; look before you ask again"
            raise ApiError(HTTPStatus.GATEWAY_TIMEOUT, "unknown-outcome", text) from error

    # --- answering ----------------------------------------------------------------------------------------

    def set_default_headers(self) -> None:
        self.set_header("Server", "dynamiccluster")
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

    def compute_etag(self) -> None:
        """None: nothing here may be cached, so hashing every answer would buy nothing."""

    def answer(self, document: BaseModel) -> None:
        self.write(document.model_dump_json())

    def versioned(self, make: Callable[[], BaseModel], *topics: Topic, fresh: bool = False) -> None:
        """An answer that is the same until one of the topics changes; 304 if the asker has it already.

        It is made once per version and kept. If it must be ``fresh``, as it tells ages, it is made once a second.
        """
        key = self._unless_known(*topics, fresh=fresh)
        if key:
            self.write(self.context.cache.body(key, lambda: make().model_dump_json().encode()))

    async def versioned_later(self, make: Callable[[], Awaitable[BaseModel]], *topics: Topic) -> None:
        """The same for an answer that must be waited for."""
        key = self._unless_known(*topics)
        if key:
            cache = self.context.cache
            known = cache.known(key)
            self.write(cache.keep(key, (await make()).model_dump_json().encode()) if known is None else known)

    def _unless_known(self, *topics: Topic, fresh: bool = False) -> str:
        """The key of this answer in the cache; "", and 304, if the asker has it already."""
        query = zlib.crc32((self.request.uri or "").encode())
        tag = f"{self.context.versions.tag(self.model, *topics)}-{query:x}"
        self.set_header("ETag", f'W/"{tag}"')
        if f'"{tag}"' in self.request.headers.get("If-None-Match", ""):
            self.set_status(HTTPStatus.NOT_MODIFIED)
            return ""
        second = int(self.now) if fresh else 0
        return f"{tag} {second} {self.request.uri}"

    def changed(self, reply: CommandReply) -> None:
        """The answer of our own paths to a committed change."""
        self.answer(schemas.ChangeDoc(message=reply.message, node_ids=list(reply.node_ids)))

    def plain(self, value: object) -> None:
        """Plain data in the original's manner."""
        self.write(json.dumps(value))

    async def stream_list(self, items: Iterable[object]) -> None:
        """A JSON list sent piece by piece: the loop goes on in between, and memory stays small. Of a long one HEAD
        tells no length, as GET does not."""
        piece: list[str] = []
        lead = "["
        for item in items:
            piece.append(json.dumps(item))
            if len(piece) == _CHUNK:
                if self.request.method == "HEAD":
                    self.set_header("Transfer-Encoding", "chunked")
                    await self.flush()
                    return
                self.write(lead + ",".join(piece))
                lead, piece = ",", []
                await self.send()
                await self._turn()
        self.write((lead + ",".join(piece) if piece or lead == "[" else "") + "]")

    async def send(self) -> None:
        """Send what was written so far; who does not take it in time is cut off."""
        try:
            await asyncio.wait_for(self.flush(), self.context.settings.slow_client_s)
        except TimeoutError:
            cast(HTTP1Connection, self.request.connection).stream.close()
            raise StreamClosedError from None

    def finish(self, chunk: Any = None) -> Future[None]:
        """The end of an answer; who does not take it in time is cut off, too: he would keep his connection for ever."""
        sent = super().finish(chunk)
        stream = cast(HTTP1Connection, self.request.connection).stream
        limit = asyncio.get_running_loop().call_later(self.context.settings.slow_client_s, stream.close)
        sent.add_done_callback(lambda _: limit.cancel())
        return sent

    # --- errors -------------------------------------------------------------------------------------------

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = _told(status_code, kwargs.get("exc_info", (None, None, None))[1])
        self.set_status(error.status)
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.verbs()))
        if error.status == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", 'Bearer realm="dynamiccluster"')
        if error.retry_after_s > 0:
            self.set_header("Retry-After", str(int(error.retry_after_s) + 1))
        body = schemas.ErrorBody(code=error.code, message=error.message, field=error.field)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(schemas.ErrorDoc(error=body).model_dump_json())

    def verbs(self) -> list[str]:
        """What can be asked here."""
        own = {verb for verb, absent in _UNDECLARED.items() if getattr(type(self), verb.lower()) is not absent}
        return [verb for verb in self.SUPPORTED_METHODS if ("GET" if verb == "HEAD" else verb) in own]

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Expected errors are a line at most; a traceback means that somebody must look."""
        if isinstance(value, ApiError | HTTPError | StreamClosedError):
            log.debug("%s %a: %s", self.request.method, self.request.path[:200], value)
        elif isinstance(value, DynamicClusterError) and of_error(value).status != HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s %a: %s", self.request.method, self.request.path[:200], value)
        else:
            log.error("%s %a failed", self.request.method, self.request.path[:200], exc_info=value)


def _told(status_code: int, error: BaseException | None) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, DynamicClusterError):
        return of_error(error)
    if status_code == HTTPStatus.INTERNAL_SERVER_ERROR or not isinstance(error, HTTPError):
        return ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, "bug", "unexpected error; the service's log says more")
    try:
        phrase = HTTPStatus(status_code).phrase
    except ValueError:
        phrase = "error"
    return ApiError(status_code, phrase.lower().replace(" ", "-"), phrase)


class NotFoundHandler(ApiHandler):
    """Every path that is not ours, after the same checks as the others."""

    async def prepare(self) -> None:
        await super().prepare()
        raise ApiError(HTTPStatus.NOT_FOUND, "not-found", "there is no such path; docs/rest-api.md lists them")
