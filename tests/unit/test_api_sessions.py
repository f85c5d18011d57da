"""Browsers that log in: by token, password or proxy, and what others on the same machine could try."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from live_api import Answer, Live, live

from dynamiccluster.api import pam
from dynamiccluster.api.owner import holder, peer_uid
from dynamiccluster.api.pam import role_of, usable
from dynamiccluster.api.sessions import LASTS_S, MOST, MOST_OF_ONE, Sessions
from dynamiccluster.api.tokens import Role, make_token
from dynamiccluster.errors import TransientError
from dynamiccluster.kit.blocking import ThreadBridge
from dynamiccluster.testing.bridge import InlineBridge

ISSUE = (
    *("/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    *("-nodes", "-subj", "/CN=localhost", "-days", "2"),
)

HOLD = "/api/v1/nodes/n1/hold"
PROXY_SECRET = "a-secret-of-the-proxy-0123"


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    """Secrets by role; the file is ``tmp_path/tokens``."""
    found, lines = {}, []
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        secret, kept = make_token(role.name.lower(), role)
        found[role.name.lower()] = secret
        lines.append(kept.line())
    path = tmp_path / "tokens"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return found


@pytest.fixture
def api(tmp_path: Path, tokens: dict[str, str]) -> Iterator[Live]:
    with live(tmp_path, tokens_file=str(tmp_path / "tokens")) as running:
        yield running


def log_in(api: Live, headers: dict[str, str] | None = None, **wish: str) -> tuple[Answer, dict[str, str]]:
    """The answer, and the headers of a page that has logged in."""
    answer = api.ask("POST", "/api/v1/session", wish, headers=headers)
    cookie = answer.headers.get("set-cookie", "").partition(";")[0]
    return answer, {"Cookie": cookie, "X-CSRF-Token": answer.json.get("csrf", "")}


def test_session_reads_and_changes_by_the_role_of_its_token(api: Live, tokens: dict[str, str]) -> None:
    answer, page = log_in(api, token=tokens["operator"])
    assert (answer.status, answer.json["role"], answer.json["via"]) == (200, "operator", "session")
    flags = answer.headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    assert api.ask("POST", HOLD, headers=page).status == 200
    assert api.service.commands[-1].actor == "token operator"
    assert api.ask("PUT", "/api/v1/auto", headers=page).json["error"]["code"] == "role"


def test_a_stolen_cookie_reads_but_changes_nothing(api: Live, tokens: dict[str, str]) -> None:
    """Cookies go to all ports of a host: whoever serves pages on another one of a login node may be sent ours."""
    _, page = log_in(api, token=tokens["admin"])
    stolen = {"Cookie": page["Cookie"]}
    told = api.ask("GET", "/api/v1/session", headers=stolen).json
    assert (told["role"], told["csrf"]) == ("admin", "")
    for wrong in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": "by-proxy"}):
        answer = api.ask("POST", HOLD, headers=stolen | wrong)
        assert (answer.status, answer.json["error"]["code"]) == (403, "csrf")
    assert api.service.commands == []
    assert api.ask("POST", HOLD, headers=page).status == 200


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "http://evil.example.org"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_others_change_nothing_and_log_nobody_in(
    api: Live, tokens: dict[str, str], foreign: dict[str, str]
) -> None:
    _, page = log_in(api, token=tokens["admin"])
    assert api.ask("POST", HOLD, headers=page | foreign).status == 403
    assert log_in(api, foreign, token=tokens["admin"])[0].status == 403
    assert api.ask("DELETE", "/api/v1/session", headers=page | foreign).status == 403
    assert api.ask("POST", HOLD, headers=page | {"Origin": api.url}).status == 200


def test_a_name_that_is_not_ours_is_refused_before_anything_else(api: Live, tokens: dict[str, str]) -> None:
    _, page = log_in(api, token=tokens["admin"])
    for path in ("/api/v1/session", "/api/v1/nodes", "/dashboard"):
        answer = api.ask("GET", path, headers=page | {"Host": "rebound.example.org"})
        assert (answer.status, answer.json["error"]["code"]) == (403, "host-not-allowed")


def test_log_out_ends_the_session(api: Live, tokens: dict[str, str]) -> None:
    _, page = log_in(api, token=tokens["admin"])
    assert api.ask("DELETE", "/api/v1/session", headers=page).status == 200
    assert api.ask("GET", "/api/v1/session", headers=page).json["via"] == "anonymous"
    assert api.ask("POST", HOLD, headers=page).status == 403


def test_revoking_a_token_ends_its_sessions(api: Live, tokens: dict[str, str], tmp_path: Path) -> None:
    _, page = log_in(api, token=tokens["admin"])
    path = tmp_path / "tokens"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("admin")))
    assert api.ask("POST", HOLD, headers=page).status == 403
    assert api.ask("GET", "/api/v1/session", headers=page).json["role"] == "viewer"


def test_revoking_a_token_ends_the_streams_that_it_opened(api: Live, tokens: dict[str, str], tmp_path: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    connection.request("GET", "/api/v1/live", headers={"Authorization": f"Bearer {tokens['viewer']}"})
    response = connection.getresponse()
    assert response.readline() == b"retry: 3000\n"
    path = tmp_path / "tokens"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("viewer")))
    api.change("POST", HOLD)
    assert response.read().count(b"event: picture") == 1
    connection.close()


def test_a_session_ends_after_a_day_s_work(api: Live, tokens: dict[str, str]) -> None:
    _, page = log_in(api, token=tokens["admin"])
    api.clock.at += LASTS_S + 1.0
    assert api.ask("POST", HOLD, headers=page).status == 403


def test_guessing_is_slowed_down(api: Live) -> None:
    found = [log_in(api, token=f"dct_{number}")[0].status for number in range(12)]
    assert found == [401] * 10 + [429] * 2


@pytest.mark.parametrize("wish", [{}, {"token": "x", "user": "y"}, {"user": "ada", "password": "x"}, {"tokn": "x"}])
def test_odd_log_ins_are_refused(api: Live, wish: dict[str, str]) -> None:
    assert log_in(api, **wish)[0].status == 400


def test_sessions_are_bounded_and_hashed() -> None:
    sessions = Sessions()
    cookies = [sessions.open(f"x{number}", lambda: Role.ADMIN, 0.0, 0.0)[0] for number in range(MOST + 5)]
    assert sessions.find(cookies[0], 1.0) is None
    assert sessions.find(cookies[-1], 1.0) is not None
    assert cookies[-1] not in str(sessions._known)


def test_who_logs_in_all_the_time_ends_own_sessions_only(api: Live, tokens: dict[str, str]) -> None:
    sessions = Sessions()
    other = sessions.open("token ops", lambda: Role.ADMIN, 0.0, 0.0)[0]
    mine = [sessions.open("token eve", lambda: Role.VIEWER, 0.0, 0.0)[0] for _ in range(MOST + 5)]
    assert sessions.find(other, 1.0) is not None
    assert sum(sessions.find(cookie, 1.0) is not None for cookie in mine) == MOST_OF_ONE
    _, page = log_in(api, token=tokens["admin"])
    _, again = log_in(api, {"Cookie": page["Cookie"]}, token=tokens["admin"])
    assert again["Cookie"] != page["Cookie"]  # a cookie that was known before a log-in is worth nothing after it
    assert api.ask("GET", "/api/v1/session", headers=page).json["via"] == "anonymous"
    assert api.ask("GET", "/api/v1/session", headers=again).json["via"] == "session"


@pytest.mark.parametrize("foreign", [{"Origin": "http://evil.example.org"}, {"Sec-Fetch-Site": "cross-site"}])
def test_pages_of_others_get_no_stream(api: Live, foreign: dict[str, str]) -> None:
    answer = api.ask("GET", "/api/v1/live", headers=foreign)
    assert (answer.status, answer.json["error"]["code"]) == (403, "csrf")
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


# --- behind a proxy ---------------------------------------------------------------------------------------


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Live]:
    roles = {"ada": "admin", "*": "viewer"}
    with live(
        tmp_path,
        proxies=("127.0.0.0/8",),
        proxy_secret=PROXY_SECRET,
        proxy_user_header="X-Remote-User",
        proxy_roles=roles,
    ) as running:
        yield running


def test_a_proxy_s_word_is_believed_with_its_secret_only(proxied: Live) -> None:
    ada = {"X-Remote-User": "ada", "X-Proxy-Secret": PROXY_SECRET}
    assert proxied.ask("GET", "/api/v1/session", headers=ada).json["csrf"] == "by-proxy"
    assert proxied.ask("POST", HOLD, headers=ada).json["error"]["code"] == "csrf"
    assert proxied.ask("POST", HOLD, headers=ada | {"X-CSRF-Token": "by-proxy"}).status == 200
    assert proxied.service.commands[-1].actor == "proxy ada"
    assert proxied.ask("POST", HOLD, headers=ada | {"X-CSRF-Token": "x", "Origin": "http://evil"}).status == 403
    bob = ada | {"X-Remote-User": "bob", "X-CSRF-Token": "by-proxy"}
    assert proxied.ask("POST", HOLD, headers=bob).json["error"]["code"] == "role"
    for forged in ({}, {"X-Proxy-Secret": ""}, {"X-Proxy-Secret": "a"}, {"X-Proxy-Secret": PROXY_SECRET + "x"}):
        answer = proxied.ask("GET", "/api/v1/nodes", headers={"X-Remote-User": "ada"} | forged)
        assert (answer.status, answer.json["error"]["code"]) == (403, "proxy")


@pytest.mark.parametrize(
    ("name", "status"), [("zo\u00eb", 200), ("a" * 100, 200), ("a" * 101, 400), ("\u202eada", 400), ("a\u2028b", 400)]
)
def test_names_that_a_proxy_gives_are_names(proxied: Live, name: str, status: int) -> None:
    """They stand on the audit log, where none may pass for another, or for two lines."""
    sent = {"X-Remote-User": name.encode().decode("latin-1"), "X-Proxy-Secret": PROXY_SECRET}
    answer = proxied.ask("GET", "/api/v1/session", headers=sent)
    assert answer.status == status
    assert status != 200 or answer.json["name"] == f"proxy {name}"


def test_what_a_proxy_was_told_to_know_the_user_is_not_taken_for_a_token(proxied: Live) -> None:
    """Proxies pass on ``Authorization`` unless told otherwise: with Basic or Kerberos nobody could get in."""
    ada = {"X-Remote-User": "ada", "X-Proxy-Secret": PROXY_SECRET}
    for word in ("Basic YWRhOnB3", "Negotiate YIIF"):
        assert proxied.ask("GET", "/api/v1/session", headers=ada | {"Authorization": word}).json["name"] == "proxy ada"
        forged = proxied.ask("GET", "/api/v1/nodes", headers={"X-Remote-User": "ada", "Authorization": word})
        assert (forged.status, forged.json["error"]["code"]) == (403, "proxy")
        assert proxied.ask("GET", "/api/v1/nodes", headers={"Authorization": word}).status == 401
    assert proxied.ask("GET", "/api/v1/nodes", headers=ada | {"Authorization": "Bearer dct_x"}).status == 401


def test_other_addresses_are_no_proxies(tmp_path: Path) -> None:
    forged = {"X-Remote-User": "ada", "X-Proxy-Secret": PROXY_SECRET}
    with live(tmp_path, proxies=("10.0.0.5",), proxy_secret=PROXY_SECRET, proxy_user_header="X-Remote-User") as api:
        assert api.ask("GET", "/api/v1/nodes", headers=forged).status == 403
    with live(tmp_path) as api:
        assert api.ask("POST", HOLD, headers=forged | {"X-CSRF-Token": "by-proxy"}).json["error"]["code"] == "read-only"


# --- passwords --------------------------------------------------------------------------------------------


@pytest.fixture
def with_pam(tmp_path: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """PAM is a function here that lets ``ada`` in, and nobody else."""

    def authenticate(account: str, password: str, service: str) -> bool:
        assert service == "dynamiccluster"
        return (account, password) == ("ada", "right")

    monkeypatch.setattr("dynamiccluster.api.server.authenticator", lambda: authenticate)
    monkeypatch.setattr("dynamiccluster.api.handlers.session.groups_of", lambda account: frozenset({"hpc"}))
    settings = {"pam_service": "dynamiccluster", "pam_roles": {"@hpc": "operator"}}
    bridge = InlineBridge(random.Random(1), (0.0, 0.0))
    with live(tmp_path, bridge, tokens_file=str(tmp_path / "tokens"), **settings) as running:
        yield running


def test_an_account_logs_in_and_gets_the_role_of_its_group(with_pam: Live) -> None:
    assert with_pam.ask("GET", "/api/v1/session").json["ways"] == ["token", "password"]
    answer, page = log_in(with_pam, user="ada", password="right")
    assert (answer.json["name"], answer.json["role"]) == ("pam ada", "operator")
    assert with_pam.ask("POST", HOLD, headers=page).status == 200
    assert with_pam.service.commands[-1].actor == "pam ada"
    assert log_in(with_pam, user="ada", password="wrong")[0].json["error"]["code"] == "bad-password"


def test_passwords_are_not_guessed_for_long(with_pam: Live) -> None:
    found = [log_in(with_pam, user="ada", password=str(number))[0].status for number in range(11)]
    assert found == [401] * 10 + [429]
    assert log_in(with_pam, user="ada", password="right")[0].status == 429


def test_passwords_that_come_together_are_not_all_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PAM takes seconds for a wrong one: meanwhile hundreds could be sent, and none of them would have failed yet."""
    asked: list[str] = []
    enough = threading.Event()

    def authenticate(account: str, password: str, service: str) -> bool:
        asked.append(password)
        return enough.wait(10) and False

    monkeypatch.setattr("dynamiccluster.api.server.authenticator", lambda: authenticate)
    bridge = ThreadBridge({})
    with live(tmp_path, bridge, pam_service="x", pam_roles={"ada": "viewer"}) as api:

        def guess(number: int) -> int:
            status = log_in(api, user="ada", password=str(number))[0].status
            if status == 429:
                enough.set()
            return status

        with ThreadPoolExecutor(15) as threads:
            found = sorted(threads.map(guess, range(15)))
    bridge.close()
    assert found == [401] * 10 + [429] * 5
    assert len(asked) == 10


