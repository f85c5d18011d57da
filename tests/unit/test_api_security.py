"""Who may read and who may change, and what hostile or slow clients get."""

from __future__ import annotations

import asyncio
import getpass
import http.client
import os
import socket
import ssl
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from live_api import FixedClock, Live, live

from dynamiccluster.api import auth, sockets
from dynamiccluster.api.failures import MOST, WITHIN_S, Failures, origin
from dynamiccluster.api.server import ApiServer, ApiSettings
from dynamiccluster.api.sockets import MAX_BODY, MAX_HEADER, bind_tcp, bind_unix
from dynamiccluster.api.tls import Certificate
from dynamiccluster.api.tokens import Role, Token, TokenFile, digest_of, make_token, parse_tokens
from dynamiccluster.errors import BadConfigError
from dynamiccluster.testing.service_example import example_service

CHANGES = [
    ("PUT", "/workernode/n1/hold", None),
    ("DELETE", "/workernode/n3", None),
    ("PUT", "/server/auto", None),
    ("DELETE", "/server/auto", None),
    ("PUT", "/resource/fast", None),
    ("PUT", "/resource/fast/freeze", None),
    ("POST", "/api/v1/nodes/n1/hold", None),
    ("DELETE", "/api/v1/nodes/n3", None),
    ("POST", "/api/v1/nodes/n1/console", None),
    ("POST", "/api/v1/adopt", {"host": "oldnode", "resource": "slow"}),
    ("POST", "/api/v1/resources/fast/launch", {"count": 1}),
    ("POST", "/api/v1/resources/fast/reset", None),
    ("PUT", "/api/v1/auto", None),
    ("DELETE", "/api/v1/observe", None),
    ("POST", "/api/v1/nudge", None),
    ("POST", "/api/v1/power", {"wants": "resume", "hosts": "a"}),
    ("POST", "/api/v1/reload", None),
]


@pytest.fixture
def api(tmp_path: Path):
    with live(tmp_path) as running:
        yield running


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[Path, str]:
    token, kept = make_token("ops", Role.ADMIN)
    path = tmp_path / "tokens"
    path.write_text(f"# people\n\n{kept.line()}\n")
    path.chmod(0o600)
    return path, token


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_loopback_without_token_changes_nothing(api: Live, method: str, path: str, body: object) -> None:
    before = api.service.readmodel
    answer = api.ask(method, path, body)
    assert (answer.status, answer.json["error"]["code"]) == (403, "read-only")
    assert "Unix socket" in answer.json["error"]["message"]
    assert api.service.readmodel is before
    assert [*api.service.commands, *api.service.nudges, *api.service.reloads] == []


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_socket_peer_may_change_and_is_named(api: Live, method: str, path: str, body: object) -> None:
    assert api.change(method, path, body).status == 200
    for command in api.service.commands:
        assert command.actor == f"{auth.user_name(os.getuid())} (uid {os.getuid()})"
    assert auth.user_name(os.getuid()) in {getpass.getuser(), str(os.getuid())}


def test_token_may_change_and_is_named(tmp_path: Path, tokens: tuple[Path, str]) -> None:
    path, token = tokens
    with live(tmp_path, tokens_file=str(path)) as api:
        good = {"Authorization": f"Bearer {token}"}
        assert api.ask("PUT", "/workernode/n1/hold", headers=good).status == 200
        assert api.service.commands[0].actor == "token ops"
        for bad in (f"Bearer {token}x", "Bearer ", "Basic b3BzOm9wcw==", "Bearer \xff"):
            answer = api.ask("GET", "/workernode", headers={"Authorization": bad})
            assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="dynamiccluster"')


def test_token_removed_from_the_file_is_refused_at_once(tmp_path: Path, tokens: tuple[Path, str]) -> None:
    path, token = tokens
    good = {"Authorization": f"Bearer {token}"}
    with live(tmp_path, tokens_file=str(path)) as api:
        assert api.ask("GET", "/job", headers=good).status == 200
        path.write_text(make_token("other", Role.ADMIN)[1].line())
        assert api.ask("GET", "/job", headers=good).status == 401
        path.unlink()
        assert api.ask("GET", "/job", headers=good).status == 401


