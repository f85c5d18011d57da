"""Jobs that no node would help because a licence, or a limit of their account, user or QOS, is used up. Pure.

Slurm writes such a reason only at jobs that it has looked at, and with no node free it looks at the first of the
queue only; the others say ``Priority`` (seen with 22.05.8). So of ten jobs of which a limit lets two run, all ten
look as if nodes would help. Here the room within each limit is given out in the order of priority, as Slurm will.

The rules are those of ``acct_policy.c``: where job's QOS and partition's QOS both have a limit, one of them counts
(the partition's, as nothing is shown of ``OverPartQOS``); where a QOS has a limit, that of the same name of the
association and the accounts above does not count. Not known here: ``LimitFactor``, limits per node, and minutes of
jobs without a time limit. Where these bind, nodes come that Slurm does not use; they leave as idle nodes do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.schedulers.slurm.jobs_parse import Queue, Status, waiting_otherwise
from dynamiccluster.schedulers.slurm.licences_parse import licences_in
from dynamiccluster.schedulers.slurm.limits_parse import Bound, Bounds, Limits
from dynamiccluster.schedulers.slurm.reasons import limit_group
from dynamiccluster.schedulers.slurm.shape_parse import count, mib


class _Rule(Enum):
    SHARED = "what runs together stays within it"
    EACH = "every job stays within it"
    SPENT = "nothing starts once it is used up"


_NAMES: Mapping[str, tuple[_Rule, str]] = {
    "GrpJobs": (_Rule.SHARED, "job"),
    "GrpTRES": (_Rule.SHARED, ""),
    "GrpTRESRunMins": (_Rule.SHARED, "minutes of "),
    "GrpTRESMins": (_Rule.SPENT, ""),
    "GrpWall": (_Rule.SPENT, ""),
    "MaxJobs": (_Rule.SHARED, "job"),
    "MaxJobsPA": (_Rule.SHARED, "job"),
    "MaxJobsPU": (_Rule.SHARED, "job"),
    "MaxTRESPA": (_Rule.SHARED, ""),
    "MaxTRESPU": (_Rule.SHARED, ""),
    "MaxTRESPJ": (_Rule.EACH, ""),
    "MaxTRESMinsPJ": (_Rule.EACH, "minutes of "),
    "MaxWallPJ": (_Rule.EACH, "minutes"),
}
"""What each kind of limit asks, and what of a job is measured against it. Limits on submission have done their work
already."""

_EVERY_JOBS = ("job", "cpu", "node")
"""What every job needs one of at least."""

_INHERITED = "Max"
"""Limits that begin so are, on an account, only what its users inherit."""

_HIDES = {"MaxJobsPA": "MaxJobs", "MaxJobsPU": "MaxJobs"}
"""Limits of a QOS that hide one of another name of the association."""


@dataclass(slots=True, eq=False)
class _Purse:
    """What is left within one limit, for all jobs that meet it."""

    left: float


class _Check(NamedTuple):
    """One limit as a job meets it."""

    name: str  # as in ``Bounds``
    bound: Bound
    rule: _Rule
    measure: str  # of the job's amounts
    text: str
    purse: _Purse

    def room(self, amounts: Mapping[str, float]) -> float:
        """For so many jobs of these amounts."""
        if self.rule is _Rule.SPENT:
            return math.inf if self.bound.used < self.bound.limit else 0
        amount = amounts.get(self.measure, 0.0)
        if amount <= 0:
            return math.inf
        if self.rule is _Rule.EACH:
            return math.inf if amount <= self.bound.limit else 0
        return max(0.0, self.purse.left // amount)


@dataclass(frozen=True, slots=True)
class Owner:
    """Everything about a job that decides which limits it meets."""

    user: str
    account: str
    qos: str
    partition: str
    licences: tuple[str, ...] = ()


class Purses:
    """The limits that jobs meet, with what is left within each while it is given out."""

    def __init__(self, limits: Limits, partition_qos: Mapping[str, str], free_licences: Mapping[str, int]) -> None:
        self._limits = limits
        self._free = free_licences
        self._partition_qos = partition_qos
        self._purses: dict[tuple[str, ...], _Purse] = {}

    def checks(self, owner: Owner) -> tuple[_Check, ...]:
        return tuple(self._all(owner))

    def _all(self, owner: Owner) -> Iterator[_Check]:
        """The limits that count, those of the first level that has one of a kind hiding the later levels'."""
        limits = self._limits
        for name in owner.licences:
            bound = Bound(self._free.get(name, 0))
            purse = self._purse(("licence", name), bound)
            yield _Check(name, bound, _Rule.SHARED, f"licence {name}", f"no free licence of {name}", purse)
        seen: set[str] = set()
        for name in dict.fromkeys((self._partition_qos.get(owner.partition, ""), owner.qos)):
            qos = limits.qos.get(name)
            if qos is None:
                continue
            number = limits.numbers.get(owner.user, owner.user)
            of_account, of_user = qos.of_account.get(owner.account, {}), qos.of_user.get(number, {})
            found = [
                *self._checks(("qos", name), qos.bounds, f"QOS {name}"),
                *self._checks(("qos", name, "account", owner.account), of_account, f"QOS {name}"),
                *self._checks(("qos", name, "user", number), of_user, f"QOS {name}"),
            ]
            yield from (check for check in found if check.name not in seen)
            seen.update(word for check in found for word in (check.name, _HIDES.get(check.name, check.name)))
        yield from (check for check in self._of_associations(owner) if check.name not in seen)

    def _of_associations(self, owner: Owner) -> Iterator[_Check]:
        known = self._limits.associations
        own = known.get((owner.account, owner.user, owner.partition)) or known.get((owner.account, owner.user, ""))
        if own is not None:
            purse = ("user", own.account, own.user, own.partition)
            yield from self._checks(purse, own.bounds, f"user {own.user} in account {own.account}")
        account, above = owner.account, 0
        while account and above <= len(known):
            record = known.get((account, "", ""))
            if record is None:
                return
            bounds = {name: bound for name, bound in record.bounds.items() if not name.startswith(_INHERITED)}
            yield from self._checks(("account", account), bounds, f"account {account}")
            account, above = record.parent, above + 1

    def _checks(self, owner: tuple[str, ...], bounds: Bounds, whose: str) -> Iterator[_Check]:
        for name, bound in bounds.items():
            kind, _, what = name.partition(" ")
            rule, measure = _NAMES.get(kind, (None, ""))
            if rule is not None:
                text = f"limit {name}={bound.limit:.15g} of {whose}"
                yield _Check(name, bound, rule, measure + what, text, self._purse((*owner, name), bound))

    def _purse(self, key: tuple[str, ...], bound: Bound) -> _Purse:
        known = self._purses.get(key)
        if known is None:
            known = self._purses[key] = _Purse(bound.limit - bound.used)
        return known


