"""The setting of a world: who has which queue, which clouds there are, and the policies. Random but sane."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dynamiccluster.embedded.hosts import HostAttributes
from dynamiccluster.embedded.machines import Kind, TenancyLimits
from dynamiccluster.embedded.rules import QueueRules
from dynamiccluster.embedded.workload import Habits
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.menu import Menu, OnDemandStrategy, SpotStrategy
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.policy import FailurePolicy, Limits, Policy
from dynamiccluster.model.resource import Reservation, Resource, Timers

QUEUES = ("batch", "long", "gpu")
ACCOUNTS = ("physics", "bio")
PROPERTIES = ("bigmem", "fast")
MAX_GANG = 3
"""Widest job, in nodes, that a palette makes: limits leave room for one of them besides the minimum."""


@dataclass(frozen=True, slots=True)
class TenancySetting:
    name: str
    limits: TenancyLimits
    idempotent: bool
    tags_nodes: bool
    kinds: dict[str, Kind] = field(default_factory=dict)
    offers: tuple[Offer, ...] = ()  # of menus


@dataclass(frozen=True, slots=True)
class InstallationSetting:
    """One installation: its engine's policy, its scheduler, its people, and hosts that are none of its business."""

    policy: Policy
    rules: QueueRules
    habits: Habits
    physical: dict[str, HostAttributes]
    drained: frozenset[str]  # physical hosts that an administrator has drained

    @property
    def cluster_id(self) -> str:
        return self.policy.cluster_id


@dataclass(frozen=True, slots=True)
class Setting:
    installations: tuple[InstallationSetting, ...]
    tenancies: tuple[TenancySetting, ...]
    strangers_per_hour: float

    def largest(self, resource: Resource) -> Resource:
        """The resource as the largest of its offers, if it is a menu."""
        offers = [offer for tenancy in self.tenancies for offer in tenancy.offers if offer.resource == resource.name]
        return resource.offered(max(offers, key=lambda offer: offer.capacity.cores, default=None))


def random_setting(rng: random.Random) -> Setting:
    """One or two installations on one or two tenancies."""
    tenancy_names = ["t1"] if rng.random() < 0.6 else ["t1", "t2"]
    count = 2 if rng.random() < 0.4 else 1
    resources = [_resources(rng, f"c{number + 1}", tenancy_names) for number in range(count)]
    tenancies = tuple(_tenancy(rng, name, [r for mine in resources for r in mine]) for name in tenancy_names)
    idempotent = frozenset(tenancy.name for tenancy in tenancies if tenancy.idempotent)
    share = 1.0 / count
    installations = tuple(
        _installation(rng, f"c{number + 1}", mine, idempotent, share) for number, mine in enumerate(resources)
    )
    return with_menus(Setting(installations, tenancies, rng.choice((0.0, 0.5, 2.0))), random.Random(rng.random()))


def with_menus(setting: Setting, rng: random.Random) -> Setting:
    """The same with some resources as menus: half and whole machines, in two zones and both markets."""
    offers: dict[str, list[Offer]] = {tenancy.name: [] for tenancy in setting.tenancies}
    installations = []
    for one in setting.installations:
        resources = dict(one.policy.resources)
        for name, resource in resources.items():
            if rng.random() < 0.3:
                offers[resource.tenancy] += _offers(resource, rng)
                menu = Menu(
                    rng.choice(tuple(SpotStrategy)),
                    rng.choice(tuple(OnDemandStrategy)),
                    try_spot_s=rng.choice((-1.0, 15.0, 900.0)),
                    priced=resource.price_per_hour > 0,  # else it costs nothing, which is no missing price
                )
                resources[name] = replace(resource, capacity=Capacity(), price_per_hour=0.0, offering="", menu=menu)
        installations.append(replace(one, policy=replace(one.policy, resources=resources)))
    tenancies = tuple(replace(tenancy, offers=tuple(offers[tenancy.name])) for tenancy in setting.tenancies)
    return replace(setting, installations=tuple(installations), tenancies=tenancies)


