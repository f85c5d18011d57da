"""What comes between the service and EC2: proxies, TLS, servers that are not EC2, and credentials that change."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.exceptions import ProxyConnectionError, SSLError
from ec2_rig import KEYS
from tcp_double import answering
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

from dynamiccluster.clouds.aws.build import build
from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.errors import AuthError, BadConfigError, DynamicClusterError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource

Connection = Callable[[socket.socket], None]


def request_of(connection: socket.socket, *, headers: bool = False) -> bytes:
    """What a whole request asks for, or its headers."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += connection.recv(65536)
    head, _, body = text.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65536)
    return head if headers else body


def keys(url: str, **more: Any) -> dict[str, Any]:
    return dict(AwsConfig.model_validate(KEYS | {"endpoint_url": url} | more))


def launch(made: AwsCalls) -> None:
    with made.errors(launching=True):
        made.client("ec2").run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)


def test_a_launch_whose_reply_the_proxy_cut_off_may_have_happened() -> None:
    received: list[bytes] = []
    with answering(lambda connection: received.append(request_of(connection))) as port:
        made = AwsCalls(keys("http://ec2.us-east-1.amazonaws.com", proxy="127.0.0.1", proxy_port=port))
        with pytest.raises(UnknownOutcomeError):
            launch(made)
    assert parse_qs(received[0].decode())["Action"] == ["RunInstances"]


def test_a_launch_that_the_proxy_never_took_did_not_happen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    made = AwsCalls(keys("http://ec2.us-east-1.amazonaws.com", proxy="127.0.0.1", proxy_port=port))
    with pytest.raises(TransientError):
        launch(made)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            SSLError(endpoint_url="u", error="[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: expired"),
            BadConfigError,
        ),
        (SSLError(endpoint_url="u", error="[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]"), UnknownOutcomeError),
        (SSLError(endpoint_url="u", error="[SSL] record layer failure"), UnknownOutcomeError),
        (
            ProxyConnectionError(proxy_url="u", error=ProxyError("no", OSError("Tunnel connection failed: 407"))),
            TransientError,
        ),
        (ProxyConnectionError(proxy_url="u", error=ProxyError("no", ConnectTimeoutError())), TransientError),
        (ProxyConnectionError(proxy_url="u", error=ProxyError("no", NewConnectionError(None, "x"))), TransientError),  # type: ignore[arg-type]  # no pool
        (ProxyConnectionError(proxy_url="u", error=ProxyError("no", ConnectionResetError())), UnknownOutcomeError),
    ],
)
def test_only_what_cannot_have_been_sent_is_refused(error: Exception, kind: type[DynamicClusterError]) -> None:
    made = AwsCalls(keys("http://127.0.0.1:1"))
    with pytest.raises(kind), made.errors(launching=True):
        raise error


PAGE = b'<?xml version="1.0"?><html><head><title>Sign in</title></head><body>first</body></html>'


def strange(connection: socket.socket) -> None:
    """A server that is not EC2, and says yes to everything."""
    request_of(connection)
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)


def test_an_answer_that_is_not_ec2s_is_no_answer() -> None:
    with answering(strange) as port:
        cloud = build("t", {"r": keys(f"http://127.0.0.1:{port}")}, "c1", SystemClock())
        with pytest.raises(TransientError, match="Reservations"):
            cloud.list_instances()
        with pytest.raises(TransientError):
            cloud.terminate(["i-0"])
        with pytest.raises(UnknownOutcomeError):
            cloud.launch("l", Resource("r", "aws", "t", Capacity(2, 2000)), [NodeSpec("n", "r-n")])


def test_an_end_that_ec2_does_not_confirm_did_not_happen() -> None:
    """The list comes from EC2, what follows does not."""

    def speak(connection: socket.socket) -> None:
        asked = parse_qs(request_of(connection).decode())["Action"][0]
        body = PAGE if asked == "TerminateInstances" else LISTED
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with answering(speak) as port:
        cloud = build("t", {"r": keys(f"http://127.0.0.1:{port}")}, "c1", SystemClock())
        with pytest.raises(TransientError, match="TerminatingInstances"):
            cloud.terminate(["i-0"])


LISTED = b"""<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item><instancesSet>
<item><instanceId>i-0</instanceId><instanceState><code>16</code><name>running</name></instanceState><tagSet><item>
<key>dynamiccluster:cluster</key><value>c1</value></item></tagSet></item></instancesSet></item></reservationSet>
</DescribeInstancesResponse>"""


def test_credentials_that_were_renewed_in_their_file_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    file.write_text("[default]\naws_access_key_id = OLD\naws_secret_access_key = a\n")

    def speak(connection: socket.socket) -> None:
        old = b"Credential=OLD/" in request_of(connection, headers=True)
        status, body = (b"400 Bad Request", EXPIRED) if old else (b"200 OK", LISTED)
        connection.sendall(b"HTTP/1.0 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with answering(speak) as port:
        plain = keys(f"http://127.0.0.1:{port}", access_key_id=None, secret_access_key=None)
        made = AwsCalls(plain)

        def listed() -> int:
            return len(list(made.pages(made.client("ec2").describe_instances, "Reservations")))

        for _ in range(2):
            with pytest.raises(AuthError):
                listed()
        file.write_text("[default]\naws_access_key_id = NEW\naws_secret_access_key = b\n")
        assert listed() == 1


EXPIRED = b"""<Response><Errors><Error><Code>ExpiredToken</Code><Message>is old</Message></Error></Errors></Response>"""
