"""Checks of resources whose nodes the scheduler itself picks (``provisioning: scheduler``)."""

from __future__ import annotations

from collections.abc import Iterator

from dynamiccluster.config.problems import Path
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud import CloudResource
from dynamiccluster.config.schema_cluster_slurm import SlurmCluster
from dynamiccluster.model.resource import Provisioning

Finding = tuple[Path, str, str]
"""Where, what is wrong, and what was expected."""


def queues_of(item: CloudResource) -> tuple[str, ...]:
    """The queues that a resource names, its reserved one among them."""
    return tuple(item.queues) or ((item.reservation.queue,) if item.reservation.queue else ())


def provisioned(settings: Settings) -> Iterator[tuple[str, CloudResource]]:
    """The resources whose nodes the scheduler picks."""
    for name, item in settings.cloud.items():
        if item.provisioning is Provisioning.SCHEDULER:
            yield name, item


def own_findings(settings: Settings) -> Iterator[Finding]:
    """What such a resource needs, by itself."""
    for name, item in provisioned(settings):
        where: Path = ("cloud", name)
        if not isinstance(settings.cluster, SlurmCluster):
            text = f"is scheduler, which {settings.cluster.type} cannot (only Slurm has power saving)"
            yield (*where, "provisioning"), text, "demand"
            continue
        if item.quantity.min:
            text = "is not 0, though Slurm decides how many nodes run (SuspendExcNodes keeps some)"
            yield (*where, "quantity", "min"), text, "0"
        if item.capacity.cores < 1:
            yield (*where, "capacity", "cores"), "is missing: slurm.conf must say it", "a whole number, 1 or more"
        if not queues_of(item):
            yield (*where, "queues"), "is missing: slurm.conf must say which partitions have its nodes", "a list"


def shared_findings(settings: Settings) -> Iterator[Finding]:
    """A queue is served in one way: where Slurm picks the nodes, waiting jobs are no reason to launch any."""
    switched = {queue: name for name, item in provisioned(settings) for queue in queues_of(item)}
    for name, item in settings.cloud.items():
        if item.provisioning is Provisioning.SCHEDULER:
            continue
        for queue in queues_of(item):
            if queue in switched:
                where = ("cloud", name, "queues" if item.queues else "reservation")
                text = f"{queue} is a queue whose nodes Slurm picks itself (resource {switched[queue]})"
                yield where, text, "queues of its own"
