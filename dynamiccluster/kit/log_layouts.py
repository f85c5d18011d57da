"""Layouts of log lines besides Python's own: for journald, and JSON for programs. Pure."""

from __future__ import annotations

import json
import logging

from dynamiccluster.kit.clock import iso

JSON = "json"
"""What ``log_format`` says for JSON lines."""

IDS = ("kind", "node", "host", "resource", "job", "actor", "tick")
"""Fields of JSON lines that only some lines have."""


class JsonLayout(logging.Formatter):
    """One JSON object a line, whatever the message holds; empty fields are left out."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "at": iso(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name in IDS if (value := getattr(record, name, None))}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class JournalLayout(logging.Formatter):
    """Lines as journald reads them from standard error: a level before each, no time (sd-daemon(3))."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        lines = self._inner.format(record).split("\n")
        return "\n".join(f"<{_priority(record.levelno)}>{line}" for line in lines)


def _priority(level: int) -> int:
    """As of syslog(3): 3 error, 4 warning, 6 information, 7 debugging."""
    for least, priority in ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6)):
        if level >= least:
            return priority
    return 7
