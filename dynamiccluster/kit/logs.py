"""The log, set up from the ``logging:`` section: one handler, one formatter, no secrets, no forged lines."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from io import TextIOWrapper

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.log_layouts import JSON, JournalLayout, JsonLayout
from dynamiccluster.kit.secrets import ESCAPED, Redactor

LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
"""What ``log_level`` 0 to 3 mean (seed: deployment guide, logging section); more is 3."""

KEPT = 3
"""Rotated files that are kept (same source)."""

CHATTERS = ("boto3", "botocore", "urllib3")
"""Libraries whose debugging would fill the log at once: botocore writes a page for each request, signature included."""


class HidingLayout(logging.Formatter):
    """Another layout, without known secrets."""

    def __init__(self, inner: logging.Formatter, redactor: Redactor) -> None:
        super().__init__()
        self._inner = inner
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        told = self._redactor.redact(record.getMessage())  # before it is quoted, and all of the line afterwards
        record = logging.makeLogRecord({**record.__dict__, "msg": told, "args": None})
        return self._redactor.redact(self._inner.format(record))


class LogFormatter(logging.Formatter):
    """Escapes control characters of messages, so that a job name cannot forge a line, and hides known secrets."""

    def __init__(self, layout: str, redactor: Redactor) -> None:
        super().__init__(layout)
        self._redactor = redactor

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        return self._redactor.redact(super().formatMessage(record)).translate(ESCAPED)

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.redact(super().format(record))


class _LogFile(logging.handlers.RotatingFileHandler):
    """A rotating file that only the service and its group may read: lines name users and their jobs."""

    def _open(self) -> TextIOWrapper:
        return open(
            self.baseFilename,
            "a",
            encoding=self.encoding,
            errors=self.errors,
            opener=lambda path, flags: os.open(path, flags, 0o640),
        )


def configure_logging(
    level: int, location: str, layout: str, max_bytes: int, redactor: Redactor, logger: logging.Logger | None = None
) -> None:
    """Send the log to the file ``location``, or to standard error if that is empty. Replaces what was set up before.

    ``layout``: of Python's logging module, or ``json``. Where journald reads standard error it is told levels, and
    notes the time itself. ``logger``: what to set up; the root by default.

    :raises BadConfigError: the file cannot be written, or the layout is not one; the log stays as it was.
    """
    formatter: logging.Formatter = _formatter(layout, redactor)
    handler: logging.Handler
    if location:
        try:
            handler = _LogFile(location, maxBytes=max_bytes, backupCount=KEPT, encoding="utf-8", errors="replace")
        except OSError as error:
            reason = error.strerror or str(error)
            raise BadConfigError(f"log_location: {location} cannot be written: {reason}") from error
    else:
        handler = logging.StreamHandler(sys.stderr)
        if _read_by_journald():
            bare = formatter if layout == JSON else LogFormatter("%(message)s", redactor)
            formatter = JournalLayout(bare)
    handler.setFormatter(formatter)
    target = logger or logging.getLogger()
    for old in list(target.handlers):
        target.removeHandler(old)
        old.close()
    target.addHandler(handler)
    least = LEVELS[max(0, min(level, len(LEVELS) - 1))]
    target.setLevel(least)
    for name in CHATTERS:
        logging.getLogger(name).setLevel(max(least, logging.INFO))


def _read_by_journald() -> bool:
    """Whether standard error goes to journald (systemd.exec(5), ``JOURNAL_STREAM``)."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"


def _formatter(layout: str, redactor: Redactor) -> logging.Formatter:
    if layout == JSON:
        return HidingLayout(JsonLayout(), redactor)
    try:
        formatter = LogFormatter(layout, redactor)
        formatter.format(logging.LogRecord("x", logging.INFO, "", 0, "x", None, None))  # shows unknown fields
    except (ValueError, KeyError, TypeError) as error:
        raise BadConfigError(f"log_format: {layout!r} is not a format of Python's logging module: {error}") from error
    return formatter
