"""From the JSON of ``condor_q`` to jobs. Pure.

One ad is one job (a "proc"). Of a cluster that is materialized late (``max_materialize``, ``max_idle``) only some
procs are ads yet; the rest is shown as one more job, named after the cluster, with as many tasks as are still to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dynamiccluster.kit.interpreter import collection_put_off
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import OCCUPYING, Job, JobState, Shape, Wait
from dynamiccluster.schedulers.htcondor.ads_parse import Ad, ads, expression, instant, text, whole
from dynamiccluster.schedulers.htcondor.classads import Evaluator
from dynamiccluster.schedulers.htcondor.names_parse import HostNames
from dynamiccluster.schedulers.htcondor.offers import Offers
from dynamiccluster.schedulers.htcondor.reasons import (
    HELD,
    IDLE,
    PARALLEL,
    REMOVED,
    STATES,
    UNIVERSES,
    hold_reason,
    wait_of,
)
from dynamiccluster.schedulers.htcondor.requirements_parse import Requirements, gpu_type, parse_requirements

LOST = "DynamicClusterLost"
"""Attribute of a job: the machine on which it was when we were told that the machine is dead."""

SPECIAL = (
    *(
        "TargetClouds",
        "TargetAlias",
        "VMType",
        "VMName",
        "VMAMI",
        "VMImage",
        "VMImageID",
        "VMInstanceType",
        "VMNetwork",
    ),
    *("VMLoc", "VMLocation", "VMCPUCores", "VMMem", "VMStorage", "VMKeepAlive", "VMHighPriority", "VMMaximumPrice"),
    *("VMJobPerCore", "VMUserData", "VMAMIConfig", "VMTypeLimit", "VMKeyName", "VMSecurityGroup", "VMInjectCA"),
    *("VMProxyNonBoot", "VMImageProxyFile"),
)
"""Attributes of Cloud Scheduler, ``+VMAMI = "..."`` in a submit file: what the job says of the machine it wants."""

_SPECIAL = frozenset(SPECIAL)
_REQUEST = (
    *("JobUniverse", "RequestCpus", "RequestMemory", "RequestDisk", "RequestGPUs", "RequireGPUs", "Requirements"),
    *("AccountingGroup", "AcctGroup", "MinHosts", "AllowedJobDuration", "AllowedExecuteDuration", "FileSystemDomain"),
)
"""What decides about a job's shape. Jobs with equal values here are read once."""

_SIZES_IN_USE = ("ImageSize", "MemoryUsage", "ResidentSetSize", "DiskUsage", "ExecutableSize")
"""What default requests are reckoned from."""

_SCHEDULE = (
    "DeferralTime",
    "DeferralPrepTime",
    "ScheddInterval",
    "LastRejMatchReason",
    "LastRejMatchTime",
    "AutoClusterId",
)
_FACTORY = ("JobMaterializeNextProcId", "JobMaterializeLimit", "TotalSubmitProcs", "JobFactoryPaused")
_LIFE = (
    *("ClusterId", "ProcId", "GlobalJobId", "JobStatus", "Owner", "JobBatchName", "Cmd", "JobPrio", "QDate"),
    *("HoldReason", "HoldReasonCode", "JobStartDate", "JobCurrentStartDate", "RemoteHost", "RemoteHosts"),
    *("AllRemoteHosts", "JobLeaseDuration", "LastJobLeaseRenewal", LOST),
)
ATTRIBUTES = (*_LIFE, *_REQUEST, *_SIZES_IN_USE, *_SCHEDULE, *_FACTORY, *SPECIAL)
"""What ``condor_q -attributes`` is asked for."""

_MOST_PRIORITY = 2**31
"""HTCondor's own are 32 bits wide."""

_MOST_DROPPED = 20
"""So many odd ads are told one by one; the rest is a number."""

_COMPUTED = ("ifthenelse(MemoryUsage", "DiskUsage", "ifthenelse(DiskUsage")
"""How the requests begin that submit fills in where the user gives none."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What one text of ``condor_q`` says."""

    jobs: tuple[Job, ...]
    dropped: tuple[str, ...]
    unknown_reasons: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """All that reading depends on beside the text. ``queue_attribute``: of jobs, which names their queue; where it is
    "" or missing the schedd is their queue. ``living``: hosts that are known to be up. ``now``: when the text was
    asked for. ``serve_unknown``: whether jobs count as demand whose Requirements cannot be judged."""

    evaluator: Evaluator
    offers: Offers
    names: HostNames
    living: frozenset[str] = frozenset()
    queue_attribute: str = ""
    serve_unknown: bool = False
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class _Request:
    """What the request says: the shape, and why no node helps ("" if one does)."""

    shape: Shape
    obstacle: str = ""


