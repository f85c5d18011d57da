"""What a real Grid Engine lists and writes down, read for tests: with none of the adapter's parsers, whose mistakes it
would share."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element

from dynamiccluster.testing.bed import Host, Job, JobState

_RESCHEDULED = ("24", "25")
"""Of the field ``failed``: the job goes on elsewhere. ``sge_status(5)``."""

_ACCOUNTING_FIELDS = 36


def accounting(facts: Mapping[str, Any]) -> tuple[dict[tuple[str, str], Job], dict[tuple[str, str], int]]:
    """Ended jobs and tasks, and how often each was put back; ``sge_accounting(5)``."""
    path = pathlib.Path(facts["sge_root"], facts["sge_cell"], "common", "accounting")
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    ended: dict[tuple[str, str], Job] = {}
    restarts: dict[tuple[str, str], int] = {}
    for line in text.splitlines():
        fields = line.split(":")
        if line.startswith("#") or len(fields) < _ACCOUNTING_FIELDS:
            continue
        failed, code, task = fields[11], fields[12], fields[35]
        key = (fields[5], "" if task == "0" else task)
        if failed in _RESCHEDULED:
            restarts[key] = restarts.get(key, 0) + 1
            continue
        state = JobState.COMPLETED if failed == "0" and code == "0" else JobState.OTHER
        word = f"failed {failed} exit_status {code}"
        times = (float(fields[8]), float(fields[9]))
        ended[key] = Job(*key, state, word, *times, restarts.get(key, 0), (fields[1],))
    return ended, restarts


def listed_job(element: Element, restarts: Mapping[tuple[str, str], int]) -> Job:
    word, tasks = element.findtext("state") or "", element.findtext("tasks") or ""
    waits = "q" in word or "w" in word
    task = "" if waits else tasks
    key = (element.findtext("JB_job_number") or "", task)
    _, at, host = (element.findtext("queue_name") or "").partition("@")
    return Job(
        *key,
        JobState.WAITING if waits else JobState.RUNNING,
        word,
        _epoch(element.findtext("JB_submission_time")),
        0.0 if waits else _epoch(element.findtext("JAT_start_time")),
        restarts.get((key[0], tasks if tasks.isdigit() else ""), 0),
        (host,) if at else (),
    )


def seen_host(name: str, states: Sequence[str]) -> Host:
    word = ",".join(states)
    up = bool(states) and all(not set(state) & set("uEoc") for state in states)
    return Host(name, up, bool(states) and all("d" in state for state in states), word)


def _epoch(text: str | None) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else 0.0
