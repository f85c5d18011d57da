"""HTCondor 23 and later, with partitionable slots.

What things are in HTCondor's own terms:

* A host is a machine with its startd, which reports to the collector by itself: nothing adds it. A machine on its way
  is announced there by an ad of ours (:mod:`.notes`).
* Our hold is a setting of the startd that its START expression asks for. It can be undone while jobs run, it is
  readable in the machine's ad, and an ad that shows both the mark and no slot in use is proof: the startd that wrote
  it takes no job from then on. ``condor_drain`` ends jobs unless told otherwise in the worker's configuration and in
  the job's, and ``condor_off -peaceful`` cannot be taken back while jobs run: it ends a host's life in :meth:`remove`.
* A queue is a schedd, or what an attribute of jobs says; an account is an accounting group.

``docs/schedulers/htcondor.md`` has the site's side.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dynamiccluster.errors import BadConfigError, BusyError, DynamicClusterError, NotFoundError, TransientError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_address, require_host_name
from dynamiccluster.kit.runner import Runner
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.htcondor import hosts_parse, jobs_parse
from dynamiccluster.schedulers.htcondor.ads_parse import ads, text
from dynamiccluster.schedulers.htcondor.calls import CondorCalls
from dynamiccluster.schedulers.htcondor.classads import Evaluator, find_classad
from dynamiccluster.schedulers.htcondor.hosts_parse import HOLD, NOTE, Machines, parse_machines, with_lost
from dynamiccluster.schedulers.htcondor.jobs_parse import LOST, Reading, parse_jobs
from dynamiccluster.schedulers.htcondor.names_parse import HostNames
from dynamiccluster.schedulers.htcondor.notes import announcement, obituary, withdrawal
from dynamiccluster.schedulers.htcondor.offers import AttributeValue, Offers

log = logging.getLogger(__name__)

_JOB_ID = re.compile(r"\d+(\.\d+)?")
_MARK = re.compile(r"[A-Za-z0-9._:-]+")
_BATCH = 200
"""Job ids per command: a request of a few kilobytes."""

_NOT_RUNNING = ("not running to be vacated", "Couldn't find/", "not found")
_GONE = ("Couldn't find/", "not found", "already marked for removal", "not in `X' state")
_NOT_THERE = ("Failed to set attribute", "No attributes were set")

_SLOTS = '(MyType == "Machine" && DynamicSlot =!= True)'
_ALL = f'{_SLOTS} || MyType == "{NOTE}" || MyType == "Collector"'


class HtcondorScheduler:
    """Implements ``schedulers/base``. Its user must be an administrator of the pool's and a queue superuser.

    ``bin_dir``, ``command_prefix``, ``condor_config``, ``pool``, ``schedd``, ``timeout_s``: see
    :class:`~.calls.CondorCalls`. ``queue_attribute``: of jobs, that names their queue. ``feature_attributes``: of
    machines, that count as features beside those of resources. ``machine_attributes``: by resource, what the ads of
    its machines will have beyond that. ``silent_s``: see :func:`~.hosts_parse.parse_machines`; a startd reports every
    300 s. ``settle_s``: for so long after its collector was started again a pool is not believed to be complete.
    ``find_evaluator``: looked for when first needed.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        cluster_id: str,
        *,
        bin_dir: str = "",
        command_prefix: Sequence[str] = (),
        condor_config: str = "",
        pool: str = "",
        schedd: str = "",
        timeout_s: float = 30.0,
        queue_attribute: str = "",
        feature_attributes: Sequence[str] = (),
        machine_attributes: Mapping[str, Mapping[str, AttributeValue]] | None = None,
        silent_s: float = 660.0,
        settle_s: float = 330.0,
        serve_unknown: bool = False,
        find_evaluator: Callable[[], Evaluator] = lambda: Evaluator(find_classad()),
    ) -> None:
        self._clock = clock
        self._mark_prefix = f"dynamiccluster:{cluster_id}:"
        self._calls = CondorCalls(
            runner,
            bin_dir=bin_dir,
            prefix=command_prefix,
            condor_config=condor_config,
            pool=pool,
            schedd=schedd,
            timeout_s=timeout_s,
        )
        self._queue_attribute = queue_attribute
        self._feature_attributes = frozenset(feature_attributes)
        self._machine_attributes = machine_attributes or {}
        self._silent_s = silent_s
        self._settle_s = settle_s
        self._serve_unknown = serve_unknown
        self._find_evaluator = find_evaluator
        self._evaluator: Evaluator | None = None
        self._offers = Offers((), self._machine_attributes)
        self._collector_began_at = 0.0
        self._heard_at = 0.0  # on the collector's clock: when it last heard of anybody
        self._restarted = float("-inf")  # on the monotonic clock: when a collector was seen to have been started again
        self._told: dict[str, tuple[str, float]] = {}  # by host: the mark set last, and when its ad before was heard
        self._puzzling: set[str] = set()  # reasons already logged

    def poll(self) -> SchedulerView:
        started_at = self._clock.now()
        machines = self._machines(_ALL)
        self._require_settled(machines)
        output = self._calls.ask_schedd("-json", "-attributes", self._job_attributes())
        try:
            queue = parse_jobs(output, self._reading(machines))
        except ValueError as error:
            raise TransientError(f"condor_q: {error}") from error
        self._require_known(machines, queue.jobs)
        for reason in queue.unknown_reasons - self._puzzling:
            self._puzzling.add(reason)
            log.warning("unknown reason of rejection %r: its jobs are taken to wait for nodes", reason)
        hosts = with_lost((self._as_told(machines, host) for host in machines.hosts), queue.jobs)
        return SchedulerView(started_at, self._clock.now(), queue.jobs, hosts, dropped=machines.dropped + queue.dropped)

    def declare(self, resources: Sequence[Resource]) -> None:
        """HTCondor takes jobs of every shape. What the resources are like is kept, for Requirements."""
        self._offers = Offers(resources, self._machine_attributes)

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        _require_name(host_name)
        if address:
            address = require_address(address)
        machines = self._machines_of(host_name)
        if host_name in machines.machine:
            return
        self._calls.advertise("UPDATE_AD_GENERIC", announcement(host_name, address))

    def hold(self, host_name: str, mark: str) -> None:
        if not _MARK.fullmatch(mark):
            raise BadConfigError(f"{mark[:100]!r} cannot be a mark")
        machines, host = self._existing(host_name)
        if host.hold is not None:
            if host.hold.mark == mark:
                return
            raise BusyError(f"{host_name} is held by {host.hold.who or 'somebody'}: {host.hold.mark}")
        if host_name not in machines.prepared:
            raise BadConfigError(
                f"{host_name} cannot be held: its startd does not have the setting {HOLD} "
                "(docs/schedulers/htcondor.md, the worker's image)"
            )
        self._told[host_name] = mark, machines.heard[host_name]
        self._calls.set_hold(machines.daemon[host_name], mark)

    def release(self, host_name: str, mark: str) -> None:
        machines, host = self._existing(host_name)
        if host.hold is None:
            return
        if host.hold.mark != mark:
            raise BusyError(f"{host_name} is held by {host.hold.who or 'somebody'}: {host.hold.mark}")
        self._told[host_name] = "", machines.heard[host_name]
        self._calls.set_hold(machines.daemon[host_name], "")

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        """The jobs are told to end, may take their time for that (``MachineMaxVacateTime``), and wait again."""
        for batch in _batches(self._still_on(host_name, job_ids)):
            self._calls.tell_about_jobs("condor_vacate_job", *batch, harmless=_NOT_RUNNING)

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        """A job on a dead machine is started again when its lease ends (``JobLeaseDuration``, 40 minutes unless the
        site or the job says otherwise): nothing makes HTCondor believe earlier that it runs no more. Until then it is
        marked by an attribute and shown as waiting for that. The machine's own ads are withdrawn."""
        for batch in _batches(self._still_on(host_name, job_ids)):
            if delete_jobs:
                self._calls.tell_about_jobs("condor_rm", *batch, harmless=_GONE)
                self._calls.tell_about_jobs("condor_rm", "-forcex", *batch, harmless=_GONE)
            else:
                words = (*batch, LOST, f'"{host_name}"')
                self._calls.tell_about_jobs("condor_qedit", *words, harmless=_NOT_THERE)
                self._calls.tell_about_jobs("condor_vacate_job", "-fast", *batch, harmless=_NOT_RUNNING)
        machines = self._machines_of(host_name)
        if host_name in machines.machine:
            self._forget(machines.machine[host_name])
            self._calls.advertise("INVALIDATE_ADS_GENERIC", withdrawal(host_name))

    def remove(self, host_name: str) -> None:
        """A machine of which its own ad does not prove that no job is there is asked for at the schedd as well: the
        collector may have been started again, or not hear of it any more."""
        machines = self._machines_of(host_name)
        host = self._of_one_machine(machines, host_name)
        if host is None and machines.dropped:
            raise TransientError(f"whether {host_name} has jobs cannot be seen: {machines.dropped[0]}")
        machine = machines.machine.get(host_name)
        if host is None or machine is None or not self._is_free(machines, host):
            self._require_no_jobs(host_name)
        if host is None:
            return
        if machine is not None:
            try:
                self._calls.switch_off(machine)
            except DynamicClusterError as error:  # it ends with its machine, which is about to be terminated
                log.info("%s could not be switched off before its end: %s", host_name, error)
            self._forget(machine)
        self._calls.advertise("INVALIDATE_ADS_GENERIC", withdrawal(host_name))

    def unstick(self, job_ids: Sequence[str]) -> None:
        """HTCondor gives up on no job: there is none to be unstuck."""

    def find(self, host_name: str) -> Host | None:
        return next((host for host in self._machines_of(host_name).hosts if host.name == host_name), None)

    def _machines_of(self, host_name: str) -> Machines:
        """The ads of one machine, whatever its domain."""
        _require_name(host_name)
        pattern = host_name.replace(".", "[.]")  # all that a host name has of a pattern; a backslash would be doubled
        return self._machines(
            f'({_SLOTS} || MyType == "{NOTE}") && (Machine == "{host_name}" || regexp("^{pattern}[.]", Machine))'
        )

    def _machines(self, constraint: str) -> Machines:
        features = sorted(self._offers.attributes | self._feature_attributes)
        wanted = ",".join((*hosts_parse.ATTRIBUTES, *features))
        output = self._calls.ask_collector("-any", "-json", "-constraint", constraint, "-attributes", wanted)
        try:
            machines = parse_machines(output, self._is_ours, features, self._silent_s, self._heard_at)
        except ValueError as error:
            raise TransientError(f"condor_status: {error}") from error
        self._heard_at = machines.heard_at
        return machines

    def _is_ours(self, mark: str) -> bool:
        return mark.startswith(self._mark_prefix)

    def _as_told(self, machines: Machines, host: Host) -> Host:
        """The collector hears of a hold, or its end, one or two seconds later. Until then what it shows of the host is
        of before, and nothing is known of it."""
        mark, heard_at = self._told.get(host.name, ("", 0.0))
        shown = host.hold.mark if host.hold is not None else ""
        if shown != mark and machines.heard.get(host.name) == heard_at:
            return replace(
                host, state=HostState.UNKNOWN, detail="has not reported since it was told to hold or release"
            )
        self._told.pop(host.name, None)
        return host

    def _require_settled(self, machines: Machines) -> None:
        """A collector that was started again knows only the machines that have reported since; one that does not even
        list itself any more has not answered."""
        began_at = machines.collector_began_at
        if self._collector_began_at and not began_at and not machines.hosts:
            raise TransientError("condor_status lists nothing, not even the collector itself")
        if self._collector_began_at and began_at > self._collector_began_at:
            self._restarted = self._clock.monotonic()
        self._collector_began_at = began_at or self._collector_began_at
        age_s = self._clock.monotonic() - self._restarted
        if age_s < self._settle_s:
            raise TransientError(f"the collector was started {age_s:.0f} s ago and does not know all machines yet")

    def _require_known(self, machines: Machines, jobs: Sequence[Job]) -> None:
        """A young collector that lacks machines with jobs was not there before these, and lacks others, too."""
        began_at, now = machines.collector_began_at, self._clock.now()
        if not began_at or now - began_at >= self._settle_s:
            return
        known = {host.name for host in machines.hosts}
        lacking = {name for job in jobs for name in job.hosts} - known
        if lacking:
            age_s = now - began_at
            raise TransientError(
                f"the collector was started {age_s:.0f} s ago: it lacks {min(lacking)}, which has jobs"
            )

    def _reading(self, machines: Machines) -> Reading:
        if self._evaluator is None:
            self._evaluator = self._find_evaluator()
        return Reading(
            self._evaluator,
            self._offers,
            machines.names,
            frozenset(host.name for host in machines.hosts if host.state is HostState.UP),
            self._queue_attribute,
            self._serve_unknown,
            self._clock.now(),
        )

    def _job_attributes(self) -> str:
        own = (self._queue_attribute,) if self._queue_attribute else ()
        return ",".join((*jobs_parse.ATTRIBUTES, *own))

    def _existing(self, host_name: str) -> tuple[Machines, Host]:
        machines = self._machines_of(host_name)
        host = self._of_one_machine(machines, host_name)
        if host is None or host_name not in machines.machine:
            raise NotFoundError(f"HTCondor has no machine {host_name}")
        return machines, host

    @staticmethod
    def _of_one_machine(machines: Machines, host_name: str) -> Host | None:
        """:raises TransientError: several machines have this name."""
        host = next((host for host in machines.hosts if host.name == host_name), None)
        if host is not None and host_name in machines.names.shared:
            raise TransientError(f"{host_name}: {host.detail}")
        return host

    def _still_on(self, host_name: str, job_ids: Sequence[str]) -> list[str]:
        """Those of the jobs that the schedd has on this machine now."""
        _require_name(host_name)
        wanted = {job_id for job_id in job_ids if _JOB_ID.fullmatch(job_id)}
        if len(wanted) < len(set(job_ids)):
            raise BadConfigError(f"odd job ids among {', '.join(job_ids)[:200]!r}")
        return [job_id for job_id in self._running_on(host_name) if job_id in wanted] if wanted else []

    def _require_no_jobs(self, host_name: str) -> None:
        """:raises BusyError: the schedd has jobs there, but for such as wait for their lease on a dead machine."""
        there = [job_id for job_id, lost in self._running_on(host_name).items() if lost != host_name]
        if there:
            raise BusyError(f"{host_name} has jobs: {', '.join(there[:5])}")

    def _running_on(self, host_name: str) -> dict[str, str]:
        """The jobs that the schedd has on this machine now, each with the machine that it was lost on."""
        names = ("ClusterId", "ProcId", "RemoteHost", "RemoteHosts", "AllRemoteHosts")
        there = {}
        hosts = HostNames()
        output = self._calls.ask_schedd(
            "-json", "-constraint", "RemoteHost isnt undefined", "-attributes", ",".join((*names, LOST))
        )
        try:
            for ad in ads(output):
                if isinstance(ad, ValueError):
                    continue
                slots = ",".join(text(ad, name) for name in names[2:]).split(",")
                if host_name in {hosts.of_slot(slot) for slot in slots if slot}:
                    there[f"{ad.get('ClusterId')}.{ad.get('ProcId')}"] = text(ad, LOST)
        except ValueError as error:
            raise TransientError(f"condor_q: {error}") from error
        return there

    def _is_free(self, machines: Machines, host: Host) -> bool:
        """Whether the machine itself says that no job runs there, and none can start before it is gone.

        :raises BusyError: it says the contrary.
        """
        if host.busy:
            raise BusyError(f"{host.name} has jobs ({host.detail})")
        if host.state is not HostState.UP:
            return False
        if host.hold is not None:
            return True
        try:
            self._calls.set_hold(machines.daemon[host.name], f"{self._mark_prefix}removal")
            wanted = ",".join(hosts_parse.ATTRIBUTES)
            output = self._calls.ask_collector("-direct", machines.machine[host.name], "-json", "-attributes", wanted)
            direct = parse_machines(output, self._is_ours).hosts
        except (DynamicClusterError, ValueError) as error:
            log.info("%s does not answer before its end: %s", host.name, error)
            return False
        if any(found.busy for found in direct):
            self._calls.set_hold(machines.daemon[host.name], "")
            raise BusyError(f"a job has just started on {host.name}")
        return bool(direct)

    def _forget(self, machine: str) -> None:
        """Have the collector forget a machine that will not do so itself."""
        for kind in ("Machine", "StartD"):
            self._calls.advertise("INVALIDATE_STARTD_ADS", obituary(machine, kind))
        self._calls.advertise("INVALIDATE_MASTER_ADS", obituary(machine, "DaemonMaster"))


def _require_name(host_name: str) -> None:
    require_host_name(host_name)


def _batches(job_ids: Sequence[str]) -> list[Sequence[str]]:
    return [job_ids[at : at + _BATCH] for at in range(0, len(job_ids), _BATCH)]
