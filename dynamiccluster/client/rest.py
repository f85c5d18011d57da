"""Requests to the service over its Unix socket or over TCP."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from dynamiccluster.client.problems import UnreachableError, of_status

DEFAULT_SOCKET = "/run/dynamiccluster/api.sock"
DEFAULT_URL = "http://127.0.0.1:8001"
MAX_ANSWER = 512 * 1024 * 1024  # more than any list of ours; a wrong server must not fill the memory
Document = dict[str, Any]


class Client:
    """One service. Cheap to make; each request is a connection of its own."""

    def __init__(self, where: str, token: str = "", timeout_s: float = 90.0) -> None:
        """``where`` is a URL (``http://``, ``https://``), or the path of a Unix socket, also as ``unix:PATH``.

        The time limit is above the service's own for changes, so that its answer comes first.
        ``ValueError`` if ``where`` is neither.
        """
        self.where = where
        self._token = token
        self._timeout_s = timeout_s
        self._path, self._secure, self._host, self._port = "", False, "", 0
        path = where.removeprefix("unix:")
        if "/" in path and "://" not in path:
            self._path = path
            return
        parts = urlsplit(where)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError(
                f"{where!r} is neither http://HOST:PORT nor the path of a Unix socket, such as ./demo.sock"
            )
        self._secure, self._host = parts.scheme == "https", parts.hostname
        self._port = parts.port or (443 if self._secure else 80)

    def get(self, *path: str, **query: object) -> Document:
        return self.ask("GET", path, query)

    def post(self, *path: str, body: Mapping[str, object] | None = None) -> Document:
        return self.ask("POST", path, body=body)

    def put(self, *path: str) -> Document:
        return self.ask("PUT", path)

    def delete(self, *path: str, **query: object) -> Document:
        return self.ask("DELETE", path, query)

    def pages(self, what: str, limit: int = 0, **query: object) -> Iterator[Document]:
        """Every document of a list under ``/api/v1`` (``nodes``, ``jobs``), page by page; ``limit`` 0 = all."""
        after, left = "", limit
        while True:
            page = self.get("api", "v1", what, limit=min(left, 1000) if limit else 1000, after=after, **query)
            yield from page[what]
            left -= len(page[what])
            after = page["next"]
            if not after or (limit and left <= 0):
                return

    def ask(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Document:
        """The decoded answer. ``path`` comes in parts, each of which may hold any character.

        Raises:
            UnreachableError: nobody answers, or something that is not this service.
            AnswerError: one of its subclasses, by status code.
        """
        target = "/" + "/".join(quote(part, safe="") for part in path)
        given = {name: value for name, value in (query or {}).items() if value not in {"", None}}
        if given:
            target += "?" + urlencode(given)
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        status, raw = self._exchange(method, target, data, headers)
        return self._decode(status, raw)

    def _exchange(self, method: str, target: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            connection.request(method, target, body=data, headers=headers)
            response = connection.getresponse()
            raw = response.read(MAX_ANSWER)
            if response.length:  # announced and not there: read() with a size says nothing of it
                raise http.client.IncompleteRead(raw, response.length)
            return response.status, raw
        except TimeoutError as error:
            text = f"the service at {self.where} does not answer within {self._timeout_s:g} s"
            raise UnreachableError(f"{text}: it may or may not have done what was asked") from error
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise UnreachableError(
                f"the service is not running at {self.where}; start it with: dynamiccluster serve -c FILE, "
                "or say with --connect where it is"
            ) from error
        except PermissionError as error:
            raise UnreachableError(
                f"you may not open {self.where}: ask to be in its group, or use a token with --connect URL"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"no proper answer from {self.where}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._path:
            return UnixConnection(self._path, self._timeout_s)
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout_s)

    def _decode(self, status: int, raw: bytes) -> Document:
        try:
            document = json.loads(raw)
        except ValueError as error:
            raise UnreachableError(f"{self.where} is no Dynamic Cluster: it answers {status} without JSON") from error
        if status < 400:
            return document if isinstance(document, dict) else {"items": document}
        told = document.get("error") if isinstance(document, dict) else None
        told = told if isinstance(told, dict) else {}
        code, text = str(told.get("code", "")), str(told.get("message", f"status {status}"))
        if not told and isinstance(document, dict) and "reasons" in document:  # /readyz
            code, text = "not-ready", "; ".join(map(str, document["reasons"]))
        raise of_status(status)(status, code, text, str(told.get("field", "")))


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def find(socket_path: str = DEFAULT_SOCKET, url: str = DEFAULT_URL) -> str:
    """Where this machine's service is asked: its socket if we may open it, else its read-only port."""
    trial = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        trial.settimeout(2.0)
        trial.connect(socket_path)
    except OSError:
        return url
    finally:
        trial.close()
    return socket_path
