"""One tenancy of a simulated cloud: quota, stock, strangers, and machines on their way through life."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from dynamiccluster.embedded.agenda import Agenda
from dynamiccluster.embedded.jobs import Cause
from dynamiccluster.embedded.machines import Kind, Machine, Mishap, TenancyLimits, Window
from dynamiccluster.errors import AuthError, BadConfigError, CapacityError, QuotaError, ThrottledError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.offer import Notice, NoticeKind, Offer
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import Quota

STRANGER = ""
"""Cluster id of machines that belong to nobody we know."""

SLOW_FACTOR = 10.0


class Tenancy:
    """Machines of everybody in one account. ``joined`` and ``lost`` tell the site about daemons."""

    def __init__(
        self,
        name: str,
        agenda: Agenda,
        rng: random.Random,
        joined: Callable[[Machine], None],
        lost: Callable[[Machine, Cause], None],
        kinds: Mapping[str, Kind] | None = None,
        limits: TenancyLimits | None = None,
        windows: Sequence[Window] = (),
        listed_gone_s: float = 60.0,
        offers: Sequence[Offer] = (),
    ) -> None:
        """``offers``: what the machines of resources have and cost, as far as their configuration leaves that open."""
        self.offers = tuple(offers)
        self.notices: dict[str, Notice] = {}  # of machines that will be taken away, by instance id
        self.announced: set[str] = set()  # their host names, for good
        self.name = name
        self.agenda = agenda
        self.kinds = dict(kinds or {})
        self.limits = limits or TenancyLimits()
        self.windows = tuple(windows)
        self.machines: dict[str, Machine] = {}  # listed: they exist, or have ended a short while ago
        self.built = 0  # machines ever accepted
        self.built_at: dict[str, list[float]] = {}  # by resource, when
        self._rng = rng
        self._joined = joined
        self._lost = lost
        self._listed_gone_s = listed_gone_s
        self._started_at = agenda.now
        self._launches: dict[tuple[str, str], tuple[Machine, ...]] = {}

    # -- what a caller may ask --------------------------------------------------------------------------------

    def launch(
        self,
        cluster_id: str,
        launch_id: str,
        resource: Resource,
        specs: Sequence[NodeSpec],
        idempotent: bool,
        least: int = 1,
    ) -> tuple[Machine, ...]:
        """Accept as many machines as quota and stock allow, but not fewer than ``least``; errors as in
        ``clouds/base``."""
        if not specs:
            raise BadConfigError("a launch of no machine")
        if idempotent and (cluster_id, launch_id) in self._launches:
            return self._launches[cluster_id, launch_id]
        mishaps = self.mishaps(resource.name)
        if Mishap.REFUSED in mishaps:
            raise AuthError(f"{self.name}: the credentials are not accepted")
        if Mishap.THROTTLED in mishaps:
            raise ThrottledError(f"{self.name}: request limit exceeded")
        if Mishap.SOLD_OUT in mishaps:
            raise CapacityError(f"{self.name}: no capacity for {resource.name}")
        by_quota = self._room_by_quota(resource)
        if by_quota < least:
            raise QuotaError(f"{self.name}: quota exceeded")
        by_stock = self._room_by_stock(resource.name)
        if by_stock < least:
            raise CapacityError(f"{self.name}: no more machines of {resource.name}")
        count = min(len(specs), by_quota, by_stock)
        machines = tuple(self._build(cluster_id, launch_id, resource, spec, mishaps) for spec in specs[:count])
        self._launches[cluster_id, launch_id] = machines
        return machines

    def terminate(self, cluster_id: str, instance_ids: Sequence[str]) -> None:
        """Ask for the end of those of these machines that carry ``cluster_id``."""
        for instance_id in instance_ids:
            machine = self.machines.get(instance_id)
            if machine is not None and machine.cluster_id == cluster_id:
                self._end(machine)

    def quota(self) -> Quota:
        """The limits, and everybody's use."""
        count, cores, memory_mib = self._used()
        limits = self.limits
        return Quota(limits.max_instances, count, limits.max_cores, cores, limits.max_memory_mib, memory_mib)

    def mishaps(self, resource: str) -> frozenset[Mishap]:
        """What goes wrong with this resource now."""
        elapsed_s = self.agenda.now - self._started_at
        return frozenset(
            window.mishap
            for window in self.windows
            if window.resource in ("", resource) and window.from_s <= elapsed_s < window.until_s
        )

    # -- what happens by itself -------------------------------------------------------------------------------

    def add_stranger(self, cores: int, memory_mib: int, for_s: float) -> None:
        """Somebody else starts a machine here and ends it again; nothing happens where the quota is used up."""
        resource = Resource("stranger", "simulated", self.name, capacity=Capacity(cores, memory_mib))
        if self._room_by_quota(resource) < 1:
            return
        machine = self._build(STRANGER, "", resource, NodeSpec("", ""), frozenset({Mishap.NEVER_JOINS}))
        self.agenda.after(for_s, partial(self._end, machine))

    def kill(self, instance_id: str, told: bool) -> None:
        """A machine dies by itself. ``told``: the list shows it as stopped; otherwise it looks ACTIVE for ever."""
        machine = self.machines.get(instance_id)
        if machine is None or not machine.running:
            return
        self._switch_off(machine, Cause.NODE_LOST)
        if told:
            self._show(machine, InstanceState.STOPPED)

    def reclaim(self, instance_id: str, notice_s: float) -> None:
        """Announce that a machine will be taken away, and do so after ``notice_s``."""
        machine = self.machines.get(instance_id)
        if machine is None or not machine.running:
            return
        self.notices[instance_id] = Notice(instance_id, NoticeKind.RECLAIM, self.agenda.now + notice_s)
        self.announced.add(machine.host_name)
        self.agenda.after(notice_s, partial(self._take_away, instance_id))

    # -- inner life -------------------------------------------------------------------------------------------

    def _build(
        self, cluster_id: str, launch_id: str, resource: Resource, spec: NodeSpec, mishaps: frozenset[Mishap]
    ) -> Machine:
        self.built += 1
        self.built_at.setdefault(resource.name, []).append(self.agenda.now)
        serial = self.built
        kind = self.kinds.get(resource.name, Kind())
        instance_id = f"sim-{self.name}-{serial:05d}"
        machine = Machine(
            instance_id,
            cluster_id,
            launch_id,
            spec.node_id,
            resource.name,
            spec.host_name or f"stranger-{serial}",
            spec.host_name,
            f"10.{1 + serial // 62500 % 250}.{serial // 250 % 250}.{serial % 250 + 1}",
            resource.offering,
            resource.capacity.cores,
            resource.capacity.memory_mib,
            self.agenda.now,
            joins=not mishaps & {Mishap.NEVER_JOINS, Mishap.NEVER_BOOTS},
            deaf=Mishap.DEAF in mishaps,
            memory_share=kind.memory_share,
        )
        self.machines[instance_id] = machine
        build_s = self._rng.uniform(*kind.build_s) * (SLOW_FACTOR if Mishap.SLOW in mishaps else 1.0)
        if Mishap.BUILD_ERROR in mishaps:
            self.agenda.after(build_s, partial(self._fail, machine))
        elif Mishap.NEVER_BOOTS not in mishaps:
            boot_s = self._rng.uniform(*kind.boot_s) * (SLOW_FACTOR if Mishap.SLOW in mishaps else 1.0)
            self.agenda.after(build_s, partial(self._activate, machine, boot_s))
        return machine

    def _activate(self, machine: Machine, boot_s: float) -> None:
        if machine.state is InstanceState.PENDING:
            machine.running = True
            self._show(machine, InstanceState.ACTIVE)
            if machine.joins:
                self.agenda.after(boot_s, partial(self._join, machine))

    def _join(self, machine: Machine) -> None:
        if machine.running:
            machine.joined = True
            self._joined(machine)

    def _take_away(self, instance_id: str) -> None:
        self.notices.pop(instance_id, None)
        machine = self.machines.get(instance_id)
        if machine is not None and machine.state in (InstanceState.PENDING, InstanceState.ACTIVE):
            self._switch_off(machine, Cause.NODE_LOST)
            self._gone(machine)

    def _fail(self, machine: Machine) -> None:
        if machine.state is InstanceState.PENDING:
            machine.fault = "No valid host was found."
            self._show(machine, InstanceState.ERROR)

    def _end(self, machine: Machine) -> None:
        if not machine.terminate_asked_at:
            machine.terminate_asked_at = self.agenda.now
        if machine.state in (InstanceState.TERMINATING, InstanceState.GONE):
            return
        self._switch_off(machine, Cause.TERMINATED)
        self._show(machine, InstanceState.TERMINATING)
        kind = self.kinds.get(machine.resource, Kind())
        self.agenda.after(self._rng.uniform(*kind.shutdown_s), partial(self._gone, machine))

    def _gone(self, machine: Machine) -> None:
        self._show(machine, InstanceState.GONE)
        machine.ended_at = self.agenda.now
        self.agenda.after(self._listed_gone_s, partial(self._unlist, machine))

    def _unlist(self, machine: Machine) -> None:
        del self.machines[machine.instance_id]

    def _switch_off(self, machine: Machine, cause: Cause) -> None:
        machine.running = False
        if machine.joined:
            machine.joined = False
            self._lost(machine, cause)

    def _show(self, machine: Machine, state: InstanceState) -> None:
        machine.state = state
        machine.picture = None

    def _used(self) -> tuple[int, int, int]:
        here = [machine for machine in self.machines.values() if machine.exists]
        return len(here), sum(machine.cores for machine in here), sum(machine.memory_mib for machine in here)

    def _room_by_quota(self, resource: Resource) -> int:
        """How many more machines of this kind the quota allows."""
        count, cores, memory_mib = self._used()
        limits, need = self.limits, resource.capacity
        room = 1_000_000
        if limits.max_instances is not None:
            room = min(room, limits.max_instances - count)
        if limits.max_cores is not None and need.cores:
            room = min(room, (limits.max_cores - cores) // need.cores)
        if limits.max_memory_mib is not None and need.memory_mib:
            room = min(room, (limits.max_memory_mib - memory_mib) // need.memory_mib)
        return room

    def _room_by_stock(self, resource: str) -> int:
        stock = self.kinds.get(resource, Kind()).stock
        if stock is None:
            return 1_000_000
        return stock - sum(1 for machine in self.machines.values() if machine.resource == resource and machine.exists)
