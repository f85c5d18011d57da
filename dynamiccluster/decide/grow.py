"""Growing: what to launch for the waiting jobs, for minimum sizes, and which held nodes to take back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter

from dynamiccluster.decide import breaker, learned, match, menus
from dynamiccluster.decide.counsel import Counsel, take_counsel
from dynamiccluster.decide.demand import BY_SCHEDULER, MOST, Group, Queue, by_priority, whole
from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.decide.eligible import Eligibility, Lot, Offer
from dynamiccluster.decide.gangs import for_report, pack_gangs
from dynamiccluster.decide.launch import launch, launch_nodes
from dynamiccluster.decide.lifecycle import NodeEvent, apply
from dynamiccluster.decide.limits import Ledger, open_ledger
from dynamiccluster.decide.orphans import new_node_ids
from dynamiccluster.decide.pack import Packer
from dynamiccluster.decide.packing import Packing
from dynamiccluster.decide.rows import Row, Rows, Stage
from dynamiccluster.decide.switched import launch_wanted
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.memory import Nomination
from dynamiccluster.model.occupancy import Hosts
from dynamiccluster.model.offer import Offer as CloudOffer
from dynamiccluster.model.plan import Demand, Refusal, ShapeReport
from dynamiccluster.model.resource import Provisioning, Resource
from dynamiccluster.model.worker_node import COMING, WORKING, HoldWhy, NodeState, WorkerNode

_JOB_ID = attrgetter("job_id")

MOST_MIB = MOST * MOST
"""A host with more, like a piece of a job that asks for more, is a slip of the pen; it would not fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class Need:
    """What packing found out, for shrinking and explaining."""

    packing: Packing
    groups: list[Group]
    wanted: frozenset[str]  # node ids that waiting jobs were placed on
    startable: frozenset[str]  # node ids on which whole waiting jobs could start now


def grow(draft: Draft, queue: Queue, *, act: bool) -> Need:
    """Pack the waiting jobs; with ``act``, take held nodes back and launch what is lacking."""
    learned.doubt(draft, (group.shape for group in queue.groups))
    offers = _offers(draft)
    rows, eligibility = _rows(draft, draft.hosts, offers)
    before = open_ledger(draft)
    if act:
        launch_wanted(draft, before)
    counsel = Counsel()
    if any(offer.choices for offer in offers):
        survey: dict[tuple[str, int], int] = {}
        Packer(queue.groups, rows.copy(), before.copy(), eligibility, survey=survey).run(whole(queue))
        counsel = take_counsel(survey, queue.groups, eligibility, before)

    def pack(served: Queue) -> tuple[Packing, Ledger]:
        ledger = before.copy()
        packer = Packer(served.groups, rows.copy(), ledger, eligibility, counsel.copy())
        packing = packer.run(whole(served), until_limited=True)
        if packing.limited:
            ledger = before.copy()
            packer = Packer(served.groups, rows.copy(), ledger, eligibility, counsel.copy())
            packing = packer.run(by_priority(served))
        return packing, ledger

    packed = pack_gangs(queue, pack)
    packing, ledger = packed.packing, packed.ledger
    queue = for_report(queue, packed, eligibility)
    if act:
        _recall(draft, packing)
        _launch_for_jobs(draft, queue, packing)
        _launch_trials(draft, queue, packing, ledger, eligibility)
        _launch_for_minimum(draft, ledger)
        if draft.policy.limits.launches_per_minute > 0:
            draft.memory = replace(draft.memory, rate_tokens=ledger.tokens, rate_as_of_obs=draft.obs(ENGINE))
    draft.demand = _demand(draft, queue, packing, eligibility, act=act)
    return Need(packing, queue.groups, packing.wanted, packing.startable)


def _offers(draft: Draft) -> list[Offer]:
    """Every configured resource, overrides applied, with row classes: one each, of menus one for each choice."""
    offers: list[Offer] = []
    row_class = 0
    for name, known in draft.policy.resources.items():
        resource = draft.resource(name)
        choices = [
            replace(choice, row_class=row_class + number)
            for number, choice in enumerate(menus.choices(draft, resource))
        ]
        offers.append(Offer(resource, draft.memory.capacity_of(known), row_class, tuple(choices)))
        row_class += max(len(choices), 1)
    return offers


