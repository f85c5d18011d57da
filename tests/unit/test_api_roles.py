"""Every verb of every path, as everybody who may come: made from what the handlers declare, so a new one is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from live_api import Live, live
from tornado.web import RequestHandler

from dynamiccluster.api import auth
from dynamiccluster.api.declare import Operation, operation_of
from dynamiccluster.api.routes import ORIGINAL, OURS
from dynamiccluster.api.tokens import ROLES, Role, make_token
from dynamiccluster.engine.service import Service

VERBS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
SESSION = "/api/v1/session"

FOR_ADMINS = {
    *(("PUT", path) for path in ("/server/auto", "/api/v1/auto", "/api/v1/observe")),
    *(("DELETE", path) for path in ("/server/auto", "/api/v1/auto", "/api/v1/observe")),
    ("POST", "/api/v1/adopt"),
    ("POST", "/api/v1/reload"),
}
"""How the service works is an administrator's to change. Written down here, so that no declaration slips."""

FOR_ALL = {("GET", SESSION), ("HEAD", SESSION), ("POST", SESSION), ("DELETE", SESSION)}
FOR_AGENTS = {("POST", "/api/v1/nodes/{node}/notice")}


@dataclass(frozen=True)
class Cell:
    method: str
    path: str
    operation: Operation

    @property
    def needs(self) -> Role:
        if (self.method, self.path) in FOR_ALL:
            return Role.NOBODY
        if (self.method, self.path) in FOR_ADMINS:
            return Role.ADMIN
        return Role.VIEWER if self.method in ("GET", "HEAD") else Role.OPERATOR

    @property
    def asked(self) -> str:
        """A path with nothing in it that is there: who may not come must not learn even that."""
        return re.sub(r"\{[^}:]*:?([^}|]*)[^}]*\}", lambda found: found[1] or "nothere", self.path)


def cells() -> Iterator[Cell]:
    for path, handler in ORIGINAL + OURS:
        for method in VERBS:
            found = operation_of(handler, "GET" if method == "HEAD" else method)
            if found is not None and path != "/api/v1/live":
                yield Cell(method, path, found)


CELLS = list(cells())


def test_every_verb_that_a_handler_has_is_declared() -> None:
    for path, handler in ORIGINAL + OURS:
        for verb in VERBS:
            has = getattr(handler, verb.lower()) is not getattr(RequestHandler, verb.lower())
            if has and verb != "HEAD":
                assert operation_of(handler, verb) is not None, (verb, path)
    assert len(CELLS) > 80
    assert {(cell.method, cell.path) for cell in CELLS} >= FOR_ADMINS | FOR_ALL | FOR_AGENTS


def test_declarations_say_what_is_written_here() -> None:
    told = {(cell.method, cell.path): (cell.operation.needs(cell.method), cell.operation.agents) for cell in CELLS}
    meant = {(cell.method, cell.path): (cell.needs, (cell.method, cell.path) in FOR_AGENTS) for cell in CELLS}
    assert told == meant


@dataclass
class Site:
    api: Live
    tokens: dict[str, str]
    pages: dict[str, dict[str, str]]  # headers of browsers that have logged in

    def asks(self, who: str, cell: Cell) -> tuple[int, str]:
        """Status and code of the error. The body is wrong on purpose: who is let in gets no farther than it."""
        way, _, role = who.partition(" ")
        headers: dict[str, str] = {}
        if way == "token":
            headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        elif way == "page":
            headers = self.pages[role]
        elif way == "cookie":
            headers = {"Cookie": self.pages[role]["Cookie"]}
        body = None if cell.method in ("GET", "HEAD", "OPTIONS") or cell.operation.body is None else {"odd": 1}
        answer = self.api.ask(cell.method, cell.asked, body, headers, unix=way == "socket")
        is_error = cell.method != "HEAD" and answer.headers["content-type"].startswith("application/json")
        found: Any = answer.json if is_error else {}
        return answer.status, found["error"]["code"] if isinstance(found, dict) and "error" in found else ""


