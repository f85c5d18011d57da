"""Slurm 22.05 and later, with dynamic nodes.

What a host is in Slurm's own terms:

* A worker node to come is created as a dynamic node in state FUTURE: Slurm gives it no jobs until its ``slurmd -Z``
  registers, which makes it an ordinary node. (A node created in state CLOUD gets jobs while it does not exist.)
* Templates are FUTURE nodes that never register. They make ``sbatch`` accept shapes that no node has yet, and keep
  waiting jobs from falling to BadConstraints when the last node of their shape goes. There are as many per shape as
  a resource has nodes at most, since a job of four nodes is refused where only three of its shape are known.
* Our hold is DRAIN with our mark as its reason.
* Nodes of resources that Slurm provisions itself (power saving) stand in ``slurm.conf`` for ever; see ``power``.
* Where a partition consists of a node set with a feature (``NodeSet=long Feature=queue_long``), a node serves it by
  having that feature; partitions with ``Nodes=ALL`` take every node.

``docs/schedulers/slurm.md`` has the site's side.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterable, Sequence

from dynamiccluster.errors import BadConfigError, BusyError, NotFoundError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_address, require_host_name
from dynamiccluster.kit.runner import Runner
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.resource import Provisioning, Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.slurm.calls import SlurmCalls
from dynamiccluster.schedulers.slurm.hindrances import Hindrances
from dynamiccluster.schedulers.slurm.jobs_parse import output_format, parse_jobs
from dynamiccluster.schedulers.slurm.nodes import NodeAttributes, Templates
from dynamiccluster.schedulers.slurm.nodes_parse import (
    Config,
    Nodes,
    Partitions,
    parse_config,
    parse_nodes,
    parse_partitions,
)
from dynamiccluster.schedulers.slurm.power import SlurmPower
from dynamiccluster.schedulers.slurm.reasons import STUCK_REASON
from dynamiccluster.schedulers.slurm.shape_parse import kinds_of

log = logging.getLogger(__name__)

_JOB_ID = re.compile(r"\d+(_(\d+|\[[\d,:%-]*\]))?(\+\d+)?")
_MARK = re.compile(r"[A-Za-z0-9._:-]+")
_BATCH = 200
"""Job ids per command: a request of a few kilobytes."""

_NOT_NOW = {
    "PLANNED": "the backfill scheduler has it in its plan until its next round; deleted now, it would end slurmctld",
    "RESERVED": "it is in a reservation that is in force, and Slurm does not delete such a node",
}
"""Flags of nodes that cannot be deleted at the moment. Seen with 22.05.8: when the backfill scheduler takes PLANNED off
a node that is there no more, slurmctld dies (``_handle_planned`` in ``backfill.c``). No held node is planned again."""

_GONE = ("Invalid job id", "already completed", "already finished")
_PARTLY_GONE = (*_GONE, "already completing", "No error")
"""Said line by line of an array of which some tasks are over: ``6_2-3: No error`` (seen)."""

_NOT_RUNNING = (*_GONE, "pending execution", "presently disabled", "not running")
"""What ``requeue`` says of jobs that are gone, wait already, or may not be rerun."""


def _new_token() -> str:
    return f"~{secrets.token_hex(6)}~"


class SlurmScheduler:
    """Implements ``schedulers/base``. Its user must be SlurmUser, root, or an administrator of Slurm's.

    ``command_prefix`` stands before every command (``sudo -n -u slurm``). ``timeout_s``: of one command;
    ``scontrol delete`` was seen to block for 8 s while Slurm talked to a dead node, and all commands for 9 s when
    slurmctld is down. ``template_limit``: at most so many templates per shape. ``queue_feature_prefix``: with the
    name of a partition, the feature that makes a node serve it. ``reservation_lead_s``: a job is served if it could
    end before a reservation begins even when its nodes take so long to come. ``comments``: polls read the
    administrators' comments of jobs. ``new_token`` makes the separator of
    columns, which must be unpredictable to users.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        cluster_id: str,
        *,
        squeue: Sequence[str] = ("squeue",),
        scontrol: Sequence[str] = ("scontrol",),
        scancel: Sequence[str] = ("scancel",),
        command_prefix: Sequence[str] = (),
        slurm_conf: str = "",
        timeout_s: float = 30.0,
        template_prefix: str = "dc-template",
        template_limit: int = 256,
        queue_feature_prefix: str = "queue_",
        reservation_lead_s: float = 300.0,
        comments: bool = False,
        new_token: Callable[[], str] = _new_token,
    ) -> None:
        self._clock = clock
        self._mark_prefix = f"dynamiccluster:{cluster_id}:"
        self._template_prefix = template_prefix
        self._queue_feature_prefix = queue_feature_prefix
        self._comments = comments
        self._new_token = new_token
        self._calls = SlurmCalls(
            runner,
            squeue=squeue,
            scontrol=scontrol,
            scancel=scancel,
            prefix=command_prefix,
            slurm_conf=slurm_conf,
            timeout_s=timeout_s,
        )
        self._hindrances = Hindrances(self._calls, reservation_lead_s)
        self._templates = Templates(self._calls, self._nodes, template_prefix, template_limit)
        self._power = SlurmPower(self._calls, self._nodes)
        self._site: tuple[Config, Partitions] | None = None
        self._puzzling: set[str] = set()  # reasons already logged

    def poll(self) -> SchedulerView:
        started_at = self._clock.now()
        config, partitions = self._known_site()
        nodes = self._nodes()
        token = self._new_token()
        text = self._calls.ask_jobs("-h", "-a", "--noconvert", "-O", output_format(token, self._comments))
        try:
            kinds, now = kinds_of(nodes.hosts), self._clock.now()
            queue = parse_jobs(text, token, kinds, config.memory_counts, partitions.max_nodes, now, self._comments)
        except ValueError as error:
            raise TransientError(f"squeue: {error}") from error
        seen = self._hindrances.look(queue, nodes.hosts, config, partitions, now)
        for reason in queue.unknown_reasons - self._puzzling:
            self._puzzling.add(reason)
            log.warning("unknown pending reason %r: its jobs are taken to wait for nodes", reason)
        return SchedulerView(
            started_at,
            self._clock.now(),
            seen.jobs,
            seen.hosts,
            stale_facets=seen.stale,
            dropped=nodes.dropped + queue.dropped,
        )

    def declare(self, resources: Sequence[Resource]) -> None:
        self._site = None
        config, partitions = self._known_site()
        ours = [resource for resource in resources if resource.provisioning is Provisioning.DEMAND]
        shapes = [(self._attributes(resource, partitions), resource.max_nodes) for resource in ours]
        self._templates.provide(shapes, config.max_node_count)
        self._power.require([resource for resource in resources if resource not in ours], self._nodes())

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        _require_node_name(host_name)
        if resource.provisioning is Provisioning.SCHEDULER:
            self._move(self._switched(host_name), require_address(address) if address else "")
            return
        wanted = self._attributes(resource, self._known_site()[1])
        if address:
            address = require_address(address)
        host = self.find(host_name)
        if host is not None and not host.busy and host.state in (HostState.DOWN, HostState.JOINING):
            if _is(host, wanted):
                self._move(host, address)
                return
            self._delete(host)  # left over from before, and nothing runs there
            host = None
        if host is None:
            self._calls.create([host_name], *wanted.words(), *_at(address))
            if self.find(host_name) is None:
                raise BadConfigError(f"Slurm did not create {host_name}: is MaxNodeCount in slurm.conf too small?")
            return
        if host.address != host_name:
            self._move(host, address)
        if host.features != wanted.features:
            words = ",".join(sorted(wanted.features))
            self._calls.tell("update", f"nodename={host_name}", f"availablefeatures={words}", f"activefeatures={words}")
            self._templates.refresh_partitions()

    def hold(self, host_name: str, mark: str) -> None:
        _require_mark(mark)
        host = self._existing(host_name)
        if host.hold is not None:
            if host.hold.mark == mark:
                return
            raise BusyError(f"{host_name} is held by {host.hold.who or 'somebody'}: {host.hold.mark}")
        self._calls.tell("update", f"nodename={host_name}", "state=DRAIN", f"reason={mark}")

    def release(self, host_name: str, mark: str) -> None:
        host = self._existing(host_name)
        if host.hold is None:
            return  # UNDRAIN on a node that is not drained makes it NOT_RESPONDING for some seconds
        if host.hold.mark != mark:
            raise BusyError(f"{host_name} is held by {host.hold.who or 'somebody'}: {host.hold.mark}")
        self._calls.tell("update", f"nodename={host_name}", "state=UNDRAIN")

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        """Requeued jobs get two minutes of waiting from Slurm, once they have ended on the host. Until then it cannot
        be lifted, so those jobs are shown as ``stuck`` when they wait, and :meth:`unstick` lifts it."""
        for batch in _batches(self._still_on(host_name, job_ids)):
            self._requeue(batch)

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        """A dead host keeps its jobs COMPLETING until Slurm believes it dead: state DOWN says so."""
        for batch in _batches(self._still_on(host_name, job_ids)):
            if delete_jobs:
                self._calls.cancel(batch, _GONE)
            else:
                self._requeue(batch)
        host = self.find(host_name)
        if host is not None and not host.template and (host.state is not HostState.DOWN or host.busy):
            reason = host.hold.mark if host.hold is not None and host.hold.mark else f"{self._mark_prefix}dead"
            self._calls.tell("update", f"nodename={host_name}", "state=DOWN", f"reason={reason}")

    def remove(self, host_name: str) -> None:
        _require_node_name(host_name)
        nodes = self._nodes()
        host = next((host for host in nodes.hosts if host.name == host_name), None)
        if host is None and nodes.dropped:  # its own record may be the one that cannot be read, jobs and all
            raise TransientError(f"whether {host_name} has jobs cannot be seen: {nodes.dropped[0]}")
        if host is None:
            return
        if host.power is not None:
            self.withdraw([host_name], f"{self._mark_prefix}removed")
            return
        if host.busy:
            raise BusyError(f"{host_name} has jobs ({host.detail})")
        if host.name in nodes.declared:
            raise BadConfigError(
                f"{host_name} stands in slurm.conf: deleting it would end slurmctld at the next reconfiguration"
            )
        self._templates.keep_shape(host, nodes, self._anybody_waits)
        self._delete(host)

    def withdraw(self, host_names: Sequence[str], mark: str) -> None:
        _require_mark(mark)
        self._power.withdraw(host_names, mark)

    def offer(self, host_names: Sequence[str]) -> None:
        self._power.offer(host_names)

    def unstick(self, job_ids: Sequence[str]) -> None:
        for batch in _batches(job_ids):
            try:
                text = self._calls.ask_jobs(
                    "-h", "-a", "-t", "PENDING", "-j", ",".join(batch), "-O", "JobArrayID:|,Reason:|"
                )
            except NotFoundError:
                continue
            waiting = [line.split("|") for line in text.splitlines() if "|" in line]
            given_up = [_plain_id(shown) for shown, reason, *_ in waiting if reason == STUCK_REASON]
            late = [_plain_id(shown) for shown, reason, *_ in waiting if reason != STUCK_REASON]
            if given_up:
                self._calls.tell_about_jobs(("release", ""), given_up, _GONE)
            if late:
                self._calls.tell_about_jobs(("update", "starttime=now", "jobid="), late, _GONE)

    def tell_reason(self, text: str, job_ids: Sequence[str]) -> None:
        for batch in _portions(map(_told_id, job_ids)):
            self._calls.tell_about_jobs(("update", f"admincomment={text}", "jobid="), batch, _PARTLY_GONE)

    def find(self, host_name: str) -> Host | None:
        _require_node_name(host_name)
        try:
            text = self._calls.ask("-F", "-o", "show", "node", host_name)
            hosts = self._parsed(text).hosts
        except NotFoundError:
            return None
        return hosts[0] if hosts else None

    def _nodes(self) -> Nodes:
        return self._parsed(self._calls.ask("-F", "-o", "show", "node"))

    def _parsed(self, text: str) -> Nodes:
        try:
            return parse_nodes(text, lambda mark: mark.startswith(self._mark_prefix), self._template_prefix)
        except ValueError as error:
            raise TransientError(f"scontrol show node: {error}") from error

    def _known_site(self) -> tuple[Config, Partitions]:
        """Slurm's own configuration, read once and again with each :meth:`declare`."""
        if self._site is None:
            config = parse_config(self._calls.ask("show", "config"))
            self._site = config, parse_partitions(self._calls.ask("-o", "-a", "show", "partition"))
        return self._site

    def _attributes(self, resource: Resource, partitions: Partitions) -> NodeAttributes:
        """How a node of this resource is described to Slurm."""
        queues = resource.queues or partitions.by_feature
        if resource.reservation.queue:
            queues = frozenset({resource.reservation.queue})
        words = {f"{self._queue_feature_prefix}{queue}" for queue in queues}
        if resource.reservation.property:
            words.add(resource.reservation.property)
        return NodeAttributes(resource.capacity, resource.gpu_type, resource.features | words)

    def _move(self, host: Host, address: str) -> None:
        """Have Slurm look for the node there; not by making it anew, as its daemon may report in at any moment."""
        if address and host.address != address:
            self._calls.tell("update", f"nodename={host.name}", f"nodeaddr={address}")

    def _requeue(self, batch: Sequence[str]) -> None:
        self._calls.tell_about_jobs(("requeue", ""), batch, _NOT_RUNNING)

    def _still_on(self, host_name: str, job_ids: Sequence[str]) -> list[str]:
        """Those of the jobs that Slurm has on this host now."""
        _require_node_name(host_name)
        wanted = [_plain_id(job_id) for job_id in job_ids]
        if not wanted:
            return []
        try:
            text = self._calls.ask_jobs("-h", "-a", "-w", host_name, "-O", "JobArrayID:|")
        except NotFoundError:
            return []
        there = {line.partition("|")[0].partition("+")[0] for line in text.splitlines()}
        return [job_id for job_id in wanted if job_id in there]

    def _anybody_waits(self) -> bool:
        return bool(self._calls.ask_jobs("-h", "-a", "-t", "PENDING", "-O", "JobID").strip())

    def _switched(self, host_name: str) -> Host:
        """A node that Slurm's power saving switches."""
        host = self.find(host_name)
        if host is None or host.power is None:
            raise BadConfigError(f"{host_name} is not a node of slurm.conf with State=CLOUD (or PrivateData hides it)")
        return host

    def _existing(self, host_name: str) -> Host:
        host = self.find(host_name)
        if host is None or host.template:
            raise NotFoundError(f"Slurm has no node {host_name}")
        return host

    def _delete(self, host: Host) -> None:
        """``host`` as it was seen a moment ago."""
        flags = host.detail.partition(":")[0].split("+")
        for flag, why in _NOT_NOW.items():
            if flag in flags:
                raise TransientError(f"{host.name} is not deleted yet: {why}")
        try:
            self._calls.tell("delete", f"nodename={host.name}")
        except NotFoundError:
            return
        except UnknownOutcomeError:
            if self.find(host.name) is not None:
                raise


