"""Reservations by account, queue and property, as the guide has them, without its traps."""

from __future__ import annotations

from pathlib import Path

import pytest
from torque_harness import TorqueHarness

from dynamiccluster.errors import BadConfigError, TransientError
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.schedulers.torque.commands import Commands
from dynamiccluster.testing.torque_double.main import MAUI

SMALL = Resource("small", "x", "t", Capacity(4, 4000), max_nodes=3)
ACCOUNT = Resource("acct", "x", "t", Capacity(4, 4000), max_nodes=3, reservation=Reservation(account="projX"))
QUEUE = Resource("long", "x", "t", Capacity(4, 4000), max_nodes=3, reservation=Reservation(queue="main"))
PROPERTY = Resource("cloud", "x", "t", Capacity(4, 4000), max_nodes=3, reservation=Reservation(property="cloud"))
GUIDE = "releaseres `showres -n | grep User | grep {0} | grep {1} | awk '{{print $3}}' `"


@pytest.fixture
def torque(tmp_path: Path) -> TorqueHarness:
    return TorqueHarness(tmp_path)


def add(torque: TorqueHarness, name: str, resource: Resource) -> None:
    """As the engine does: again after ten seconds for as long as it is told to."""
    address = torque.boot(name)
    torque.resolve(name, address)
    for _ in range(6):
        try:
            torque.scheduler.add(name, address, resource)
        except TransientError:
            assert name not in {host.name for host in torque.scheduler.poll().hosts}  # or it would count as added
            torque.wait(10)
        else:
            break
    torque.wait(20)
    (state,) = [host.state for host in torque.scheduler.poll().hosts if host.name == name]
    assert state is HostState.UP


def reserved(torque: TorqueHarness) -> dict[str, str]:
    lines = [line.split() for line in torque.sh("showres", "-n").splitlines()]
    return {words[0]: words[2] for words in lines if len(words) > 6 and words[1] == "User"}


@pytest.mark.parametrize(("resource", "option", "name"), [(ACCOUNT, "-a", "projX"), (QUEUE, "-q", "main")])
def test_maui_reserves_the_node_and_lets_go_with_it(
    torque: TorqueHarness, resource: Resource, option: str, name: str
) -> None:
    add(torque, "wn-1", resource)
    assert [argv[1:] for argv in torque.commands("setres")][-1] == (option, name, r"^wn\-1$")
    assert reserved(torque) == {"wn-1": f"{name}.0"}
    torque.scheduler.add("wn-1", "10.79.0.2", resource)
    assert not torque.commands("setres")
    found = torque.scheduler.find("wn-1")
    assert found is not None
    assert found.detail == f"free (Maui: Idle, reserved for {name})"
    torque.scheduler.remove("wn-1")
    assert torque.commands("releaseres") == [("/usr/bin/releaseres", f"{name}.0")]
    assert reserved(torque) == {}


def test_only_jobs_of_the_account_run_there(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL])
    add(torque, "wn-1", ACCOUNT)
    stranger = torque.sh("qsub", "-q", "main", "-l", "nodes=1:ppn=1", user="alice", stdin="sleep 100\n")
    member = torque.sh("qsub", "-q", "main", "-A", "projX", "-l", "nodes=1:ppn=1", user="alice", stdin="sleep 100\n")
    torque.wait(25)
    hosts = {job.job_id: job.hosts for job in torque.scheduler.poll().jobs}
    assert hosts == {stranger: (), member: ("wn-1",)}


def test_a_property_needs_no_maui(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path, "4.2.10.h2", "pbs_sched")
    add(torque, "wn-1", PROPERTY)
    (host,) = torque.scheduler.poll().hosts
    assert host.features == {"cloud"}


def test_accounts_and_queues_do(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path, "4.2.10.h2", "pbs_sched")
    torque.resolve("wn-1", "10.0.0.1")
    with pytest.raises(BadConfigError, match="no program"):
        torque.scheduler.add("wn-1", "10.0.0.1", ACCOUNT)


