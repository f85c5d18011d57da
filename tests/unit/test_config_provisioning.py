"""Resources whose nodes the scheduler itself picks: what they need, and what goes with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_files import loaded, problems

from dynamiccluster.decide.tick import shapes_fingerprint
from dynamiccluster.model.resource import Provisioning

GOOD = """
dynamic-cluster: {cluster_id: c1}
cluster: {type: slurm}
cloud:
  burst:
    type: simulated
    provisioning: scheduler
    quantity: {max: 20}
    capacity: {cores: 4, memory_mib: 8000}
    queues: [cloud]
  small:
    type: simulated
    quantity: {max: 2}
    capacity: {cores: 4}
"""


def test_a_good_one_and_its_names(tmp_path: Path) -> None:
    resources = loaded(tmp_path, GOOD).policy.resources
    burst = resources["burst"]
    assert burst.provisioning is Provisioning.SCHEDULER
    assert resources["small"].provisioning is Provisioning.DEMAND
    assert (burst.numbered(1), burst.numbered(20), burst.numbered(12345)) == ("burst-0001", "burst-0020", "burst-12345")
    assert [burst.number_of(name) for name in ("burst-0001", "burst-12345", "burst-1", "burst-012345")] == [
        1,
        12345,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("{type: slurm}", "{type: simulated}", "cloud.burst.provisioning", "simulated cannot"),
        ("{max: 20}", "{min: 1, max: 20}", "cloud.burst.quantity.min", "SuspendExcNodes"),
        ("    queues: [cloud]\n", "", "cloud.burst.queues", "is missing"),
        ("quantity: {max: 2}", "quantity: {max: 2}\n    queues: [a, cloud]", "cloud.small.queues", "resource burst"),
        (
            "quantity: {max: 2}",
            "quantity: {max: 2}\n    reservation: {queue: cloud}",
            "cloud.small.reservation",
            "resource burst",
        ),
        ("provisioning: scheduler", "provisioning: slurm", "cloud.burst.provisioning", ""),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    assert old in GOOD
    found = [problem for problem in problems(tmp_path, GOOD.replace(old, new)) if problem.key == key]
    assert len(found) == 1
    assert says in found[0].problem


def test_its_size_must_be_told_whatever_the_cloud(tmp_path: Path) -> None:
    text = GOOD.replace("    type: simulated\n    provisioning", "    type: aws\n    provisioning", 1).replace(
        "{cores: 4, memory_mib: 8000}", "{memory_mib: 1}"
    )
    text += "    config: {}\n"
    text = text.replace(
        "    queues: [cloud]", "    queues: [cloud]\n    config: {image_id: i, instance_type: t, region_name: r}"
    )
    assert "cloud.burst.capacity.cores" in {problem.key for problem in problems(tmp_path, text)}


def test_a_reserved_queue_will_do(tmp_path: Path) -> None:
    text = GOOD.replace("queues: [cloud]", "reservation: {queue: cloud}")
    assert loaded(tmp_path, text).policy.resources["burst"].queues == {"cloud"}


def test_more_hosts_are_declared_anew(tmp_path: Path) -> None:
    few = loaded(tmp_path, GOOD).policy
    assert shapes_fingerprint(few) != shapes_fingerprint(loaded(tmp_path, GOOD.replace("20", "21")).policy)