def _offers(resource: Resource, rng: random.Random) -> list[Offer]:
    """None is larger or dearer than the resource itself, so that all limits leave room for what they left room for."""
    found = []
    for part in (1, 2):
        cores, memory_mib = resource.capacity.cores // part, resource.capacity.memory_mib // part
        if resource.capacity.gpus % part:
            continue
        for zone in ("a", "b"):
            for market, price in (("spot", rng.uniform(0.2, 0.5)), ("on-demand", 1.0)):
                found.append(
                    Offer(
                        resource.name,
                        Capacity(cores, memory_mib, resource.capacity.gpus // part),
                        f"{resource.tenancy}/{zone}/{resource.name}.{cores}/{market}",
                        resource.gpu_type,
                        resource.price_per_hour * price / part,
                        f"{resource.name}.{cores}",
                        zone,
                        market,
                        rng.randint(0, 1),
                    )
                )
    return found


def _resources(rng: random.Random, cluster_id: str, tenancies: Sequence[str]) -> tuple[Resource, ...]:
    found = []
    for number in range(rng.randint(2, 5)):
        cores = rng.choice((2, 4, 8, 16))
        gpus = rng.choice((0, 0, 0, 2))
        reservation = Reservation()
        if number > 0 and rng.random() < 0.4:
            reservation = rng.choice(
                (
                    Reservation(queue=rng.choice(QUEUES[1:])),
                    Reservation(account=rng.choice(ACCOUNTS)),
                    Reservation(property=rng.choice(PROPERTIES)),
                    Reservation("long", "bio", "bigmem"),
                )
            )
        queues = frozenset({"batch", *rng.sample(QUEUES, 1)}) if not reservation and rng.random() < 0.3 else frozenset()
        idle_s = rng.choice((300.0, 600.0, 900.0))
        found.append(
            Resource(
                name=f"{cluster_id}r{number + 1}",
                cloud="simulated",
                tenancy=rng.choice(tenancies),
                capacity=Capacity(cores, cores * rng.choice((2048, 4096)), gpus),
                min_nodes=rng.choice((0, 0, 0, 1, 2)),
                max_nodes=rng.randint(3, 10),
                priority=rng.randint(0, 3),
                reservation=reservation,
                features=frozenset(rng.sample(("ssd", "ib", "avx512"), rng.randint(0, 2))),
                gpu_type=rng.choice(("a100", "v100")) if gpus else "",
                queues=queues,
                price_per_hour=rng.choice((0.0, 0.05, 0.4, 1.2)),
                name_prefix=f"{cluster_id}n{number + 1}",
                timers=Timers(
                    idle_s=idle_s,
                    first_job_s=rng.choice((900.0, 1800.0)),
                    min_lifetime_s=rng.choice((0.0, 0.0, 1800.0)),
                ),
                queue_idle_s=(("long", 1200.0),) if rng.random() < 0.1 else (),
                max_starting=rng.choice((0, 0, 0, 3)),
                offering=rng.choice(("", "", "zone-a", "zone-b")),
            )
        )
    return tuple(found)


def _tenancy(rng: random.Random, name: str, resources: Sequence[Resource]) -> TenancySetting:
    mine = [resource for resource in resources if resource.tenancy == name]
    spare = rng.randint(0, 12)
    nodes = sum(resource.min_nodes for resource in mine) + MAX_GANG + spare
    cores = sum(r.min_nodes * r.capacity.cores for r in mine) + _largest_gang_cores(mine) + spare * 4
    limits = TenancyLimits(
        max_instances=nodes if rng.random() < 0.6 else None,
        max_cores=cores if rng.random() < 0.4 else None,
    )
    kinds = {
        resource.name: Kind(
            build_s=(10.0, rng.choice((30.0, 120.0))),
            boot_s=(20.0, rng.choice((60.0, 240.0))),
            stock=max(resource.max_nodes - 1, MAX_GANG, resource.min_nodes) if rng.random() < 0.2 else None,
            memory_share=rng.choice((1.0, 1.0, 0.96)),
        )
        for resource in mine
    }
    idempotent = rng.random() < 0.5
    return TenancySetting(name, limits, idempotent, tags_nodes=rng.random() < 0.7, kinds=kinds)


def _largest_gang_cores(resources: Sequence[Resource]) -> int:
    return max((resource.capacity.cores for resource in resources), default=0) * MAX_GANG


def _installation(
    rng: random.Random, cluster_id: str, resources: Sequence[Resource], idempotent: frozenset[str], share: float
) -> InstallationSetting:
    minimum_price = sum(r.min_nodes * r.price_per_hour for r in resources)
    gang_price = max(r.price_per_hour for r in resources) * MAX_GANG
    minimum_nodes = sum(r.min_nodes for r in resources)
    minimum_cores = sum(r.min_nodes * r.capacity.cores for r in resources)
    limits = Limits(
        max_nodes=rng.choice((0, 0, minimum_nodes + MAX_GANG + rng.randint(0, 10))),
        max_cores=rng.choice((0, 0, minimum_cores + _largest_gang_cores(resources) + rng.randint(0, 60))),
        launches_per_minute=rng.choice((0.0, 0.0, 4.0)),
        launch_batch=rng.choice((100, 100, 3)),
        budget_per_hour=rng.choice((0.0, 0.0, minimum_price + gang_price + rng.uniform(0.0, 4.0))),
    )
    policy = Policy(
        cluster_id=cluster_id,
        resources={resource.name: resource for resource in resources},
        observe_first=rng.random() < 0.3,
        scheduler_poll_s=rng.choice((40.0, 60.0)),
        cloud_poll_s=60.0,
        limits=limits,
        failure=FailurePolicy(),
        declare_shapes=rng.random() < 0.5,
        idempotent_clouds=idempotent,
    )
    physical = {
        f"{cluster_id}-iron{number + 1}": HostAttributes(
            Capacity(rng.choice((4, 8)), 16384), queues=frozenset({"batch"})
        )
        for number in range(rng.choice((0, 0, 1, 2)))
    }
    drained = frozenset(name for name in physical if rng.random() < 0.3)
    rules = QueueRules(
        pass_s=rng.choice((1.0, 5.0, 15.0)),
        notice_s=rng.choice((60.0, 300.0)),
        show_s=rng.choice((0.0, 30.0)),
        requeue_on_death=rng.random() < 0.6,
    )
    habits = Habits(jobs_per_day=500.0 * share, burst=rng.choice((3.0, 6.0, 15.0)))
    return InstallationSetting(policy, rules, habits, physical, drained)
