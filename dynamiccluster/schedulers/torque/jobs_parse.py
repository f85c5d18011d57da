"""From the XML of ``qstat -x -t`` to jobs. Pure.

With ``-t`` each task of an array is a job of its own (``4[7].head``) and the array itself is left out; without it an
array is one record with neither its running tasks nor its limit, so it is left out with a word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import OCCUPYING, Job, JobState, Shape, Wait
from dynamiccluster.schedulers.torque.nodes_parse import slot_count
from dynamiccluster.schedulers.torque.records_parse import fields, inner, plain, records
from dynamiccluster.schedulers.torque.request_parse import shapes_of
from dynamiccluster.schedulers.torque.states import (
    JOB_STATES,
    QUEUED_SUBSTATES,
    RUNNING_SUBSTATES,
    hold_of,
    wait_of_comment,
)

_WANTED = re.compile(
    "<(Job_Id|Job_Name|Job_Owner|euser|job_state|substate|queue|Account_Name|Hold_Types|depend|Execution_Time|ctime"
    "|qtime|exec_host|Priority|Rerunable|start_time|job_array_id|comment|node_exclusive)>([^<]*)</"
)
_JOB_ID = re.compile(r"\d+(\[\d*\])?(\.[A-Za-z0-9_.-]+)?")
_MOST_DROPPED = 20
"""So many odd records are told one by one; the rest is a number."""


@dataclass(slots=True)
class Asked:
    """What is known beside the queue itself when it is read."""

    known_hosts: Collection[str] = ()
    now: float = 0.0
    priorities: Mapping[str, float] | None = None  # Maui's, by its name of a job; None = there is no Maui, or it fails
    distinct: bool = True  # whether nodes=2 means two hosts
    comments: bool = False  # whether the scheduler in charge writes its reasons into the jobs' comments


@dataclass(slots=True)
class Queue:
    """What one text of ``qstat`` says."""

    jobs: list[Job] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    unlisted: list[int] = field(default_factory=list)  # indices of waiting jobs that Maui has no priority for
    memory_mib: dict[str, int] = field(default_factory=dict)  # host -> what its running jobs have asked for
    unknown: set[str] = field(default_factory=set)  # states and substates that the tables do not have
    dropped_number: int = 0

    def drop(self, why: object, record: str) -> None:
        """Leave one record out, with a sentence that names it."""
        self.dropped_number += 1
        if self.dropped_number <= _MOST_DROPPED:
            name = inner(record, "Job_Id") or record[:60]
            self.dropped.append(f"a job was left out: {why}; it is {name[:60]!r}")

    def finish(self) -> None:
        """:raises ValueError: not one record could be read."""
        if self.dropped_number and not self.jobs:
            raise ValueError(f"none of {self.dropped_number} jobs can be read: {self.dropped[0]}")
        if self.dropped_number > _MOST_DROPPED:
            self.dropped.append(f"{self.dropped_number - _MOST_DROPPED} more jobs were left out")


def parse_jobs(text: str, asked: Asked) -> Queue:
    """The jobs in ``text``, and a sentence for each record that could not be read. A text of nothing is no jobs.

    :raises ValueError: the text was cut off, or none of its records can be read.
    """
    queue, reader = Queue(), _Reader(asked)
    for record in records(text, "Job"):
        try:
            reader.read(record, queue)
        except (ValueError, OverflowError) as error:
            queue.drop(error, record)
    queue.finish()
    return queue


class _Reader:
    """Reads records one after the other; remembers what many have in common."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._shapes: dict[tuple[str, str, str, str], tuple[Shape, ...]] = {}
        self._interned: dict[Shape, Shape] = {}

    def read(self, record: str, queue: Queue) -> None:
        request = inner(record, "Resource_List")
        values = dict(_WANTED.findall(record))
        job_id = plain(values.get("Job_Id", ""))
        if not _JOB_ID.fullmatch(job_id):
            raise ValueError(f"{job_id[:60]!r} is not the id of a job")
        if "[]" in job_id:
            raise ValueError("it is an array as a whole: qstat is to be given -t")
        word = values.get("job_state", "")
        state = JOB_STATES.get(word)
        if state is None:
            queue.unknown.add(f"job_state {word[:20]}")
            state = JobState.UNKNOWN
        shapes = self._shapes_of(request, values)
        substate = values.get("substate", "")
        if state is JobState.RUNNING:
            state = RUNNING_SUBSTATES.get(substate, state)
        priority = 0.0
        if state is JobState.PENDING:
            wait, reason, eligible_at = self._wait(word, substate, values, queue)
            priority = self._priority(job_id, values, wait, len(shapes), queue)
            queue.jobs += jobs_of(job_id, state, shapes, values, priority, wait, reason, eligible_at)
        else:
            slots = slots_by_host(values.get("exec_host", "")) if state in OCCUPYING else {}
            if slots:
                _add_memory(queue.memory_mib, slots, shapes)
            queue.jobs += jobs_of(job_id, state, shapes[:1], values, hosts=tuple(slots))

    def _shapes_of(self, request: str, values: Mapping[str, str]) -> tuple[Shape, ...]:
        own = values.get("node_exclusive", "")
        key = (request, values.get("queue", ""), values.get("Account_Name", ""), own)
        found = self._shapes.get(key)
        if found is None:
            made = shapes_of(
                {name: plain(value) for name, value in fields(request).items()},
                plain(key[1]),
                plain(key[2]),
                known_hosts=self._asked.known_hosts,
                distinct=self._asked.distinct,
                exclusive=own == "True",
            )
            found = self._shapes[key] = tuple(self._interned.setdefault(shape, shape) for shape in made)
        return found

    def _wait(self, word: str, substate: str, values: Mapping[str, str], queue: Queue) -> tuple[Wait, str, float]:
        """Would more nodes help it, why not, and when it may start."""
        comment = " ".join(plain(values.get("comment", "")).split())
        if word == "H":
            letters = values.get("Hold_Types", "").replace("n", "")
            wait, reason = hold_of(letters, "job_array_id" in values, plain(values.get("depend", "")))
            return wait, reason, 0.0
        eligible_at = float(values.get("Execution_Time") or 0)
        if word == "W" or eligible_at > self._asked.now > 0:
            wait, reason = QUEUED_SUBSTATES.get(substate, (Wait.NOT_YET, ""))
            return Wait.NOT_YET, reason or "waits for its time", eligible_at
        if substate and substate not in QUEUED_SUBSTATES:
            queue.unknown.add(f"substate {substate[:20]} of a job in state {word}")
        wait, reason = QUEUED_SUBSTATES.get(substate, (Wait.HELPS, ""))
        if word == "T" and wait is Wait.HELPS:
            wait, reason = Wait.NOT_YET, "on its way between queues"
        if wait is Wait.HELPS and self._asked.comments:
            wait, reason = wait_of_comment(comment) or wait, comment
        return wait, reason, 0.0

    def _priority(self, job_id: str, values: Mapping[str, str], wait: Wait, parts: int, queue: Queue) -> float:
        """Maui's, or the one that its user gave it. The order of the list decides among equals."""
        priorities = self._asked.priorities
        if priorities is None:
            return float(values.get("Priority") or 0)
        priority = priorities.get(job_id.partition(".")[0])
        if priority is None and wait is Wait.HELPS:
            queue.unlisted += range(len(queue.jobs), len(queue.jobs) + parts)
        return priority or 0.0