def test_beyond_loopback_even_reading_needs_a_token(
    tmp_path: Path, tokens: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is declared as not loopback, so that the test need not listen on a real network."""
    monkeypatch.setattr(auth, "is_loopback", lambda _address: False)
    path, token = tokens
    with live(tmp_path, tokens_file=str(path)) as api:
        for asked in ("/job", "/healthz", "/api/v1/overview", "/nothere"):
            assert api.ask("GET", asked).status == 401
        assert api.ask("GET", "/job", headers={"Authorization": f"Bearer {token}", "Host": "any.name"}).status == 200
        assert api.ask("GET", "/job", unix=True).status == 200


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "no-such-name.invalid"])  # noqa: S104 -- refused
def test_beyond_loopback_without_tokens_does_not_start(address: str) -> None:
    with pytest.raises(BadConfigError, match="tokens_file"):
        start_and_stop(ApiSettings(address=address, port=0))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8001", 200),
        ("LOCALHOST.", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:8001", 200),
        ("head.example.org", 200),
        ("evil.example.com", 403),
        ("127.0.0.1.evil.example.com", 403),
        ("localhost:80:80", 403),
        ("localhost/x", 400),
        ("[::1", 403),
    ],
)
def test_foreign_names_for_the_service_are_refused(tmp_path: Path, host: str, status: int) -> None:
    with live(tmp_path, allowed_hosts=("Head.example.org",)) as api:
        assert api.ask("GET", "/job", headers={"Host": host}).status == status


def test_the_address_of_the_connection_is_a_name_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound to all addresses, the service is reached by one of them; an address cannot be rebound as a name can."""
    monkeypatch.setattr(sockets, "bind_tcp", lambda _address, port: bind_tcp("127.0.0.9", port))
    with live(tmp_path) as api:
        for host, status in (("127.0.0.9", 200), ("127.0.0.8", 403), ("name.example.org", 403)):
            connection = http.client.HTTPConnection("127.0.0.9", api.port, timeout=10)
            connection.request("GET", "/job", headers={"Host": f"{host}:{api.port}"})
            assert connection.getresponse().status == status
            connection.close()


def test_browsers_get_no_cross_origin_rights(api: Live) -> None:
    origin = {"Origin": "http://evil.example.com"}
    answer = api.ask("GET", "/job", headers=origin)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert api.ask("OPTIONS", "/workernode/n1/hold", headers=origin).status == 403


def test_bodies_must_be_json_and_small(api: Live) -> None:
    path = "/api/v1/resources/fast/launch"
    form = api.ask("POST", path, b"count=1", {"Content-Type": "text/plain"}, unix=True)
    assert (form.status, form.json["error"]["code"]) == (415, "not-json")
    for body in (b"{", b"[]", b'{"count": "2"}', b'{"count": 0}', b'{"number": 2}', b"\xff", b'{"count": 1e400}'):
        answer = api.change("POST", path, body)
        assert (body, answer.status, answer.json["error"]["code"]) == (body, 400, "bad-value")
    assert api.change("POST", path, {"count": 0}).json["error"]["field"] == "count"
    with pytest.raises((http.client.HTTPException, OSError)):
        api.change("POST", path, b" " * (MAX_BODY + 1))
    assert not api.service.commands
    assert api.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize("host", ["../x", "a b", "-rf", "x;id", "", "a" * 254, "x\n"])
def test_adopt_refuses_names_that_are_none(api: Live, host: str) -> None:
    answer = api.change("POST", "/api/v1/adopt", {"host": host, "resource": "slow"})
    assert (answer.status, answer.json["error"]["field"]) == (400, "host")


@pytest.mark.parametrize(
    "path",
    ["/workernode/%00", "/workernode/%ff", "/workernode/..%2f..%2fetc", "/workernode/" + "a" * 5000, "/job/%1b%5b2J"],
)
def test_hostile_path_parts_are_not_found(api: Live, path: str) -> None:
    assert api.ask("GET", path).status in {400, 404}


def test_hostile_path_does_not_reach_the_log_raw(api: Live, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), socket.create_connection(("127.0.0.1", api.port)) as raw:
        raw.sendall(b"GET /nothere/%1b\x1b[2J\xc2\x85 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 40" in raw.recv(100)
    assert "\x1b" not in caplog.text
    assert "\x85" not in caplog.text


AMBIGUOUS = {
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "signed length": b"Content-Length: +5\r\n\r\nhello",
    "length with a line": b"Content-Length: 0_5\r\n\r\nhello",
    "other encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "encoded twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "odd chunk": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "two hosts": b"Host: evil.example.org\r\n\r\n",
    "space before the colon": b"X-A : b\r\n\r\n",
    "line feed within": b"X-A: a\rX-B: b\r\n\r\n",
    "zero byte": b"X-A: a\0b\r\n\r\n",
    "too long": b"X-A: " + b"a" * MAX_HEADER + b"\r\n\r\n",
    "too many chunks": b"Transfer-Encoding: chunked\r\n\r\n"
    + b"8000\r\n"
    + b"a" * 0x8000
    + b"\r\n8001\r\n"
    + b"a" * 0x8001,
}
"""Ends of requests that a proxy could read otherwise than we do (request smuggling), or that are too large."""


@pytest.mark.parametrize("end", list(AMBIGUOUS.values()), ids=list(AMBIGUOUS))
def test_requests_that_could_be_read_in_two_ways_are_refused(
    tmp_path: Path, tokens: tuple[Path, str], end: bytes
) -> None:
    path, token = tokens
    begin = f"POST /api/v1/nodes/n1/hold HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n".encode()
    with live(tmp_path, tokens_file=str(path)) as api, socket.create_connection(("127.0.0.1", api.port)) as raw:
        raw.settimeout(10)
        got = b""
        with suppress(ConnectionResetError, BrokenPipeError):
            raw.sendall(begin + end)
            while more := raw.recv(65536):
                got += more
        assert got in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n")  # and the connection is over
        assert not api.service.commands


def test_slow_client_is_cut_off(tmp_path: Path) -> None:
    with live(tmp_path, slow_client_s=0.2) as api, socket.create_connection(("127.0.0.1", api.port)) as slow:
        slow.settimeout(10)
        slow.sendall(b"GET /job HTTP/1.1\r\nHost: loc")
        assert slow.recv(100) == b""
        assert api.ask("GET", "/healthz").status == 200


def test_who_does_not_take_answers_keeps_no_connection(tmp_path: Path) -> None:
    """Else a few who ask for much and read nothing hold all connections for ever."""
    with live(tmp_path, slow_client_s=0.3, max_connections=1) as api, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", api.port))
        slow.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)  # too much for buffers
        last = time.monotonic() + 10.0
        status = 0
        while status != 200 and time.monotonic() < last:
            with suppress(http.client.HTTPException, OSError):
                status = api.ask("GET", "/healthz").status
        assert status == 200


def test_connections_are_limited_per_listener(tmp_path: Path) -> None:
    with live(tmp_path, max_connections=2) as api:
        held = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(2)]
        try:
            with pytest.raises((http.client.HTTPException, OSError)):
                api.ask("GET", "/healthz")
            assert api.ask("GET", "/healthz", unix=True).status == 200
        finally:
            for one in held:
                one.close()