class Eve(http.client.HTTPConnection):
    """A connection of another user of this machine."""

    def connect(self) -> None:
        os.seteuid(4711)
        try:
            super().connect()
        finally:
            os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_guesses_on_this_machine_shuts_only_himself_out(with_pam: Live) -> None:
    """All come from loopback there; the kernel knows whose a connection is."""
    statuses = []
    for number in range(12):
        connection = Eve("127.0.0.1", with_pam.port, timeout=10)
        wish = json.dumps({"user": "bob", "password": str(number)})
        connection.request("POST", "/api/v1/session", wish, {"Content-Type": "application/json"})
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [401] * 10 + [429] * 2
    assert log_in(with_pam, user="ada", password="right")[0].status == 200
    assert log_in(with_pam, user="ada", password="wrong")[0].status == 401


class From:
    """A connection that came from elsewhere, as it looks to whoever has taken it."""

    def __init__(self, ours: socket.socket, theirs: tuple[str, int]) -> None:
        self.family, self.getsockname, self._theirs = ours.family, ours.getsockname, theirs

    def getpeername(self) -> tuple[str, int]:
        return self._theirs


def test_the_kernel_says_whose_a_connection_is() -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as listener:
            listener.bind((address, 0))
            listener.listen()
            with socket.create_connection(listener.getsockname()[:2]) as one:
                other, _ = listener.accept()
                with other:
                    assert peer_uid(other) == os.getuid()
                    assert peer_uid(one) == os.getuid()
                with socket.socket(family) as stranger:
                    stranger.bind((address, 0))
                    port = stranger.getsockname()[1]
            with socket.socket(family) as taken:  # who listens where a connection came from is not who sent it
                taken.bind((address, port))
                taken.listen()
                assert peer_uid(From(listener, (address, port))) is None  # type: ignore[arg-type]
            assert peer_uid(listener) is None  # it has no other end
    with socket.socket() as closed:
        assert peer_uid(closed) is None