def jobs_of(
    job_id: str,
    state: JobState,
    shapes: Sequence[Shape],
    values: Mapping[str, str],
    priority: float = 0.0,
    wait: Wait = Wait.NO,
    reason: str = "",
    eligible_at: float = 0.0,
    hosts: tuple[str, ...] = (),
) -> list[Job]:
    """One request as jobs, one for each kind of piece; the further ones have a number behind their id."""
    owner = values.get("euser") or values.get("Job_Owner", "").partition("@")[0]
    waits = state is JobState.PENDING
    return [
        Job(
            f"{job_id}+{at}" if at else job_id,
            state,
            shape,
            plain(values.get("Job_Name", "")),
            plain(owner),
            priority,
            float(values.get("ctime") or values.get("qtime") or 0),
            wait,
            reason,
            eligible_at=eligible_at,
            started_at=0.0 if waits else float(values.get("start_time") or 0),
            hosts=hosts,
            rerunnable=values.get("Rerunable", "True") != "False",
            gang=job_id if len(shapes) > 1 else "",
        )
        for at, shape in enumerate(shapes)
    ]


def slots_by_host(text: str) -> dict[str, int]:
    """``node02/1-2+node01/2`` (6.x), ``node02/1+node02/2`` (4.2) or ``cn01/0*4`` (OpenPBS) as slots on each host.

    :raises ValueError: it is no such list.
    """
    found: dict[str, int] = {}
    for part in text.split("+") if text else ():
        host, slash, slots = plain(part).strip().rpartition("/")
        if not slash or not host:
            raise ValueError(f"exec_host {text[:60]!r} cannot be read")
        found[host] = found.get(host, 0) + sum(_count(each) for each in slots.split(","))
    return found


def _count(text: str) -> int:
    """Slots: ``0-3`` (Torque) or ``0*4`` (OpenPBS) are four."""
    slots, star, times = text.partition("*")
    return int(times) if star and times.isdigit() else slot_count(slots)


def _add_memory(used: dict[str, int], slots: Mapping[str, int], shapes: Iterable[Shape]) -> None:
    """What a running job has asked for on each of its hosts, by its share of slots."""
    total = sum((shape.chunk * shape.chunks for shape in shapes), Capacity())
    if total.memory_mib and total.cores:
        for host, count in slots.items():
            used[host] = used.get(host, 0) + -(-total.memory_mib * count // total.cores)
