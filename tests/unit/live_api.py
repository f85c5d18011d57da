"""A live REST server over the service double, in a thread of its own, for tests with real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dynamiccluster.api.handlers.base import Plugins
from dynamiccluster.api.server import ApiServer, ApiSettings
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.testing.service import ServiceDouble
from dynamiccluster.testing.service_example import example_service

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z


@dataclass
class FixedClock:
    at: float = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


@dataclass
class Live:
    service: ServiceDouble
    server: ApiServer
    loop: asyncio.AbstractEventLoop
    clock: FixedClock
    settings: ApiSettings
    port: int = 0
    seen: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        unix: bool = False,
    ) -> Answer:
        connection = (
            UnixConnection(self.settings.socket_path)
            if unix
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        )
        try:
            sent = dict(headers or {})
            data = None
            if body is not None:
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                sent.setdefault("Content-Type", "application/json")
            connection.request(method, path, body=data, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def change(self, method: str, path: str, body: object = None) -> Answer:
        """As an operator at the Unix socket."""
        return self.ask(method, path, body, unix=True)


@contextmanager
def live(folder: Path, bridge: Bridge | None = None, plugins: Plugins = tuple, **settings: Any) -> Iterator[Live]:
    """Serve the example cluster on a free loopback port and on ``folder/api.sock``."""
    clock = FixedClock()
    service = example_service(clock)
    ours = ApiSettings(port=0, socket_path=str(folder / "api.sock"), static_folder=str(folder / "not-built"))
    chosen = replace(ours, **settings)
    started, loop = threading.Event(), asyncio.new_event_loop()
    server = ApiServer(service, chosen, clock, bridge, plugins=plugins)
    failure: list[BaseException] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(server.start())
        except BaseException as error:  # noqa: BLE001 -- handed to the test's own thread
            failure.append(error)
            started.set()
            return
        started.set()
        loop.run_forever()
        loop.run_until_complete(server.stop())
        loop.run_until_complete(loop.shutdown_asyncgens())

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(10)
    try:
        if failure:
            raise failure[0]
        yield Live(service, server, loop, clock, chosen, server.port)
    finally:
        if not failure:
            loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
