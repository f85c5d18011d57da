"""What must hold of every plan, whatever the queue, the nodes and the limits."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

from builders import (
    NOW,
    after,
    cloud_view,
    host,
    host_of,
    instance_of,
    job,
    launches,
    node,
    picture,
    plan,
    policy,
    resource,
    shape,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamiccluster.decide.tick import answer
from dynamiccluster.model.job import Shape
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.policy import Limits, Policy
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import Quota
from dynamiccluster.model.worker_node import COMING, NodeState

S = NodeState
EXAMPLES = settings(max_examples=250)

# -- pictures -----------------------------------------------------------------------------------------


def some_shape(rng: random.Random) -> Shape:
    return shape(
        rng.choice((0, 1, 1, 2, 2, 3, 4, 5)),
        rng.choice((0, 0, 0, 512, 2048, 6000)),
        rng.choice((0, 0, 0, 0, 0, 1)),
        queues=rng.choice((("q",), ("q",), ("q",), ("q", "x"), ("x",))),
        account=rng.choice(("", "", "physics")),
        chunks=rng.choice((1, 1, 1, 1, 2, 3, 7)),
        distinct=rng.random() < 0.5,
        exclusive=rng.random() < 0.15,
        memory_per_host_mib=rng.choice((0, 0, 0, 1024)),
        features=rng.choice(((), (), (), (("ib",),))),
    )


def some_resource(rng: random.Random, number: int) -> Resource:
    most = rng.randint(0, 7)
    return resource(
        f"r{number}",
        rng.choice((1, 2, 4, 4, 8)),
        rng.choice((1024, 4096, 16384, 16384)),
        gpus=rng.choice((0, 0, 0, 2)),
        max_nodes=most,
        min_nodes=min(most, rng.choice((0, 0, 0, 1, 2))),
        priority=rng.choice((0, 0, 1)),
        queue=rng.choice(("", "", "", "q")),
        account=rng.choice(("", "", "", "physics")),
        features=rng.choice((frozenset(), frozenset({"ib"}))),
        price_per_hour=rng.choice((0.0, 0.5, 1.0)),
        max_starting=rng.choice((0, 0, 0, 3)),
    )


def some_limits(rng: random.Random) -> Limits:
    return Limits(
        max_nodes=rng.choice((0, 0, 0, 5, 9)),
        max_cores=rng.choice((0, 0, 0, 0, 24)),
        budget_per_hour=rng.choice((0.0, 0.0, 0.0, 3.0)),
        budget_per_month=rng.choice((0.0, 0.0, 0.0, 4.0)),
        launch_batch=rng.choice((0, 1, 3, 100)),
    )


def situation_of(seed: int) -> tuple[Snapshot, Policy]:
    """A queue with jobs of different priority, nodes that are up or coming, hosts of others, and limits that may bind.

    Drawn by hand from a seed: examples that hypothesis composes are mostly too small for anything to bind.
    """
    rng = random.Random(seed)
    resources = [some_resource(rng, i) for i in range(rng.randint(1, 5))]
    nodes, hosts = [], []
    for i in range(rng.randint(0, 5)):
        of = rng.choice(resources)
        state = rng.choice((S.IDLE, S.IDLE, S.BUSY, S.STARTING, S.JOINING, S.REQUESTED))
        n = node(f"aaaa000{i}", state, of.name)  # older than those the plan makes, as in life
        nodes.append(n)
        if state not in COMING:
            used = rng.randint(0, of.capacity.cores) if state is S.BUSY else 0
            size = of.capacity
            hosts.append(host_of(n, cores=size.cores, memory_mib=size.memory_mib, gpus=size.gpus, used=used))
    hosts += [host(f"static{i}", rng.randint(1, 8), used=rng.randint(0, 1)) for i in range(rng.randint(0, 3))]
    rng.shuffle(hosts)
    kinds = [some_shape(rng) for _ in range(rng.randint(1, 6))]
    ranks = rng.sample(range(100), rng.randint(0, 25))
    queue = [
        job(f"j{i}", rng.choice(kinds), tasks=rng.choice((1, 1, 1, 4)), priority=float(rank))
        for i, rank in enumerate(ranks)
    ]
    unlimited = (Quota(), Quota(), Quota())
    quota = rng.choice((*unlimited, Quota(max_instances=12, used_instances=6), Quota(max_cores=60, used_cores=31)))
    instances = [instance_of(n) for n in nodes if n.instance_id]
    snapshot = picture(nodes, queue, hosts, clouds={"t": cloud_view(instances, quota=quota)})
    return snapshot, policy(*resources, limits=some_limits(rng))


situations = st.integers(0, 1 << 32).map(situation_of)


# -- limits -------------------------------------------------------------------------------------------


@EXAMPLES
@given(situations)
def test_no_plan_exceeds_a_limit(situation) -> None:
    snapshot, rules = situation
    asked = Counter(launches(plan(snapshot, rules)))
    known = rules.resources
    there = Counter(n.resource for n in snapshot.nodes.values())
    coming = Counter(n.resource for n in snapshot.nodes.values() if n.state in COMING)
    for name, count in asked.items():
        assert there[name] + count <= known[name].max_nodes
        if known[name].max_starting:
            gang = max((waiting.shape.chunks for waiting in snapshot.scheduler.jobs), default=1)
            at_once = known[name].max_starting if coming[name] else max(known[name].max_starting, gang)
            assert coming[name] + count <= at_once
    total = there + asked
    if asked:
        cores = sum(known[name].capacity.cores * count for name, count in total.items())
        rate = sum(known[name].price_per_hour * count for name, count in total.items())
        assert not rules.limits.max_nodes or total.total() <= rules.limits.max_nodes
        assert not rules.limits.max_cores or cores <= rules.limits.max_cores
        if any(known[name].billable for name in asked):
            assert not rules.limits.budget_per_hour or rate <= rules.limits.budget_per_hour + 1e-6
            assert not rules.limits.budget_per_month or rate <= rules.limits.budget_per_month + 1e-6
        quota = snapshot.clouds["t"].quota
        unseen = [n for n in snapshot.nodes.values() if not n.instance_id]
        if quota.max_instances is not None:
            assert quota.used_instances + len(unseen) + asked.total() <= quota.max_instances
        if quota.max_cores is not None:
            more = sum(known[n.resource].capacity.cores for n in unseen)
            more += sum(known[name].capacity.cores * count for name, count in asked.items())
            assert quota.used_cores + more <= quota.max_cores


# -- placement ----------------------------------------------------------------------------------------


@EXAMPLES
@given(situations)
def test_every_task_is_counted_exactly_once(situation) -> None:
    snapshot, rules = situation
    decided = plan(snapshot, rules)
    reported = Counter(job_id for r in decided.demand.reports for job_id in r.job_ids)
    assert reported == Counter(j.job_id for j in snapshot.scheduler.jobs)
    for r in decided.demand.reports:
        assert min(r.on_free, r.on_coming, r.on_new, r.unplaced) >= 0
        assert r.on_free + r.on_coming + r.on_new + r.unplaced == r.waiting


@EXAMPLES
@given(situations)
def test_what_is_placed_fits_and_nothing_is_used_twice(situation) -> None:
    """The cores of all placed jobs are there: free ones and new ones. Gangs are placed whole or not at all."""
    snapshot, rules = situation
    decided = plan(snapshot, rules)
    free_cores = sum(h.total.cores - h.used.cores for h in snapshot.scheduler.hosts)
    coming_cores = sum(rules.resources[n.resource].capacity.cores for n in snapshot.nodes.values() if n.state in COMING)
    new_cores = sum(rules.resources[name].capacity.cores * count for name, count in launches(decided).items())
    cores = Counter[str]()
    for r in decided.demand.reports:
        cores["free"] += r.on_free * r.shape.cores
        cores["all"] += (r.waiting - r.unplaced) * r.shape.cores
    assert cores["free"] <= free_cores
    assert cores["all"] <= free_cores + coming_cores + new_cores


@EXAMPLES
@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 5), st.integers(0, 6), st.booleans())
def test_gangs_get_all_their_nodes_or_none(cores, chunks, free, most, distinct) -> None:
    wants = shape(cores, chunks=chunks, distinct=distinct)
    nodes = [node(f"n{i}") for i in range(free)]
    decided = plan(picture(nodes, [job("1", wants)]), policy(resource(max_nodes=free + most)))
    per_node = 1 if distinct else 4 // cores
    needed = -(-chunks // per_node)
    bought = sum(launches(decided).values())
    assert bought == (max(0, needed - free) if needed - free <= most else 0)


# -- the same, in another order or again ---------------------------------------------------------------


def mixed_up(snapshot: Snapshot, rules: Policy, rng: random.Random) -> tuple[Snapshot, Policy]:
    def mix(listed):
        return rng.sample(list(listed), len(listed))

    view = snapshot.scheduler
    cloud = snapshot.clouds["t"]
    return (
        replace(
            snapshot,
            nodes=dict(mix(snapshot.nodes.items())),
            scheduler=replace(view, jobs=tuple(mix(view.jobs)), hosts=tuple(mix(view.hosts))),
            clouds={"t": replace(cloud, instances=tuple(mix(cloud.instances)))},
        ),
        replace(rules, resources=dict(mix(rules.resources.items()))),
    )


def gist(decided: Plan) -> tuple[object, ...]:
    """What matters of a plan, ids of new nodes apart."""
    reports = {
        r.job_ids: (r.on_free, r.on_coming, r.on_new, r.unplaced, r.never, dict(r.refusals))
        for r in decided.demand.reports
    }
    return launches(decided), reports


@EXAMPLES
@given(situations)
def test_the_same_picture_gives_the_same_plan(situation) -> None:
    assert plan(*situation) == plan(*situation)


@EXAMPLES
@given(situations, st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(situation, rng) -> None:
    snapshot, rules = situation
    assert gist(plan(snapshot, rules)) == gist(plan(*mixed_up(snapshot, rules, rng)))


def without_gangs(snapshot: Snapshot) -> Snapshot:
    view = snapshot.scheduler
    return replace(snapshot, scheduler=replace(view, jobs=tuple(j for j in view.jobs if j.shape.chunks == 1)))


@EXAMPLES
@given(situations)
def test_without_news_nothing_more_is_launched(situation) -> None:
    snapshot, rules = without_gangs(situation[0]), situation[1]
    first = plan(snapshot, rules)
    second = plan(after(snapshot, first), rules, NOW + 1.0)
    assert not launches(second)


@EXAMPLES
@given(situations)
def test_with_gangs_launching_settles_soon(situation) -> None:
    """Pieces of gangs may be spread otherwise over nodes once these are on their way; that must come to an end."""
    snapshot, rules = situation
    counts = []
    for tick in range(4):
        decided = plan(snapshot, rules, NOW + tick)
        counts.append(sum(launches(decided).values()))
        snapshot = after(snapshot, decided)
    assert counts[3] == 0
    assert sum(counts[1:]) <= counts[0] + 2


@EXAMPLES
@given(situations, st.integers(1, 16))
def test_one_more_free_host_never_places_less(situation, cores) -> None:
    """For jobs of one shape, or one gang, so that it cannot matter who is served first; without minimum sizes."""
    snapshot, rules = situation
    rules = replace(rules, resources={name: replace(r, min_nodes=0) for name, r in rules.resources.items()})
    view = snapshot.scheduler
    for head in {j.shape: j for j in view.jobs}.values():
        alike = tuple(j for j in view.jobs if j.shape == head.shape)
        only = alike if head.shape.chunks == 1 else (replace(head, tasks=1),)
        more = host("another", cores, 1 << 20, gpus=4, features=frozenset({"ib"}))
        before = plan(replace(snapshot, scheduler=replace(view, jobs=only)), rules)
        later = plan(replace(snapshot, scheduler=replace(view, jobs=only, hosts=(*view.hosts, more))), rules)
        assert later.demand.unplaced_tasks <= before.demand.unplaced_tasks
        if head.shape.chunks == 1 and later.demand.unplaced_tasks == before.demand.unplaced_tasks:
            assert sum(launches(later).values()) <= sum(launches(before).values())


# -- answers ------------------------------------------------------------------------------------------


@EXAMPLES
@given(situations, st.booleans())
def test_every_waiting_job_gets_an_answer(situation, auto) -> None:
    snapshot, rules = situation
    rules = replace(rules, auto_mode=auto)
    decided = plan(snapshot, rules)
    for waiting in snapshot.scheduler.jobs:
        told = answer(after(snapshot, decided), rules, NOW + 1.0, decided.demand, waiting)
        assert told.summary
        (report,) = [r for r in decided.demand.reports if waiting.job_id in r.job_ids]
        if report.unplaced:
            assert report.refusals
            assert all(name in rules.resources for name in report.refusals)