def _require_node_name(name: str) -> None:
    """:raises BadConfigError: Slurm would take it for something else than the name of one node."""
    require_host_name(name)
    if name.upper() in ("ALL", "DEFAULT"):
        raise BadConfigError(f"{name!r} cannot be the name of a node")


def _require_mark(mark: str) -> None:
    if not _MARK.fullmatch(mark):
        raise BadConfigError(f"{mark[:100]!r} cannot be a mark")


def _batches(job_ids: Sequence[str]) -> list[list[str]]:
    """Checked ids in portions; components of one heterogeneous job are one job to most commands."""
    return _portions(_plain_id(job_id) for job_id in job_ids)


def _portions(words: Iterable[str]) -> list[list[str]]:
    each = list(dict.fromkeys(words))
    return [each[at : at + _BATCH] for at in range(0, len(each), _BATCH)]


def _plain_id(job_id: str) -> str:
    return _checked_id(job_id).partition("+")[0]


def _told_id(job_id: str) -> str:
    """A component by itself; what waits of an array by the id of the array."""
    return _checked_id(job_id).partition("_")[0] if "[" in job_id else _checked_id(job_id)


def _checked_id(job_id: str) -> str:
    if not _JOB_ID.fullmatch(job_id):
        raise BadConfigError(f"{job_id[:100]!r} is not the id of a job")
    return job_id


def _is(host: Host, wanted: NodeAttributes) -> bool:
    """Whether a node that is not running is described as we would describe it, its address apart."""
    return host.total == wanted.capacity and host.features == wanted.features and host.gpu_type == wanted.gpu_type


def _at(address: str) -> tuple[str, ...]:
    return (f"nodeaddr={address}",) if address else ()
