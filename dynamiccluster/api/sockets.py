"""Listening sockets: bound so that nobody gets in for a moment, refused with words that say what to change."""

from __future__ import annotations

import errno
import grp
import os
import socket
import ssl
import stat
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.iostream import IOStream

from dynamiccluster.errors import BadConfigError

_MAX_PATH = 107  # bytes that fit into sockaddr_un on Linux: unix(7)
MAX_BODY = 64 * 1024  # no request of ours has a body of more than a few hundred bytes
MAX_HEADER = 16 * 1024


class BoundedServer(HTTPServer):
    """An HTTP server that takes only so many connections at a time: files are what the engine needs too."""

    _limit: int
    _open: int

    @classmethod
    def bounded(
        cls,
        delegate: HTTPServerConnectionDelegate,
        limit: int,
        slow_client_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> BoundedServer:
        server = cls(
            delegate,
            ssl_options=tls,
            max_body_size=MAX_BODY,
            max_buffer_size=MAX_BODY + MAX_HEADER,
            max_header_size=MAX_HEADER,
            idle_connection_timeout=slow_client_s,
            body_timeout=slow_client_s,
        )
        server._limit = limit
        server._open = 0
        return server

    def handle_stream(self, stream: IOStream, address: tuple[object, ...]) -> None:
        if self._open >= self._limit:
            stream.close()
            return
        self._open += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        self._open -= 1
        super().on_close(server_conn)


def bind_tcp(address: str, port: int) -> list[socket.socket]:
    """Listening TCP sockets, one per family of ``address``, all on one port.

    ``BadConfigError`` names the port and what to change; then nothing is left open.
    """
    listeners: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, where in sorted(set(found)):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = listeners[0].getsockname()[1] if port == 0 and len(listeners) > 1 else port
            listener.bind((where[0], chosen, *where[2:]))
            listener.setblocking(False)
            listener.listen(128)
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise BadConfigError(_why_not(address, port, error)) from error
    return listeners


def _why_not(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {address} is taken by another program: stop it, or set another admin-server port"
    if error.errno == errno.EACCES:
        return f"port {port} needs root: set an admin-server port above 1023"
    return f"cannot listen on {address} port {port}: {error.strerror}; set another admin-server bind_address or port"


def bind_unix(path: str, mode: int, group: str) -> socket.socket:
    """A listening Unix socket. A file left by a dead service is removed, a living one's never.

    Raises:
        BadConfigError: somebody listens there, it is not a socket, or it cannot be made.
    """
    if len(os.fsencode(path)) > _MAX_PATH:
        raise BadConfigError(f"the socket path {path} is longer than {_MAX_PATH} bytes: choose a shorter one")
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        before = os.umask(0o177)  # nobody else may connect before group and mode are right
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        if group:
            os.chown(path, -1, _group_id(group))
        Path(path).chmod(mode)
        listener.setblocking(False)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise BadConfigError(f"cannot make the socket {path}: {error.strerror}; set another socket path") from error
    except BadConfigError:
        listener.close()
        raise
    return listener


def _group_id(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise BadConfigError(f"the socket's group {group} does not exist on this machine") from error


def _remove_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadConfigError(f"cannot look at {path}: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise BadConfigError(f"{path} exists and is not a socket: it is left alone; set another socket path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(1.0)
        try:
            trial.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            raise BadConfigError(f"{path} is in use or not ours ({error.strerror}): set another socket path") from error
    raise BadConfigError(f"another service is listening on {path}: stop it first, or set another socket path")


def file_id(path: str) -> tuple[int, int] | None:
    """Device and inode of a path, to tell our own socket from a successor's."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
