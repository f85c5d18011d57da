"""The site of the demo: it fits whatever resources the configuration names; one of them fails for a while."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from dynamiccluster.embedded.machines import Kind, Mishap, Window
from dynamiccluster.embedded.site import Site
from dynamiccluster.embedded.workload import Habits, bursts, palette
from dynamiccluster.model.resource import Resource

DEMO_HABITS = Habits(jobs_per_day=2400.0, burst=8.0, run_s=(20.0, 420.0), swing=0.0, first_after_s=10.0)
"""A burst every five minutes or so: at 20 times the speed of life that is one every quarter of a minute."""

STRANGERS_PER_HOUR = 2.0


def demo_windows(resource: str) -> tuple[Window, ...]:
    """What happens to the resource that fails: sold out for a while, then an image whose machines never join."""
    return (
        Window(Mishap.SOLD_OUT, resource, 300.0, 1200.0),
        Window(Mishap.NEVER_JOINS, resource, 2400.0, 4800.0),
    )


def demo_site(
    cluster_id: str,
    resources: Iterable[Resource],
    started_at: float,
    origin_s: float = 0.0,
    seed: int = 1,
    failing: str = "",
) -> Site:
    """A site with one queue for ``cluster_id``, the tenancies of ``resources``, and jobs that suit them, without end.

    ``started_at`` and ``origin_s`` are the clock's ``now()`` and ``monotonic()`` of this moment. ``failing`` names
    the resource that fails for a while; "" = none.
    """
    kinds = list(resources)
    site = Site(seed, started_at, origin_s)
    site.add_queue(cluster_id)
    for tenancy in dict.fromkeys(resource.tenancy for resource in kinds):
        windows = demo_windows(failing) if any(r.name == failing and r.tenancy == tenancy for r in kinds) else ()
        site.add_tenancy(tenancy, {r.name: Kind() for r in kinds if r.tenancy == tenancy}, windows=windows)
    rng = random.Random(seed)  # noqa: S311 - a simulation, nothing secret
    site.feed(cluster_id, bursts(palette(kinds, rng), rng, started_at, math.inf, DEMO_HABITS))
    return site