def give_out(
    queue: Queue, limits: Limits, partition_qos: Mapping[str, str], free_licences: Mapping[str, int]
) -> tuple[Job, ...]:
    """The jobs, of which those that a limit or a lack of licences keeps from starting are set to "would not help".

    ``partition_qos``: the QOS of the partitions that have one. A licence that is not among ``free_licences`` counts
    as none free.
    """
    giver = _Giver(Purses(limits, partition_qos, free_licences))
    jobs, helps = list(queue.jobs), Wait.HELPS
    statuses, requests = queue.statuses, queue.requests
    waiting = [i for i, job in enumerate(jobs) if job.wait is helps and job.state is JobState.PENDING]
    waiting.sort(key=lambda index: -jobs[index].priority)
    for index in waiting:
        job = jobs[index]
        client = giver.client(statuses[index], job.shape)
        if not client.wallets:
            continue
        wanted = max(1, job.startable_tasks)
        room, said = giver.room(client, requests[index], job.shape.walltime_s, wanted)
        if not room:
            jobs[index] = waiting_otherwise(job, Wait.NO, f"{job.reason} ({said})")
        elif room < wanted:
            jobs[index] = replace(job, throttle=job.running_tasks + room)
    return tuple(jobs)


@dataclass(slots=True, eq=False)
class _Client:
    """Jobs that meet the same limits."""

    wallets: tuple[tuple[_Check, ...], ...]  # one per partition; none if there is one where no limit meets them
    licences: str
    refused: dict[tuple[str, float], str]  # which requests got no room, and why
    closed: str = ""  # why there is no room for any request


