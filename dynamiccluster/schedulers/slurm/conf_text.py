"""What ``slurm.conf`` needs so that Slurm and the resources go together, as text with its reasons. Pure.

Source of the keys: ``slurm.conf(5)`` of 22.05, sections on power saving, NODE SETS and PARTITION CONFIGURATION.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Provisioning, Resource
from dynamiccluster.schedulers.slurm.nodes import NodeAttributes

NEVER_S = 31_536_000
"""A year: ``SuspendTime`` of nodes that are not Slurm's to switch off. INFINITE would end power saving altogether:
jobs would still be given to nodes that are off, and nobody would wake these (seen with 22.05.8)."""

SLACK_S = 60.0
"""Slurm gives a node up so much later than the service does, which then says so itself, and at once."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Paths of the programs that slurmctld starts; it passes them nothing but the list of nodes."""

    resume: str
    suspend: str
    note: str = ""  # what is to be known about them


def host_range(resource: Resource) -> str:
    """``pc-[0001-0020]``, as Slurm writes it; numbers of five digits and more apart."""
    if resource.max_nodes <= 1:
        return resource.numbered(1)
    prefix = resource.numbered(1)[:-4]
    parts = []
    first, digits = 1, 4
    while first <= resource.max_nodes:
        last = min(resource.max_nodes, 10**digits - 1)
        parts.append(f"{first:04d}-{last:04d}" if first < last else f"{first:04d}")
        first, digits = last + 1, digits + 1
    return f"{prefix}[{','.join(parts)}]"


def node_line(resource: Resource, weight: int) -> str:
    """The ``NodeName`` line of a resource that Slurm provisions."""
    reserved = resource.reservation.property
    features = resource.features | ({reserved} if reserved else set())
    words = NodeAttributes(resource.capacity, resource.gpu_type, features).words()
    return f"NodeName={host_range(resource)} {' '.join(words)} State=CLOUD Weight={weight}"


def weights(resources: Iterable[Resource]) -> dict[str, int]:
    """Slurm takes nodes of the lowest weight first: those of the lowest priority number, then the cheapest. The
    site's own nodes have 1 unless it says otherwise."""
    order = sorted({(resource.priority, resource.price_per_hour) for resource in resources})
    ranks = {each: 10 * (rank + 1) for rank, each in enumerate(order)}
    return {resource.name: ranks[resource.priority, resource.price_per_hour] for resource in resources}


