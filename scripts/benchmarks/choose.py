"""How long it takes to choose from a menu, and how long the whole decision takes with it.

``seconds`` is the choice: which of the offers for which jobs. ``decision_s`` is everything from job objects in hand to
the plan, which also packs, launches and gives reasons. ``bound`` compares the cost of the choice with what the work
costs at least, if every core and every byte were had at the lowest price that any offer has for it.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator

from dynamiccluster.decide import counsel
from dynamiccluster.decide.choose import Batch, Size, choose
from dynamiccluster.decide.tick import decide
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.model.memory import Memory, ObservedClock
from dynamiccluster.model.menu import Menu, SpotStrategy
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.plan import Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView, SchedulerView

ROWS = ((10_000, 20, 200), (10_000, 5, 200), (1_000, 20, 50))
"""Jobs, families of machine types (each of five sizes, three zones and two markets), shapes."""

REPEATS = 3
SECONDS = 0.3
"""A choice takes at most so long."""

START_AT = 1_800_000_000.0
ZONES = ("a", "b", "c")


def rows() -> Iterator[dict[str, object]]:
    for jobs, families, shapes in ROWS:
        rng = random.Random(jobs + families + shapes)
        offers = menu_of(families, rng)
        snapshot, policy = picture(jobs, shapes, offers, rng)
        measured = [timed(snapshot, policy) for _ in range(REPEATS)]
        choice_s = min(seconds for seconds, _, _, _ in measured)
        if choice_s > SECONDS:
            raise RuntimeError(f"a choice for {jobs} jobs takes {choice_s:.2f} s, more than {SECONDS:g}")
        yield {
            "name": f"choose {len(offers)}",
            "jobs": jobs,
            "nodes": measured[0][2],
            "shapes": shapes,
            "seconds": round(choice_s, 4),
            "decision_s": round(min(decision_s for _, decision_s, _, _ in measured), 4),
            "bound": round(measured[0][3], 3),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def timed(snapshot: Snapshot, policy: Policy) -> tuple[float, float, int, float]:
    """CPU seconds of the choice and of the decision, nodes launched, and the cost as a multiple of its bound."""
    spent: list[float] = []
    costs: list[float] = []

    def watched(needs, counts, sizes: list[Size], allowed, most_nodes=None) -> list[Batch]:  # type: ignore[no-untyped-def]  # as choose's own
        began = time.process_time()
        batches = choose(needs, counts, sizes, allowed, most_nodes)
        spent.append(time.process_time() - began)
        costs.append(sum(batch.nodes * sizes[batch.size].price for batch in batches) / least(needs, counts, sizes))
        return batches

    counsel.choose = watched  # type: ignore[assignment]  # the one place where the planner asks for a choice
    try:
        began = time.process_time()
        plan = decide(snapshot, policy, START_AT + 10)
        decision_s = time.process_time() - began
    finally:
        counsel.choose = choose
    assert plan.demand.unplaced_tasks == 0
    return sum(spent), decision_s, len(plan.nodes), max(costs)


def least(needs: list[Capacity], counts: list[int], sizes: list[Size]) -> float:
    core = min(size.price / size.capacity.cores for size in sizes)
    mib = min(size.price / size.capacity.memory_mib for size in sizes)
    cores = sum(need.cores * count for need, count in zip(needs, counts, strict=True))
    memory_mib = sum(need.memory_mib * count for need, count in zip(needs, counts, strict=True))
    return max(cores * core, memory_mib * mib)


def menu_of(families: int, rng: random.Random) -> tuple[Offer, ...]:
    """Families of 2, 4 or 8 GiB a core; spot at a third of the price, more or less, in each zone another."""
    found = []
    for family in range(families):
        gib, per_core = rng.choice(((2, 0.042), (4, 0.048), (8, 0.063)))
        per_core *= rng.uniform(0.85, 1.2)
        for cores in (2, 4, 8, 16, 32):
            for zone in ZONES:
                for market, part in (("spot", rng.uniform(0.25, 0.5)), ("on-demand", 1.0)):
                    kind = f"f{family}.{cores}"
                    found.append(
                        Offer(
                            "menu",
                            Capacity(cores, cores * gib * 1024),
                            f"t/{zone}/{kind}/{market}",
                            price_per_hour=per_core * cores * part,
                            instance_type=kind,
                            zone=zone,
                            market=market,
                        )
                    )
    return tuple(found)


def picture(jobs: int, shapes: int, offers: tuple[Offer, ...], rng: random.Random) -> tuple[Snapshot, Policy]:
    wants = [
        Shape(Capacity(rng.choice((1, 1, 2, 4, 8, 16)), rng.choice((500, 2000, 4000, 8000, 16000, 30000)) + number))
        for number in range(shapes)
    ]
    waiting = tuple(
        Job(str(number), JobState.PENDING, wants[number % shapes], wait=Wait.HELPS, reason="Resources")
        for number in range(jobs)
    )
    clocks = {"engine": ObservedClock(1000.0, START_AT)}
    menu = Menu(spot_strategy=SpotStrategy.PRICE_CAPACITY_OPTIMIZED)
    policy = Policy(
        "c",
        {"menu": Resource("menu", "aws", "t", Capacity(), max_nodes=100_000, menu=menu)},
        declare_shapes=False,
    )
    snapshot = Snapshot(
        1,
        Memory(generation="abcd", looked=True, clocks=clocks),
        scheduler=SchedulerView(START_AT, START_AT + 1, waiting),
        clouds={"t": CloudView("t", START_AT, START_AT + 1, offers=offers)},
    )
    return snapshot, policy