def test_a_connection_that_was_left_is_nobody_s() -> None:
    """The kernel gives what no process holds any more to root: who sends and leaves would guess in root's name."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
        with other:
            one.sendall(b"x")
            one.close()
            assert other.recv(2) == b"x"
            assert other.recv(2) == b""
            assert peer_uid(other) is None


def test_uids_that_a_user_was_lent_are_his(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a range of them anybody could guess as 65,536 users, and shut accounts out."""
    lent = tmp_path / "subuid"
    monkeypatch.setattr("dynamiccluster.api.owner._LENT", lent)
    assert holder(100_000) == "uid 100000"
    lent.write_text("# lent\nada:100000:65536\nbob:165536:65536\nodd:x:1\nodd:1\n\n")
    found = [holder(uid) for uid in (0, 99_999, 100_000, 165_535, 165_536, 231_072)]
    assert found == ["uid 0", "uid 99999", *["containers of ada"] * 2, "containers of bob", "uid 231072"]


def test_an_account_is_one_however_it_is_written(with_pam: Live) -> None:
    gate = with_pam.server.gate
    assert gate is not None
    for name in ("ada", "Ada", "ADA", "aDa", "adA"):
        gate._failures = type(gate._failures)()  # as if from another address
        assert {log_in(with_pam, user=name, password="x")[0].status for _ in range(10)} == {401}
    gate._failures = type(gate._failures)()
    assert log_in(with_pam, user="AdA", password="x")[0].status == 429