def test_change_that_hangs_is_answered_as_unknown(tmp_path: Path) -> None:
    with live(tmp_path, command_timeout_s=0.1) as api:

        async def hang(_command: object) -> None:
            await asyncio.get_running_loop().create_future()

        api.service.command = hang  # type: ignore[method-assign,assignment]
        answer = api.change("PUT", "/workernode/n1/hold")
        assert (answer.status, answer.json["error"]["code"]) == (504, "unknown-outcome")


# --- sockets and files ----------------------------------------------------------------------------------------


def start_and_stop(settings: ApiSettings) -> None:
    async def main() -> None:
        clock = FixedClock()
        server = ApiServer(example_service(clock), settings, clock)
        await server.start()
        await server.stop()

    asyncio.run(main())


def test_port_taken_says_which_and_what_to_change(tmp_path: Path) -> None:
    with live(tmp_path) as api, pytest.raises(BadConfigError, match=rf"port {api.port} .* admin-server port"):
        start_and_stop(ApiSettings(port=api.port))


def test_socket_has_its_mode_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "api.sock"
    with live(tmp_path, socket_path=str(path), socket_mode=0o620) as api:
        assert stat.S_IMODE(path.stat().st_mode) == 0o620
        assert api.ask("GET", "/healthz", unix=True).status == 200
    assert not path.exists()