def partitions(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    """The partitions that the resources are to serve, those reserved for one in that one only."""
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        reserved = resource.reservation.queue
        for queue in sorted({reserved} if reserved else resource.queues):
            found.setdefault(queue, []).append(resource)
    return dict(sorted(found.items()))


def resume_timeout_s(resources: Iterable[Resource], policy: Policy) -> int:
    """Long enough that the service gives a late machine up before Slurm does."""
    longest_s = max(resource.timers.launch_s for resource in resources)
    return math.ceil(longest_s + 3 * policy.scheduler_poll_s + policy.cloud_poll_s + SLACK_S)


def suspend_timeout_s(policy: Policy) -> int:
    """Long enough that the service sees a node being suspended, and marks it until its machine is gone."""
    return max(60, math.ceil(5 * policy.scheduler_poll_s))


def idle_s(resource: Resource, queue: str) -> float:
    """How long its nodes may be idle in this partition."""
    return dict(resource.queue_idle_s).get(queue, resource.timers.idle_s)


def power_partition_line(queue: str, resources: Sequence[Resource], policy: Policy) -> str:
    """The ``PartitionName`` line of a partition whose nodes Slurm switches."""
    nodes = ",".join(host_range(resource) for resource in resources)
    accounts = {resource.reservation.account for resource in resources}
    allowed = f" AllowAccounts={accounts.pop()}" if len(accounts) == 1 and "" not in accounts else ""
    suspend_s = math.ceil(max(idle_s(resource, queue) for resource in resources))
    return (
        f"PartitionName={queue} Nodes={nodes} SuspendTime={suspend_s} "
        f"ResumeTimeout={resume_timeout_s(resources, policy)} SuspendTimeout={suspend_timeout_s(policy)}"
        f"{allowed} MaxTime=INFINITE State=UP"
    )


def slurm_conf(policy: Policy, programs: Programs, *, queue_feature_prefix: str, template_limit: int) -> str:
    """The whole text. Parts without a resource are left out."""
    resources = sorted(policy.resources.values(), key=lambda resource: (resource.priority, resource.name))
    demanded = [resource for resource in resources if resource.provisioning is Provisioning.DEMAND]
    switched = [resource for resource in resources if resource.provisioning is Provisioning.SCHEDULER]
    lines = [
        f"# What Dynamic Cluster (cluster_id {policy.cluster_id}) needs here, made by `dynamiccluster slurm-config`.",
        "# It must be the same on slurmctld's machine and in the image of the nodes (or let slurmd fetch it with",
        "# --conf-server). Keys that stand in your file already are to be changed there, not to be given twice.",
        "# New nodes of slurm.conf need a restart of slurmctld; jobs go on.",
        "ReturnToService=2             # a node that was down is used again when its slurmd is back",
    ]
    if any(resource.capacity.gpus for resource in resources):
        lines.append("GresTypes=gpu                 # the images need a gres.conf that names the devices")
    lines += _power_part(switched, policy, programs) if switched else []
    lines += _demand_part(demanded, switched, queue_feature_prefix, template_limit) if demanded else []
    return "\n".join(lines) + "\n"


def _power_part(resources: Sequence[Resource], policy: Policy, programs: Programs) -> list[str]:
    weight = weights(resources)
    lines = [
        "",
        "# --- nodes that Slurm picks itself (provisioning: scheduler) ---",
        "# Slurm gives them to jobs while they are off and waits for their machines, which the service launches.",
        "# Of the nodes that fit, those of the lowest weight go first: weights follow priority and price.",
        *(node_line(resource, weight[resource.name]) for resource in resources),
        "",
        "# SuspendTime: idle for so long, then off. ResumeTimeout: longer than the service waits for a machine, so",
        "# that it speaks first. SuspendTimeout: so that it sees each suspended node.",
        *(power_partition_line(queue, served, policy) for queue, served in partitions(resources).items()),
    ]
    accounts = sorted({resource.reservation.account for resource in resources} - {""})
    if accounts:
        lines.append(f"# Reserved for account(s) {', '.join(accounts)}: Slurm knows accounts per partition only.")
    lines += [
        "",
        f"ResumeProgram={programs.resume}",
        f"SuspendProgram={programs.suspend}",
        f"ResumeFailProgram={programs.suspend}",
        *([f"# {line}" for line in programs.note.splitlines()]),
        "# Everywhere else: power saving is on, and switches nothing off for a year. Never INFINITE (or -1): Slurm",
        "# would give jobs to nodes that are off, and call nobody.",
        f"SuspendTime={NEVER_S}",
        f"SuspendTimeout={suspend_timeout_s(policy)}",
        f"ResumeTimeout={resume_timeout_s(resources, policy)}",
        "ResumeRate=0                  # no limit of Slurm's: the service has its own (launches_per_minute)",
        "SuspendRate=0",
        "# Before 23.02 nodes that are off are hidden without it, from the service too. Add it to what stands there.",
        "PrivateData=cloud",
        "# A node's address is that from which its slurmd reports in. Add it to what stands there. No need of",
        "# idle_on_node_suspend, which would also undo what administrators hold: the service puts nodes right itself.",
        "SlurmctldParameters=cloud_reg_addrs",
        "# Images start `slurmd -N NAME`, NAME being the host name; with -b if the machine may have booted before",
        "# Slurm asked for it (containers, warm pools), or Slurm does not let it in.",
    ]
    return lines


def _demand_part(
    resources: Sequence[Resource], switched: Sequence[Resource], queue_feature_prefix: str, template_limit: int
) -> list[str]:
    most = sum(resource.max_nodes for resource in resources)
    templates = sum(min(resource.max_nodes, template_limit) for resource in resources)
    standing = sum(resource.max_nodes for resource in switched)
    named = partitions(resources) or {"main": list(resources)}
    lines = [
        "",
        "# --- nodes that the service launches for waiting jobs (provisioning: demand) ---",
        "# They are made at run time, which needs cons_tres: with any other SelectType before, change it only while",
        "# there are no jobs, running ones included: Slurm loses them.",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU_Memory",
        f"# {most} node(s), {templates} that stand for their shapes, {standing} of those above; add your own nodes.",
        f"MaxNodeCount={most + templates + standing}",
        "TreeWidth=65533               # nodes that come and go do not pass messages on",
        "# Nodes belong to partitions by features that the service gives them.",
    ]
    if switched:
        lines.append("# No partition with Nodes=ALL: it would hold nodes of both kinds.")
    for queue in named:
        lines.append(f"NodeSet=nodes_{queue} Feature={queue_feature_prefix}{queue}")
        lines.append(f"PartitionName={queue} Nodes=nodes_{queue} MaxTime=INFINITE State=UP")
    if not partitions(resources):
        lines.append(
            "# (`main` is an example: no resource names its queues, so their nodes serve every such partition.)"
        )
    return lines