class _Giver:
    """Gives room to jobs, one after the other."""

    def __init__(self, purses: Purses) -> None:
        self._purses = purses
        self._amounts = _Amounts()
        self._clients: dict[tuple[Status, str, tuple[str, ...]], _Client] = {}

    def client(self, status: Status, shape: Shape) -> _Client:
        key = (status, shape.account, shape.queues)
        known = self._clients.get(key)
        if known is None:
            licences = tuple(sorted(licences_in(status.licences)))
            places = shape.queues or ("",)
            owners = (Owner(status.user, shape.account, status.qos, place, licences) for place in places)
            wallets = tuple(self._purses.checks(owner) for owner in owners)
            known = self._clients[key] = _Client(wallets if all(wallets) else (), status.licences, {})
        return known

    def room(self, client: _Client, requested: str, walltime_s: float, wanted: int) -> tuple[int, str]:
        """So many of the wanted tasks may start; if none, why not. Room once refused does not come back."""
        if client.closed:
            return 0, client.closed
        said = client.refused.get((requested, walltime_s))
        if said is not None:
            return 0, said
        amounts = self._amounts.of(requested, client.licences, walltime_s)
        said = ""
        for wallet in client.wallets:
            room = wanted
            for check in wallet:
                here = check.room(amounts)
                if here < room:
                    room, said = int(here), check.text
                    if check.measure in _EVERY_JOBS and check.purse.left < 1 and len(client.wallets) == 1:
                        client.closed = said
            if room:
                for check in wallet:
                    check.purse.left -= room * amounts.get(check.measure, 0.0)
                return room, ""
        client.refused[requested, walltime_s] = said
        return 0, said


class _Amounts:
    """What a job would use, by the names that limits have for it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, float], dict[str, float]] = {}

    def of(self, requested: str, licences: str, walltime_s: float) -> Mapping[str, float]:
        """``requested``: ``cpu=1,mem=100M,node=1,gres/gpu=2``. ``licences``: ``matlab:2``."""
        known = self._known.get((requested, licences, walltime_s))
        if known is None:
            minutes = walltime_s / 60
            known = {"job": 1.0, "minutes": minutes}
            for part in requested.split(","):
                name, _, text = part.partition("=")
                amount = _amount(mib if name == "mem" else count, text)
                known[name] = amount
                known[f"minutes of {name}"] = amount * minutes
            known.update((f"licence {name}", float(number)) for name, number in licences_in(licences).items())
            self._known[requested, licences, walltime_s] = known
        return known


def _amount(read: Callable[[str], int], text: str) -> float:
    try:
        return float(read(text))
    except ValueError:
        return 0.0


def lower_alike(queue: Queue) -> tuple[Job, ...]:
    """The same by guess, where the limits are not known: a job that says ``Priority`` waits as well if a job of the
    same user, account or QOS shows a limit."""
    statuses, jobs = queue.statuses, list(queue.jobs)
    if not any(limit_group(status.reason, "", "", "") for status in set(statuses)):
        return queue.jobs
    limited = _limited_groups(jobs, statuses)
    for index, (job, status) in enumerate(zip(jobs, statuses, strict=True)):
        if status.reason != "Priority" or job.wait is not Wait.HELPS:
            continue
        user, account, qos = status.user, job.shape.account, status.qos
        groups = (("", "", qos), ("", account, qos), (user, "", qos), ("", account, ""), (user, account, ""))
        reason = next((limited[group] for group in groups if group in limited), "")
        if reason:
            jobs[index] = waiting_otherwise(job, Wait.NOT_YET, f"Priority (its like wait for {reason})")
    return tuple(jobs)


def _limited_groups(jobs: Sequence[Job], statuses: Sequence[Status]) -> dict[tuple[str, str, str], str]:
    limited: dict[tuple[str, str, str], str] = {}
    for job, status in zip(jobs, statuses, strict=True):
        group = limit_group(status.reason, status.user, job.shape.account, status.qos)
        if group is not None and job.state is JobState.PENDING:
            limited[group] = status.reason
    return limited
