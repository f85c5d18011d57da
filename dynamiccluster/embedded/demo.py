"""The site of the demo: it fits whatever resources the configuration names, and fails as the configuration says."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence

from dynamiccluster.embedded.machines import Kind, TenancyLimits, Window
from dynamiccluster.embedded.site import Site
from dynamiccluster.embedded.workload import Habits, bursts, palette
from dynamiccluster.model.resource import Resource

DEMO_HABITS = Habits(jobs_per_day=2400.0, burst=8.0, run_s=(20.0, 420.0), swing=0.0, first_after_s=10.0)
"""A burst every five minutes or so: at 20 times the speed of life that is one every quarter of a minute."""


def demo_site(
    cluster_id: str,
    resources: Iterable[Resource],
    started_at: float,
    origin_s: float = 0.0,
    seed: int = 1,
    *,
    kinds: Mapping[str, Kind] | None = None,
    limits: Mapping[str, TenancyLimits] | None = None,
    windows: Sequence[Window] = (),
    habits: Habits = DEMO_HABITS,
) -> Site:
    """A site with one queue for ``cluster_id``, the tenancies of ``resources``, and jobs that suit them, without end.

    ``started_at`` and ``origin_s`` are the clock's ``now()`` and ``monotonic()`` of this moment. ``kinds`` says per
    resource how its machines behave, ``limits`` per tenancy what its quota is.
    """
    known = list(resources)
    site = Site(seed, started_at, origin_s)
    site.add_queue(cluster_id)
    for tenancy in dict.fromkeys(resource.tenancy for resource in known):
        names = [resource.name for resource in known if resource.tenancy == tenancy]
        site.add_tenancy(
            tenancy,
            {name: (kinds or {}).get(name, Kind()) for name in names},
            (limits or {}).get(tenancy),
            tuple(window for window in windows if window.resource in names),
        )
    rng = random.Random(seed)  # noqa: S311 - a simulation, nothing secret
    if habits.jobs_per_day > 0:
        site.feed(cluster_id, bursts(palette(known, rng), rng, started_at, math.inf, habits))
    return site