def test_living_socket_is_left_alone(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        with pytest.raises(BadConfigError, match="another service is listening"):
            start_and_stop(ApiSettings(address="", socket_path=api.settings.socket_path))
        assert api.ask("GET", "/healthz", unix=True).status == 200


def test_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with live(tmp_path) as api:
        assert api.ask("GET", "/healthz", unix=True).status == 200


def test_file_in_the_socket_s_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    path.write_text("precious")
    with pytest.raises(BadConfigError, match="not a socket"):
        bind_unix(str(path), 0o660, "")
    assert path.read_text() == "precious"


def test_socket_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadConfigError, match="no-such-group"):
        bind_unix(str(tmp_path / "a"), 0o660, "no-such-group")
    with pytest.raises(BadConfigError, match="longer than"):
        bind_unix(str(tmp_path / ("a" * 200)), 0o660, "")


def test_failed_start_closes_what_was_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(BadConfigError, match="not a socket"):
        start_and_stop(ApiSettings(port=port, socket_path=str(tmp_path / "file")))
    start_and_stop(ApiSettings(port=port))


@pytest.mark.parametrize("line", ["ops", "ops:hunter2", "ops:sha256:short", ":sha256:" + "0" * 64, "a b:sha256:x"])
def test_malformed_tokens_file_names_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# first\n{line}\n")
    with pytest.raises(BadConfigError, match=r"line 2") as caught:
        TokenFile(str(path))
    assert "hunter2" not in str(caught.value)


def test_tokens_file_that_others_may_write_is_refused(tokens: tuple[Path, str]) -> None:
    path, _token = tokens
    path.chmod(0o620)
    with pytest.raises(BadConfigError, match="chmod"):
        TokenFile(str(path))


def test_tokens_file_must_exist_and_hold_one(tmp_path: Path) -> None:
    with pytest.raises(BadConfigError, match="cannot be read"):
        TokenFile(str(tmp_path / "none"))
    (tmp_path / "empty").write_text("# nobody\n")
    with pytest.raises(BadConfigError, match="no token"):
        TokenFile(str(tmp_path / "empty"))


def test_tokens_are_stored_hashed_and_named_by_people() -> None:
    token, kept = make_token("ada@lab", Role.OPERATOR)
    assert token not in kept.line()
    assert parse_tokens(kept.line(), "here") == [Token("ada@lab", Role.OPERATOR, digest_of(token))]
    old = f"ada@lab:sha256:{digest_of(token)}"  # from before there were roles
    assert parse_tokens(old, "here") == [Token("ada@lab", Role.ADMIN, digest_of(token))]
    with pytest.raises(BadConfigError):
        make_token("two words", Role.VIEWER)


ADMINS_ONLY = {"/server/auto", "/api/v1/auto", "/api/v1/observe", "/api/v1/adopt", "/api/v1/reload"}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_every_change_needs_its_role(tmp_path: Path, role: Role, method: str, path: str, body: object) -> None:
    secret, kept = make_token("ada", role)
    (tmp_path / "tokens").write_text(kept.line())
    (tmp_path / "tokens").chmod(0o600)
    good = {"Authorization": f"Bearer {secret}"}
    allowed = role is Role.ADMIN or (role is Role.OPERATOR and path not in ADMINS_ONLY)
    with live(tmp_path, tokens_file=str(tmp_path / "tokens")) as api:
        before = api.service.readmodel
        answer = api.ask(method, path, body, headers=good)
        if allowed:
            assert answer.status == 200
        else:
            assert (answer.status, answer.json["error"]["code"]) == (403, "role")
            assert api.service.readmodel is before
            assert not [*api.service.commands, *api.service.nudges, *api.service.reloads]
        assert api.ask("GET", "/api/v1/nodes", headers=good).status == 200


