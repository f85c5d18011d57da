"""The site as a whole: queues, tenancies, people, and the one way of moving it on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

from dynamiccluster.embedded.agenda import Agenda
from dynamiccluster.embedded.jobs import Cause
from dynamiccluster.embedded.machines import Kind, Machine, TenancyLimits, Window
from dynamiccluster.embedded.queue import BatchQueue
from dynamiccluster.embedded.rules import Daemon, QueueRules
from dynamiccluster.embedded.tenancy import Tenancy
from dynamiccluster.embedded.workload import Arrival
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.exclusive import Exclusive
from dynamiccluster.model.offer import Offer


class Site:
    """Everything outside the engine. Its time is the clock's *monotonic* time: setting the wall clock of the machine
    that the engine runs on does not make jobs end sooner.

    ``started_at`` is the wall time at the monotonic instant ``origin_s``.
    """

    def __init__(self, seed: int, started_at: float, origin_s: float = 0.0) -> None:
        self.agenda = Agenda(started_at)
        self.rng = random.Random(seed)  # noqa: S311 - a simulation, nothing secret
        self.queues: dict[str, BatchQueue] = {}  # cluster id -> its scheduler
        self.tenancies: dict[str, Tenancy] = {}
        self._offset_s = started_at - origin_s
        self._exclusive = Exclusive()

    @property
    def now(self) -> float:
        """The site's own time, seconds since 1970-01-01 UTC."""
        return self.agenda.now

    def at(self, clock: Clock) -> AbstractContextManager[None]:
        """Move the site on to the clock's present and keep it still while somebody looks at it or changes it."""
        return self._exclusive.after(partial(self.agenda.advance, self._offset_s + clock.monotonic()))

    def advance(self, now: float) -> None:
        """Let everything happen that is due by ``now`` (site time)."""
        self.agenda.advance(now)

    def add_queue(self, cluster_id: str, rules: QueueRules | None = None) -> BatchQueue:
        """A scheduler of its own for one installation; machines with this cluster id join it."""
        queue = self.queues[cluster_id] = BatchQueue(self.agenda, rules or QueueRules())
        return queue

    def add_tenancy(
        self,
        name: str,
        kinds: Mapping[str, Kind] | None = None,
        limits: TenancyLimits | None = None,
        windows: Sequence[Window] = (),
        offers: Sequence[Offer] = (),
    ) -> Tenancy:
        rng = random.Random(self.rng.random())  # noqa: S311 - a simulation, nothing secret
        tenancy = Tenancy(name, self.agenda, rng, self._joined, self._lost, kinds, limits, windows, offers=offers)
        self.tenancies[name] = tenancy
        return tenancy

    def feed(self, cluster_id: str, arrivals: Iterable[Arrival]) -> None:
        """Let these jobs arrive at one queue, each at its time. It is read one ahead, so it may be endless."""
        self._next_arrival(self.queues[cluster_id], iter(arrivals))

    def _next_arrival(self, queue: BatchQueue, arrivals: Iterator[Arrival]) -> None:
        arrival = next(arrivals, None)
        if arrival is not None:
            self.agenda.at(arrival.at, partial(self._arrive, queue, arrival, arrivals))

    def _arrive(self, queue: BatchQueue, arrival: Arrival, arrivals: Iterator[Arrival]) -> None:
        queue.submit(arrival.request)
        self._next_arrival(queue, arrivals)

    def _joined(self, machine: Machine) -> None:
        queue = self.queues.get(machine.cluster_id)
        if queue is not None and machine.host_name:
            queue.daemon_up(machine.host_name, Daemon(machine.instance_id, machine.deaf, machine.memory_share))

    def _lost(self, machine: Machine, cause: Cause) -> None:
        queue = self.queues.get(machine.cluster_id)
        if queue is not None:
            queue.daemon_lost(machine.host_name, machine.instance_id, cause)
