"""The REST API's server: its sockets opened in the right order, and closed without a trace."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from tornado.web import Application

from dynamiccluster.api import auth, routes, sockets
from dynamiccluster.api.gate import Gate
from dynamiccluster.api.handlers.base import Context, Metrics, Plugins
from dynamiccluster.api.pam import authenticator
from dynamiccluster.api.recorder import Recorder
from dynamiccluster.api.settings import ApiSettings
from dynamiccluster.api.tls import Certificate
from dynamiccluster.api.tokens import TokenFile
from dynamiccluster.engine.service import Service
from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock, SystemClock

__all__ = ["ApiServer", "ApiSettings"]

log = logging.getLogger(__name__)

CERTIFICATE_EVERY_S = 30.0
"""How often it is seen whether there is a new certificate."""


class ApiServer:
    """Serves one service on a Unix socket and on TCP. Lives on the event loop that starts it."""

    def __init__(
        self,
        service: Service,
        settings: ApiSettings,
        clock: Clock | None = None,
        bridge: Bridge | None = None,
        metrics: Metrics | None = None,
        plugins: Plugins = tuple,
    ) -> None:
        self._service = service
        self._settings = settings
        self._metrics = metrics
        self._plugins = plugins
        self._clock = clock or SystemClock()
        self._bridge = bridge
        self._recorder = Recorder(service, self._clock, bridge, settings.series_file)
        self._closing = asyncio.Event()
        self._servers: list[sockets.BoundedServer] = []
        self._socket_id: tuple[int, int] | None = None
        self._certificate: Certificate | None = None
        self.gate: Gate | None = None  # who is let in, once started
        self._timer: asyncio.TimerHandle | None = None
        self.port = 0  # the TCP port in use, once started; 0 = none

    async def start(self) -> None:
        """Open everything that is configured, or nothing.

        Raises:
            BadConfigError: a port or socket that is taken, a bad tokens file, or an address beyond loopback
                without tokens. The text says what to change.
        """
        settings = self._settings
        beyond = bool(settings.address) and not auth.is_loopback(settings.address)
        if beyond and not settings.tokens_file:
            raise BadConfigError(
                f"admin-server bind_address {settings.address} is reachable from other machines: "
                "name a tokens_file, or use 127.0.0.1"
            )
        if beyond and not settings.tls_certificate:
            log.warning(
                "the REST API on %s has no TLS: tokens and everything else can be read on the network. Set "
                "admin-server tls_certificate and tls_key, or put a proxy with TLS in front",
                settings.address,
            )
        if settings.tls_certificate:
            self._certificate = Certificate(settings.tls_certificate, settings.tls_key)
        tokens = TokenFile(settings.tokens_file) if settings.tokens_file else None
        self.gate = Gate(settings, self._clock, tokens, reads_need_login=beyond)
        context = Context(
            self._service,
            settings,
            self._clock,
            self.gate,
            bridge=self._bridge,
            authenticate=authenticator() if settings.pam_service else None,
            series=self._recorder.series,
            lost_nodes=self._recorder.lost_nodes,
            metrics=self._metrics,
            plugins=self._plugins,
            closing=self._closing,
        )
        application = routes.build(context)
        try:
            if settings.address:
                listeners = sockets.bind_tcp(settings.address, settings.port)
                self.port = int(listeners[0].getsockname()[1])
                certificate = self._certificate
                server = self._server(application, certificate.context if certificate else None)
                server.add_sockets(listeners)
                log.info("REST API on %s://%s:%d", "https" if certificate else "http", settings.address, self.port)
                self._look_for_new_certificate()
            if settings.socket_path:
                listener = sockets.bind_unix(settings.socket_path, settings.socket_mode, settings.socket_group)
                self._socket_id = sockets.file_id(settings.socket_path)
                self._server(application).add_socket(listener)
                log.info("REST API on %s", settings.socket_path)
        except BadConfigError:
            await self.stop()
            raise
        self._recorder.start()

    def _look_for_new_certificate(self) -> None:
        if self._certificate is not None:
            self._certificate.refresh()
            self._timer = asyncio.get_running_loop().call_later(CERTIFICATE_EVERY_S, self._look_for_new_certificate)

    def _server(self, application: Application, tls: ssl.SSLContext | None = None) -> sockets.BoundedServer:
        settings = self._settings
        server = sockets.BoundedServer.bounded(application, settings.max_connections, settings.slow_client_s, tls)
        self._servers.append(server)
        return server

    async def stop(self) -> None:
        """Stop listening and end open connections. May be called again."""
        if self._timer is not None:
            self._timer.cancel()
        self._closing.set()
        for server in self._servers:
            server.stop()
        await self._recorder.stop()
        if self._socket_id and sockets.file_id(self._settings.socket_path) == self._socket_id:
            Path(self._settings.socket_path).unlink(missing_ok=True)
        self._socket_id = None
        for server in self._servers:
            await server.close_all_connections()
        self._servers.clear()
        self.port = 0
