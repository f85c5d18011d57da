"""The client against servers that are not what they should be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from live_api import live

from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main
from dynamiccluster.client.problems import NoSuchThingError, ServiceFailedError, UnreachableError
from dynamiccluster.client.rest import Client, find
from dynamiccluster.model.action import Action, ActionKind, NodeSpec
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.worker_node import NodeState


@contextmanager
def impostor(reply: bytes | None) -> Iterator[str]:
    """A server that says one thing to everybody; ``None`` = it takes the request and stays silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def run() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            if reply is None:
                over.wait(10)
            else:
                peer.sendall(reply)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        thread.join(10)
        listener.close()


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    ],
)
def test_something_else_on_the_port_is_not_the_service(reply: bytes) -> None:
    with impostor(reply) as url, pytest.raises(UnreachableError, match=r"127\.0\.0\.1"):
        Client(url).get("job")


def test_silence_ends_with_the_time_limit_and_an_honest_word() -> None:
    with impostor(None) as url, pytest.raises(UnreachableError, match="may or may not"):
        Client(url, timeout_s=0.1).put("server", "auto")


def test_error_without_our_document_still_has_its_class() -> None:
    reply = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n[]"
    with impostor(reply) as url, pytest.raises(ServiceFailedError, match="status 502"):
        Client(url).get("job")


@pytest.mark.parametrize("where", ["", "localhost", "ftp://x", "http://", "http://x/path", "socket"])
def test_places_that_are_none(where: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        Client(where)


def test_socket_is_found_before_the_port_and_only_if_it_answers(tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    with live(tmp_path):
        assert find(path, "http://x") == path
    assert find(path, "http://x") == "http://x"


def test_the_path_of_a_socket_may_count_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with live(tmp_path) as api:
        monkeypatch.chdir(Path(api.settings.socket_path).parent)
        assert Client(f"./{Path(api.settings.socket_path).name}").get("api", "v1", "status")


def test_lists_of_the_original_and_unready_services_are_understood(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        client = Client(f"unix:{api.settings.socket_path}")
        assert len(client.get("job")["items"]) == 3
        with pytest.raises(NoSuchThingError):
            client.get("workernode", "../../etc/passwd")
        api.service.readmodel = replace(api.service.readmodel, store_error="disk full")
        with pytest.raises(ServiceFailedError, match="disk full"):
            client.get("readyz")


def test_plan_shows_actions_transitions_and_proposals(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        node = replace(api.service.readmodel.snapshot.nodes["n1"], state=NodeState.HOLDING, reason="idle for 600 s")
        launch = Action("a", ActionKind.LAUNCH, "10 tasks wait", resource="fast", specs=(NodeSpec("n9", "h9"),) * 3)
        api.service.plan = Plan(
            memory=api.service.memory, nodes={"n1": node}, actions=(launch,), proposals=("launch 3 of fast",)
        )
        result = CliRunner().invoke(main, ["plan", "--connect", api.settings.socket_path])
        document = Client(api.settings.socket_path).get("api", "v1", "plan")
    assert result.exit_code == exits.OK
    for words in ("10 tasks wait", "idle  holding  idle for 600 s", "launch 3 of fast"):
        assert words in result.stdout
    assert (document["actions"][0]["count"], document["transitions"][0]["to_state"]) == (3, "holding")