def _rows(draft: Draft, hosts: Hosts, offers: list[Offer]) -> tuple[Rows, Eligibility]:
    """Free capacity of all nodes and hosts. The first row classes are the offers', then one per kind of host."""
    takes: list[tuple[Host | None, Resource | None]] = [
        (None, each.resource) for offer in offers for each in offer.choices or (offer,)
    ]
    by_resource = {offer.resource.name: offer for offer in offers}
    classes: dict[object, int] = {}
    found: list[Row] = []

    def add_host(name: str, host: Host, resource: Resource | None, stage: Stage) -> None:
        kind = (resource.name, resource.gpu_type) if resource else ()
        key = (host.features, host.queues, host.gpu_type, host.free_for_s, *kind)
        row_class = classes.get(key)
        if row_class is None:
            row_class = classes[key] = len(takes)
            takes.append((host, resource))
        total, used = host.total, host.used
        cores, memory_mib, gpus = total.cores - used.cores, total.memory_mib - used.memory_mib, total.gpus - used.gpus
        if not (-MOST <= cores <= MOST and -MOST <= gpus <= MOST and -MOST_MIB <= memory_mib <= MOST_MIB):
            return  # an odd record; nothing is placed there
        whole = not used.cores and host.name not in hosts.occupied
        found.append(Row(name, row_class, stage, cores, memory_mib, gpus, whole))

    def class_of(resource: Resource) -> int:
        """Of a node on its way that was chosen from a menu, which may offer something else by now."""
        key = ("coming", resource.name, resource.gpu_type)
        if key not in classes:
            classes[key] = len(takes)
            takes.append((None, resource))
        return classes[key]

    def kind_of(node: WorkerNode) -> Resource | None:
        known = draft.policy.resources.get(node.resource)
        return known.offered(node.offer) if known else None

    ours = set()
    for node in draft.nodes.values():
        ours.add(node.host_name)
        host = hosts.by_name.get(node.host_name)
        if node.state in COMING:
            offer = by_resource.get(node.resource)
            if offer:
                has, row_class = offer.capacity, offer.row_class
                if node.offer is not None:
                    has = draft.memory.capacity_of(offer.resource.offered(node.offer))
                    row_class = class_of(offer.resource.offered(node.offer))
                found.append(Row(node.node_id, row_class, Stage.COMING, has.cores, has.memory_mib, has.gpus, True))
        elif host is None or host.state is not HostState.UP:
            continue
        elif node.state in WORKING:
            if host.hold is None or host.hold.ours:  # ours: being released
                add_host(node.node_id, host, kind_of(node), Stage.FREE)
        elif node.state in (NodeState.HOLDING, NodeState.HELD) and node.hold_why is HoldWhy.SCALE_DOWN:
            add_host(node.node_id, host, kind_of(node), Stage.RECALLABLE)
    for name, host in hosts.by_name.items():
        if name not in ours and host.state is HostState.UP and host.hold is None:
            add_host(name, host, None, Stage.FREE)
    rows = Rows()
    rows.load(found)
    impatient = frozenset(offer.resource.name for offer in offers if menus.spot_is_short(draft, offer.resource))
    waiting = frozenset(offer.resource.name for offer in offers if menus.waits_for_spot(draft, offer.resource))
    return rows, Eligibility(takes, offers, impatient, waiting)


def _recall(draft: Draft, packing: Packing) -> None:
    for node_id in sorted(packing.recalled):  # or the order would differ from run to run
        apply(draft, node_id, NodeEvent.RECALL, "waiting jobs fit on it: released instead of removed")


def _launch_for_jobs(draft: Draft, queue: Queue, packing: Packing) -> None:
    # Node ids are given in the order of the purchases: as nodes on their way are filled in the order of their ids, the
    # next decision puts the same jobs onto the same nodes, and nothing is bought twice.
    node_ids = iter(new_node_ids(draft, sum(purchase.count for purchase in packing.purchases)))
    wanted: dict[tuple[str, CloudOffer | None, str], dict[str, str]] = {}  # resource, offer, gang -> node id -> job
    for purchase in packing.purchases:
        group = queue.groups[purchase.group]
        head = group.jobs[0].job_id
        gang = head if purchase.count > 1 and group.tasks == 1 else ""  # then all of its nodes are for one job
        kind = (purchase.resource, purchase.offer, gang)
        wanted.setdefault(kind, {}).update(dict.fromkeys(islice(node_ids, purchase.count), head))
    for (name, offer, gang), heads in wanted.items():
        resource = draft.resource(name).offered(offer)
        why = _for_jobs(heads.values())
        launch_nodes(draft, resource, list(heads), why, offer=offer, whole=bool(gang))
        draft.nominations.update((node_id, Nomination(until_obs=0.0, job_id=head)) for node_id, head in heads.items())


def _for_jobs(heads: Iterable[str]) -> str:
    jobs = list(dict.fromkeys(heads))
    listed = ", ".join(jobs[:3]) + (f" and {len(jobs) - 3} more" if len(jobs) > 3 else "")
    return f"for waiting job(s) {listed}"