def test_an_address_that_guesses_is_told_to_wait_and_shuts_nobody_out(tmp_path: Path, tokens: tuple[Path, str]) -> None:
    """On a login node all come from one address: whoever sends wrong tokens must not shut out who has a right one."""
    path, token = tokens
    good, bad = {"Authorization": f"Bearer {token}"}, {"Authorization": "Bearer guess"}
    with live(tmp_path, tokens_file=str(path)) as api:
        answers = [api.ask("GET", "/job", headers=bad).status for _ in range(MOST + 1)]
        assert answers == [401] * MOST + [429]
        refused = api.ask("GET", "/job", headers=bad)
        assert (refused.status, refused.json["error"]["code"]) == (429, "too-many-failures")
        assert int(refused.headers["retry-after"]) > 0
        assert api.ask("PUT", "/server/auto", headers=good).status == 200
        assert api.ask("POST", "/api/v1/session", {"token": token}).status == 200
        assert api.ask("GET", "/job").status == 200  # reading without a token goes on
        assert api.change("PUT", "/server/auto", None).status == 200  # and the socket


def test_a_machine_with_many_addresses_counts_once() -> None:
    assert origin("2001:db8::1") == origin("2001:db8::ffff:1%eth0") != origin("2001:db8:0:1::1")
    assert origin("::ffff:192.0.2.1") == origin("192.0.2.1") != origin("192.0.2.2")
    assert origin("::1") == "::1"
    assert origin("0.0.0.0/odd") == "0.0.0.0/odd"


def test_failures_age_and_many_addresses_do_not_fill_the_memory() -> None:
    failures = Failures()
    for _ in range(MOST):
        failures.failed("a", 0.0)
    assert failures.wait_s("a", 1.0) == WITHIN_S - 1.0
    assert failures.wait_s("a", WITHIN_S) == 0.0
    for number in range(10_000):
        failures.failed(str(number), 100.0)
    assert len(failures._times) <= 4096


ISSUE = (
    *("/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    *("-nodes", "-subj", "/CN=localhost", "-days", "2"),
)


def test_tls_serves_and_a_new_certificate_is_used_at_once(tmp_path: Path, tokens: tuple[Path, str]) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def issue() -> bytes:
        files = ("-keyout", str(key), "-out", str(certificate))
        subprocess.run([*ISSUE, *files], check=True, capture_output=True)
        return ssl.PEM_cert_to_DER_cert(certificate.read_text())

    first = issue()
    with live(tmp_path, tls_certificate=str(certificate), tls_key=str(key)) as api:

        def served() -> bytes:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with (
                socket.create_connection(("127.0.0.1", api.server.port)) as plain,
                context.wrap_socket(plain) as secure,
            ):
                secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert b"200 OK" in secure.recv(4096)
                return secure.getpeercert(binary_form=True) or b""

        assert served() == first
        second = issue()
        assert api.server._certificate is not None
        assert api.server._certificate.refresh()
        assert served() == second != first
        old_key = key.read_text()
        third = issue()  # a renewal writes one file after the other: for a moment they do not belong together
        new_key = key.read_text()
        key.write_text(old_key)
        assert not api.server._certificate.refresh()
        assert served() == second
        key.write_text("nonsense")
        assert not api.server._certificate.refresh()
        assert served() == second
        key.write_text(new_key)
        assert api.server._certificate.refresh()
        assert served() == third


def test_a_certificate_that_is_none_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nonsense")
    with pytest.raises(BadConfigError, match="tls_certificate"):
        Certificate(str(tmp_path / "x"), str(tmp_path / "x"))
