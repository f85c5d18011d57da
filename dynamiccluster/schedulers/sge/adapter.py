"""Grid Engine 8.1 (Son of Grid Engine, and what is like it).

What a host is in Grid Engine's own terms:

* A worker node is an execution host, in the host groups that queues consist of, with slots of its own in each queue
  and, as ``complex_values``, what it gives: slots in all, memory, GPUs, properties.
* Our hold is ``qmod -d``, which keeps no reason; the mark stands in an attribute of ours (``marks.py``).
* ``qsub -q`` refuses a queue without any host, so a queue that would have none gets the host of qmaster, without slots.
* Everything changes through ``qconf``, by a manager. Return codes tell little: what matters is read again.

``docs/schedulers/sge.md`` has the site's side.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dynamiccluster.errors import (
    BadConfigError,
    BusyError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
)
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_address, require_host_name
from dynamiccluster.kit.runner import Runner
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job, Wait
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.sge.command_lines import CommandLines, Templates
from dynamiccluster.schedulers.sge.commands import SgeCommands
from dynamiccluster.schedulers.sge.descriptions import PROJECT, SgeSettings, describe, given_memory
from dynamiccluster.schedulers.sge.details_parse import Detail, parse_details
from dynamiccluster.schedulers.sge.hosts_parse import Hosts, Naming, parse_hosts
from dynamiccluster.schedulers.sge.jobs_parse import parse_jobs, to_look_up, with_accounts, with_details
from dynamiccluster.schedulers.sge.marks import ATTRIBUTE, MARK, Note
from dynamiccluster.schedulers.sge.membership import Membership
from dynamiccluster.schedulers.sge.quotas_parse import Quota, parse_quotas
from dynamiccluster.schedulers.sge.request_parse import Rules
from dynamiccluster.schedulers.sge.shared_parse import lower_unserved
from dynamiccluster.schedulers.sge.site_parse import Consumed, Site
from dynamiccluster.schedulers.sge.sites import Sites

log = logging.getLogger(__name__)

_MOST_DETAILS = 500
"""About so many jobs details are asked for in one poll: two megabytes."""


class SgeScheduler:
    """Implements ``schedulers/base``. Its user must be a manager of Grid Engine's, which root is."""

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        cluster_id: str,
        *,
        templates: Templates | None = None,
        qconf: Sequence[str] = ("qconf",),
        sge_root: str = "",
        sge_cell: str = "",
        timeout_s: float = 30.0,
        settings: SgeSettings | None = None,
    ) -> None:
        self._clock = clock
        self._mark_prefix = f"dynamiccluster:{cluster_id}:"
        self._settings = settings or SgeSettings()
        lines = CommandLines(templates or Templates(), qconf, sge_root, sge_cell)
        self._commands = SgeCommands(runner, lines, timeout_s)
        self._sites = Sites(self._commands, clock)
        self._membership = Membership(self._commands)
        self._resources: tuple[Resource, ...] = ()
        self._puzzling: set[str] = set()  # states already logged
        self._silent_since: dict[str, float] = {}  # hosts out of qmaster's reach -> since when, as seen from here

    def poll(self) -> SchedulerView:
        started_at = self._clock.now()
        site = self._sites.get()
        hosts = self._hosts(site)
        rules = self._rules(hosts)
        by_project = self._settings.account_from == PROJECT
        with_projects = (
            site.has_quotas
            or (by_project and self._accounts_matter())
            or any(queue.projects or queue.not_projects for queue in site.queues.values())
        )
        text = self._commands.ask_jobs(with_projects=with_projects)
        try:
            queue = parse_jobs(text, site, rules, hosts.places, account_is_project=by_project)
        except ValueError as error:
            raise TransientError(f"qstat: {error}") from error
        for words in queue.unknown_letters - self._puzzling:
            self._puzzling.add(words)
            log.warning("unknown state of a job: %s", words)
        self._silent_since = {name: self._silent_since.get(name, self._clock.monotonic()) for name in hosts.silent}
        quotas, stale = self._quotas(site) if any(one.wait is Wait.HELPS for one in queue.jobs) else ((), ())
        jobs = lower_unserved(queue, self._detailed(queue.jobs, rules, by_project), site, hosts.shared, quotas)
        shown = tuple(map(self._with_patience, hosts.hosts))
        dropped = hosts.dropped + queue.dropped
        return SchedulerView(started_at, self._clock.now(), jobs, shown, stale_facets=stale, dropped=dropped)

    def declare(self, resources: Sequence[Resource]) -> None:
        """Queues must have a host before ``qsub -q`` takes jobs for them, and nodes attributes that Grid Engine knows.

        :raises BadConfigError: a resource asks for what the site does not have; the others are declared all the same.
        """
        self._resources = tuple(resources)
        self._sites.forget()
        self._membership.define_attribute()
        site = self._sites.get()
        problems: list[str] = []
        wanted: set[str] = set()
        for resource in resources:
            try:
                slots = describe(resource, "", site, self._settings).slots
            except BadConfigError as error:
                problems.append(f"{resource.name}: {error}")
            else:
                wanted |= {queue for queue, number in slots.items() if number}
        self._open_queues(wanted)
        if problems:
            raise BadConfigError("; ".join(problems))

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        require_host_name(host_name)
        if address:
            address = require_address(address)
        site = self._sites.get()
        description = describe(resource, address, site, self._settings)
        hosts = self._hosts(site)
        known = hosts.by_name(host_name)
        if known is not None and known.hold is not None and known.hold.ours:
            note = replace(description.note, mark=known.hold.mark)
            description = replace(description, note=note)
        self._membership.put_in(host_name, description, site)
        if self.find(host_name) is None:
            raise TransientError(f"Grid Engine does not list {host_name} after it has been added")

    def hold(self, host_name: str, mark: str) -> None:
        if not MARK.fullmatch(mark):
            raise BadConfigError(f"{mark[:100]!r} cannot be a mark")
        hosts, host = self._existing(host_name)
        if host.hold is not None:
            if host.hold.mark == mark:
                return
            raise BusyError(f"{host_name} is held by somebody: {host.hold.mark}")
        note = hosts.notes.get(host_name, Note())
        self._membership.write_note(host_name, replace(note, mark=mark))
        self._switch("-d", host_name)
        _, host = self._existing(host_name)
        if host.hold is None or host.hold.mark != mark:
            raise TransientError(f"{host_name} is not disabled in all of its queues ({host.detail})")

    def release(self, host_name: str, mark: str) -> None:
        hosts, host = self._existing(host_name)
        note = hosts.notes.get(host_name, Note())
        if host.hold is not None:
            if host.hold.mark != mark:
                raise BusyError(f"{host_name} is held by somebody: {host.hold.mark}")
            self._switch("-e", host_name)
        if note.mark:
            self._membership.write_note(host_name, replace(note, mark=""))

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        here = self._still_on(host_name, job_ids)
        if here:
            self._commands.reschedule(here)

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        """The host is closed first, for Grid Engine gives jobs to a dead one as long as it has not missed it. Jobs that
        may not be started again have died with it and are deleted either way: as long as one is listed there the host
        can not be removed. To be deleted safely a job must wait, so it is put back first."""
        here = self._still_on(host_name, job_ids)
        if not here:
            return
        self._switch("-d", host_name)
        if not delete_jobs:
            self._commands.reschedule(here)
            here = self._still_on(host_name, here)
        if here:
            log.warning("jobs %s are deleted with the dead host %s", ", ".join(here), host_name)
            self._commands.reschedule(here, force=True)
            self._commands.delete_jobs(here)

    def remove(self, host_name: str) -> None:
        require_host_name(host_name)
        site = self._sites.get()
        hosts = self._hosts(site)
        host = hosts.by_name(host_name)
        if host is None and hosts.dropped:  # its own record may be the one that cannot be read, jobs and all
            raise TransientError(f"whether {host_name} has jobs cannot be seen: {hosts.dropped[0]}")
        if host is not None:
            self._require_empty(host)
            if host.hold is None and host.queues:
                self._close(host)
            self._open_queues(hosts.instances[host_name], besides=host_name)
        self._membership.take_out(host_name, listed=host is not None)
        if host is not None and self.find(host_name) is not None:
            raise TransientError(f"Grid Engine still lists {host_name}")

    def unstick(self, job_ids: Sequence[str]) -> None:
        """Nothing to do: no job is ever shown as stuck. One in error has failed by itself, and would do so again."""

    def find(self, host_name: str) -> Host | None:
        require_host_name(host_name)
        return self._hosts(self._sites.get()).by_name(host_name)

    # -- looking ---------------------------------------------------------------------------------------------

    def _hosts(self, site: Site) -> Hosts:
        """All hosts: asking for a single one is not cheaper, and an error where its name cannot be resolved."""
        naming = self._naming(site)
        attributes = ("slots", ATTRIBUTE, *naming.memory, *naming.gpus, *sorted(naming.properties), *self._shared(site))
        try:
            return parse_hosts(self._commands.ask_hosts(tuple(dict.fromkeys(attributes))), naming)
        except ValueError as error:
            raise TransientError(f"qhost: {error}") from error

    def _with_patience(self, host: Host) -> Host:
        """The host, not called down as soon as qmaster cannot reach its daemon: after a restart of qmaster no daemon
        counts as reached before it has reported in again, for half a minute (seen with 8.1.9)."""
        if host.state is not HostState.DOWN or host.name not in self._silent_since:
            return host
        silent_s = self._clock.monotonic() - self._silent_since[host.name]
        return host if silent_s >= self._settings.silent_s else replace(host, state=HostState.UNKNOWN)

    def _existing(self, host_name: str) -> tuple[Hosts, Host]:
        require_host_name(host_name)
        hosts = self._hosts(self._sites.get())
        host = hosts.by_name(host_name)
        if host is None or host.template:
            raise NotFoundError(f"Grid Engine has no execution host {host_name}")
        return hosts, host

    def _still_on(self, host_name: str, job_ids: Sequence[str]) -> list[str]:
        """Those of the jobs that Grid Engine has on this host now."""
        host = self.find(host_name)
        return [job_id for job_id in job_ids if host is not None and job_id in host.jobs]

    def _detailed(self, jobs: tuple[Job, ...], rules: Rules, by_project: bool) -> tuple[Job, ...]:
        """The jobs with what only ``qstat -j`` tells, where something depends on it."""
        by_account = not by_project and self._accounts_matter()
        numbers = ["*"] if by_account and jobs else to_look_up(jobs, _MOST_DETAILS)
        if not numbers:
            return jobs
        details: Mapping[str, Detail] = {}
        try:
            details = parse_details(self._commands.ask_details(numbers))
        except ValueError as error:
            raise TransientError(f"qstat -j: {error}") from error
        jobs = with_details(jobs, details)
        return with_accounts(jobs, details, rules.accounts) if by_account else jobs

    def _quotas(self, site: Site) -> tuple[tuple[Quota, ...], tuple[str, ...]]:
        """What is left under resource quotas, and this facet's name if that cannot be had: no reason to be blind."""
        if not site.has_quotas:
            return (), ()
        try:
            return parse_quotas(self._commands.ask_quotas()), ()
        except (ValueError, DynamicClusterError) as error:
            if "quotas" not in self._puzzling:
                self._puzzling.add("quotas")
                log.warning(
                    "resource quotas cannot be read, jobs that wait for one are taken to wait for nodes: %s", error
                )
            return (), ("quotas",)

    def _accounts_matter(self) -> bool:
        return bool(self._reserved_accounts())

    def _rules(self, hosts: Hosts) -> Rules:
        return Rules(
            self._settings.memory_attributes,
            self._settings.gpu_attributes,
            frozenset(resource.reservation.queue for resource in self._resources if resource.reservation.queue),
            frozenset(self._settings.hostgroups),
            hosts.shared,
            {f"{resource.name_prefix}-00000000": resource.word for resource in self._resources},
            {account.removeprefix("@"): account for account in self._reserved_accounts()},
        )

    def _reserved_accounts(self) -> list[str]:
        return [resource.reservation.account for resource in self._resources if resource.reservation.account]

    def _naming(self, site: Site) -> Naming:
        known = site.complexes
        return Naming(
            self._mark_prefix,
            given_memory(site, self._settings),
            tuple(name for name in self._settings.gpu_attributes if name in known),
            frozenset(each.name for each in known.values() if each.kind == "BOOL" and each.requestable != "NO"),
        )

    def _shared(self, site: Site) -> list[str]:
        """Everything that may be used up, licences among it."""
        return sorted({each.name for each in site.complexes.values() if each.consumed is not Consumed.NOT})

    # -- changing --------------------------------------------------------------------------------------------

    def _open_queues(self, queues: Sequence[str] | set[str] | frozenset[str], besides: str = "") -> None:
        """See that each of these queues has a host that stays: with the last one ``qsub -q`` would refuse its jobs."""
        hosts = self._hosts(self._sites.get())
        lasting = {
            queue
            for host in hosts.hosts
            if host.name != besides and (hosts.notes.get(host.name) or Note()).capacity is None
            for queue in hosts.instances[host.name]
        }
        missing = sorted(set(queues) - lasting)
        if missing:
            placeholder = self._settings.placeholder_host or self._commands.ask("-sss").strip()
            self._membership.hold_open(missing, require_host_name(placeholder))

    def _switch(self, option: str, host_name: str) -> None:
        try:
            self._commands.switch(option, host_name)
        except NotFoundError:
            return  # it is in no queue, so nothing can start there anyway

    def _require_empty(self, host: Host) -> None:
        if host.busy:
            raise BusyError(f"{host.name} has jobs ({', '.join(host.jobs[:5])})")

    def _close(self, host: Host) -> None:
        """Disable the host, and look whether a job has slipped in before; if so, nothing has changed."""
        self._switch("-d", host.name)
        try:
            again = self.find(host.name)
            if again is not None:
                self._require_empty(again)
        except DynamicClusterError:
            self._switch("-e", host.name)
            raise
