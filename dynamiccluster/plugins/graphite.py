"""Figures for Graphite, under the original's names: ``PREFIX.nodes.busy``, ``PREFIX.resource.NAME.cores`` ...

Protocol: Graphite's plaintext protocol, one ``name value time`` line per figure, sent by ``graphyte``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from graphyte import Sender

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import BadConfigError, TransientError
from dynamiccluster.model.job import JobState
from dynamiccluster.model.node_graphs import node_graphs as checked_graphs
from dynamiccluster.model.worker_node import ORIGINAL_GROUP, ORIGINAL_NUMBER

_TIMEOUT_S = 5  # per connection: a Graphite nearby answers in milliseconds
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


class GraphiteReporter:
    """Implements :class:`~dynamiccluster.plugins.base.Plugin`. Arguments and their names are the original's.

    Every ``interval`` seconds all figures go out in one connection, stamped with the time of the last decision:
    if the service stands still, so does its line.

    ``node_graphs`` is for the dashboard, which reads it from the configuration: under which names Graphite has load,
    memory, network and disk of each node (``model/node_graphs``). Here it is only checked.
    """

    def __init__(
        self,
        hostname: str = "localhost",
        port: int = 2003,
        prefix: str = "headnode.dynamiccluster",
        interval: float = 60,
        node_graphs: str | Mapping[str, Sequence[str]] = "collectd",
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", prefix):
            raise BadConfigError(f"prefix {prefix!r} is not a Graphite path like headnode.dynamiccluster")
        if not 0 < port < 65536:
            raise BadConfigError(f"{port} is not a TCP port")
        checked_graphs(node_graphs)
        self.interval_s = float(interval)
        self._target = f"{hostname}:{port}"
        self._sender = Sender(hostname, port, prefix=prefix, timeout=_TIMEOUT_S, raise_send_errors=True)

    def observe(self, readmodel: ReadModel) -> None:
        lines = [self._sender.build_message(name, value, readmodel.at) for name, value in figures(readmodel)]
        try:
            self._sender.send_socket(b"".join(lines))
        except OSError as error:
            raise TransientError(f"Graphite at {self._target}: {error}") from error

    def close(self) -> None:
        """Every look has a connection of its own: there is nothing to close."""


def figures(readmodel: ReadModel) -> Iterator[tuple[str, int]]:
    """Name (without prefix) and value of everything that is reported."""
    nodes: Counter[str] = Counter()
    cores: Counter[str] = Counter()
    nodes_of: Counter[str] = Counter()
    cores_of: Counter[str] = Counter()
    for node in readmodel.snapshot.nodes.values():
        group = ORIGINAL_GROUP.get(ORIGINAL_NUMBER[node.state])
        if group is None:
            continue  # gone
        size = readmodel.capacity_of(node).cores
        nodes[group] += 1
        cores[group] += size
        nodes_of[node.resource] += 1
        cores_of[node.resource] += size
    for name, counts in (("nodes", nodes), ("cores", cores)):
        yield f"{name}.total", counts.total()
        for group in dict.fromkeys(ORIGINAL_GROUP.values()):
            yield f"{name}.{group}", counts[group]
    for resource in sorted({*readmodel.policy.resources, *nodes_of}):
        path = f"resource.{_NOT_PLAIN.sub('_', resource)}"
        yield f"{path}.nodes", nodes_of[resource]
        yield f"{path}.cores", cores_of[resource]
    view = readmodel.snapshot.scheduler
    if view is not None:  # an unknown queue is not an empty one
        yield "jobs.queued", sum(job.tasks for job in view.jobs if job.state is JobState.PENDING)