def test_one_address_shuts_no_account_out(with_pam: Live) -> None:
    """Ten wrong passwords end what an address may try; from another one the account is still let in."""
    assert [log_in(with_pam, user="ada", password="x")[0].status for _ in range(11)][-2:] == [401, 429]
    gate = with_pam.server.gate
    assert gate is not None
    gate._failures = type(gate._failures)()  # as if from another address
    assert log_in(with_pam, user="ada", password="right")[0].status == 200
    for _ in range(4):
        gate._failures = type(gate._failures)()
        assert {log_in(with_pam, user="ada", password="x")[0].status for _ in range(10)} == {401}
    gate._failures = type(gate._failures)()
    assert log_in(with_pam, user="ada", password="right")[0].status == 429


def test_a_right_password_and_a_broken_pam_are_no_failures(with_pam: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(12):
        assert log_in(with_pam, user="ada", password="right")[0].status == 200

    def broken(account: str) -> frozenset[str]:
        raise TransientError("the directory does not answer")

    with monkeypatch.context() as during:
        during.setattr("dynamiccluster.api.handlers.session.groups_of", broken)
        assert {log_in(with_pam, user="ada", password="right")[0].status for _ in range(12)} == {503}
    assert log_in(with_pam, user="ada", password="right")[0].status == 200


@pytest.mark.parametrize(
    ("account", "password"), [("../etc", "x"), ("a\0b", "x"), ("ada", "x\0"), ("ada", ""), ("-x", "y"), ("a" * 99, "x")]
)
def test_odd_names_and_passwords_never_reach_pam(account: str, password: str) -> None:
    assert not usable(account, password)


def test_roles_are_the_highest_of_name_and_groups() -> None:
    roles = {"ada": "viewer", "@hpc": "operator", "root": "admin", "@ada": "admin"}
    assert role_of("ada", frozenset({"hpc"}), roles) is Role.OPERATOR
    assert role_of("ada", frozenset(), roles) is Role.VIEWER
    assert role_of("eve", frozenset({"users"}), roles) is Role.NOBODY
    assert role_of("@hpc", frozenset(), roles) is Role.OPERATOR
    assert not usable("@hpc", "x")


def test_groups_of_a_real_account() -> None:
    assert "root" in pam.groups_of("root")
    assert pam.groups_of("no-such-account-here") == frozenset()


def test_secrets_of_log_ins_are_not_logged(
    with_pam: Live, tokens: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    answer, page = log_in(with_pam, token=tokens["admin"])
    log_in(with_pam, user="ada", password="right")
    log_in(with_pam, user="ada", password="hunter2-guess")
    said = caplog.text + json.dumps([repr(one) for one in with_pam.service.history])
    for secret in (tokens["admin"], page["Cookie"].partition("=")[2], answer.json["csrf"], "hunter2-guess"):
        assert secret not in said
    assert "token admin has logged in from 127.0.0.1" in said


def test_under_tls_the_cookie_is_for_tls_only(tmp_path: Path, tokens: dict[str, str]) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    subprocess.run([*ISSUE, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    files = {"tokens_file": str(tmp_path / "tokens"), "tls_certificate": str(certificate), "tls_key": str(key)}
    with live(tmp_path, **files) as api:
        context = ssl.create_default_context(cafile=str(certificate))
        context.check_hostname = False
        connection = http.client.HTTPSConnection("127.0.0.1", api.port, timeout=10, context=context)
        body = json.dumps({"token": tokens["admin"]})
        connection.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"})
        flags = connection.getresponse().headers["Set-Cookie"].lower()
        connection.close()
    assert "secure" in flags
