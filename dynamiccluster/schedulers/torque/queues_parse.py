"""From the text of ``qstat -Q -f`` to what queues allow, and its use on the jobs that wait in them. Pure.

The state of a job does not tell that its queue is stopped or full (seen with 6.1.3): it stays Q.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dynamiccluster.model.job import Job, JobState, Wait

_RUNS = frozenset({JobState.STARTING, JobState.RUNNING})


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """One queue. 0 = no such limit."""

    name: str
    execution: bool = True  # False: it only routes to others
    started: bool = True
    max_running: int = 0
    max_user_run: int = 0

    @property
    def limits(self) -> bool:
        return bool(self.max_running or self.max_user_run)


def parse_queues(text: str) -> dict[str, QueueFacts]:
    """The queues in ``text``. Long lines of it are folded, the rest behind a tab.

    :raises ValueError: there is no queue in it.
    """
    found: dict[str, QueueFacts] = {}
    for block in text.replace("\n\t", "").split("Queue: ")[1:]:
        lines = block.splitlines()
        name = lines[0].strip()
        values = {}
        for line in lines[1:]:
            key, equals, value = line.partition("=")
            if equals:
                values[key.strip()] = value.strip()
        found[name] = QueueFacts(
            name,
            execution=not values.get("queue_type", "Execution").startswith("R"),
            started=values.get("started", "True") == "True",
            max_running=_number(values.get("max_running", "")) or _generic(values.get("max_run", ""), "o:PBS_ALL"),
            max_user_run=_number(values.get("max_user_run", ""))
            or _generic(values.get("max_run", ""), "u:PBS_GENERIC"),
        )
    if not found:
        raise ValueError(f"there is no queue in {text[:60]!r}")
    return found


def apply_queues(jobs: Sequence[Job], queues: Mapping[str, QueueFacts]) -> list[Job]:
    """The jobs, those that their queue keeps from running shown so. Under a limit the first in line keep their hope."""
    closed = {name: why for name, facts in queues.items() if (why := _closed(facts))}
    limited = {name: facts for name, facts in queues.items() if facts.limits and name not in closed}
    found = list(jobs)
    if not closed and not limited:
        return found
    running: Counter[tuple[str, str]] = Counter()
    waiting: list[int] = []
    parts: list[int] = []  # further parts of jobs, which count once
    for at, job in enumerate(found):
        queue = job.shape.queues[0] if job.shape.queues else ""
        if queue in limited and job.state in _RUNS:
            running[queue, ""] += 1
            running[queue, job.user] += 1
        elif job.state is JobState.PENDING and job.wait is Wait.HELPS:
            if queue in closed:
                wait, reason = closed[queue]
                found[at] = replace(job, wait=wait, reason=reason)
            elif queue in limited:
                (parts if "+" in job.job_id else waiting).append(at)
    waiting.sort(key=lambda at: -found[at].priority)
    over: dict[str, str] = {}
    for at in waiting:
        job = found[at]
        queue = job.shape.queues[0]
        reason = _over(limited[queue], running[queue, ""], running[queue, job.user])
        if reason:
            over[job.job_id] = reason
            found[at] = replace(job, wait=Wait.NO, reason=reason)
        else:
            running[queue, ""] += 1
            running[queue, job.user] += 1
    for at in parts:
        reason = over.get(found[at].job_id.partition("+")[0], "")
        if reason:
            found[at] = replace(found[at], wait=Wait.NO, reason=reason)
    return found


def _closed(facts: QueueFacts) -> tuple[Wait, str] | None:
    if not facts.execution:
        return Wait.NOT_YET, f"waits in the routing queue {facts.name}"
    if not facts.started:
        return Wait.NO, f"queue {facts.name} is stopped"
    return None


def _over(facts: QueueFacts, all_running: int, own_running: int) -> str:
    if 0 < facts.max_running <= all_running:
        return f"queue {facts.name} runs as many jobs as it may (max_running {facts.max_running})"
    if 0 < facts.max_user_run <= own_running:
        return f"its user runs as many jobs in queue {facts.name} as one may (max_user_run {facts.max_user_run})"
    return ""


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _generic(text: str, whom: str) -> int:
    """OpenPBS: ``[u:PBS_GENERIC=2],[o:PBS_ALL=100]``; limits of single users and groups are not looked at."""
    found = re.search(rf"\[{re.escape(whom)}=(\d+)\]", text)
    return int(found[1]) if found else 0
