"""Floating IPs, ports and volumes of ours: given, labelled, swept when left behind; those of others stay."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nova_cloud import RESOURCE, cloud, specs
from nova_neighbours import OUTSIDE, stamp
from nova_site import Fault, NovaSite, nova_site

from dynamiccluster.clouds.openstack.adapter import OpenstackCloud
from dynamiccluster.clouds.openstack.belongings import LEFT_FOR_S, SWEEP_EVERY_S, YOUNG_S
from dynamiccluster.model.instance import InstanceState


@pytest.fixture
def site() -> Iterator[NovaSite]:
    with nova_site() as running:
        yield running


class HandClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.at = 1_000_000.0

    def now(self) -> float:
        return self.at

    monotonic = now


def polled(ours: OpenstackCloud, clock: HandClock, *waits: float) -> None:
    for seconds in waits:
        clock.at += seconds
        ours.list_instances()


LONG = (SWEEP_EVERY_S, LEFT_FOR_S, SWEEP_EVERY_S)


def test_ports_and_volumes_that_nova_leaves_behind_are_deleted(site: NovaSite) -> None:
    site.leaky, clock = True, HandClock()
    ours = cloud(site, clock=clock, boot_volume_gb=10)
    goes, _ = ours.launch("l", RESOURCE, specs("a-1", "a-2"))
    polled(ours, clock, 20.0)
    assert (len(site.ports), len(site.volumes)) == (2, 2)
    ours.terminate([goes.instance_id])
    polled(ours, clock, 20.0, SWEEP_EVERY_S)
    assert (len(site.ports), len(site.volumes)) == (2, 2)  # seen for the first time: nova may be at it
    polled(ours, clock, LEFT_FOR_S)
    assert (len(site.ports), len(site.volumes)) == (1, 1)
    assert goes.instance_id not in {port["device_id"] for port in site.ports.values()}


@pytest.mark.parametrize("acts", [False, True], ids=["observes", "acts"])
def test_after_a_restart_they_are_found_again_and_deleted_by_a_service_that_acts(site: NovaSite, acts: bool) -> None:
    site.leaky, clock = True, HandClock()
    before = cloud(site, clock=clock, boot_volume_gb=10)
    (machine,) = before.launch("l", RESOURCE, specs("a-1"))
    polled(before, clock, 20.0)
    before.terminate([machine.instance_id])
    after = cloud(site, clock=clock, boot_volume_gb=10)
    if acts:
        after.terminate([])
    polled(after, clock, *LONG)
    assert (not site.ports, not site.volumes) == (acts, acts)


def test_nothing_of_others_is_touched(site: NovaSite) -> None:
    site.leaky, clock = True, HandClock()
    ours, theirs = cloud(site, clock=clock), cloud(site, "theirs", clock=clock)
    (machine,) = theirs.launch("l", RESOURCE, specs("b-1"))
    polled(theirs, clock, 20.0)
    (label,) = {port["description"] for port in site.ports.values()}
    assert label == f"dynamiccluster:theirs:{machine.instance_id}"
    site.ports["stranger"] = {"id": "stranger", "device_id": "", "description": "", "name": "dynamiccluster"}
    site.volumes["stranger"] = {"id": "stranger", "status": "available", "metadata": {}, "attachments": []}
    theirs.terminate([machine.instance_id])
    ours.terminate([])
    polled(ours, clock, *LONG)
    assert len(site.ports) == 2
    assert "stranger" in site.volumes


def test_a_port_with_a_description_keeps_it(site: NovaSite) -> None:
    site.leaky, clock = True, HandClock()
    ours = cloud(site, clock=clock)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    site.faults.append(Fault("GET", "/ports", 500, times=1))
    polled(ours, clock, 20.0)
    (port,) = site.ports.values()
    port["description"] = "the operator's"
    polled(ours, clock, LEFT_FOR_S)
    ours.terminate([machine.instance_id])
    polled(ours, clock, *LONG)
    assert port["description"] == "the operator's"
    assert site.ports


@pytest.mark.parametrize(
    ("made_s", "name"),
    [(-86400.0, ""), (7200.0, ""), (0.0, "reserved for mail")],
    ids=["older than the machine", "attached later", "named"],
)
def test_a_port_that_a_person_attached_stays_his(site: NovaSite, made_s: float, name: str) -> None:
    """Nova takes it from the machine that ends, and it has no device any more."""
    site.leaky, clock = True, HandClock()
    site.now = clock.now
    ours = cloud(site, clock=clock)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    polled(ours, clock, 20.0)
    (nova_s,) = site.ports
    site.servers[machine.instance_id]["OS-SRV-USG:launched_at"] = stamp(clock.at).removesuffix("Z")
    clock.at += 7200.0
    made_at = stamp(1_000_000.0 + made_s)
    site.ports["his"] = site.ports[nova_s] | {"id": "his", "description": "", "name": name, "created_at": made_at}
    after = cloud(site, clock=clock)  # every port is looked at again
    after.terminate([])
    polled(after, clock, 20.0)
    assert [bool(port["description"]) for port in site.ports.values()] == [True, False]
    after.terminate([machine.instance_id])
    polled(after, clock, 20.0)
    site.ports["his"]["device_id"] = ""
    polled(after, clock, *LONG)
    assert set(site.ports) == {"his"}


def test_a_port_that_was_labelled_and_has_a_name_by_now_stays(site: NovaSite) -> None:
    site.leaky, clock = True, HandClock()
    ours = cloud(site, clock=clock)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    polled(ours, clock, 20.0)
    (port,) = site.ports.values()
    port["name"] = "kept for mail"
    ours.terminate([machine.instance_id])
    polled(ours, clock, *LONG)
    assert site.ports


@pytest.mark.parametrize("age_s", [20.0, YOUNG_S + 1], ids=["young", "old"])
def test_where_neutron_tells_no_times_ports_of_young_machines_are_labelled(site: NovaSite, age_s: float) -> None:
    clock = HandClock()
    site.now = clock.now
    (machine,) = cloud(site).launch("l", RESOURCE, specs("a-1"))
    ours = cloud(site, clock=clock)
    ours.terminate([])
    site.faults.append(Fault("GET", "/ports", 503, times=1))
    polled(ours, clock, 0.0)
    (port,) = site.ports.values()
    del port["created_at"]
    polled(ours, clock, max(age_s, LEFT_FOR_S))
    assert port["device_id"] == machine.instance_id
    assert bool(port["description"]) is (age_s < YOUNG_S)


def test_what_somebody_has_put_to_another_use_stays(site: NovaSite) -> None:
    site.leaky, clock = True, HandClock()
    ours = cloud(site, clock=clock, boot_volume_gb=10, floating_network="public")
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    polled(ours, clock, 20.0)
    ours.terminate([machine.instance_id])
    polled(ours, clock, 20.0)
    (port,), (volume,), (address,) = site.ports.values(), site.volumes.values(), site.floating.values()
    port["device_id"], volume["status"], address["port_id"] = "another-server", "in-use", "another-port"
    polled(ours, clock, *LONG)
    assert site.ports
    assert site.volumes
    assert site.floating


def test_a_port_stays_while_nova_does_not_say_that_its_server_is_gone(site: NovaSite) -> None:
    """A list can lag: nova is asked for the one server before anything of it is deleted."""
    site.leaky, clock = True, HandClock()
    ours = cloud(site, clock=clock)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    polled(ours, clock, 20.0)
    ours.terminate([machine.instance_id])
    site.faults.append(Fault("GET", f"/servers/{machine.instance_id}$", 500, times=2))
    polled(ours, clock, *LONG)
    assert site.ports
    polled(ours, clock, *LONG)
    assert not site.ports


@pytest.mark.parametrize("old", [False, True], ids=["nova tells", "nova's picture is old"])
def test_each_machine_gets_its_floating_ip_once(site: NovaSite, old: bool) -> None:
    site.old_addresses, clock = old, HandClock()
    ours = cloud(site, clock=clock, floating_network="public")
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    site.faults.append(Fault("POST", "/floatingips", 503, times=1))
    (waiting,) = ours.list_instances().instances
    assert (waiting.state, waiting.address) == (InstanceState.PENDING, "")
    clock.at += LEFT_FOR_S
    (ready,) = ours.list_instances().instances
    assert (ready.state, ready.address) == (InstanceState.ACTIVE, "192.0.2.1")
    (address,) = site.floating.values()
    assert address["floating_network_id"] == OUTSIDE
    assert address["description"] == f"dynamiccluster:ours:{machine.instance_id}"
    polled(cloud(site, clock=clock, floating_network="public"), clock, 20.0)  # also after a restart
    assert len(site.floating) == 1
    ours.terminate([machine.instance_id])
    polled(ours, clock, *LONG)
    assert not site.floating


@pytest.mark.parametrize("acts", [False, True], ids=["observes", "acts"])
def test_machines_that_run_already_get_no_floating_ip_and_no_label_of_a_service_that_observes(
    site: NovaSite, acts: bool
) -> None:
    """Somebody took the address away, or watches what the service would do."""
    clock = HandClock()
    site.now = clock.now
    before = cloud(site)
    (machine,) = before.launch("l", RESOURCE, specs("a-1"))
    before.console_tail(machine.instance_id)  # it runs
    clock.at += YOUNG_S + 1
    after = cloud(site, clock=clock, floating_network="public", boot_volume_gb=10)
    if acts:
        after.terminate([])
    polled(after, clock, 20.0, 20.0)
    assert not site.floating
    assert [bool(port["description"]) for port in site.ports.values()] == [acts]


def test_a_launch_in_whose_middle_the_service_was_restarted_is_finished(site: NovaSite) -> None:
    clock = HandClock()
    site.now = clock.now
    cloud(site).launch("l", RESOURCE, specs("a-1"))
    after = cloud(site, clock=clock, floating_network="public")
    polled(after, clock, 20.0)
    assert len(site.floating) == 1
    assert [bool(port["description"]) for port in site.ports.values()] == [True]


def test_a_floating_ip_whose_reply_was_lost_is_not_asked_for_again(site: NovaSite) -> None:
    clock = HandClock()
    ours = cloud(site, clock=clock, floating_network="public")
    ours.launch("l", RESOURCE, specs("a-1"))
    site.faults.append(Fault("POST", "/floatingips", "lost", times=1))
    polled(ours, clock, 20.0, LEFT_FOR_S, LEFT_FOR_S)
    assert len(site.floating) == 1


def test_trouble_with_them_does_not_fail_the_list_and_is_left_alone_for_a_while(
    site: NovaSite, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock()
    ours = cloud(site, clock=clock)
    ours.launch("l", RESOURCE, specs("a-1"))
    site.faults.append(Fault("GET", "/ports", 503))
    assert len(ours.list_instances().instances) == 1
    asked = sum("/ports" in path for _, path in site.asked)
    polled(ours, clock, 20.0, 20.0)
    assert sum("/ports" in path for _, path in site.asked) == asked == 1
    assert "cannot be looked after" in caplog.text


def test_a_cloud_without_volumes_and_routers_is_looked_after_too(site: NovaSite) -> None:
    site.leaky, site.cinder, clock = True, False, HandClock()
    site.faults.append(Fault("GET", "/floatingips", 404))
    ours = cloud(site, clock=clock)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    polled(ours, clock, 20.0)
    ours.terminate([machine.instance_id])
    polled(ours, clock, *LONG)
    assert not site.ports


def test_a_machine_is_labelled_once(site: NovaSite) -> None:
    clock = HandClock()
    ours = cloud(site, clock=clock)
    ours.launch("l", RESOURCE, specs("a-1"))
    polled(ours, clock, 20.0, 20.0, 20.0)
    assert sum(method == "PUT" for method, _ in site.asked) == 1


class SlowClock(HandClock):
    """Each request takes ``request_s``."""

    def __init__(self, site: NovaSite) -> None:
        super().__init__()
        self.site = site
        self.request_s = 0.0
        self.before = 0

    def now(self) -> float:
        new = len(self.site.asked) - self.before
        self.before += new
        self.at += new * self.request_s
        return self.at

    monotonic = now


def long_polls(ours: OpenstackCloud, clock: SlowClock, *waits: float) -> list[float]:
    """How long each poll took; each begins that long after the end of the one before."""
    took = []
    for seconds in waits:
        clock.at += seconds
        began = clock.now()
        ours.list_instances()
        took.append(clock.now() - began)
    return took


def test_a_slow_cloud_is_swept_in_as_many_polls_as_it_takes(site: NovaSite) -> None:
    """The engine gives a poll 120 s, and begins the next while the one before still runs."""
    site.leaky, clock = True, SlowClock(site)
    ours = cloud(site, clock=clock)
    machines = ours.launch("l", RESOURCE, specs(*(f"a-{number}" for number in range(6))))
    polled(ours, clock, 20.0)
    assert all(port["description"] for port in site.ports.values())
    ours.terminate([machine.instance_id for machine in machines])
    clock.request_s = 9.0
    took = long_polls(ours, clock, SWEEP_EVERY_S, LEFT_FOR_S, *(60.0,) * 30)
    assert max(took) < 65.0
    assert not site.ports


def test_a_slow_cloud_is_labelled_in_as_many_polls_as_it_takes(site: NovaSite) -> None:
    clock = SlowClock(site)
    ours = cloud(site, clock=clock, floating_network="public")
    ours.launch("l", RESOURCE, specs(*(f"a-{number}" for number in range(4))))
    clock.request_s = 9.0
    took = long_polls(ours, clock, *(20.0,) * 20)
    assert max(took) < 120.0
    assert len(site.floating) == 4
    assert all(port["description"] for port in site.ports.values())


def test_faults_of_a_slow_cloud_are_asked_for_over_some_polls_and_once(site: NovaSite) -> None:
    clock = SlowClock(site)
    ours = cloud(site, clock=clock, flavor="t.impossible")
    machines = ours.launch("l", RESOURCE, specs(*(f"a-{number}" for number in range(6))))
    clock.request_s = 9.0
    before = len(site.asked)
    took = long_polls(ours, clock, *(20.0,) * 6)
    assert max(took) < 65.0
    asked = [path for method, path in site.asked[before:] if method == "GET"]
    for machine in machines:
        assert sum(path.endswith(machine.instance_id) for path in asked) == 1
    assert all(one.fault for one in ours.list_instances().instances)
