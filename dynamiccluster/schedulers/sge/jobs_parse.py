"""From the XML of one ``qstat -r`` to jobs. Pure.

A running job, and each running task of an array, is an element of its own; all waiting tasks of an array with the same
state are one. What many jobs have in common, their request, is read once per text: it stands behind what is each
job's own. Times are local to the program that prints them, which is told to be in UTC. Seen with 8.1.9.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dynamiccluster.kit.interpreter import collection_put_off
from dynamiccluster.model.job import OCCUPYING, Job, JobState, Shape, Wait
from dynamiccluster.schedulers.sge.details_parse import Detail
from dynamiccluster.schedulers.sge.records_parse import fields, name_in, plain, records, require_whole
from dynamiccluster.schedulers.sge.request_parse import Asked, Request, Rules, count_tasks, read_request
from dynamiccluster.schedulers.sge.site_parse import Site
from dynamiccluster.schedulers.sge.states import JOB_LETTERS, job_state, words

WAITS_FOR_SLOTS = "waits for slots"
_NOT_CONSIDERED = "not considered yet: new, its start time lies ahead, or so many tasks of its array run as may"
_MOST_DROPPED = 20
"""So many odd records are told one by one; the rest is a number."""

_OWN = re.compile(r"<(JB_job_number|JAT_prio|JB_owner|JB_project|state|J\w+_time|queue_name)>([^<]*)</\1>")
_REQUEST_BEGINS = "<slots>"
_SHOWN_NAME = re.compile(r"<full_job_name>([^<]*)</full_job_name>")
_SHORT_NAME = re.compile(r"<JB_name>([^<]*)</JB_name>")
_PREDECESSORS = re.compile(r"<(?:ad_)?predecessor_jobs>([^<]*)<")


@dataclass(frozen=True, slots=True)
class Queue:
    """What one text of ``qstat`` says."""

    jobs: tuple[Job, ...]
    dropped: tuple[str, ...]
    requests: Mapping[int, Request]  # index in ``jobs`` -> request, of those that wait for nodes or use more than these
    unknown_letters: frozenset[str]


def parse_jobs(
    text: str,
    site: Site,
    rules: Rules,
    places: Mapping[str, Sequence[str]] | None = None,
    *,
    account_is_project: bool = True,
) -> Queue:
    """The jobs in ``text``, and a sentence for each record that could not be read.

    ``places``: the hosts of running jobs, from ``qhost``. ``account_is_project``: whether the project is what
    reservations for an account are matched with; it is in the text only with ``-ext -pri``.

    :raises ValueError: the text was cut off, is no list of jobs, or none of its records can be read.
    """
    require_whole(text, "job_info")
    reader = _Reader(site, rules, places or {}, account_is_project)
    with collection_put_off():
        for record in records(text, "job_list"):
            reader.read(record)
    if reader.dropped and not reader.jobs:
        raise ValueError(f"none of {len(reader.dropped)} jobs can be read: {reader.dropped[0]}")
    return reader.queue()


def to_look_up(jobs: Sequence[Job], limit: int) -> list[str]:
    """Numbers of the jobs of which details matter: waiting arrays, and jobs that are not considered yet."""
    wanted = {
        job.job_id.partition(".")[0]: None
        for job in jobs
        if job.state is JobState.PENDING and job.wait is not Wait.NO and (job.tasks > 1 or job.wait is Wait.NOT_YET)
    }
    return list(wanted)[:limit]


def with_details(jobs: Sequence[Job], details: Mapping[str, Detail]) -> tuple[Job, ...]:
    """The jobs with the limits of their arrays and their start times."""
    running = Counter(job.job_id.partition(".")[0] for job in jobs if job.state in OCCUPYING)
    return tuple(_detailed(job, details, running) for job in jobs)


def _detailed(job: Job, details: Mapping[str, Detail], running: Counter[str]) -> Job:
    number = job.job_id.partition(".")[0]
    detail = details.get(number)
    if detail is None or job.state is not JobState.PENDING or job.wait is Wait.NO:
        return job
    if detail.at_once:
        job = replace(job, throttle=detail.at_once, running_tasks=running[number])
    if job.wait is not Wait.NOT_YET:
        return job
    if detail.not_before_at:
        return replace(job, eligible_at=detail.not_before_at, reason="its start time (-a) lies ahead")
    if detail.at_once and running[number] >= detail.at_once:
        return replace(job, reason=f"{detail.at_once} tasks of its array run, which is its limit (-tc)")
    return job


def with_accounts(
    jobs: Sequence[Job], details: Mapping[str, Detail], known_as: Mapping[str, str] | None = None
) -> tuple[Job, ...]:
    """The jobs with what ``-A`` says as the account of their shape; equal shapes stay one object.

    ``known_as``: accounts that reservations write in another way.
    """
    shapes: dict[tuple[int, str], Shape] = {}
    found = []
    for job in jobs:
        detail = details.get(job.job_id.partition(".")[0])
        if detail is not None and detail.account:
            account = (known_as or {}).get(detail.account, detail.account)
            key = (id(job.shape), account)
            if key not in shapes:
                shapes[key] = replace(job.shape, account=account)
            job = replace(job, shape=shapes[key])
        found.append(job)
    return tuple(found)


class _Reader:
    """Reads records one after the other; caches what many have in common."""

    def __init__(self, site: Site, rules: Rules, places: Mapping[str, Sequence[str]], account_is_project: bool) -> None:
        self._site = site
        self._rules = rules
        self._places = places
        self._account_is_project = account_is_project
        self._by_user = any(queue.users or queue.not_users for queue in site.queues.values())
        self._requests: dict[tuple[str, ...], Request] = {}
        self._same: dict[Request, Request] = {}
        self._states: dict[str, JobState] = {}
        self._times: dict[str, float] = {}
        self._waiting: set[str] = set()
        self.jobs: list[Job] = []
        self.dropped: list[str] = []
        self._wanted: dict[int, Request] = {}

    def read(self, record: str) -> None:
        """Take in one record. It can only be left out by itself."""
        try:
            self._read(record)
        except (ValueError, KeyError) as error:
            found = re.search(r"<JB_job_number>([^<]{0,20})", record)
            which = f"job {found[1]}" if found else f"a job that begins {record[:60]!r}"
            self.dropped.append(f"{which} was left out: {type(error).__name__} {error}")

    def _read(self, record: str) -> None:
        head, _, tail = record.partition(_REQUEST_BEGINS)
        own = dict(_OWN.findall(head))
        number, letters = own["JB_job_number"], own["state"]
        if not number.isdigit():
            raise ValueError(f"its number is {number[:20]!r}")
        state = self._states.get(letters)
        if state is None:
            state = self._states[letters] = job_state(letters)
        request, name, tasks = self._request(tail, own)
        if not name:
            found = _SHORT_NAME.search(head)
            name = plain(found[1]) if found else ""
        priority = float(own["JAT_prio"])
        if state is not JobState.PENDING:
            self._add_running(number, own, state, request, name, tasks, priority)
            return
        wait, reason = Wait.HELPS, WAITS_FOR_SLOTS
        if "h" in letters or "E" in letters or "d" in letters:
            wait, reason = Wait.NO, _held(letters, tail)
        elif request.hindrance:
            wait, reason = Wait.NO, request.hindrance
        elif request.shape.hosts:
            wait, reason = Wait.NO, f"it asks for the host {','.join(request.shape.hosts)}"
        elif priority <= 0:
            wait, reason = Wait.NOT_YET, _NOT_CONSIDERED
        job_id = number if number not in self._waiting else f"{number}.{tasks}"
        self._waiting.add(number)
        if wait is Wait.HELPS:
            self._wanted[len(self.jobs)] = request
        self.jobs.append(
            Job(
                job_id,
                state,
                request.shape,
                name,
                own.get("JB_owner", ""),
                priority,
                self._time(own.get("JB_submission_time", "")),
                wait,
                reason,
                count_tasks(tasks),
            )
        )

    def _add_running(
        self, number: str, own: Mapping[str, str], state: JobState, request: Request, name: str, tasks: str, rank: float
    ) -> None:
        job_id = f"{number}.{tasks}" if tasks else number
        hosts = tuple(self._places.get(job_id, ()))
        _, at, master = own.get("queue_name", "").partition("@")
        if at and master not in hosts:
            hosts = (master, *hosts)
        started_at = self._time(own.get("JAT_start_time", ""))
        if request.draws:
            self._wanted[len(self.jobs)] = request
        self.jobs.append(
            Job(
                job_id,
                state,
                request.shape,
                name,
                own.get("JB_owner", ""),
                rank,
                wait=Wait.NO,
                started_at=started_at,
                hosts=hosts if state in OCCUPYING else (),
            )
        )

    def queue(self) -> Queue:
        dropped = self.dropped[:_MOST_DROPPED]
        if len(self.dropped) > _MOST_DROPPED:
            dropped.append(f"{len(self.dropped) - _MOST_DROPPED} more jobs were left out")
        unknown = frozenset(
            words(letters, JOB_LETTERS) for letters in self._states if set(letters) - JOB_LETTERS.keys() or not letters
        )
        return Queue(tuple(self.jobs), tuple(dropped), self._wanted, unknown)

    def _request(self, tail: str, own: Mapping[str, str]) -> tuple[Request, str, str]:
        """The request, the job's full name and its tasks."""
        name, rest = "", tail
        found = _SHOWN_NAME.search(tail)
        if found is not None:
            name, rest = plain(found[1]), tail[: found.start()] + tail[found.end() :]
        project = plain(own.get("JB_project", ""))
        user = own.get("JB_owner", "") if self._by_user else ""
        before, opened, after = rest.partition("<tasks>")
        tasks, _, after = after.partition("</tasks>")
        key = (before, after, project, user)
        request = self._requests.get(key)
        if request is None:
            account = self._rules.accounts.get(project, project) if self._account_is_project else ""
            asked = _asked(f"{_REQUEST_BEGINS}{before}{after}", project, user, account)
            request = read_request(asked, self._site, self._rules)
            request = self._requests[key] = self._same.setdefault(request, request)
        return request, name, tasks.strip() if opened else ""

    def _time(self, text: str) -> float:
        """Epoch seconds of ``2026-11-20T06:40:27``, which is UTC."""
        known = self._times.get(text)
        if known is None:
            known = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() if text else 0.0
            self._times[text] = known
        return known


def _held(letters: str, tail: str) -> str:
    """Why a job in this state does not start, in words."""
    if "d" in letters:
        return "it is being deleted"
    if "E" in letters:
        return "it is in error: `qstat -j` says why, `qmod -cj` lets it try again"
    found = _PREDECESSORS.findall(tail)
    return f"it waits for {', '.join(dict.fromkeys(found))}" if found else "it is held"


def _asked(text: str, project: str, user: str, account: str) -> Asked:
    slots, environment, slot_range = 1, "", ""
    resources: list[tuple[str, str]] = []
    queues: list[str] = []
    for tag, attributes, value in fields(text):
        match tag:
            case "slots":
                slots = int(value)
            case "requested_pe":
                environment, slot_range = name_in(attributes), plain(value)
            case "hard_request":
                resources.append((name_in(attributes), plain(value)))
            case "hard_req_queue":
                queues.append(plain(value))
    return Asked(slots, environment, slot_range, tuple(resources), tuple(queues), project, user, account)
