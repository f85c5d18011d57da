"""Figures for Prometheus: gauges from the present picture, counters and histograms of what happens.

Served at ``/metrics``. Format: Prometheus' text exposition format, written by ``prometheus_client``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import classify
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock
from dynamiccluster.plugins.host import PluginStatus
from dynamiccluster.plugins.prometheus_changes import JobWatch, NodeWatch
from dynamiccluster.plugins.prometheus_figures import PREFIX, families

T = TypeVar("T")

CONTENT_TYPE = CONTENT_TYPE_LATEST

CALL_S = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120)
TICK_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
LONG_S = (10, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
"""Bounds of the histograms: seconds to hours, as joins and waits in a queue take."""


class Meters:
    """What only grows, for the life of one service. Methods may be called on any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            f"{PREFIX}calls",
            "Calls of schedulers, clouds, the store and others, by what they came to (ok, or the class of the error).",
            ["group", "verb", "outcome"],
            registry=self.registry,
        )
        self.call_s = Histogram(
            f"{PREFIX}call_seconds",
            "How long such calls took, waiting for a free worker included.",
            ["group", "verb"],
            buckets=CALL_S,
            registry=self.registry,
        )
        self.tick_s = Histogram(
            f"{PREFIX}tick_seconds", "How long decisions took.", buckets=TICK_S, registry=self.registry
        )
        self.join_s = Histogram(
            f"{PREFIX}join_seconds",
            "From the request for a machine to its first being usable.",
            ["resource"],
            buckets=LONG_S,
            registry=self.registry,
        )
        self.wait_s = Histogram(
            f"{PREFIX}queue_wait_seconds",
            "How long jobs waited that were seen running, each record of the queue counted once.",
            ["queue"],
            buckets=LONG_S,
            registry=self.registry,
        )
        self.launched = Counter(
            f"{PREFIX}nodes_launched", "Worker nodes asked for.", ["resource"], registry=self.registry
        )
        self.never_joined = Counter(
            f"{PREFIX}nodes_never_joined",
            "Worker nodes that ended and had never been usable.",
            ["resource"],
            registry=self.registry,
        )


class MeteredBridge:
    """Implements :class:`~dynamiccluster.kit.blocking.Bridge`: passes calls on and counts them.

    The verb is the first word of the call's name, which adapters and engine take from a small fixed set.
    """

    def __init__(self, bridge: Bridge, meters: Meters, clock: Clock) -> None:
        self._bridge = bridge
        self._meters = meters
        self._clock = clock

    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], T]) -> T:
        began = self._clock.monotonic()
        verb, outcome = name.partition(" ")[0], "ok"
        try:
            return await self._bridge.call(group, name, timeout_s, function)
        except Exception as error:
            outcome = str(classify(error))
            raise
        finally:
            self._meters.calls.labels(group, verb, outcome).inc()
            self._meters.call_s.labels(group, verb).observe(self._clock.monotonic() - began)


class PrometheusExporter:
    """Gauges and meters together, as text. One lives as long as the service, over reloads.

    It is told of every decision, and it is a :class:`~dynamiccluster.plugins.base.Plugin` besides, so that the long
    look at all jobs is taken in a thread.
    """

    interval_s = 10.0

    def __init__(self, clock: Clock) -> None:
        self.meters = Meters()
        self._clock = clock
        self._nodes = NodeWatch()
        self._jobs = JobWatch()

    def decided(self, readmodel: ReadModel) -> None:
        """A tick has published this. Its cost grows with nodes, not with jobs."""
        self.meters.tick_s.observe(readmodel.tick_s)
        changes = self._nodes.look(readmodel)
        for resource in readmodel.policy.resources:  # a zero from the start: a first event is a rise then
            self.meters.launched.labels(resource)
            self.meters.never_joined.labels(resource)
        for resource in changes.launched:
            self.meters.launched.labels(resource).inc()
        for resource in changes.never_joined:
            self.meters.never_joined.labels(resource).inc()
        for resource, seconds in changes.joined:
            self.meters.join_s.labels(resource).observe(seconds)

    def observe(self, readmodel: ReadModel) -> None:
        """As a plug-in: which jobs have begun."""
        for queue, seconds in self._jobs.look(readmodel):
            self.meters.wait_s.labels(queue).observe(seconds)

    def close(self) -> None:
        """Nothing is open."""

    def text(self, readmodel: ReadModel, plugins: Iterable[PluginStatus] = ()) -> bytes:
        """Everything, for one scrape. Cost: one look at each job and node; call it in a thread."""
        gauges = CollectorRegistry()
        gauges.register(_Picture(readmodel, tuple(plugins), self._clock.now()))
        return generate_latest(gauges) + generate_latest(self.meters.registry)


@dataclass(frozen=True, eq=False)
class _Picture(Collector):
    """One scrape's gauges, as ``prometheus_client`` asks for them."""

    readmodel: ReadModel
    plugins: tuple[PluginStatus, ...]
    now: float

    def collect(self) -> Iterator[Metric]:
        yield from families(self.readmodel, self.plugins, self.now)

    def describe(self) -> Iterator[Metric]:
        """Nothing to check names against: these families are alone in their registry."""
        return iter(())
