"""The certificate of the TCP port, renewed without a restart."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from dynamiccluster.errors import BadConfigError

log = logging.getLogger(__name__)


class Certificate:
    """Certificate and key from PEM files. New connections use what the files held at the last :meth:`refresh`."""

    def __init__(self, certificate: str, key: str) -> None:
        """:raises BadConfigError: they cannot be read, or do not belong together."""
        self._files = (Path(certificate), Path(key))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._seen = self._stamp()
        self._load()

    def refresh(self) -> bool:
        """Whether there was a new certificate. A bad one is logged, and the old one stays in use."""
        now = self._stamp()
        if now == self._seen:
            return False
        self._seen = now
        try:
            self._load()
        except BadConfigError as error:
            log.error("the old TLS certificate stays in use: %s", error)  # noqa: TRY400 - its words say it all
            return False
        log.info("new TLS certificate from %s", self._files[0])
        return True

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in self._files:
            try:
                info = path.stat()
                found.append((info.st_ino, info.st_mtime_ns, info.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)

    def _load(self) -> None:
        certificate, key = self._files
        try:
            # First where it harms nothing: of files that do not belong together OpenSSL keeps the half that it could
            # read, and a renewal writes one file after the other.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
                # An encrypted key would ask at a terminal that is not there.
                context.load_cert_chain(certificate, key, password=lambda: b"")
        except OSError as error:  # ssl.SSLError is one
            reason = error.strerror or getattr(error, "reason", "") or "no certificate or no key"
            raise BadConfigError(f"admin-server: tls_certificate {certificate}, tls_key {key}: {reason}") from error
