"""Torque 4.2 and 6.1, with Maui, Moab or its own ``pbs_sched``; and OpenPBS as a dialect of it.

What things are in Torque's own terms:

* A worker node is a node record that ``qmgr`` creates. Its name must resolve by then. It takes jobs when its MOM has
  reported in; for its first 10 to 12 s the server tells nobody of it.
* Our hold is ``offline`` with our mark as the first word of the node's note; what stood there before stays behind it.
  A node that somebody else put offline, with or without a note, is theirs.
* A queue or account reservation is Maui's (``setres -q``, ``setres -a``), a property is the node's. Until Maui knows
  the node it cannot be reserved, so it is held meanwhile, and not shown.
* Placeholders (``placeholders.py``) make the server accept jobs of shapes that no node has yet.
* ``delete node`` is never given for a node that lists jobs: 6.1.3 then blocks for minutes and ends them, 4.2.10
  leaves jobs that run nowhere (both seen).

Per poll: one ``pbsnodes``, one ``qstat``, and one ``diagnose -p`` where there is Maui and somebody waits. Once a minute
``qstat -Q -f`` tells which queues are stopped or limited. ``docs/schedulers/torque.md`` has the site's side.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from dynamiccluster.errors import (
    BadConfigError,
    BusyError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.kit.runner import Runner
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.torque.calls import TorqueCalls
from dynamiccluster.schedulers.torque.commands import Commands
from dynamiccluster.schedulers.torque.dialects import NodeAttributes, dialect_named
from dynamiccluster.schedulers.torque.jobs_parse import Asked, Queue
from dynamiccluster.schedulers.torque.marks import Note, require_mark
from dynamiccluster.schedulers.torque.maui import Maui
from dynamiccluster.schedulers.torque.maui_parse import alone_on
from dynamiccluster.schedulers.torque.nodes_parse import Node, Nodes
from dynamiccluster.schedulers.torque.placeholders import Placeholders
from dynamiccluster.schedulers.torque.queues_parse import QueueFacts, apply_queues, parse_queues
from dynamiccluster.schedulers.torque.unsticking import Unsticking, require_job_ids
from dynamiccluster.schedulers.torque.waiting import estimate_priorities, mark_stuck, plain_id, settle_named

log = logging.getLogger(__name__)

_QUEUES_S = 60.0
"""How long what is known of the queues is believed."""

_KNOWN_S = 20.0
"""A job younger than this may not have been seen by Maui yet (RMPOLLINTERVAL is 10 to 30 s)."""


class TorqueScheduler:
    """Implements ``schedulers/base``. Its user must be a manager of the server's, and an ADMIN1 of Maui's.

    ``timeout_s``: of one command; ``maui_timeout_s``: of one of Maui's. ``exact_nodes``: ``nodes=2`` means two hosts,
    as ``pbs_sched`` and Maui's ``JOBNODEMATCHPOLICY EXACTNODE`` have it. ``vacate_signal``: sent to the jobs of a host
    that is vacated, which then see to themselves; empty: they are put back into the queue. ``template_limit``: at most
    so many placeholders per shape, 0: none. ``resolve``: makes the name of a placeholder known, with its address.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        cluster_id: str,
        *,
        commands: Commands | None = None,
        dialect: str = "torque",
        timeout_s: float = 30.0,
        maui_timeout_s: float = 10.0,
        exact_nodes: bool = True,
        vacate_signal: str = "",
        template_prefix: str = "dc-template",
        template_limit: int = 256,
        resolve: Callable[[str, str], None] | None = None,
    ) -> None:
        commands = commands or Commands()
        self._clock = clock
        self._mark_prefix = f"dynamiccluster:{cluster_id}:"
        self._dialect = dialect_named(dialect)
        self._template_prefix = template_prefix
        self._exact_nodes = exact_nodes
        self._vacate_signal = vacate_signal
        self._calls = TorqueCalls(
            runner,
            commands,
            timeout_s=timeout_s,
            job_options=self._dialect.job_options,
            job_options_refused=self._dialect.job_options_refused,
            node_options=self._dialect.node_options,
            one_node_options=self._dialect.one_node_options,
        )
        self._maui = Maui(runner, clock, commands, timeout_s=min(timeout_s, maui_timeout_s))
        self._unsticking = Unsticking(self._maui)
        self._placeholders = Placeholders(
            self._calls,
            self._dialect,
            self._nodes,
            prefix=template_prefix,
            limit=template_limit,
            mark=f"{self._mark_prefix}placeholder",
            resolve=resolve,
        )
        self._queues: tuple[float, dict[str, QueueFacts]] = (float("-inf"), {})
        self._adding: set[str] = set()  # nodes that wait for their reservation
        self._addresses: dict[str, str] = {}  # that nodes had when they were added
        self._puzzling: set[str] = set()  # words already logged

    # -- looking -------------------------------------------------------------------------------------------------

    def poll(self) -> SchedulerView:
        started_at = self._clock.now()
        nodes = self._nodes()
        text = self._calls.ask_jobs()
        queues = self._known_queues()
        now = self._clock.now()
        with_maui = self._has_maui()
        somebody_waits = "<job_state>Q<" in text
        priorities = self._maui.priorities() if with_maui and somebody_waits else None
        comments = self._dialect.comments or not self._maui.present
        try:
            queue = self._dialect.parse_jobs(text, Asked(nodes.names, now, priorities, self._exact_nodes, comments))
        except ValueError as error:
            raise TransientError(f"qstat: {error}") from error
        self._log_puzzles(queue)
        if priorities is not None or not somebody_waits:
            self._unsticking.forget_listed(queue)
        hosts = self._hosts(nodes, queue)
        stale = with_maui and somebody_waits and priorities is None and self._maui.present
        return SchedulerView(
            started_at,
            self._clock.now(),
            tuple(self._settled(queue, queues, hosts, now)),
            tuple(hosts),
            ("priorities",) if stale else (),
            nodes.dropped + tuple(queue.dropped),
        )

    def find(self, host_name: str) -> Host | None:
        node = self._node(host_name)
        if node is None:
            return None
        host = self._host(node)
        if not self._has_maui() or host.template:
            return host
        try:
            words = [self._maui.node_state(host_name)]
            words += [f"reserved for {each.name}" for each in self._maui.reservations_of(host_name) if each.by_people]
        except DynamicClusterError as error:
            log.debug("Maui on %s: %s", host_name, error)
            return host
        return replace(host, detail=f"{host.detail} (Maui: {', '.join(word for word in words if word)})")

    # -- what the engine asks for --------------------------------------------------------------------------------

    def declare(self, resources: Sequence[Resource]) -> None:
        self._maui.look_again()
        self._queues = (float("-inf"), {})
        if self._placeholders.wanted:
            self._placeholders.provide([(NodeAttributes.of(resource), resource.max_nodes) for resource in resources])

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        _require_node_name(host_name)
        node = self._node(host_name)
        if node is not None and self._moved(node, address):  # the server keeps the address that the name had then
            if not node.offline and not node.unsent:
                self._close(node)
            self._delete(host_name)
            node = None
        if node is None:
            node = self._created(host_name, address)
            self._describe(node, resource)
            if node.offline and not node.unsent and not node.note:
                self._clear(host_name, "")  # 4.2.10 makes them so, and leaves them so (seen)
        else:
            self._describe(node, resource)
        self._adding.add(host_name)
        self._reserve(host_name, resource)
        self._adding.discard(host_name)
        self._placeholders.finish()

    def hold(self, host_name: str, mark: str) -> None:
        require_mark(mark)
        node = self._existing(host_name)
        if node.offline:
            if node.mark == mark:
                return
            raise BusyError(f"{host_name} is held by somebody: {node.note or 'without a note'}")
        note = Note.read(node.note)
        self._mark(host_name, self._dialect.hold(str(note.under(mark))))

    def release(self, host_name: str, mark: str) -> None:
        node = self._existing(host_name)
        note = Note.read(node.note)
        if not node.offline:
            if note.mark == mark:
                self._mark(host_name, self._dialect.release(note.rest)[-1:])
            return
        if note.mark != mark:
            raise BusyError(f"{host_name} is held by somebody: {node.note or 'without a note'}")
        if note.reservation:
            self._maui.reserve(*note.reservation, host_name)
        self._clear(host_name, note.rest)

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        for job_id in self._still_on(host_name, job_ids):
            if self._vacate_signal:
                self._calls.signal_job(job_id, self._vacate_signal)
                continue
            try:
                self._calls.requeue(job_id, dead=False)
            except BusyError as error:
                log.warning("job %s is left running: %s", job_id, error)

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        """Jobs that may not be rerun, or are just ending, can only be purged: nobody else will."""
        refused = list(job_ids) if delete_jobs else []
        if not delete_jobs:
            for job_id in self._still_on(host_name, job_ids):
                try:
                    self._calls.requeue(job_id, dead=True)
                except BusyError:
                    refused.append(job_id)
        for job_id in self._still_on(host_name, refused):
            self._calls.delete_job(job_id)

    def remove(self, host_name: str) -> None:
        _require_node_name(host_name)
        nodes = self._nodes()
        node = nodes.named(host_name)
        if node is None and nodes.dropped:
            raise TransientError(f"whether {host_name} has jobs cannot be seen: {nodes.dropped[0]}")
        if node is not None:
            _require_empty(node)
            self._placeholders.keep_shape(node, nodes, self._anybody_waits)
            if not node.offline and not node.unsent:
                self._close(node)
            self._end_reservations(host_name)
            self._delete(host_name)
        self._adding.discard(host_name)
        self._addresses.pop(host_name, None)

    def unstick(self, job_ids: Sequence[str]) -> None:
        self._unsticking.look_at(job_ids)

    # -- parts of a poll -----------------------------------------------------------------------------------------

    def _nodes(self) -> Nodes:
        return self._parsed(self._calls.ask_nodes())

    def _node(self, host_name: str) -> Node | None:
        _require_node_name(host_name)
        try:
            return self._parsed(self._calls.ask_nodes(host_name)).named(host_name)
        except NotFoundError:
            return None

    def _parsed(self, text: str) -> Nodes:
        try:
            return self._dialect.parse_nodes(text, self._template_prefix)
        except ValueError as error:
            raise TransientError(f"pbsnodes: {error}") from error

    def _has_maui(self) -> bool:
        return self._maui.present and self._dialect.picky

    def _known_queues(self) -> dict[str, QueueFacts]:
        """What the queues allow, from the last minute. Not to know it delays nothing else."""
        read_at, known = self._queues
        now = self._clock.now()
        if read_at <= now < read_at + _QUEUES_S:
            return known
        try:
            text = self._calls.ask_queues()
            known = parse_queues(text) if text is not None else {}
        except (DynamicClusterError, ValueError) as error:
            log.warning("limits of the queues are not known: %s", error)
        self._queues = (now, known)
        return known

    def _hosts(self, nodes: Nodes, queue: Queue) -> list[Host]:
        """Without the nodes that are still being added; of the placeholders one per shape."""
        shapes: set[str] = set()
        hosts: list[Host] = []
        for node in nodes.nodes:
            if node.name in self._adding:
                continue
            if node.template:
                shape = node.name.rpartition("-")[0]
                if shape in shapes:
                    continue
                shapes.add(shape)
            host = self._host(node)
            memory_mib = queue.memory_mib.get(node.name, 0)
            if memory_mib and node.taken is None:
                host = replace(host, used=host.used + Capacity(memory_mib=memory_mib))
            hosts.append(host)
        return hosts

    def _host(self, node: Node) -> Host:
        """With the address that its name had when we added it: the server keeps that, and does not show it."""
        host = node.host(lambda mark: mark.startswith(self._mark_prefix))
        address = self._addresses.get(node.name)
        return replace(host, address=address) if address else host

    def _settled(self, queue: Queue, queues: dict[str, QueueFacts], hosts: Sequence[Host], now: float) -> list[Job]:
        self._unsticking.block(queue.jobs)
        estimate_priorities(queue.jobs, queue.unlisted)
        jobs = apply_queues(queue.jobs, queues)
        settle_named(jobs, {host.name: host for host in hosts})
        mark_stuck(jobs, queue.unlisted, hosts, now, _KNOWN_S)
        return jobs

    def _log_puzzles(self, queue: Queue) -> None:
        for word in queue.unknown - self._puzzling:
            self._puzzling.add(word)
            log.warning("unknown %s", word)

    # -- parts of changes ----------------------------------------------------------------------------------------

    def _existing(self, host_name: str) -> Node:
        node = self._node(host_name)
        if node is None or node.template:
            raise NotFoundError(f"Torque has no node {host_name}")
        return node

    def _created(self, host_name: str, address: str) -> Node:
        self._calls.create(host_name)
        self._addresses[host_name] = address
        node = self._node(host_name)
        if node is None:
            raise TransientError(f"the server does not list {host_name} although it was created")
        return node

    def _moved(self, node: Node, address: str) -> bool:
        """Whether a record that nothing runs on may be of an earlier machine of this name."""
        return not node.jobs and node.state is not HostState.UP and self._addresses.get(node.name) != address

    def _describe(self, node: Node, resource: Resource) -> None:
        for attribute, operator, value in self._dialect.changes(NodeAttributes.of(resource), node):
            self._calls.set_node(node.name, attribute, operator, value)

    def _mark(self, host_name: str, steps: Sequence[tuple[str, ...]]) -> None:
        for options in steps:
            self._calls.mark_node(options, host_name)

    def _clear(self, host_name: str, note: str) -> None:
        self._mark(host_name, self._dialect.release(note))

    def _reserve(self, host_name: str, resource: Resource) -> None:
        """Have Maui keep other jobs away where the resource is reserved.

        :raises TransientError: Maui does not know the node yet; it is held offline as far as the server lets us.
        """
        wanted = resource.reservation
        option, name = ("-a", wanted.account) if wanted.account else ("-q", wanted.queue)
        if not name:
            return
        mark = f"{self._mark_prefix}{host_name}"
        try:
            self._maui.reserve(option, name, host_name)
        except TransientError:
            node = self._existing(host_name)
            if not node.offline and not node.unsent:
                note = Note(mark, (option, name), Note.read(node.note).rest)
                self._mark(host_name, self._dialect.hold(str(note)))
            raise
        node = self._existing(host_name)
        note = Note.read(node.note)
        if node.offline and note.mark == mark and note.reservation:
            self._clear(host_name, note.rest)

    def _close(self, node: Node) -> None:
        """Have no job start on it any more before it is deleted.

        :raises BusyError: one did before.
        """
        mark = f"{self._mark_prefix}{node.name}"
        self.hold(node.name, mark)
        try:
            _require_empty(self._existing(node.name))
        except BusyError:
            self.release(node.name, mark)
            raise

    def _end_reservations(self, host_name: str) -> None:
        """Those that are on this host alone go with it. A Maui that does not answer does not keep it from going."""
        if not self._has_maui():
            return
        try:
            self._maui.release(alone_on(self._maui.reservations(), host_name), host_name)
        except DynamicClusterError as error:
            log.warning("reservations of %s are not ended: %s", host_name, error)

    def _delete(self, host_name: str) -> None:
        try:
            self._calls.delete(host_name)
        except UnknownOutcomeError:
            if self._node(host_name) is not None:
                raise

    def _still_on(self, host_name: str, job_ids: Sequence[str]) -> list[str]:
        """Those of the jobs that the server has on this host now."""
        wanted = list(dict.fromkeys(plain_id(job_id) for job_id in require_job_ids(job_ids)))
        node = self._node(host_name) if wanted else None
        return [job_id for job_id in wanted if node is not None and job_id in node.jobs]

    def _anybody_waits(self) -> bool:
        return "<job_state>Q" in self._calls.ask_jobs()


def _require_node_name(name: str) -> str:
    """:raises BadConfigError: Torque would take it for something else than the name of one node."""
    require_host_name(name)
    if name.upper() in ("ALL", "DEFAULT"):
        raise BadConfigError(f"{name!r} cannot be the name of a node")
    return name


def _require_empty(node: Node) -> None:
    if node.jobs:
        raise BusyError(f"{node.name} has jobs: {', '.join(sorted(node.jobs))}")
