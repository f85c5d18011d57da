"""``dynamiccluster slurm-config``: what slurm.conf needs, and what an existing one lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main
from dynamiccluster.kit.hostlist import expand
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Provisioning, Reservation, Resource, Timers
from dynamiccluster.schedulers.slurm.conf_check import problems_in
from dynamiccluster.schedulers.slurm.conf_text import Programs, host_range, slurm_conf

SWITCHED = Provisioning.SCHEDULER
PC = Resource(
    "pc",
    "x",
    "t",
    Capacity(4, 8000),
    max_nodes=20,
    priority=1,
    features=frozenset({"fast", "big"}),
    queues=frozenset({"cloud"}),
    timers=Timers(idle_s=300.0, launch_s=900.0),
    queue_idle_s=(("gpu", 77.0),),
    provisioning=SWITCHED,
)
GPU = Resource(
    "gpu",
    "x",
    "t",
    Capacity(8, 16000, 2),
    max_nodes=2,
    priority=2,
    gpu_type="a100",
    reservation=Reservation("gpu", "physics", "bigmem"),
    queues=frozenset({"gpu"}),
    queue_idle_s=(("gpu", 77.0),),
    provisioning=SWITCHED,
)
SMALL = Resource("small", "x", "t", Capacity(4, 4000), max_nodes=3, queues=frozenset({"long", "main"}))


def policy(*resources: Resource) -> Policy:
    return Policy("c1", {one.name: one for one in resources})


def text(*resources: Resource) -> str:
    programs = Programs("/x/resume", "/x/suspend", "a note")
    return slurm_conf(policy(*resources), programs, queue_feature_prefix="queue_", template_limit=2)


def line(of: str, start: str) -> str:
    (found,) = [one for one in of.splitlines() if one.startswith(start)]
    return found


def test_both_ways_in_one_text() -> None:
    both = text(SMALL, GPU, PC)
    assert line(both, "NodeName=pc") == (
        "NodeName=pc-[0001-0020] CPUs=4 RealMemory=8000 Feature=big,fast State=CLOUD Weight=10"
    )
    assert line(both, "NodeName=gpu") == (
        "NodeName=gpu-[0001-0002] CPUs=8 RealMemory=16000 Feature=bigmem Gres=gpu:a100:2 State=CLOUD Weight=20"
    )
    cloud = line(both, "PartitionName=cloud")
    assert "Nodes=pc-[0001-0020] SuspendTime=300 ResumeTimeout=1010 SuspendTimeout=60" in cloud
    gpu = line(both, "PartitionName=gpu")
    assert "SuspendTime=77" in gpu
    assert "AllowAccounts=physics" in gpu
    assert "NodeSet=nodes_long Feature=queue_long" in both
    assert "PartitionName=main Nodes=nodes_main" in both
    assert "MaxNodeCount=27" in both  # 3 nodes, 2 templates, 22 of slurm.conf
    assert "SuspendTime=31536000" in both
    assert "PrivateData=cloud" in both
    assert "GresTypes=gpu" in both
    assert "# a note" in both
    assert "SuspendTime=INFINITE" not in both


def test_parts_without_a_resource_are_left_out() -> None:
    assert "ResumeProgram" not in text(SMALL)
    assert "MaxNodeCount" not in text(PC)
    assert "GresTypes" not in text(PC)


def test_resources_without_queues_have_an_example() -> None:
    anywhere = Resource("any", "x", "t", Capacity(1), max_nodes=1)
    assert "`main` is an example" in text(anywhere)


def test_equal_resources_have_equal_weights_and_a_cheaper_one_goes_first() -> None:
    cheap = Resource("cheap", "x", "t", Capacity(1), max_nodes=1, price_per_hour=0.1, provisioning=SWITCHED)
    dear = Resource("dear", "x", "t", Capacity(1), max_nodes=1, price_per_hour=0.2, provisioning=SWITCHED)
    same = Resource("same", "x", "t", Capacity(1), max_nodes=1, price_per_hour=0.1, provisioning=SWITCHED)
    made = text(cheap, dear, same)
    assert [line(made, f"NodeName={name}")[-2:] for name in ("cheap", "same", "dear")] == ["10", "10", "20"]


@pytest.mark.parametrize("most", [1, 2, 9999, 10_000, 10_001, 20_123])
def test_ranges_are_the_names_of_the_nodes(most: int) -> None:
    many = Resource("n", "x", "t", Capacity(1), max_nodes=most, name_prefix="wn-a")
    assert expand(host_range(many)) == tuple(many.numbered(number) for number in range(1, most + 1))


# -- comparing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("resources", [(PC,), (SMALL,), (PC, GPU), (PC, GPU, SMALL)])
def test_what_is_printed_has_all_that_is_needed(resources: tuple[Resource, ...]) -> None:
    printed = text(*resources)
    if SMALL in resources:
        printed = printed.replace("MaxNodeCount=", "MaxNodeCount=1")
    assert problems_in(printed, policy(*resources)) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[0001-0020] CPUs", "[0001-0018] CPUs", "2 of the 20 nodes of pc are missing, the first is pc-0019"),
        ("CPUs=4 ", "CPUs=2 ", "pc-0001 and 19 more: CPUs=2, not 4"),
        ("RealMemory=8000", "RealMemory=9000", "RealMemory=9000, not 8000"),
        ("Feature=big,fast ", "Feature=big ", "Feature=fast is missing"),
        ("Gres=gpu:a100:2", "Gres=gpu:2", "gpu-0001 and 1 more: Gres=gpu:2, not 2 GPU(s) a100"),
        ("State=CLOUD Weight=10", "Weight=10", "State=UNKNOWN, not CLOUD"),
        ("PartitionName=cloud", "PartitionName=other", "the partition cloud is missing"),
        (
            "Nodes=pc-[0001-0020]",
            "Nodes=pc-[0001-0019]",
            "the partition cloud lacks 1 of its nodes, the first is pc-0020",
        ),
        ("SuspendTime=300 ", "", "the partition cloud has no SuspendTime"),
        ("ResumeTimeout=1010 ", "ResumeTimeout=60 ", "ResumeTimeout of the partition cloud is 60 s"),
        ("ResumeProgram=", "# ", "ResumeProgram is missing"),
        ("SuspendTime=31536000", "SuspendTime=INFINITE", "SuspendTime is missing or INFINITE"),
        ("SuspendTime=31536000", "SuspendTime=600", "Slurm would switch off the nodes that the service launches"),
        ("PrivateData=cloud", "PrivateData=jobs", "PrivateData=cloud is missing"),
        ("select/cons_tres", "select/linear", "SelectType=select/linear"),
        ("MaxNodeCount=127", "MaxNodeCount=25", "MaxNodeCount=25: more than 25 is needed"),
        ("NodeName=gpu-[0001-0002]", "NodeName=gpu-[0001-", "cannot be read"),
    ],
)
def test_what_an_existing_file_lacks(old: str, new: str, says: str) -> None:
    printed = text(PC, GPU, SMALL).replace("MaxNodeCount=", "MaxNodeCount=1")
    assert old in printed
    found = problems_in(printed.replace(old, new), policy(PC, GPU, SMALL))
    assert any(says in problem for problem in found), found


def test_files_as_people_write_them() -> None:
    written = """
    # a site's own
    SUSPENDTIME=31536000  # never
    resumeprogram=/x/resume
    SuspendProgram="/x/suspend"
    PrivateData=jobs,cloud
    NodeName=DEFAULT State=CLOUD RealMemory=8000 \\
             Feature=fast,big
    NodeName=pc-[0001-0010],pc-[0011-0020] CPUs=4
    NodeName=login State=UNKNOWN
    PartitionName=DEFAULT SuspendTime=300 ResumeTimeout=2000
    PartitionName=cloud Nodes=ALL
    """
    assert problems_in(written, policy(PC)) == []
    assert problems_in("Include nodes.conf\n", policy(PC))[-1] == "nodes.conf: included, and not looked at"


# -- the verb -----------------------------------------------------------------------------------------

CONFIG = """
dynamic-cluster: {cluster_id: c1}
cluster: {type: slurm}
cloud:
  pc:
    type: simulated
    provisioning: scheduler
    quantity: {max: 2}
    capacity: {cores: 4}
    queues: [cloud]
