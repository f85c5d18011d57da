"""The simulated clouds, the people, and the site that holds them together."""

from __future__ import annotations

import random

import pytest

from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.demo import demo_site
from dynamiccluster.embedded.jobs import JobRequest
from dynamiccluster.embedded.machines import Kind, Mishap, TenancyLimits, Window
from dynamiccluster.embedded.rules import QueueRules
from dynamiccluster.embedded.site import Site
from dynamiccluster.embedded.workload import Habits, bursts, palette
from dynamiccluster.errors import AuthError, BadConfigError, CapacityError, QuotaError, ThrottledError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.job import JobState, Shape
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.schedulers.simulated import SimulatedScheduler

START = 1_800_000_000.0
RESOURCE = Resource("small", "simulated", "t", Capacity(4, 8000), max_nodes=10, offering="zone-1")


class HandClock:
    """A clock moved by hand, whose wall time may be set apart from its monotonic time."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.offset_s = 0.0

    def now(self) -> float:
        return START + self.offset_s + self.elapsed_s

    def monotonic(self) -> float:
        return self.elapsed_s


def specs(*names: str) -> list[NodeSpec]:
    return [NodeSpec(f"id-{name}", name) for name in names]


def cloud_with(
    *, limits: TenancyLimits | None = None, windows: tuple[Window, ...] = (), stock: int | None = None, **kwargs: bool
) -> tuple[Site, HandClock, SimulatedCloud]:
    site, clock = Site(1, START), HandClock()
    site.add_queue("c1")
    site.add_tenancy("t", {"small": Kind(stock=stock)}, limits, windows)
    return site, clock, SimulatedCloud(site, "t", clock, "c1", **kwargs)


def states(cloud: SimulatedCloud) -> list[InstanceState]:
    return [instance.state for instance in cloud.list_instances().instances]


def test_a_machine_is_built_boots_joins_and_ends() -> None:
    site, clock, cloud = cloud_with()
    scheduler = SimulatedScheduler(site, clock, "c1")
    (launched,) = cloud.launch("l1", RESOURCE, specs("h1"))
    assert (launched.node_id, launched.host_name, launched.offering) == ("id-h1", "h1", "zone-1")
    assert states(cloud) == [InstanceState.PENDING]
    scheduler.add("h1", launched.address, RESOURCE)
    assert scheduler.poll().hosts[0].state is HostState.JOINING
    clock.elapsed_s = 45
    assert states(cloud) == [InstanceState.ACTIVE]
    clock.elapsed_s = 120
    assert scheduler.poll().hosts[0].state is HostState.UP
    cloud.terminate([launched.instance_id, "no such machine"])
    assert states(cloud) == [InstanceState.TERMINATING]
    clock.elapsed_s = 155
    assert states(cloud) == [InstanceState.GONE]
    clock.elapsed_s = 300
    assert states(cloud) == []
    assert scheduler.poll().hosts[0].state is HostState.DOWN


def test_a_machine_whose_host_is_added_late_joins_then() -> None:
    site, clock, cloud = cloud_with()
    scheduler = SimulatedScheduler(site, clock, "c1")
    cloud.launch("l1", RESOURCE, specs("h1"))
    clock.elapsed_s = 300
    scheduler.add("h1", "", RESOURCE)
    clock.elapsed_s = 310
    assert scheduler.poll().hosts[0].state is HostState.UP


def test_a_machine_that_is_taken_away_is_announced_before() -> None:
    site, clock, cloud = cloud_with()
    scheduler = SimulatedScheduler(site, clock, "c1")
    (launched,) = cloud.launch("l1", RESOURCE, specs("h1"))
    scheduler.add("h1", launched.address, RESOURCE)
    clock.elapsed_s = 200
    assert scheduler.poll().hosts[0].state is HostState.UP
    site.tenancies["t"].reclaim(launched.instance_id, 120.0)
    assert [notice.instance_id for notice in cloud.list_instances().notices] == [launched.instance_id]
    assert states(cloud) == [InstanceState.ACTIVE]
    clock.elapsed_s = 321
    assert states(cloud) == [InstanceState.GONE]
    assert not cloud.list_instances().notices


def test_machines_that_are_of_use_only_together_come_all_or_not_at_all() -> None:
    _, _, cloud = cloud_with(stock=2)
    with pytest.raises(CapacityError):
        cloud.launch_whole("l1", RESOURCE, specs("h1", "h2", "h3"))
    assert not states(cloud)
    assert len(cloud.launch_whole("l2", RESOURCE, specs("h1", "h2"))) == 2
    _, _, cloud = cloud_with(limits=TenancyLimits(max_instances=2))
    with pytest.raises(QuotaError):
        cloud.launch_whole("l1", RESOURCE, specs("h1", "h2", "h3"))
    assert len(cloud.launch("l2", RESOURCE, specs("h1", "h2", "h3"))) == 2


def test_a_repeated_launch_id_makes_no_second_machine_where_promised() -> None:
    _, _, cloud = cloud_with()
    assert cloud.launch("l1", RESOURCE, specs("h1")) == cloud.launch("l1", RESOURCE, specs("h1"))
    _, _, careless = cloud_with(idempotent=False)
    assert careless.launch("l1", RESOURCE, specs("h1")) != careless.launch("l1", RESOURCE, specs("h1"))


def test_a_cloud_without_tags_per_machine_shows_launch_ids_only() -> None:
    _, _, cloud = cloud_with(tags_nodes=False)
    (launched,) = cloud.launch("l1", RESOURCE, specs("h1"))
    (listed,) = cloud.list_instances().instances
    assert (launched.node_id, listed.node_id, listed.launch_id) == ("", "", "l1")


def test_two_installations_do_not_see_or_end_each_others_machines() -> None:
    site, clock, cloud = cloud_with(limits=TenancyLimits(max_instances=2))
    site.add_queue("c2")
    other = SimulatedCloud(site, "t", clock, "c2")
    (theirs,) = other.launch("l1", RESOURCE, specs("h1"))
    cloud.terminate([theirs.instance_id])
    view = cloud.list_instances()
    assert (view.instances, view.strangers, view.quota.used_instances) == ((), 1, 1)
    assert states(other) == [InstanceState.PENDING]


def test_quota_and_stock_bring_fewer_machines_and_then_none() -> None:
    site, _, cloud = cloud_with(limits=TenancyLimits(max_instances=3))
    site.tenancies["t"].add_stranger(4, 8000, 600.0)
    assert len(cloud.launch("l1", RESOURCE, specs("a", "b", "c"))) == 2
    with pytest.raises(QuotaError):
        cloud.launch("l2", RESOURCE, specs("d"))
    _, _, cloud = cloud_with(limits=TenancyLimits(max_cores=7, max_memory_mib=100_000))
    assert len(cloud.launch("l1", RESOURCE, specs("a", "b"))) == 1
    _, _, cloud = cloud_with(stock=1)
    assert len(cloud.launch("l1", RESOURCE, specs("a", "b"))) == 1
    with pytest.raises(CapacityError):
        cloud.launch("l2", RESOURCE, specs("d"))
    with pytest.raises(BadConfigError):
        cloud.launch("l3", RESOURCE, [])


def test_strangers_go_again_and_respect_the_quota() -> None:
    site, clock, cloud = cloud_with(limits=TenancyLimits(max_instances=1))
    site.tenancies["t"].add_stranger(4, 8000, 600.0)
    site.tenancies["t"].add_stranger(4, 8000, 600.0)
    assert cloud.list_instances().strangers == 1
    clock.elapsed_s = 700
    assert cloud.list_instances().strangers == 0


@pytest.mark.parametrize(
    ("mishap", "error"),
    [(Mishap.SOLD_OUT, CapacityError), (Mishap.THROTTLED, ThrottledError), (Mishap.REFUSED, AuthError)],
)
def test_mishaps_that_refuse_last_as_long_as_their_window(mishap: Mishap, error: type[Exception]) -> None:
    _, clock, cloud = cloud_with(windows=(Window(mishap, "small", 100.0, 200.0),))
    clock.elapsed_s = 150
    with pytest.raises(error):
        cloud.launch("l1", RESOURCE, specs("a"))
    clock.elapsed_s = 200
    assert cloud.launch("l1", RESOURCE, specs("a"))


@pytest.mark.parametrize(
    ("mishap", "cloud_says", "host_says"),
    [
        (Mishap.BUILD_ERROR, InstanceState.ERROR, HostState.JOINING),
        (Mishap.NEVER_BOOTS, InstanceState.PENDING, HostState.JOINING),
        (Mishap.NEVER_JOINS, InstanceState.ACTIVE, HostState.JOINING),
        (Mishap.DEAF, InstanceState.ACTIVE, HostState.UP),
        (Mishap.SLOW, InstanceState.ACTIVE, HostState.JOINING),
    ],
)
def test_mishaps_of_the_image(mishap: Mishap, cloud_says: InstanceState, host_says: HostState) -> None:
    site, clock, cloud = cloud_with(windows=(Window(mishap, "", 0.0, 10.0),))
    scheduler = SimulatedScheduler(site, clock, "c1")
    scheduler.add("a", "", RESOURCE)
    (launched,) = cloud.launch("l1", RESOURCE, specs("a"))
    clock.elapsed_s = 110 if mishap is not Mishap.SLOW else 410  # every build has ended, no slow boot has
    if mishap is Mishap.SLOW:
        clock.elapsed_s = 149
        assert states(cloud) == [InstanceState.PENDING]
        clock.elapsed_s = 410
    assert states(cloud) == [cloud_says]
    host = scheduler.find("a")
    assert host is not None
    if mishap is not Mishap.SLOW:
        assert host.state is host_says
    cloud.terminate([launched.instance_id])
    clock.elapsed_s += 31
    assert states(cloud) == [InstanceState.GONE]


@pytest.mark.parametrize("told", [True, False])
def test_a_dead_machine_is_noticed_by_the_scheduler_whatever_the_cloud_says(told: bool) -> None:
    site, clock, cloud = cloud_with()
    scheduler = SimulatedScheduler(site, clock, "c1")
    scheduler.add("a", "", RESOURCE)
    (launched,) = cloud.launch("l1", RESOURCE, specs("a"))
    clock.elapsed_s = 120
    assert "registered" in cloud.console_tail(launched.instance_id)
    site.tenancies["t"].kill(launched.instance_id, told)
    clock.elapsed_s = 300
    assert states(cloud) == [InstanceState.STOPPED if told else InstanceState.ACTIVE]
    assert scheduler.poll().hosts[0].state is HostState.DOWN
    assert cloud.console_tail(launched.instance_id) == ""


def test_setting_the_wall_clock_does_not_move_the_site() -> None:
    site, clock, cloud = cloud_with()
    cloud.launch("l1", RESOURCE, specs("a"))
    clock.offset_s = 86400.0
    view = cloud.list_instances()
    assert view.instances[0].state is InstanceState.PENDING
    assert view.started_at == START + 86400.0
    assert site.now == START


def test_people_bring_the_same_jobs_for_the_same_seed() -> None:
    reserved = Resource(
        "gpu",
        "simulated",
        "t",
        Capacity(16, 64000, 2),
        max_nodes=4,
        reservation=Reservation("long", "bio", "cuda"),
        gpu_type="a100",
        features=frozenset({"ssd"}),
    )
    unavailable = Resource("none", "simulated", "t", Capacity(1), max_nodes=0)

    def day(seed: int) -> list[object]:
        rng = random.Random(seed)
        return list(bursts(palette([RESOURCE, reserved, unavailable], rng), rng, START, START + 86400.0, Habits()))

    assert day(7) == day(7)
    assert day(7) != day(8)
    assert 200 < len(day(7)) < 1000
    assert list(bursts((), random.Random(1), START, START + 10.0)) == []


def test_every_shape_of_the_palette_runs_on_its_own_resource() -> None:
    rng = random.Random(11)
    wide = Resource("wide", "simulated", "t", Capacity(8, 16000, 1), max_nodes=6, gpu_type="a100")
    site, clock = Site(1, START), HandClock()
    queue = site.add_queue("c1")
    site.add_tenancy("t", {"wide": Kind(memory_share=0.95)})
    cloud, scheduler = SimulatedCloud(site, "t", clock, "c1"), SimulatedScheduler(site, clock, "c1")
    for launched in cloud.launch("l", wide, specs(*"abcdef")):
        scheduler.add(launched.host_name, launched.address, wide)
    site.feed("c1", bursts(palette([wide], rng, 30), rng, START, START + 7200.0, Habits(jobs_per_day=2400, swing=0.0)))
    clock.elapsed_s = 86400.0
    scheduler.poll()
    assert len(queue.ended) > 50
    assert not queue.jobs


def test_a_resource_of_the_demo_site_fails_for_a_while() -> None:
    clock = HandClock()
    sold_out = Window(Mishap.SOLD_OUT, "small", 300.0, 1200.0)
    black_hole = Window(Mishap.NEVER_JOINS, "small", 2400.0, 4800.0)
    site = demo_site("demo", [RESOURCE], START, windows=[sold_out, black_hole])
    cloud, scheduler = SimulatedCloud(site, "t", clock, "demo"), SimulatedScheduler(site, clock, "demo")
    clock.elapsed_s = sold_out.from_s
    with pytest.raises(CapacityError):
        cloud.launch("l1", RESOURCE, specs("a"))
    assert scheduler.poll().jobs
    clock.elapsed_s = black_hole.from_s
    cloud.launch("l2", RESOURCE, specs("a"))
    scheduler.add("a", "", RESOURCE)
    clock.elapsed_s += 600
    assert scheduler.poll().hosts[0].state is HostState.JOINING


def test_a_job_that_lists_do_not_show_yet_looks_pending_and_its_host_empty() -> None:
    site, clock = Site(1, START), HandClock()
    queue = site.add_queue("c1", QueueRules(show_s=30.0))
    site.add_tenancy("t")
    scheduler = SimulatedScheduler(site, clock, "c1")
    SimulatedCloud(site, "t", clock, "c1").launch("l1", RESOURCE, specs("a"))
    scheduler.add("a", "", RESOURCE)
    clock.elapsed_s = 120
    with site.at(clock):
        queue.submit(JobRequest(Shape(chunk=Capacity(1)), 500.0))
        queue.schedule_now()
    view = scheduler.poll()
    assert (view.jobs[0].state, view.jobs[0].hosts, view.hosts[0].busy) == (JobState.PENDING, (), False)
    clock.elapsed_s = 150
    view = scheduler.poll()
    assert (view.jobs[0].state, view.jobs[0].hosts, view.hosts[0].jobs) == (JobState.RUNNING, ("a",), ("1",))
