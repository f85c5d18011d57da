"""IBM Spectrum LSF 10.1 and OpenLava.

What a host is in LSF's own terms:

* A worker node is a dynamic host (LSF) or a migrant host (OpenLava); see ``membership.py``. It is listed as on its way
  until its own LIM has reported, and as up when mbatchd and the LIM both say so.
* Our hold is ``badmin hclose`` with our mark as its comment. A closed host shows nothing of its daemons' death, so its
  LIM's word counts for that.
* A property or feature is a Boolean resource, which must stand in ``lsf.shared`` beforehand. A queue that chooses its
  hosts by a resource ``queue_NAME`` is served by the hosts that have it.

``docs/schedulers/lsf.md`` has the site's side.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dynamiccluster.errors import BadConfigError, BusyError, NotFoundError, TransientError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_address, require_host_name
from dynamiccluster.kit.runner import Runner
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.lsf.calls import CommandLines, LsfCalls
from dynamiccluster.schedulers.lsf.hosts_parse import BatchHost, Site, doubt, hold_of, make_hosts
from dynamiccluster.schedulers.lsf.jobs_parse import limit_arrays, make_jobs, parse_slot_limits
from dynamiccluster.schedulers.lsf.json_parse import exec_hosts
from dynamiccluster.schedulers.lsf.membership import (
    DynamicHosts,
    Kind,
    Membership,
    MigrantHosts,
    Placeholders,
    require_empty,
)
from dynamiccluster.schedulers.lsf.record import Record
from dynamiccluster.schedulers.lsf.shape_parse import Rules
from dynamiccluster.schedulers.lsf.site_parse import Dialect, Queues, parse_booleans, parse_dialect, parse_queues
from dynamiccluster.schedulers.lsf.views import Views

log = logging.getLogger(__name__)

_JOB_ID = re.compile(r"\d{1,18}(\[\d{1,9}\])?")
_MARK = re.compile(r"[A-Za-z0-9._:-]+")
_BATCH = 200
"""Job ids per command: a request of a few kilobytes."""

_SINGLY = 10
"""So many jobs are asked for one by one; of more the whole list is read."""

_GONE = ("already finished", "is not found", "No matching job found", "already been requeued", "not started yet")
"""What is said of jobs that are over, or wait already."""

_SILENT = ("not responding", "Unable to contact execution host", "Operation is in progress")
"""What is said of jobs whose host does not answer: the wish is noted, and nothing comes of it."""

_DONE = "...... done"
_NOWHERE = frozenset({"PEND", "PSUSP", "DONE", "EXIT"})
"""States of jobs that are on no host."""


@dataclass(frozen=True, slots=True)
class LsfSettings:
    """What the configuration says beside the commands."""

    dialect: str = "auto"
    account: str = "project"  # what is a job's account: "project", "user_group", "user"
    host_type: str = "linux"
    host_model: str = "IntelI5"
    cpu_factor: float = 100.0
    host_resources: tuple[str, ...] = ()  # that every host has
    placeholder_hosts: tuple[str, ...] = ()
    queue_resource_prefix: str = "queue_"
    unit_for_limits: str = "MB"
    memory_per: str = "host"  # what rusage[mem=] is reserved for: "host" or "slot"


@dataclass(slots=True)
class _Site:
    """What is read once, and again with each :meth:`LsfScheduler.declare`."""

    dialect: Dialect
    views: Views
    members: Membership
    queues: Queues
    booleans: frozenset[str] = field(default_factory=frozenset)


class LsfScheduler:
    """Implements ``schedulers/base``. Its user must be root or an administrator of LSF's.

    ``commands``: how each program is called, by name. ``timeout_s``: of one command; ``bjobs`` and ``bhosts`` wait for
    ever when a daemon is down. ``resolve``: makes the name of a placeholder known, with an address.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        cluster_id: str,
        *,
        commands: Mapping[str, Sequence[str]] | None = None,
        bin_dir: str = "",
        envdir: str = "",
        command_prefix: Sequence[str] = (),
        timeout_s: float = 30.0,
        settings: LsfSettings | None = None,
        resolve: Callable[[str, str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._settings = settings or LsfSettings()
        self._mark_prefix = f"dynamiccluster:{cluster_id}:"
        self._rules = Rules(
            self._settings.unit_for_limits[:1].upper() or "M",
            self._settings.memory_per == "slot",
            frozenset(self._settings.host_resources),
            self._settings.queue_resource_prefix,
        )
        lines = CommandLines(commands or {}, bin_dir=bin_dir, envdir=envdir, prefix=command_prefix)
        self._calls = LsfCalls(runner, lines, timeout_s)
        self._resolve = resolve
        self._known: _Site | None = None
        self._expected: dict[str, tuple[str, Capacity]] = {}  # added and not yet gone: address and size
        self._listed: set[str] = set()  # those that the LIM has listed: if it does no more, they are gone
        self._puzzling: set[str] = set()  # reasons already logged

    def poll(self) -> SchedulerView:
        started_at = self._clock.now()
        site = self._site()
        hosts, host_names, dropped = self._hosts(site)
        now = self._clock.now()
        try:
            queue = make_jobs(site.views.jobs(), self._rules, now, host_names)
        except ValueError as error:
            raise TransientError(f"bjobs: {error}") from error
        jobs = queue.jobs
        if queue.arrays_wait:
            jobs = limit_arrays(jobs, parse_slot_limits(site.views.slot_limits()))
        for reason in queue.unknown_reasons - self._puzzling:
            self._puzzling.add(reason)
            log.warning("unknown pending reason %r: its jobs are taken to wait for nodes", reason)
        hosts = doubt(hosts, jobs)
        return SchedulerView(started_at, self._clock.now(), jobs, hosts, dropped=(*dropped, *queue.dropped))

    def declare(self, resources: Sequence[Resource]) -> None:
        """LSF needs no shapes, only names; OpenLava hosts that never come, see :class:`Placeholders`."""
        self._known = None
        site = self._site()
        site.booleans = parse_booleans(self._calls.ask("lsinfo", "-r"))
        missing = sorted({word for resource in resources for word in _words_of(resource)} - site.booleans)
        lims = site.views.lim_hosts().items
        if isinstance(site.members, MigrantHosts):
            most = max((r.max_nodes * r.capacity.cores for r in resources), default=0)
            placeholders = Placeholders(site.members, self._settings.placeholder_hosts, self._resolve)
            placeholders.provide(lims, most, self._slots_of)
            if not self._settings.placeholder_hosts:
                self._warn_of_refusals(site, resources)
        if missing:
            lines = ", ".join(f"{word} Boolean () () (of Dynamic Cluster)" for word in missing)
            raise BadConfigError(f"lsf.shared does not have: {lines}; then lsadmin reconfig and badmin reconfig")

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        require_host_name(host_name)
        if address:
            address = require_address(address)
        site = self._site()
        wanted = self._words(site, resource)
        if not site.members.add(host_name, sorted(wanted), resource.capacity.cores):
            self._correct(site, host_name, wanted, resource.capacity.cores)
        self._expected[host_name] = address, resource.capacity
        if isinstance(site.members, MigrantHosts):
            self._listed.add(host_name)

    def hold(self, host_name: str, mark: str) -> None:
        _require_mark(mark)
        host = self._batch_host(host_name)
        hold = hold_of(host, self._is_ours) if _is_closed(host) else None
        if hold is not None:
            if hold.mark == mark:
                return
            raise BusyError(f"{host_name} is closed by somebody: {hold.mark or 'no comment'}")
        self._control("hclose", "-C", mark, host_name)

    def release(self, host_name: str, mark: str) -> None:
        host = self._batch_host(host_name)
        if not _is_closed(host):
            return
        if host.message != mark:
            raise BusyError(f"{host_name} is closed by somebody: {host.message or 'no comment'}")
        self._control("hopen", host_name)

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        """``brequeue`` puts a job back to where it was in the queue; it takes jobs that are not rerunnable as well."""
        for batch in _batches(self._still_on(host_name, job_ids)):
            self._calls.tell_about_jobs("brequeue", batch, _GONE)

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        """LSF waits for a dead host to say that a job has ended. So jobs that stay are struck off its list
        (``bkill -r``), as ended, and sent back to the queue as such."""
        there = self._still_on(host_name, job_ids)
        for batch in _batches(there):
            self._calls.tell_about_jobs("bkill" if delete_jobs else "brequeue", batch, (*_GONE, *_SILENT))
        for batch in _batches(self._still_on(host_name, there)):
            self._calls.tell_about_jobs("bkill", batch, _GONE, "-r")
            if not delete_jobs:
                self._calls.tell_about_jobs("brequeue", batch, _GONE, "-e")

    def remove(self, host_name: str) -> None:
        """Closed before it goes, so that no job can start in between: ``lsrmhost`` takes hosts with jobs, too."""
        require_host_name(host_name)
        site = self._site()
        listing, lims = site.views.batch_hosts(), site.views.lim_hosts()
        host = listing.items.get(host_name)
        if host is None and (listing.dropped or lims.dropped):  # its own record may be the one that cannot be read
            raise TransientError(f"whether {host_name} has jobs cannot be seen: {(*listing.dropped, *lims.dropped)[0]}")
        if host is None:
            host = self._named(site, host_name)
        if host is not None:
            if host.jobs and _is_closed(host) and host.message == self._removal_mark(host_name):
                self._control("hopen", host_name)  # the job was there before an earlier try closed it
            require_empty(host_name, host.jobs, host.status)
            if not _is_closed(host) and (host_name in lims.items or host.status not in ("unavail", "unreach")):
                self._close_empty(host_name)
        if host_name in lims.items:
            site.members.remove(host_name)
        self._expected.pop(host_name, None)
        self._listed.discard(host_name)

    def unstick(self, job_ids: Sequence[str]) -> None:
        """LSF gives up on no job."""

    def find(self, host_name: str) -> Host | None:
        require_host_name(host_name)
        hosts, _, _ = self._hosts(self._site())
        return next((host for host in hosts if host.name == host_name), None)

    def _site(self) -> _Site:
        if self._known is None:
            dialect = self._dialect()
            settings = self._settings
            kind = Kind(settings.host_type, settings.host_model, settings.cpu_factor)
            members = DynamicHosts(self._calls) if dialect is Dialect.LSF else MigrantHosts(self._calls, kind)
            queues = parse_queues(self._calls.ask("bqueues", "-l"))
            self._known = _Site(dialect, Views(self._calls, dialect, settings.account), members, queues)
        return self._known

    def _dialect(self) -> Dialect:
        if self._settings.dialect != "auto":
            return Dialect(self._settings.dialect)
        try:
            return parse_dialect(self._calls.ask("lsid"))
        except ValueError as error:
            raise TransientError(str(error)) from error

    def _is_ours(self, mark: str) -> bool:
        return mark.startswith(self._mark_prefix)

    def _hosts(self, site: _Site) -> tuple[tuple[Host, ...], frozenset[str], tuple[str, ...]]:
        """The hosts, the names of all that are known in any way, and what was left out."""
        batch, lims, loads = site.views.batch_hosts(), site.views.lim_hosts(), site.views.loads()
        known = frozenset(batch.items) | frozenset(lims.items)
        self._listed |= self._expected.keys() & lims.items.keys()
        expected = {name: of for name, of in self._expected.items() if name in known or name not in self._listed}
        hosts = make_hosts(
            batch.items,
            lims.items,
            loads.items,
            Site(
                self._is_ours,
                frozenset(self._settings.placeholder_hosts),
                site.queues.of_host,
                expected,
                not lims.dropped,
            ),
        )
        return hosts, known, (*batch.dropped, *lims.dropped, *loads.dropped)

    def _words(self, site: _Site, resource: Resource) -> frozenset[str]:
        """The resources that a host of this kind is added with."""
        prefix = self._settings.queue_resource_prefix
        queues = resource.queues or site.queues.by_word(prefix)
        if resource.reservation.queue:
            queues = frozenset({resource.reservation.queue})
        by_word = frozenset(f"{prefix}{queue}" for queue in queues & site.queues.by_word(prefix))
        return _words_of(resource) | by_word | frozenset(self._settings.host_resources)

    def _correct(self, site: _Site, name: str, wanted: frozenset[str], slots: int) -> None:
        """Put a host right that is known already. One that works, or has jobs, stays as it is."""
        batch, lims = site.views.batch_hosts(), site.views.lim_hosts()
        host, lim = batch.items.get(name), lims.items.get(name)
        if lim is None or (wanted <= lim.words and (host is None or host.slots in (None, slots))):
            return
        if host is None and batch.dropped:
            raise TransientError(f"whether {name} has jobs cannot be seen: {batch.dropped[0]}")
        if host is not None and (host.jobs or host.status not in ("unavail", "unreach")):
            return
        site.members.remove(name)
        site.members.add(name, sorted(wanted), slots)

    def _warn_of_refusals(self, site: _Site, resources: Iterable[Resource]) -> None:
        slots = sum(host.slots or 0 for host in site.views.batch_hosts().items.values())
        needy = [resource.name for resource in resources if resource.capacity.cores > slots]
        if needy:
            log.warning(
                "OpenLava has %d slots in all, and refuses jobs of more at submission, such as those that a node of %s "
                "is for: give it placeholder_hosts",
                slots,
                ", ".join(needy),
            )

    def _slots_of(self, host_name: str) -> int | None:
        """How many slots mbatchd gives a host; ``None`` if it sets no limit, or does not list it yet."""
        try:
            host = self._site().views.batch_hosts(host_name).items.get(host_name)
        except NotFoundError:
            return None
        return host.slots if host is not None else None

    def _batch_host(self, host_name: str) -> BatchHost:
        """What mbatchd says of one host.

        :raises NotFoundError: it knows none of that name.
        """
        require_host_name(host_name)
        host = self._site().views.batch_hosts(host_name).items.get(host_name)
        if host is None or host_name in self._settings.placeholder_hosts:
            raise NotFoundError(f"LSF has no host {host_name}")
        return host

    def _control(self, verb: str, *arguments: str) -> None:
        """Have ``badmin`` open or close a host, and see that it says so."""
        said = self._calls.tell("badmin", verb, *arguments)
        if _DONE not in said:
            raise TransientError(f"badmin {verb} {arguments[-1]}: {' '.join(said.split())[:300]}")

    def _close_empty(self, host_name: str) -> None:
        """Close a host that is to go; opened again if a job was quicker.

        :raises TransientError: the answer is older than that (LSF may answer from a copy of some seconds ago).
        """
        self._control("hclose", "-C", self._removal_mark(host_name), host_name)
        host = self._batch_host(host_name)
        if not _is_closed(host):
            raise TransientError(f"{host_name} is not shown as closed yet ({host.status})")
        try:
            require_empty(host_name, host.jobs, host.status)
        except BusyError:
            self._control("hopen", host_name)
            raise

    def _still_on(self, host_name: str, job_ids: Sequence[str]) -> list[str]:
        """Those of the jobs that LSF has on this host now.

        One question for each of a few, as in a list of several jobs one user's job could imitate another's; of many,
        for each that the list of all jobs has twice.
        """
        require_host_name(host_name)
        for job_id in job_ids:
            if not _JOB_ID.fullmatch(job_id):
                raise BadConfigError(f"{job_id[:60]!r} cannot be a job id")
        there: list[str] = []
        unclear = list(job_ids)
        if len(job_ids) > _SINGLY:
            there, unclear = self._listed_on(host_name, job_ids)
        for job_id in unclear:
            try:
                text = self._calls.ask("bjobs", "-w", job_id)
            except NotFoundError:
                continue
            if host_name in _place_of(text, job_id):
                there.append(job_id)
        return there

    def _listed_on(self, host_name: str, job_ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Those of the jobs that the list of all has on this host, and those that it does not tell of for certain."""
        places: dict[str, list[tuple[str, ...]]] = {}
        odd = False
        try:
            for record in self._site().views.jobs():
                if isinstance(record, Record):
                    gone = record.state in _NOWHERE
                    places.setdefault(record.job_id, []).append(() if gone else record.hosts)
                else:
                    odd = True
        except ValueError as error:
            raise TransientError(f"bjobs: {error}") from error
        found = {job_id: places.get(job_id, []) for job_id in job_ids}
        there = [job_id for job_id, hosts in found.items() if len(hosts) == 1 and host_name in hosts[0]]
        unclear = [job_id for job_id, hosts in found.items() if len(hosts) > 1 or (odd and not hosts)]
        return there, unclear

    def _named(self, site: _Site, host_name: str) -> BatchHost | None:
        """What mbatchd says of a host that its list lacks: a list may be short, an answer by name is none."""
        try:
            return site.views.batch_hosts(host_name).items.get(host_name)
        except NotFoundError:
            return None

    def _removal_mark(self, host_name: str) -> str:
        """Of a host that is closed only to be removed, not for the engine."""
        return f"{self._mark_prefix}{host_name}:removal"


def _place_of(text: str, job_id: str) -> tuple[str, ...]:
    """Where one job runs, from ``bjobs -w``: the columns before its name, which its owner cannot choose."""
    lines = text.splitlines()
    at = next((at for at, line in enumerate(lines) if line.startswith("JOBID")), None)
    columns = lines[at + 1].split(None, 6) if at is not None and at + 1 < len(lines) else []
    number = job_id.partition("[")[0]
    if at is None or len(columns) < 6 or columns[0].partition("[")[0] != number:
        return ()
    if job_id == number and any(re.match(rf"{number}[\[\s]", line) for line in lines[at + 2 :]):
        return ()  # a whole array, with elements elsewhere: a command about it would be about all of them
    if columns[2] in _NOWHERE:
        return ()
    return exec_hosts(columns[5])


def _is_closed(host: BatchHost) -> bool:
    return host.status == "closed_Adm" or (host.status in ("unavail", "unreach") and bool(host.message))


def _words_of(resource: Resource) -> frozenset[str]:
    reserved = resource.reservation.property
    return resource.features | ({reserved} if reserved else frozenset())


def _require_mark(mark: str) -> None:
    if not _MARK.fullmatch(mark):
        raise BadConfigError(f"{mark[:100]!r} cannot be a mark")


def _batches(job_ids: Sequence[str]) -> list[Sequence[str]]:
    return [job_ids[at : at + _BATCH] for at in range(0, len(job_ids), _BATCH)]
