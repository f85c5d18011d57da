"""Nodes, partitions and settings as ``scontrol`` prints them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.schedulers.slurm.nodes_parse import Nodes, parse_config, parse_nodes, parse_partitions
from dynamiccluster.schedulers.slurm.shape_parse import feature_groups, gpus_of, host_names, mib, seconds

RECORDED = Path(__file__).parents[1] / "recorded" / "slurm"
NODE = (
    "NodeName=n1 Arch=x86_64 CoresPerSocket=1  CPUAlloc={used} CPUEfctv=4 CPUTot=4 CPULoad=0.00 "
    "AvailableFeatures=std,amd ActiveFeatures=std,amd Gres={gres} NodeAddr=10.0.0.1 NodeHostName=n1 "
    "OS=Linux 6.1 #1 SMP @0  RealMemory=4000 AllocMem=100 FreeMem=3 Sockets=4 Boards=1 State={state} "
    "ThreadsPerCore=1 Partitions=main,long  BootTime=None CfgTRES=cpu=4,mem=4000M AllocTRES={tres} "
    "ExtSensorsTemp=n/s{tail}\n"
)


def read(text: str) -> Nodes:
    return parse_nodes(text, lambda mark: mark.startswith("dynamiccluster:c1:"), "dc-template")


def node(state: str = "IDLE", used: int = 0, gres: str = "(null)", tres: str = "", tail: str = "") -> Host:
    nodes = read(NODE.format(state=state, used=used, gres=gres, tres=tres, tail=tail))
    assert not nodes.dropped
    return nodes.hosts[0]


def test_a_recording_with_declared_cloud_and_future_nodes() -> None:
    nodes = read((RECORDED / "scontrol_show_node_F_o.txt").read_text(encoding="utf-8"))
    hosts = {host.name: host for host in nodes.hosts}
    assert len(hosts) == nodes.seen == 22
    assert nodes.declared == frozenset(hosts) - {"w1", "w2"}
    assert not nodes.templates
    assert {name: hosts[name].state for name in ("c2", "c3", "c4", "c6", "f1", "n1", "n5", "n6")} == {
        "c2": HostState.UNKNOWN,
        "c3": HostState.DOWN,
        "c4": HostState.UNKNOWN,
        "c6": HostState.UNKNOWN,
        "f1": HostState.JOINING,
        "n1": HostState.UP,
        "n5": HostState.DOWN,
        "n6": HostState.UNKNOWN,
    }
    assert {name for name, host in hosts.items() if host.template} == {"f1", "f2", "f3", "f4"}
    assert {name for name, host in hosts.items() if host.busy} == {"c1", "c6", "g1", "n1", "n2", "n4"}
    drained, draining = hosts["n3"].hold, hosts["n4"].hold
    assert drained is not None
    assert draining is not None
    assert (drained.mark, drained.ours, drained.who) == ("maintenance, disk 2", False, "root")
    assert draining.mark == "draining for test"
    gpu = hosts["g1"]
    assert (gpu.total, gpu.gpu_type) == (Capacity(8, 8000, 2), "a100")
    assert gpu.used == Capacity(8, 4296, 1)
    assert gpu.queues == {"main", "static"}
    assert hosts["n1"].features == {"std", "amd"}
    assert hosts["n5"].hold is None


def test_a_recording_with_templates_and_nodes_of_ours() -> None:
    nodes = parse_nodes(
        (RECORDED / "scontrol_show_node_dynamic.txt").read_text(encoding="utf-8"),
        lambda mark: mark.startswith("dynamiccluster:demo:"),
        "dc-template",
    )
    assert not nodes.declared
    assert len(nodes.templates) == 4
    assert sorted(len(names) for names in nodes.templates.values()) == [1, 2, 3, 6]
    templates = [host for host in nodes.hosts if host.template]
    assert len(templates) == 4
    real = {host.name: host for host in nodes.hosts if not host.template}
    assert set(real) == {"rec-00000000", "rec-00000001"}
    held = real["rec-00000001"].hold
    assert held is not None
    assert (held.mark, held.ours) == ("dynamiccluster:demo:r1", True)
    assert real["rec-00000000"].queues == {"main", "long", "all"}


@pytest.mark.parametrize(
    ("word", "state", "held"),
    [
        ("IDLE", HostState.UP, False),
        ("IDLE+DYNAMIC_NORM", HostState.UP, False),
        ("MIXED", HostState.UP, False),
        ("ALLOCATED+COMPLETING", HostState.UP, False),
        ("IDLE+PLANNED", HostState.UP, False),
        ("IDLE+DRAIN", HostState.UP, True),
        ("MIXED+DRAIN", HostState.UP, True),
        ("DOWN", HostState.DOWN, False),
        ("DOWN+NOT_RESPONDING", HostState.DOWN, False),
        ("DOWN+DRAIN", HostState.DOWN, True),
        ("ERROR", HostState.DOWN, False),
        ("IDLE+NOT_RESPONDING", HostState.UNKNOWN, False),
        ("UNKNOWN+NOT_RESPONDING", HostState.UNKNOWN, False),
        ("FUTURE", HostState.JOINING, False),
        ("FUTURE+DYNAMIC_NORM", HostState.JOINING, False),
        ("IDLE+CLOUD+POWERED_DOWN", HostState.UNKNOWN, False),
        ("IDLE+CLOUD+POWERING_UP", HostState.JOINING, False),
        ("IDLE+CLOUD+POWERING_DOWN", HostState.UNKNOWN, False),
        ("IDLE+POWER_DOWN", HostState.UP, True),
        ("IDLE+FAIL", HostState.UP, True),
        ("IDLE+MAINTENANCE", HostState.UP, True),
        ("IDLE+RESERVED", HostState.UP, True),
        ("IDLE+REBOOT_REQUESTED", HostState.UP, True),
        ("DOWN+REBOOT_ISSUED", HostState.DOWN, False),
        ("IDLE+DRAIN+INVALID_REG", HostState.DOWN, True),
        ("FUTURE+DRAIN+DYNAMIC_NORM+INVALID_REG", HostState.DOWN, True),
        ("SOMETHING_NEW", HostState.UNKNOWN, False),
    ],
)
def test_every_state_word(word: str, state: HostState, held: bool) -> None:
    tail = " Reason=why [root@2026-11-20T07:03:43]" if "DRAIN" in word else ""
    host = node(word, tail=tail)
    assert host.state is state
    assert (host.hold is not None) is held
    assert host.detail.split(":")[0] == word


def test_a_node_that_has_less_than_promised_says_what_it_lacks() -> None:
    reason = "Low RealMemory (reported:24105 < 100.00% of configured:999000)"
    host = node("FUTURE+DRAIN+DYNAMIC_NORM+INVALID_REG", tail=f" Reason={reason} [root@2026-11-20T07:03:43]")
    assert host.detail == f"FUTURE+DRAIN+DYNAMIC_NORM+INVALID_REG: {reason}"
    assert node("IDLE+INVALID_REG").detail == "IDLE+INVALID_REG"
    assert node("IDLE+DRAIN", tail=" Reason=disk [root@2026-11-20T07:03:43]").detail == "IDLE+DRAIN"


def test_a_node_that_registered_wrongly_is_left_alone_while_it_works() -> None:
    assert node("MIXED+INVALID_REG", used=1).state is HostState.UNKNOWN


def test_busy_is_anything_that_is_going_on() -> None:
    assert not node("IDLE").busy
    assert node("IDLE", used=1).busy
    assert node("IDLE+COMPLETING").busy
    assert node("MIXED").busy
    assert node("DOWN", used=2).busy


def test_free_text_at_the_end_changes_nothing_before_it() -> None:
    host = node(
        "IDLE+DRAIN",
        tail=" Reason=x State=DOWN CPUAlloc=4 [root@2026-11-20T08:32:55]        NodeName=evil "
        "Comment=NodeName=zz Extra=Reason=dynamiccluster:c1:n1 [a@b]",
    )
    assert (host.name, host.state, host.busy) == ("n1", HostState.UP, False)
    assert host.hold is not None
    assert (host.hold.mark, host.hold.ours) == ("x State=DOWN CPUAlloc=4", False)
    assert node("IDLE", tail=" Comment=Reason=dynamiccluster:c1:n1 [a@b]").hold is None


def test_gpus_of_a_node() -> None:
    host = node(gres="gpu:a100:2(S:0-1),gpu:v100:1,mps:100", tres="cpu=1,mem=1M,gres/gpu=1")
    assert (host.total.gpus, host.gpu_type, host.used.gpus) == (3, "a100", 1)
    assert node(gres="gpu:2").total.gpus == 2


def test_an_empty_cluster_and_a_failed_query_differ() -> None:
    assert read("No nodes in the system\n").hosts == ()
    for blank in ("", "\n"):  # Slurm says so in words when there are none
        with pytest.raises(ValueError, match="cut off"):
            read(blank)
    with pytest.raises(ValueError, match="cut off"):
        read(NODE.format(state="IDLE", used=0, gres="", tres="", tail="")[:-1])
    with pytest.raises(ValueError, match="none of 1"):
        read("slurm is being upgraded\n")


def test_an_odd_line_drops_only_itself() -> None:
    good = NODE.format(state="IDLE", used=0, gres="(null)", tres="", tail="")
    nodes = read(good + "NodeName=n2 State=IDLE\n" + good.replace("CPUTot=4", "CPUTot=many"))
    assert [host.name for host in nodes.hosts] == ["n1"]
    assert len(nodes.dropped) == 2


def test_spoilt_output_never_raises_anything_else() -> None:
    rng = random.Random(3)
    text = (RECORDED / "scontrol_show_node_F_o.txt").read_text(encoding="utf-8")
    for _ in range(200):
        at = rng.randrange(len(text))
        try:
            read(text[:at] + rng.choice(["", "\0", "=", " ", "\n"]) + text[at + rng.randrange(30) :])
        except ValueError:
            continue


def test_partitions_and_settings() -> None:
    partitions = parse_partitions((RECORDED / "scontrol_show_partition_nodesets.txt").read_text())
    assert partitions.by_feature == {"main", "long"}
    assert partitions.max_nodes == {}
    assert parse_partitions("PartitionName=a MaxNodes=3 State=UP\nodd\n").max_nodes == {"a": 3}
    config = parse_config((RECORDED / "scontrol_show_config_testbed.txt").read_text())
    assert (config.memory_counts, config.max_node_count, config.version) == (True, 400, "22.05.8")
    assert parse_config("SelectTypeParameters = CR_CPU\n").memory_counts is False
    assert parse_config("").max_node_count == 0
    assert config.requeue_wait_s == 121
    assert parse_config("AuthInfo = socket=/run/m,cred_expire=60\n").requeue_wait_s == 61


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("(null)", ()),
        ("n1", ("n1",)),
        ("n[1-3]", ("n1", "n2", "n3")),
        ("a1,n[08-10,12],z", ("a1", "n08", "n09", "n10", "n12", "z")),
        ("r[1-2]c[1-2]x", ("r1c1x", "r1c2x", "r2c1x", "r2c2x")),
    ],
)
def test_host_lists(text: str, names: tuple[str, ...]) -> None:
    assert host_names(text) == names


@pytest.mark.parametrize("text", ["n[1-", "n[a-b]", "n[1-9999999999]", "n[1-1000]m[1-1000]", "n1]", "n[1-2]x["])
def test_damaged_or_monstrous_host_lists(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        host_names(text)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("(null)", ()),
        ("a", (("a",),)),
        ("a&b", (("a",), ("b",))),
        ("a|b", (("a", "b"),)),
        ("(a|b)&c", (("a", "b"), ("c",))),
        ("[a|b]", (("a", "b"),)),
        ("[a*2&b*4]", (("a", "b"),)),
        ("a*2", (("a",),)),
    ],
)
def test_constraints(text: str, groups: tuple[tuple[str, ...], ...]) -> None:
    assert feature_groups(text) == groups


def test_amounts() -> None:
    assert [mib(text) for text in ("100M", "2G", "1.50G", "0", "N/A", "1T", "512K", "500Mc", "100")] == [
        100,
        2048,
        1536,
        0,
        0,
        1048576,
        1,
        500,
        100,
    ]
    assert [seconds(text) for text in ("30:00", "1-00:00:00", "8:20:00", "UNLIMITED", "0:10", "")] == [
        1800,
        86400,
        30000,
        0,
        10,
        0,
    ]
    assert gpus_of("gres:gpu:a100:2,gres:mps:50") == (2, "a100")
    assert gpus_of("gres/gpu:h100=4") == (4, "h100")
    assert gpus_of("gres:gpu") == (1, "")
    assert gpus_of("gres:gpu:500") == (500, "")
    assert gpus_of("N/A") == (0, "")
