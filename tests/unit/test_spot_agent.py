"""The agent that reports EC2's announcements, between a stand-in of the metadata service and one of our API."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

AGENT = Path(__file__).resolve().parents[2] / "scripts" / "join" / "spot-agent"
REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
ACTION = "/latest/meta-data/spot/instance-action"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the agent asks by curl")


class Site:
    """EC2 announces something after some questions; the service is told. Both on one port."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.said: list[tuple[str, str, dict[str, str]]] = []
        self.appears = {REBALANCE: 2, ACTION: 4}  # at the n-th question for it
        self.refusals = 0  # times that the service does not take a report

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if method == "POST":
            if self.refusals:
                self.refusals -= 1
                return 503, b""
            self.said.append((path, headers.get("Authorization", ""), json.loads(body)))
            return 200, b"{}"
        if method == "PUT":
            return 200, b"a-token"
        self.asked.append(path)
        known = headers.get("X-aws-ec2-metadata-token") == "a-token"
        there = known and path in self.appears and self.asked.count(path) >= self.appears[path]
        return (200, b'{"action": "terminate"}') if there else (404, b"")


@pytest.fixture
def site() -> Iterator[tuple[Site, str]]:
    one = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key: str(value) for key, value in self.headers.items()}
            code, text = one.answer(self.command, self.path, headers, body)
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = _any  # noqa: N815 - names that the base class asks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
            """Nothing: tests are quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield one, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def run(place: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    (place / "token").write_text("t0ken-of-the-site")
    (place / "bin").mkdir(exist_ok=True)
    for name, text in {"sleep": "", "hostname": "echo wn-7.example.org\n"}.items():
        (place / "bin" / name).write_text(f"#!/bin/sh\n{text}")
        (place / "bin" / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "JOIN_ROOT": str(place),
        "JOIN_METADATA": url,
    }
    settings = ("host_name=wn-7", f"service={url}", f"token_file={place / 'token'}", *words)
    command = [str(AGENT), "--conf", str(place / "join.conf"), *settings]
    (place / "join.conf").touch()
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def test_it_reports_each_announcement_once_and_ends_with_the_last(site: tuple[Site, str], tmp_path: Path) -> None:
    one, url = site
    ended = run(tmp_path, url)
    assert ended.returncode == 0, ended.stderr
    path, bearer = "/api/v1/nodes/wn-7/notice", "Bearer t0ken-of-the-site"
    assert one.said == [(path, bearer, {"kind": "rebalance"}), (path, bearer, {"kind": "reclaim"})]
    assert "t0ken" not in ended.stdout + ended.stderr


def test_a_service_that_does_not_answer_is_told_again(site: tuple[Site, str], tmp_path: Path) -> None:
    one, url = site
    one.refusals = 3
    assert run(tmp_path, url).returncode == 0
    assert [body["kind"] for _, _, body in one.said][-1] == "reclaim"


@pytest.mark.parametrize(
    "word",
    [
        "service=ftp://x",
        "service=http://10.0.0.1:8001",
        "service=http://localhost.example.org",
        'service=http://x" -o /etc/passwd',
        'service_ca_file=/a"b',
    ],
)
def test_odd_settings_are_refused(site: tuple[Site, str], tmp_path: Path, word: str) -> None:
    ended = run(tmp_path, site[1], word)
    assert ended.returncode == 1
    assert not site[0].said
