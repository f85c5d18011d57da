"""Hosts that the scheduler switches on and off by itself, and what that asks of us.

Some sites let the scheduler pick the nodes (Slurm's power saving): hosts of resources with ``provisioning: scheduler``
are known to it for ever, without machines. It gives them to jobs as they are, waits for their machines, and lets go
of them after a time without work. Its own word for each host (``Host.power``) is all that counts here, poll for poll;
nobody need have told us.

* A host that is *wanted* and has no node of ours gets one, by name, within the same limits as any other.
* A node whose host is *leaving* or *off*, and without jobs, is ended.
* A host for which no machine will come for a while (sold out, closed, over budget) is *withdrawn*: what waits for it
  goes back to the queue at once, and no job is given to it. So is one whose old machine is not gone yet.
* As soon as a machine could be had, it is *offered* again: as many hosts of a resource as could be launched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dynamiccluster.decide import breaker, match
from dynamiccluster.decide.draft import Draft
from dynamiccluster.decide.launch import launch_hosts
from dynamiccluster.decide.lifecycle import NodeEvent, apply
from dynamiccluster.decide.limits import Ledger, open_ledger, passing
from dynamiccluster.decide.orphans import ENDED
from dynamiccluster.decide.results import SWITCHING, service_action_due
from dynamiccluster.model.action import Action, ActionKind
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.host import Host, Power
from dynamiccluster.model.job import OCCUPYING, Shape
from dynamiccluster.model.occupancy import Hosts
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Provisioning, Resource
from dynamiccluster.model.worker_node import COMING, NodeState, WorkerNode

WITHOUT_MACHINE = frozenset({Power.LEAVING, Power.OFF, Power.GIVEN_UP})

LEAVING_WORD = "leaving"
"""Stands in the mark of a host whose old machine is not gone yet, where else the limit stands that binds."""

_FOLLOWS = frozenset(
    {
        NodeState.STARTING,
        NodeState.CONFIGURING,
        NodeState.JOINING,
        NodeState.IDLE,
        NodeState.BUSY,
        NodeState.HOLDING,
        NodeState.HELD,
        NodeState.DOWN,
    }
)
"""States in which a node follows the power of its host; in the others its launch is open, or it goes already."""


def switched_hosts(draft: Draft) -> dict[str, Resource]:
    """The hosts of the present view that the scheduler switches, with their resources, by number."""
    if draft.switched_hosts is None:
        found: list[tuple[str, int, str]] = []
        prefixes = {
            resource.name_prefix or name: name
            for name, resource in draft.policy.resources.items()
            if resource.provisioning is Provisioning.SCHEDULER
        }
        for host in draft.hosts.by_name.values() if prefixes else ():
            name = prefixes.get(host.name.rpartition("-")[0])
            if host.power is None or name is None:
                continue
            number = draft.policy.resources[name].number_of(host.name)
            if number:
                found.append((name, number, host.name))
        draft.switched_hosts = {host_name: draft.resource(name) for name, _, host_name in sorted(found)}
    return draft.switched_hosts


def picked_queues(draft: Draft) -> frozenset[str]:
    """Queues to whose jobs nothing that we launch of our own accord could ever be of use."""
    ours = switched_hosts(draft)
    view = draft.snapshot.scheduler
    if not ours or view is None:
        return frozenset()
    picked: set[str] = set()
    for name in ours:
        picked |= draft.hosts.by_name[name].queues
    for resource in draft.policy.resources.values():
        if resource.provisioning is Provisioning.DEMAND:
            picked -= resource.queues
    nodes = {node.host_name for node in draft.nodes.values()}
    for host in view.hosts:
        if host.template or (host.name in nodes and host.name not in ours):
            picked -= host.queues
    return frozenset(picked)


# -- what the power of a host says of its node -------------------------------------------------------


def power_speaks(draft: Draft, node: WorkerNode, hosts: Hosts) -> bool:
    """Let the host's power speak about its node; whether that has settled its fate."""
    host = hosts.by_name.get(node.host_name)
    if host is None or host.power is None or node.state not in _FOLLOWS or hosts.started_at <= node.acted_at:
        return False
    if host.power is Power.WANTED and node.state not in COMING:
        why = f"the scheduler has switched the host off and on again ({host.detail}): it waits for a new machine"
        apply(draft, node.node_id, NodeEvent.HOST_WANTED, why)
        return True
    if host.power in WITHOUT_MACHINE and not hosts.busy(host):
        late = node.state in COMING and host.power is Power.GIVEN_UP
        why = f"the scheduler has {'given up' if late else 'switched off'} the host ({host.detail})"
        apply(draft, node.node_id, NodeEvent.HOST_OFF, why)
        if late:
            breaker.failed(draft, node.resource, why)
        return True
    return False