def _launch_trials(draft: Draft, queue: Queue, packing: Packing, ledger: Ledger, eligibility: Eligibility) -> None:
    """A resource on trial gets its one node also where only gangs of more wait for it, or it would stay closed."""
    for name in draft.policy.resources:
        if not breaker.on_trial(draft, name) or name in ledger.trials:
            continue
        waiting = [
            group.shape
            for group, outcome in zip(queue.groups, packing.outcomes, strict=True)
            if outcome.unplaced and outcome.refusals.get(name) is Refusal.CLOSED
        ]
        trial = draft.nodes.get(draft.breakers[name].trial_node)
        if trial is not None:
            has = draft.memory.capacity_of(draft.resource(name).offered(trial.offer))
            if trial.joined_at and waiting and all(match.nodes_needed(shape, has, 1) > 1 for shape in waiting):
                breaker.cannot_tell(draft, name)
        elif waiting:
            resource, offer = menus.kind_to_launch(draft, name)
            # of a menu, what holds the work that waits: another size would show nothing
            for choice in eligibility.choices(waiting[0], name)[:1]:
                resource, offer = choice.resource, choice.chosen
            if ledger.room(resource)[0] >= 1:
                ledger.take(resource, 1)
                launch(draft, resource, 1, "trial: it may show whether it works again", offer=offer)


def _launch_for_minimum(draft: Draft, ledger: Ledger) -> None:
    """Minimum sizes: working nodes and those on their way (also those just asked for) count, failing ones do not."""
    healthy: dict[str, int] = {}
    for node in draft.nodes.values():
        if node.state in COMING or node.state in WORKING or node.hold_why in (HoldWhy.OPERATOR, HoldWhy.VACATE):
            healthy[node.resource] = healthy.get(node.resource, 0) + 1
    # in a fixed order: where the limits do not allow all minima, that of the file must not decide
    for name, _ in sorted(draft.policy.resources.items(), key=lambda item: (item[1].priority, item[0])):
        resource, offer = menus.kind_to_launch(draft, name)
        lacking = resource.min_nodes - healthy.get(name, 0)
        if lacking > 0 and resource.provisioning is Provisioning.DEMAND:
            room, _ = ledger.room(resource)  # of use one by one, too
            count = min(lacking, room)
            if count > 0:
                ledger.take(resource, count)
                launch(draft, resource, count, f"minimum of {resource.min_nodes} node(s)", offer=offer)


# -- the report --------------------------------------------------------------------------------------


def _demand(draft: Draft, queue: Queue, packing: Packing, eligibility: Eligibility, *, act: bool) -> Demand:
    reports = []
    unplaced = 0
    never = _Never(draft)
    merged: dict[tuple[int, int], Mapping[str, Refusal]] = {}  # most groups of a lot share their refusals
    for group, outcome in zip(queue.groups, packing.outcomes, strict=True):
        refusals: Mapping[str, Refusal] = {}
        impossible = False
        if outcome.unplaced:
            unplaced += outcome.unplaced
            lot = eligibility.lot(group.shape)
            impossible = never.runs(group, lot)
            key = (lot.number, id(outcome.refusals))
            if key not in merged:
                merged[key] = {**lot.misfits, **outcome.refusals}
            refusals = merged[key]
        elif not act and outcome.on_new:
            refusals = dict.fromkeys(outcome.new_nodes, Refusal.AUTO_OFF)
        reports.append(
            ShapeReport(
                shape=group.shape,
                job_ids=tuple(map(_JOB_ID, group.jobs)),
                waiting=group.tasks,
                on_free=outcome.on_free,
                on_coming=outcome.on_coming,
                on_new=outcome.on_new,
                unplaced=outcome.unplaced,
                new_nodes=outcome.new_nodes,
                refusals=refusals,
                never=impossible,
            )
        )
    return Demand(
        reports=tuple(reports),
        held_back={
            "no": tuple(queue.no),
            "not yet": tuple(queue.not_yet),
            BY_SCHEDULER: tuple(queue.by_scheduler),
        },
        waiting_tasks=sum(group.tasks for group in queue.groups),
        waiting_cores=sum(group.tasks * group.shape.cores for group in queue.groups),
        unplaced_tasks=unplaced,
    )


class _Never:
    """Whether no resource at its configured size, and no host that exists, could ever take a job."""

    def __init__(self, draft: Draft) -> None:
        self._resources = draft.policy.resources
        self._smaller = [resource for resource in learned.smaller(draft) if resource.max_nodes > 0]
        # hosts are asked by kind: ten thousand of them are of a few dozen kinds
        self._hosts = {
            (host.features, host.queues, host.gpu_type, host.total): host
            for host in draft.hosts.by_name.values()
            if host.state is not HostState.JOINING  # of such a host nobody knows whether it will ever be there
        }

    def runs(self, group: Group, lot: Lot) -> bool:
        shape = group.shape
        if any(learned.would_hold(resource, shape) for resource in self._smaller):
            return False
        for tie in lot.ties:
            for offer in tie:
                # several resources together may hold a gang that is too large for one
                if shape.chunks > 1 or self._resources[offer.resource.name].max_nodes > 0:
                    return False
        return not any(
            match.too_small(shape, host.total) is None and match.host_takes(shape, host, None)
            for host in self._hosts.values()
        )