def test_reservations_of_others_stay(torque: TorqueHarness) -> None:
    add(torque, "wn-1", SMALL)
    add(torque, "wn-10", ACCOUNT)
    torque.sh("setres", "-u", "bob", "-n", "maintenance", "wn-1|wn-10")
    torque.scheduler.remove("wn-1")
    assert reserved(torque)["wn-10"] in ("projX.0", "maintenance.0")
    assert not torque.commands("releaseres")


def test_the_guides_release_command_is_used_in_part_only(tmp_path: Path) -> None:
    """Its grep would find the reservation of wn-10, too."""
    torque = TorqueHarness(tmp_path, commands=Commands(releaseres=GUIDE, showres="showres -n | grep {0}"))
    add(torque, "wn-1", ACCOUNT)
    add(torque, "wn-10", ACCOUNT)
    torque.commands()
    torque.scheduler.remove("wn-1")
    assert [argv for argv in torque.commands() if argv[0] in ("releaseres", "/bin/sh")] == [("releaseres", "projX.0")]
    assert set(reserved(torque)) == {"wn-10"}


def test_a_maui_that_takes_more_than_it_was_told_to_is_stopped(torque: TorqueHarness) -> None:
    add(torque, "wn-1", SMALL)
    add(torque, "wn-2", SMALL)
    taken = "reservation 'projX.3' created on 2 nodes (8 tasks)\nwn-1:1\nwn-2:1\n"
    torque.place.set_faults({"setres": {"garbage": taken}})
    torque.commands()
    with pytest.raises(BadConfigError, match="other nodes too"):
        torque.scheduler.add("wn-1", "10.79.0.2", ACCOUNT)
    assert torque.commands("releaseres") == [("/usr/bin/releaseres", "projX.3")]


def test_a_dead_maui_does_not_keep_a_node_from_leaving(torque: TorqueHarness) -> None:
    add(torque, "wn-1", ACCOUNT)
    torque.place.set_faults({"maui": "down"})
    torque.scheduler.remove("wn-1")
    assert torque.scheduler.find("wn-1") is None


def test_a_node_waits_for_its_reservation_behind_a_hold_that_outlives_us(torque: TorqueHarness) -> None:
    address = torque.boot("wn-1")
    torque.resolve("wn-1", address)
    torque.place.set_faults({"setres": {"rc": 1, "stderr": "ERROR:    invalid hostlist ('wn-1')"}})
    with pytest.raises(TransientError):
        torque.scheduler.add("wn-1", address, ACCOUNT)
    torque.wait(15)  # now it can be held
    with pytest.raises(TransientError):
        torque.scheduler.add("wn-1", address, ACCOUNT)
    assert "dynamiccluster:c1:wn-1 reserve -a projX" in torque.sh("pbsnodes", "-ln")
    torque.place.set_faults({})
    restarted = TorqueHarness.another(torque)
    (host,) = [host for host in restarted.poll().hosts if not host.template]
    assert host.hold is not None
    assert (host.hold.mark, host.hold.ours) == ("dynamiccluster:c1:wn-1", True)
    torque.wait(15)
    restarted.release("wn-1", "dynamiccluster:c1:wn-1")
    assert reserved(torque) == {"wn-1": "projX.0"}
    (host,) = [host for host in restarted.poll().hosts if not host.template]
    assert host.hold is None


def test_without_maui_nothing_of_it_is_asked(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path, "4.2.10.h2", "pbs_sched")
    add(torque, "wn-1", SMALL)
    torque.sh("qsub", "-q", "main", "-l", "nodes=1:ppn=1", user="alice", stdin="sleep 5\n")
    torque.scheduler.poll()
    torque.commands()
    torque.scheduler.poll()
    torque.scheduler.find("wn-1")
    assert not torque.commands(*MAUI)