def is_awaited(hosts: Hosts, host_name: str) -> bool:
    """Whether the scheduler waits for the host's machine, so that no job can run there whatever the lists say."""
    host = hosts.by_name.get(host_name)
    return host is not None and host.power is Power.WANTED


# -- machines for hosts that are wanted --------------------------------------------------------------


def launch_wanted(draft: Draft, ledger: Ledger) -> None:
    """Launch a node for every host that is wanted and has none; note those for which none will come for a while.

    Hosts of one job are of use together only: if one of them cannot be had, none is launched.
    """
    _forget_words(draft)
    awaited = [name for name in switched_hosts(draft) if is_awaited(draft.hosts, name) and _settled(draft, name)]
    taken = _taken(draft) if awaited else set()
    wanted = [name for name in awaited if name not in taken]
    for names, job_ids in _together(draft, wanted):
        _launch_together(draft, ledger, names, job_ids)


def _launch_together(draft: Draft, ledger: Ledger, names: Sequence[str], job_ids: Sequence[str]) -> None:
    resources = switched_hosts(draft)
    by_resource: dict[str, list[str]] = {}
    for name in names:
        by_resource.setdefault(resources[name].name, []).append(name)
    trial = ledger.copy()
    counts: dict[str, int] = {}
    for resource_name, hosts in by_resource.items():
        resource = draft.resource(resource_name)
        room, limit = trial.room(resource, len(hosts))
        if any(_beyond(draft, resource_name, name) for name in hosts):
            room, limit = 0, Refusal.MAX_NODES
        if room < len(hosts) and limit is not None and not passing(draft, resource_name, limit):
            draft.declined.update(dict.fromkeys(names, (resource_name, limit)))
            return
        counts[resource_name] = min(room, len(hosts))
        trial.take(resource, counts[resource_name])
    listed = ", ".join(job_ids[:3]) + (f" and {len(job_ids) - 3} more" if len(job_ids) > 3 else "")
    reason = f"for job(s) {listed}, to which the scheduler has given it" if job_ids else "the scheduler switches it on"
    for resource_name, count in counts.items():
        if count:
            resource = draft.resource(resource_name)
            ledger.take(resource, count)
            launch_hosts(draft, resource, by_resource[resource_name][:count], reason)


def _beyond(draft: Draft, resource_name: str, host_name: str) -> bool:
    """Whether there would have to be more nodes than the configuration allows for this host to have one."""
    known = draft.policy.resources[resource_name]
    return known.number_of(host_name) > known.max_nodes


