"""What ``condor_status`` prints, as recorded and worse, read as hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.job import Job, JobState, Shape
from dynamiccluster.schedulers.htcondor.hosts_parse import NOTE, Machines, parse_machines, with_lost
from dynamiccluster.schedulers.htcondor.names_parse import HostNames
from dynamiccluster.testing.hostile import TEXTS

RECORDED = Path(__file__).parents[1] / "recorded" / "htcondor"
OURS = "dynamiccluster:c1:n1"


def parsed(text: str, **more: Any) -> Machines:
    return parse_machines(text, lambda mark: mark.startswith("dynamiccluster:c1:"), ["BigMem", "HpcxLabel"], **more)


def recorded(name: str) -> dict[str, Host]:
    machines = parsed((RECORDED / name).read_text())
    assert not machines.dropped
    return {host.name: host for host in machines.hosts}


def ad(**more: Any) -> dict[str, Any]:
    own = {
        "MyType": "Machine",
        "Machine": "wn-1.example.org",
        "Name": "slot1@wn-1.example.org",
        "MyAddress": "<10.0.0.1:9618?addrs=10.0.0.1-9618>",
        "State": "Unclaimed",
        "Activity": "Idle",
        "PartitionableSlot": True,
        "NumDynamicSlots": 0,
        "Cpus": 4,
        "Memory": 4000,
        "TotalSlotCpus": 4,
        "TotalSlotMemory": 4000,
        "Start": True,
        "DynamicClusterHold": "",
        "LastHeardFrom": 1000,
    }
    return {name: value for name, value in (own | more).items() if value is not ...}


def printed(*found: dict[str, Any]) -> str:
    return "[\n" + "\n,\n".join(json.dumps(one, indent=2) for one in found) + "\n]\n"


def one(**more: Any) -> Host:
    (host,) = parsed(printed(ad(**more))).hosts
    return host


# -- recordings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["attrs", "full"])
def test_a_recorded_pool(name: str) -> None:
    hosts = recorded(f"s1_condor_status_json_{name}.json")
    assert set(hosts) == {"wn01", "wn02"}
    first = hosts["wn01"]
    assert (first.state, first.total, first.used) == (HostState.UP, Capacity(8, 16_000), Capacity(7, 3584))
    assert (first.busy, first.hold, first.address) == (True, None, "10.80.0.2")
    assert hosts["wn02"].features == {"BigMem"}
    assert first.detail == "Unclaimed/Idle, 4 dynamic"


def test_gpus_and_texts_of_a_recorded_machine() -> None:
    host = recorded("s2_condor_status_wn03_json.json")["wn03"]
    assert (host.total.gpus, host.used.gpus) == (2, 1)
    assert host.features == {"HpcxLabel=cloud"}


def test_draining_is_a_hold_of_somebody() -> None:
    host = recorded("s3_condor_status_draining_json.json")["wn01"]
    assert host.hold == Hold("hpcx test", False)
    host = recorded("s4_condor_status_wn03_retiring_json.json")["wn03"]
    assert host.hold == Hold("hpcx: shrink", False)
    assert host.busy


def test_a_peaceful_off_is_a_hold_of_somebody() -> None:
    host = recorded("s3_condor_status_off_peaceful_json.json")["wn02"]
    assert host.hold == Hold("condor_off -peaceful", False)
    assert (host.busy, host.jobs) == (True, ("2.0",))


def test_an_offline_ad_stands_for_a_shape_only() -> None:
    host = recorded("s7_condor_status_offline_json.json")["hpcx-offline-cloud8"]
    assert host.template
    assert host.hold is None


def test_an_empty_pool_is_an_empty_list() -> None:
    assert parsed((RECORDED / "s6_condor_status_json_empty_pool.json").read_text()).hosts == ()


# -- one machine -----------------------------------------------------------------------------------------


def test_an_idle_machine() -> None:
    machines = parsed(printed(ad()))
    (host,) = machines.hosts
    assert (host.name, host.total, host.used, host.busy, host.hold) == (
        "wn-1",
        Capacity(4, 4000),
        Capacity(),
        False,
        None,
    )
    assert machines.machine == {"wn-1": "wn-1.example.org"}
    assert machines.daemon["wn-1"].startswith("<10.0.0.1:9618")
    assert machines.prepared == {"wn-1"}


@pytest.mark.parametrize(
    ("more", "hold"),
    [
        ({"DynamicClusterHold": OURS, "Start": False}, Hold(OURS, True)),
        ({"DynamicClusterHold": "dynamiccluster:c2:n1"}, Hold("dynamiccluster:c2:n1", False)),
        ({"DynamicClusterHold": OURS, "Draining": True, "DrainReason": "x"}, Hold(OURS, True)),
        ({"Draining": True, "DrainReason": "disk", "DrainerName": "ann"}, Hold("disk", False, "ann")),
        ({"Draining": True}, Hold("condor_drain", False)),
        ({"Start": ...}, Hold("condor_off -peaceful", False)),
        ({"Start": False}, Hold("its START is false", False)),
        ({"Start": "an expression"}, None),
    ],
)
def test_holds(more: dict[str, Any], hold: Hold | None) -> None:
    assert one(**more).hold == hold


def test_a_machine_without_the_setting_is_not_prepared() -> None:
    assert not parsed(printed(ad(DynamicClusterHold=...))).prepared


@pytest.mark.parametrize("state", ["Claimed", "Preempting", "Matched"])
def test_a_whole_slot_in_use(state: str) -> None:
    host = one(PartitionableSlot=..., State=state, JobId="7.0", NumDynamicSlots=...)
    assert (host.busy, host.jobs, host.used) == (True, ("7.0",), Capacity(4, 4000))


@pytest.mark.parametrize("state", ["Unclaimed", "Owner", "Drained", "Backfill", "Delete", "a new word", ""])
def test_a_slot_not_in_use(state: str) -> None:
    host = one(PartitionableSlot=..., State=state)
    assert (host.busy, host.state) == (False, HostState.UP)


def test_slots_of_one_machine_are_one_host() -> None:
    half = {"PartitionableSlot": ..., "Cpus": 2, "TotalSlotCpus": 2, "Memory": 2000, "TotalSlotMemory": 2000}
    claimed = ad(Name="slot2@wn-1.example.org", State="Claimed", **half)
    backfill = ad(Name="slot3@wn-1.example.org", BackfillSlot=True)
    (host,) = parsed(printed(ad(**half), claimed, backfill)).hosts
    assert (host.total, host.used, host.busy) == (Capacity(4, 4000), Capacity(2, 2000), True)


def test_a_dynamic_slot_left_in_the_collector_does_not_make_a_host_busy() -> None:
    left = ad(Name="slot1_1@wn-1.example.org", DynamicSlot=True, State="Claimed", JobId="7.0")
    (host,) = parsed(printed(left, ad())).hosts
    assert not host.busy


def test_a_machine_that_is_silent_is_unknown() -> None:
    collector = {"MyType": "Collector", "Machine": "cm", "LastHeardFrom": 1700}
    (host,) = parsed(printed(ad(LastHeardFrom=1000), collector), silent_s=660.0).hosts
    assert (host.state, host.detail) == (HostState.UNKNOWN, "not heard of for 700 s")
    (host,) = parsed(printed(ad(LastHeardFrom=1050), collector), silent_s=660.0).hosts
    assert host.state is HostState.UP
    (host,) = parsed(printed(ad(LastHeardFrom=1), collector)).hosts
    assert host.state is HostState.UP


def test_what_we_announced_is_joining_until_it_reports_in() -> None:
    note = {"MyType": NOTE, "Machine": "wn-1", "Name": "wn-1", "MyAddress": "<10.0.0.9:0>"}
    (host,) = parsed(printed(note)).hosts
    assert (host.name, host.state, host.address) == ("wn-1", HostState.JOINING, "10.0.0.9")
    (host,) = parsed(printed(note, ad())).hosts
    assert (host.state, host.address) == (HostState.UP, "10.0.0.1")


def test_a_machine_that_the_collector_has_lost_while_jobs_run_there_is_down() -> None:
    note = {"MyType": NOTE, "Machine": "wn-2", "Name": "wn-2", "MyAddress": "<10.0.0.2:0>"}
    jobs = [
        Job("1.0", JobState.RUNNING, Shape(), hosts=("wn-1",)),
        Job("2.0", JobState.RUNNING, Shape(), hosts=("wn-2", "wn-3")),
        Job("3.0", JobState.DONE, Shape(), hosts=("wn-4",)),
    ]
    hosts = {host.name: host for host in with_lost(parsed(printed(ad(), note)).hosts, jobs)}
    assert {name: host.state for name, host in hosts.items()} == {
        "wn-1": HostState.UP,
        "wn-2": HostState.DOWN,
        "wn-3": HostState.DOWN,
    }
    assert hosts["wn-2"].busy
    assert hosts["wn-2"].address == "10.0.0.2"


def test_the_collectors_own_ad_is_no_host() -> None:
    machines = parsed(printed({"MyType": "Collector", "Machine": "cm", "DaemonStartTime": 77}))
    assert (machines.hosts, machines.collector_began_at) == ((), 77)


def test_addresses_of_the_sixth_version() -> None:
    assert one(MyAddress="<[2001:db8::1]:9618?x>").address == "2001:db8::1"
    assert one(MyAddress="nonsense").address == ""


# -- names -----------------------------------------------------------------------------------------------


def test_names_that_two_machines_share_stay_whole() -> None:
    other = ad(Machine="wn-1.other.org", Name="slot1@wn-1.other.org")
    third = ad(Machine="wn-2.other.org", Name="slot1@wn-2.other.org")
    hosts = parsed(printed(ad(), other, third)).hosts
    assert sorted(host.name for host in hosts) == ["wn-1", "wn-1.example.org", "wn-1.other.org", "wn-2"]


def test_names_of_machines_that_are_not_listed_are_short() -> None:
    names = HostNames(["a.x", "a.y"])
    assert [names.short(name) for name in ("a.x", "b.x", "c")] == ["a.x", "b", "c"]
    assert names.of_slot("slot1_12@b.x.org ") == "b"


# -- what is odd -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd", [{"Cpus": -1}, {"TotalSlotMemory": "x"}, {"Machine": "", "Name": ""}, {"NumDynamicSlots": True}]
)
def test_one_odd_machine_is_left_out_by_name(odd: dict[str, Any]) -> None:
    machines = parsed(printed(ad(Machine="odd.example.org") | odd, ad()))
    assert [host.name for host in machines.hosts] == ["wn-1"]
    assert len(machines.dropped) == 1
    assert "was left out" in machines.dropped[0]


def test_a_machine_of_which_only_pieces_are_listed_is_left_out() -> None:
    machines = parsed(printed(ad(DynamicSlot=True)))
    assert machines.hosts == ()
    assert "wn-1" in machines.dropped[0]


@pytest.mark.parametrize("cut", [2, 30])
def test_a_text_that_was_cut_off_is_no_answer(cut: int) -> None:
    with pytest.raises(ValueError, match="cut off"):
        parsed(printed(ad())[:-cut])


def test_ads_of_which_none_can_be_read_are_no_answer() -> None:
    with pytest.raises(ValueError, match="none of 1"):
        parsed("[\n{{\n]\n")


@pytest.mark.parametrize("text", TEXTS)
def test_odd_reasons_are_only_texts(text: str) -> None:
    machines = parsed(printed(ad(), ad(Machine="wn-2", Draining=True, DrainReason=text)))
    assert len(machines.hosts) == 2
    assert machines.hosts[1].hold == Hold(text, False)