def parse_jobs(output: str, reading: Reading) -> Queue:
    """The jobs in ``output``, and a sentence for each ad that could not be read.

    :raises ValueError: the text was cut off, or none of its ads can be read.
    """
    reader = _Reader(reading)
    with collection_put_off():
        reader.read(ads(output))
    if reader.dropped and not reader.jobs:
        raise ValueError(f"none of {len(reader.dropped)} jobs can be read: {reader.dropped[0]}")
    dropped = reader.dropped[:_MOST_DROPPED]
    if len(reader.dropped) > _MOST_DROPPED:
        dropped.append(f"{len(reader.dropped) - _MOST_DROPPED} more jobs were left out")
    return Queue(tuple(reader.jobs), tuple(dropped), frozenset(reader.unknown_reasons))


@dataclass(slots=True)
class _Factory:
    """A cluster that is not all there yet."""

    job: Job
    to_come: int
    limit: int  # procs of it that may be in the queue at once; 0 = no limit
    present: int = 0


class _Reader:
    """Reads ads one after the other; caches what many have in common."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._requests: dict[tuple[object, ...], _Request] = {}
        self._terms: dict[str | None, Requirements] = {}  # by Requirements
        self._shapes: dict[Shape, Shape] = {}
        self._factories: dict[int, _Factory] = {}
        self._rejected: dict[object, tuple[float, Wait, str]] = {}  # by AutoClusterId: the latest word
        self._unheard: list[tuple[int, object]] = []  # indices of jobs that got no word, with their AutoClusterId
        self.jobs: list[Job] = []
        self.dropped: list[str] = []
        self.unknown_reasons: set[str] = set()

    def read(self, found: Iterable[dict[str, Any] | ValueError]) -> None:
        for ad in found:
            if isinstance(ad, ValueError):
                self.dropped.append(f"a job was left out: {ad}")
                continue
            try:
                self.jobs.append(self._job(ad))
            except (ValueError, TypeError, KeyError) as error:
                where = f"{ad.get('ClusterId')}.{ad.get('ProcId')}"[:40]
                self.dropped.append(f"job {where} was left out: {error}")
        for index, autocluster in self._unheard:
            if autocluster in self._rejected:
                _, wait, reason = self._rejected[autocluster]
                self.jobs[index] = replace(self.jobs[index], wait=wait, reason=reason)
        self.jobs.extend(_rest(factory) for factory in self._factories.values() if factory.to_come > 0)

    def _job(self, ad: dict[str, Any]) -> Job:
        cluster, status = whole(ad, "ClusterId"), whole(ad, "JobStatus")
        if not cluster:
            raise ValueError("it has no ClusterId")
        state = STATES.get(status, JobState.UNKNOWN)
        request = self._request(ad)
        wait, reason, eligible_at, started_at = Wait.NO, "", 0.0, 0.0
        hosts: tuple[str, ...] = ()
        if state is JobState.PENDING:
            wait, reason, eligible_at = self._waits(ad, status, request)
        else:
            hosts = self._hosts(ad)
            started_at = instant(ad, "JobCurrentStartDate") or instant(ad, "JobStartDate")
            if status == REMOVED and hosts:
                state = JobState.COMPLETING
        lost = ad.get(LOST)
        if lost and state in OCCUPYING and hosts == (lost,) and lost not in self._reading.living:
            state, hosts, started_at = JobState.PENDING, (), 0.0
            wait, reason = Wait.NOT_YET, f"{lost} is lost: the job waits until its lease there ends"
            eligible_at = instant(ad, "LastJobLeaseRenewal") + whole(ad, "JobLeaseDuration")
        job = Job(
            f"{cluster}.{whole(ad, 'ProcId')}",
            state,
            request.shape,
            text(ad, "JobBatchName") or text(ad, "Cmd").rpartition("/")[2],
            text(ad, "Owner"),
            _priority(ad),
            instant(ad, "QDate"),
            wait,
            reason,
            eligible_at=eligible_at,
            started_at=started_at,
            hosts=hosts,
        )
        if "JobMaterializeNextProcId" in ad:
            self._count(cluster, ad, job)
        return job

    def _waits(self, ad: Ad, status: int, request: _Request) -> tuple[Wait, str, float]:
        """The class of waiting, the reason, and when it ends if that is known.

        The negotiator tells its reason to one job of those that are alike to it (an "autocluster"); it goes for all.
        """
        if status == HELD:
            return Wait.NO, hold_reason(whole(ad, "HoldReasonCode"), text(ad, "HoldReason")), 0.0
        if request.obstacle:
            return Wait.NO, request.obstacle, 0.0
        if "RemoteHost" in ad and status == IDLE:
            return Wait.NOT_YET, f"it is still being ended on {', '.join(self._hosts(ad))}", 0.0
        rejection = text(ad, "LastRejMatchReason").strip()
        eligible_at = self._deferred_until(ad) if "DeferralTime" in ad else 0.0
        if eligible_at > self._reading.now > 0:
            return Wait.NOT_YET, "deferral_time", eligible_at
        autocluster = ad.get("AutoClusterId")
        if not rejection:
            if autocluster is not None:
                self._unheard.append((len(self.jobs), autocluster))
            return Wait.HELPS, "not negotiated yet", 0.0
        wait = wait_of(rejection)
        if wait is None:
            self.unknown_reasons.add(rejection[:100])
            wait = Wait.HELPS  # better a node too many than a job that waits for ever
        heard_at = instant(ad, "LastRejMatchTime")
        if heard_at >= self._rejected.get(autocluster, (0.0,))[0]:
            self._rejected[autocluster] = heard_at, wait, rejection
        return wait, rejection, 0.0

    def _deferred_until(self, ad: Ad) -> float:
        """When HTCondor will look for a machine: some minutes before the job is to run."""
        due = instant(ad, "DeferralTime")
        if not due and (formula := expression(ad.get("DeferralTime"))) is not None:
            due = self._reading.evaluator.number(formula, ad) or 0.0
        return max(0.0, due - whole(ad, "DeferralPrepTime") - whole(ad, "ScheddInterval")) if due else 0.0

    def _hosts(self, ad: Ad) -> tuple[str, ...]:
        """Where it runs; a parallel job on several machines."""
        several = text(ad, "AllRemoteHosts") or text(ad, "RemoteHosts") or text(ad, "RemoteHost")
        return tuple(dict.fromkeys(self._reading.names.of_slot(slot) for slot in several.split(",") if slot.strip()))

    def _request(self, ad: dict[str, Any]) -> _Request:
        special = tuple((name, str(ad[name])) for name in SPECIAL if name in ad) if not _SPECIAL.isdisjoint(ad) else ()
        attribute = self._reading.queue_attribute
        queue = (text(ad, attribute) if attribute else "") or text(ad, "GlobalJobId").partition("#")[0]
        sizes = tuple(ad.get(name) for name in _SIZES_IN_USE) if _is_computed(ad) else ()
        key = (queue, special, sizes, *map(ad.get, _REQUEST))
        found = self._requests.get(key)
        if found is None:
            found = self._requests[key] = self._read_request(ad, queue, special)
        return found

    def _read_request(self, ad: dict[str, Any], queue: str, special: tuple[tuple[str, str], ...]) -> _Request:
        universe = whole(ad, "JobUniverse", 5)
        obstacle = UNIVERSES.get(universe, f"universe {universe} is not known")
        wanted = expression(ad.get("Requirements"))
        terms = self._terms.get(wanted)
        if terms is None:
            terms = self._terms[wanted] = parse_requirements(wanted if wanted is not None else "true")
        if ad.get("Requirements") is False:
            obstacle = obstacle or "its Requirements are false"
        sizes = {
            name: self._amount(ad, name) for name in ("RequestCpus", "RequestMemory", "RequestGPUs", "RequestDisk")
        }
        unknown = [f"{name} = {expression(ad.get(name))}" for name, amount in sizes.items() if amount is None]
        device = self._device(ad, unknown)
        groups = (
            *self._reading.offers.groups(terms, sizes["RequestDisk"] or 0),
            *self._reading.offers.chosen(special),
        )
        if terms.unknown and wanted is not None:
            question = " && ".join(f"({term})" for term in terms.unknown)
            verdict = self._reading.offers.verdict(self._reading.evaluator, question, ad)
            if verdict.words:
                groups = (*groups, verdict.words)
            elif verdict.unknown:
                unknown.append(question)
            else:
                obstacle = obstacle or f"no resource meets its Requirements: {question[:300]}"
        if unknown and not self._reading.serve_unknown:
            obstacle = obstacle or f"unknown whether nodes would help: {'; '.join(unknown)[:300]}"
        shape = Shape(
            queues=(queue,) if queue else (),
            account=_account(ad),
            chunk=Capacity(
                max(1, sizes["RequestCpus"] or 1, terms.cores),
                max(sizes["RequestMemory"] or 0, terms.memory_mib),
                max(sizes["RequestGPUs"] or 0, terms.gpus),
            ),
            chunks=max(1, whole(ad, "MinHosts", 1)) if universe == PARALLEL else 1,
            features=groups,
            gpu_type=device,
            hosts=tuple(dict.fromkeys(self._reading.names.short(host) for host in terms.hosts)),
            walltime_s=whole(ad, "AllowedJobDuration") or whole(ad, "AllowedExecuteDuration"),
            attributes=special,
        )
        if shape.hosts:
            obstacle = obstacle or f"it asks for {', '.join(shape.hosts)}"
        return _Request(self._shapes.setdefault(shape, shape), obstacle)

    def _amount(self, ad: Mapping[str, Any], name: str) -> int | None:
        """A request as a number; ``None`` if it is an expression that cannot be reckoned here."""
        formula = expression(ad.get(name))
        if formula is None:
            return whole(ad, name)
        if formula.lstrip("( ").startswith(_COMPUTED):
            return _computed(ad, name)
        number = self._reading.evaluator.number(formula, ad)
        return whole({name: number}, name) if number is not None else None

    def _device(self, ad: Ad, unknown: list[str]) -> str:
        formula = expression(ad.get("RequireGPUs"))
        if formula is None:
            return ""
        device = gpu_type(formula)
        if device is None:
            unknown.append(f"RequireGPUs = {formula[:200]}")
        return device or ""

    def _count(self, cluster: int, ad: Ad, job: Job) -> None:
        """Take down what is still to come of a cluster that is materialized late."""
        factory = self._factories.get(cluster)
        if factory is None:
            to_come = whole(ad, "TotalSubmitProcs") - whole(ad, "JobMaterializeNextProcId")
            factory = _Factory(job, max(0, to_come), whole(ad, "JobMaterializeLimit"))
            self._factories[cluster] = factory
        factory.present += 1
        if job.wait is Wait.HELPS or factory.job.state is not JobState.PENDING:
            factory.job = job  # the best to go by: one that waits itself


def _rest(factory: _Factory) -> Job:
    """Procs that are not ads yet: they come as long as fewer than ``limit`` are there."""
    first = factory.job
    helps = first.state is not JobState.PENDING or first.wait is Wait.HELPS
    return replace(
        first,
        job_id=first.job_id.partition(".")[0],
        state=JobState.PENDING,
        wait=Wait.HELPS if helps else first.wait,
        reason="not materialized yet" if helps else first.reason,
        tasks=factory.to_come,
        throttle=factory.limit,
        running_tasks=factory.present if factory.limit else 0,
        started_at=0.0,
        hosts=(),
    )


def _is_computed(ad: Ad) -> bool:
    """Whether a request is an expression, in the eyes of somebody in a hurry."""
    get = ad.get
    return (
        isinstance(get("RequestMemory"), str)
        or isinstance(get("RequestDisk"), str)
        or isinstance(get("RequestCpus"), str)
    )


def _computed(ad: Ad, name: str) -> int:
    """The defaults of submit: what the job was seen to use, else the size of its files."""
    if name == "RequestDisk":
        return whole(ad, "DiskUsage")
    if isinstance(ad.get("MemoryUsage"), int):
        return whole(ad, "MemoryUsage")
    kib = whole(ad, "ResidentSetSize") if "MemoryUsage" in ad else whole(ad, "ImageSize")
    return -(-kib // 1024)


def _priority(ad: Ad) -> float:
    """:raises ValueError: it is no number of HTCondor's size: not "nan" either, which no queue can be sorted by."""
    value = ad.get("JobPrio") or 0
    if not isinstance(value, int | float) or value is True or not abs(value) <= _MOST_PRIORITY:
        raise ValueError(f"JobPrio is {str(value)[:60]!r}")
    return float(value)


def _account(ad: Ad) -> str:
    """The accounting group, without the user's name."""
    group = text(ad, "AcctGroup")
    return group or text(ad, "AccountingGroup").rpartition(".")[0]