def opened(folder: Path, beyond: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = {role: make_token(role, ROLES[role]) for role in ROLES}
    (folder / "tokens").write_text("".join(f"{kept.line()}\n" for _, kept in made.values()))
    (folder / "tokens").chmod(0o600)
    if beyond:
        monkeypatch.setattr(auth, "is_loopback", lambda _address: False)
    with live(folder, tokens_file=str(folder / "tokens")) as api:
        pages = {}
        for role, (secret, _) in made.items():
            answer = api.ask("POST", SESSION, {"token": secret})
            cookie = answer.headers.get("set-cookie", "").partition(";")[0]
            pages[role] = {"Cookie": cookie, "X-CSRF-Token": answer.json.get("csrf", "")}
        assert pages["agent"]["Cookie"] == ""  # an agent has no business with pages
        yield Site(api, {role: secret for role, (secret, _) in made.items()}, pages)


@pytest.fixture
def loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    yield from opened(tmp_path, False, monkeypatch)


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    yield from opened(tmp_path, True, monkeypatch)


def refused(cell: Cell, role: Role, way: str) -> tuple[int, str] | None:
    """Status and code that somebody gets who may not come; ``None`` if he may."""
    changing = cell.method not in ("GET", "HEAD")
    if way == "cookie" and changing and (cell.method, cell.path) not in FOR_ALL:
        return 403, "csrf"
    if cell.path == "/dashboard" and role < Role.VIEWER:
        return 401, "token-needed"  # the page without scripts shows data; that with scripts is for all to load
    if role >= cell.needs or (role is Role.AGENT and (cell.method, cell.path) in FOR_AGENTS):
        return None
    if way == "nobody":
        return (401, "token-needed") if role is Role.NOBODY else (403, "read-only")
    return 403, "role"


EVERYBODY = [
    ("nobody", None),
    *((f"token {role}", ROLES[role]) for role in ("agent", "viewer", "operator", "admin")),
    *((f"page {role}", ROLES[role]) for role in ("viewer", "operator", "admin")),
    ("cookie admin", Role.ADMIN),
    ("socket", Role.ADMIN),
]


@pytest.mark.parametrize("where", ["loopback", "network"])
def test_each_may_do_what_the_role_allows_and_nothing_else(where: str, request: pytest.FixtureRequest) -> None:
    site: Site = request.getfixturevalue(where)
    wrong = {}
    for who, given in EVERYBODY:
        role = given if given is not None else Role.VIEWER if where == "loopback" else Role.NOBODY
        for cell in CELLS:
            if (cell.method, cell.path) == ("DELETE", SESSION) and who.startswith(("page", "cookie")):
                continue  # it would log out
            status, code = site.asks(who, cell)
            expected = refused(cell, role, who.partition(" ")[0])
            if cell.method == "HEAD":
                held = status == (expected or (status,))[0] and (expected is not None or status not in (401, 403))
            elif expected is None:  # let in: what is asked is not there, or the body is wrong
                held = code not in ("role", "read-only", "token-needed", "csrf", "proxy", "bad-token") or (
                    cell.path == SESSION and cell.method == "POST"
                )
            else:
                held = (status, code) == expected
            held = (held and status < 500) or (status, cell.path) == (503, "/readyz")
            if not held:
                wrong[f"{who}: {cell.method} {cell.path}"] = (status, code, expected)
    assert wrong == {}


def test_verbs_that_a_path_does_not_have_change_nothing_for_anybody(loopback: Site) -> None:
    """405 for who may change things; who may not gets what he gets for any change."""
    service: Service = loopback.api.service
    before = service.readmodel
    token = {"Authorization": f"Bearer {loopback.tokens['admin']}"}
    for path, handler in ORIGINAL + OURS:
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            if operation_of(handler, method) is None:
                asked = Cell(method, path, Operation("", {})).asked
                answer = loopback.api.ask(method, asked, headers=token)
                assert (answer.status, answer.json["error"]["code"]) == (405, "method-not-allowed"), (method, path)
                if path not in (SESSION, "/dashboard"):
                    assert loopback.api.ask(method, asked).status == 403, (method, path)
    assert service.readmodel is before


@pytest.mark.parametrize("path", ["/nothere", "/api/v1/nothere", "/dashboard/../../etc/passwd", "/js/config.js"])
def test_paths_that_are_none_are_404_for_who_may_look_and_401_for_others(network: Site, path: str) -> None:
    viewer = {"Authorization": f"Bearer {network.tokens['viewer']}"}
    assert network.api.ask("GET", path, headers=viewer).status in ({404} if "dashboard" not in path else {302, 404})
    if "dashboard" not in path:
        assert network.api.ask("GET", path).status == 401
        assert (
            network.api.ask("GET", path, headers={"Authorization": f"Bearer {network.tokens['agent']}"}).status == 403
        )
