"""The people of the simulated site: bursts of jobs of mixed shape from several users and queues."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dynamiccluster.embedded.jobs import JobRequest
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape
from dynamiccluster.model.resource import Resource

DAY_S = 86400.0
USERS = ("alice", "bob", "chandra", "dmitri", "emeka", "fatima")
NAMES = ("align", "render", "sweep", "train", "assemble", "fold", "simulate", "reduce")
MEMORY_SHARE = 0.85
"""Jobs ask for at most this part of a node's memory: a real machine shows somewhat less than it is sold with."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One submission."""

    at: float
    request: JobRequest


@dataclass(frozen=True, slots=True)
class Habits:
    """How people use the site."""

    jobs_per_day: float = 500.0
    burst: float = 6.0  # mean number of submissions in a burst
    run_s: tuple[float, float] = (30.0, 1800.0)  # typical range of run times, log-uniform
    arrays: float = 0.1  # share of submissions that are arrays
    oddities: float = 0.05  # share that is held, depends on another, begins later or may not be rerun
    swing: float = 0.8  # of day and night; 0 = the same all day
    first_after_s: float | None = None  # when the first burst comes; ``None`` = by chance like every other


def palette(resources: Iterable[Resource], rng: random.Random, per_resource: int = 4) -> tuple[Shape, ...]:
    """Shapes that nodes of these resources can hold: small, whole-node and multi-node, by who may use each."""
    shapes: list[Shape] = []
    for resource in resources:
        if resource.max_nodes < 1:
            continue
        shapes.extend(_shape_for(resource, rng) for _ in range(per_resource))
    return tuple(dict.fromkeys(shapes))


def _shape_for(resource: Resource, rng: random.Random) -> Shape:
    has, reserved = resource.capacity, resource.reservation
    queue = reserved.queue or rng.choice(sorted(resource.queues) or ["batch"])
    words = sorted(resource.features | ({reserved.property} if reserved.property else set()))
    features: tuple[tuple[str, ...], ...] = ()
    if reserved.property or (words and rng.random() < 0.4):
        features = ((reserved.property or rng.choice(words),),)
    gpus = has.gpus if rng.random() < 0.5 else 0
    whole_mib = int(has.memory_mib * MEMORY_SHARE)
    cores = max(1, has.cores // rng.choice((1, 2, 2, 4, 4, 8)))
    chunk = Capacity(cores, whole_mib * cores // has.cores, gpus)
    plain = Shape(
        queues=(queue,),
        account=reserved.account or rng.choice(("physics", "bio", "")),
        chunk=chunk,
        features=features,
        gpu_type=resource.gpu_type if gpus else "",
        walltime_s=rng.choice((0, 3600, 7200)),
    )
    style = rng.random()
    if style < 0.15 and resource.max_nodes > 1:  # several hosts, one piece on each
        return replace(plain, chunks=min(resource.max_nodes, rng.choice((2, 2, 3))), distinct=True)
    if style < 0.25:
        return replace(plain, chunk=replace(chunk, memory_mib=0), exclusive=True)
    if style < 0.4 and resource.max_nodes > 1 and not gpus:  # many single-core pieces, anywhere
        return replace(plain, chunk=Capacity(1), chunks=has.cores * 2)
    if style < 0.5:
        return replace(plain, chunk=replace(chunk, memory_mib=0), memory_per_host_mib=whole_mib // 2)
    return plain


def bursts(
    shapes: Sequence[Shape], rng: random.Random, start_at: float, until_at: float, habits: Habits | None = None
) -> Iterator[Arrival]:
    """Submissions between two instants, in time order: quiet nights, busy afternoons, bursts of like jobs.

    Endless when ``until_at`` is infinite, as in the demo.
    """
    habits = habits or Habits()
    if not shapes:
        return
    at = start_at
    gap_s = DAY_S * habits.burst / habits.jobs_per_day
    while True:
        busy = 1.0 + habits.swing * math.sin(2 * math.pi * ((at - start_at) / DAY_S - 0.25))
        pause_s = rng.expovariate(max(busy, 0.2) / gap_s)
        first = at == start_at and habits.first_after_s is not None
        at += (habits.first_after_s or 0.0) if first else pause_s
        if at >= until_at:
            return
        user, name = rng.choice(USERS), rng.choice(NAMES)
        mood = [rng.choice(shapes) for _ in range(rng.randint(1, 2))]
        for _ in range(1 + int(rng.expovariate(1.0 / max(habits.burst - 1.0, 0.1)))):
            at += rng.uniform(0.0, 4.0)
            if at >= until_at:
                return
            yield Arrival(at, _request(rng.choice(mood), user, name, rng, habits))


def _request(shape: Shape, user: str, name: str, rng: random.Random, habits: Habits) -> JobRequest:
    least, most = habits.run_s
    run_s = math.exp(rng.uniform(math.log(least), math.log(most)))
    if shape.walltime_s:
        run_s = min(run_s, shape.walltime_s * 0.9)
    tasks = throttle = 1
    if rng.random() < habits.arrays and shape.chunks == 1:
        tasks = rng.randint(2, 12)
        throttle = rng.choice((0, 0, 2, 4))
    odd = rng.random() / habits.oddities if habits.oddities else 1.0
    return JobRequest(
        shape,
        run_s,
        user,
        name,
        priority=float(rng.choice((0, 0, 0, 10, 100))),
        tasks=tasks,
        throttle=throttle if tasks > 1 else 0,
        held_s=rng.uniform(300, 3600) if odd < 0.25 else 0.0,
        follows=rng.randint(1, 3) if 0.25 <= odd < 0.5 else 0,
        begin_in_s=rng.uniform(60, 1800) if 0.5 <= odd < 0.75 else 0.0,
        rerunnable=not 0.75 <= odd < 1.0,
    )