def _together(draft: Draft, names: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """The hosts in groups that jobs tie together, with these jobs, those of the highest priority first."""
    if not names:
        return
    view = draft.snapshot.scheduler
    priority = {job.job_id: job.priority for job in view.jobs if job.hosts and job.state in OCCUPYING} if view else {}
    hosts_of: dict[str, list[str]] = {}
    for name in names:
        for job_id in draft.hosts.jobs_on(name):
            hosts_of.setdefault(job_id, []).append(name)
    found: list[tuple[float, list[str], list[str]]] = []
    seen: set[str] = set()
    for name in names:
        if name in seen:
            continue
        seen.add(name)
        group, job_ids = [name], dict.fromkeys(draft.hosts.jobs_on(name))
        for member in group:  # grows as it goes
            for job_id in draft.hosts.jobs_on(member):
                job_ids[job_id] = None
                new = [other for other in hosts_of[job_id] if other not in seen]
                seen.update(new)
                group += new
        highest = max((priority.get(job_id, 0.0) for job_id in job_ids), default=0.0)
        found.append((-highest, group, list(job_ids)))
    for _, group, ids in sorted(found, key=lambda entry: entry[0]):
        yield group, ids


# -- which hosts the scheduler may give to jobs ------------------------------------------------------


def balance(draft: Draft) -> None:
    """Withdraw what cannot be had, offer what can: one word to the scheduler at a time, refusals first."""
    ours = switched_hosts(draft)
    if not ours or any(kind in SWITCHING for kind in draft.open_actions.values()):
        return
    withdraw: dict[tuple[str, str], list[str]] = {}
    offer: dict[str, list[str]] = {}
    for name, (resource_name, limit) in draft.declined.items():
        withdraw.setdefault((resource_name, str(limit)), []).append(name)
    ledger, taken = open_ledger(draft), _taken(draft)
    left = {resource.name: ledger.lasting_room(resource) for resource in ours.values()}
    for name, resource in ours.items():
        host = draft.hosts.by_name[name]
        if host.power not in WITHOUT_MACHINE or not _settled(draft, name):
            continue
        room, refusal = left[resource.name]
        if name in taken:
            if _is_offered(host):
                withdraw.setdefault((resource.name, LEAVING_WORD), []).append(name)
        elif _beyond(draft, resource.name, name) or room <= 0:
            if _is_offered(host):
                withdraw.setdefault((resource.name, str(refusal or Refusal.MAX_NODES)), []).append(name)
        elif host.hold is None or host.hold.ours:
            left[resource.name] = room - 1, refusal
            if not _is_offered(host) and host.power is not Power.LEAVING and resource.tenancy in draft.snapshot.clouds:
                offer.setdefault(resource.name, []).append(name)
    for (resource_name, word), names in withdraw.items():
        if _say(draft, ActionKind.WITHDRAW, resource_name, names, word):
            return
    for resource_name, names in offer.items():
        if _say(draft, ActionKind.OFFER, resource_name, names, ""):
            return


def _is_offered(host: Host) -> bool:
    """Whether the scheduler gives the host, off as it is or will be, to jobs."""
    return host.hold is None and host.power is not Power.GIVEN_UP


def _say(draft: Draft, kind: ActionKind, resource_name: str, names: list[str], word: str) -> bool:
    """Tell the scheduler; ``False`` if the last try failed a moment ago."""
    if not service_action_due(draft, kind):
        return False
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if kind is ActionKind.OFFER:
        reason = f"{listed}: a machine can be had, so jobs may be given to it"
    elif word == LEAVING_WORD:
        reason = f"{listed}: no jobs before the old machine is gone"
    else:
        reason = f"{listed}: no machine can be had ({word}), so jobs go elsewhere"
    if word != LEAVING_WORD:
        draft.event(EventKind.RESOURCE, reason, resource=resource_name)
    draft.memory = replace(draft.memory, switched={**draft.memory.switched, **dict.fromkeys(names, 0.0)})
    draft.act(
        Action(
            action_id=draft.new_action_id(),
            kind=kind,
            reason=reason,
            created_at=draft.now,
            resource=resource_name,
            host_names=tuple(names),
            mark=f"{draft.policy.hold_mark_prefix}{word}" if word else "",
        )
    )
    return True


def _settled(draft: Draft, host_name: str) -> bool:
    """Whether the present view was started after our last word on the host's power."""
    return host_name not in draft.memory.switched


def _forget_words(draft: Draft) -> None:
    """Drop the words that the present view has taken in."""
    words = draft.memory.switched
    if not words:
        return
    under_way = any(kind in SWITCHING for kind in draft.open_actions.values())
    left = {name: at for name, at in words.items() if (under_way if at == 0.0 else draft.hosts.started_at <= at)}
    if len(left) < len(words):
        draft.memory = replace(draft.memory, switched=left)


def _taken(draft: Draft) -> set[str]:
    """Names that nodes have, or machines of ours that no node claims (yet)."""
    names = {node.host_name for node in draft.nodes.values()}
    for view in draft.snapshot.clouds.values():
        names.update(instance.host_name or instance.name for instance in view.instances if instance.state not in ENDED)
    return names


# -- for people --------------------------------------------------------------------------------------


def refusals_of(draft: Draft, shape: Shape) -> dict[str, Refusal]:
    """The resources whose switched hosts serve the job's queues: why each gives none, or that all is well."""
    found: dict[str, Refusal] = {}
    ledger = open_ledger(draft)
    for name, resource in switched_hosts(draft).items():
        host = draft.hosts.by_name[name]
        if resource.name in found or host.queues.isdisjoint(shape.queues):
            continue
        room, limit = ledger.lasting_room(resource)
        wrong = match.wrong_kind(shape, resource) or match.too_small(shape, draft.memory.capacity_of(resource))
        found[resource.name] = wrong or (limit if room <= 0 and limit else Refusal.BY_SCHEDULER)
    return found