"""


def test_the_verb_prints_and_compares(tmp_path: Path) -> None:
    config, conf = tmp_path / "c.yaml", tmp_path / "slurm.conf"
    config.write_text(CONFIG)
    printed = CliRunner().invoke(main, ["slurm-config", "-c", str(config)])
    assert printed.exit_code == 0
    assert "NodeName=pc-[0001-0002]" in printed.stdout
    assert "/dynamiccluster-slurm-resume\n" in printed.stdout
    conf.write_text(printed.stdout)
    assert CliRunner().invoke(main, ["slurm-config", "-c", str(config), "--check", str(conf)]).exit_code == 0
    conf.write_text("NodeName=pc-0001\n")
    compared = CliRunner().invoke(main, ["slurm-config", "-c", str(config), "--check", str(conf)])
    assert compared.exit_code == exits.REFUSED
    assert "the first is pc-0002" in compared.stdout
    missing = CliRunner().invoke(main, ["slurm-config", "-c", str(config), "--check", str(tmp_path / "none")])
    assert missing.exit_code == exits.NOT_FOUND


def test_a_socket_of_its_own_needs_scripts(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG.replace("c1}", "c1, admin-server: {socket: /run/own.sock}}"))
    printed = CliRunner().invoke(main, ["slurm-config", "-c", str(config)]).stdout
    assert "ResumeProgram=/usr/local/sbin/slurm-resume" in printed
    assert '--connect /run/own.sock "$@"' in printed
    printed = CliRunner().invoke(main, ["slurm-config", "-c", str(config), "--programs", "/opt/x"]).stdout
    assert "SuspendProgram=/opt/x/slurm-suspend" in printed


def test_other_schedulers_have_none(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG.replace("type: slurm", "type: simulated").replace("    provisioning: scheduler\n", ""))
    assert CliRunner().invoke(main, ["slurm-config", "-c", str(config)]).exit_code == exits.BAD_CONFIG
