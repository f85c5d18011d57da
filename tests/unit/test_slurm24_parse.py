"""What Slurm 24.11 prints, as far as it differs from 22.05: recordings of a real 24.11.5 with slurmdbd."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.schedulers.slurm.jobs_parse import Queue, parse_jobs
from dynamiccluster.schedulers.slurm.licences_parse import parse_licences
from dynamiccluster.schedulers.slurm.limits_parse import Bound, parse_limits
from dynamiccluster.schedulers.slurm.nodes_parse import Nodes, parse_config, parse_nodes, parse_partitions
from dynamiccluster.schedulers.slurm.reasons import wait_of
from dynamiccluster.schedulers.slurm.reservations_parse import parse_reservations
from dynamiccluster.schedulers.slurm.shape_parse import kinds_of

RECORDED = Path(__file__).parents[1] / "recorded" / "slurm24"
NOW = 1795177857.0
NOT_REASONS = {"InvaildReason"}
"""What Slurm says of a number that it does not know."""


def text(name: str) -> str:
    return (RECORDED / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def nodes() -> Nodes:
    return parse_nodes(
        text("scontrol_show_node_F_o"), lambda mark: mark.startswith("dynamiccluster:rec:"), "dc-template"
    )


@pytest.fixture(scope="module")
def queue(nodes: Nodes) -> Queue:
    return parse_jobs(text("squeue_token"), "~5f3a~", kinds_of(nodes.hosts), now=NOW)


@pytest.fixture(scope="module")
def waiting(queue: Queue) -> dict[str, Job]:
    return {job.name: job for job in queue.jobs if job.state is JobState.PENDING}


def test_the_queue_is_read_whole(queue: Queue, waiting: dict[str, Job]) -> None:
    assert not queue.dropped
    assert not queue.unknown_reasons
    assert len(queue.jobs) == 48
    assert sum(job.state is JobState.RUNNING for job in queue.jobs) == 5
    assert waiting["new\nline|999|x"].job_id == "34"
    assert waiting["arrstep"].tasks == 7
    assert not waiting["norq"].rerunnable
    assert {waiting[name].wait for name in ("dep", "held")} == {Wait.NO}
    assert (waiting["begin"].wait, waiting["begin"].eligible_at) == (Wait.NOT_YET, 1795181448)


@pytest.mark.parametrize(
    ("name", "cores", "memory_mib", "gpus", "chunks"),
    [
        ("n8", 1, 100, 0, 8),
        ("N2n5", 3, 300, 0, 2),
        ("ntpn", 2, 200, 0, 2),
        ("mempn", 2, 500, 0, 2),
        ("mempc", 2, 1000, 0, 2),
        ("cpt", 3, 300, 0, 2),
        ("gpun", 1, 100, 1, 2),  # gres/gpu:1, where 22.05 writes gres:gpu:1
        ("gpus", 2, 200, 2, 1),
        ("gpupt", 2, 200, 2, 1),  # gres/gpu=1
        ("gpumem", 1, 600, 1, 1),
        ("gres", 1, 100, 1, 1),
        ("het2", 2, 200, 0, 1),  # cpu=2 as what a task asks for
        ("segment", 1, 100, 0, 2),
    ],
)
def test_shapes(waiting: dict[str, Job], name: str, cores: int, memory_mib: int, gpus: int, chunks: int) -> None:
    shape = waiting[name].shape
    assert (shape.chunk, shape.chunks) == (Capacity(cores, memory_mib, gpus), chunks)


def test_words_of_shapes(queue: Queue, waiting: dict[str, Job]) -> None:
    assert waiting["gpus"].shape.gpu_type == waiting["gres"].shape.gpu_type == "a100"
    assert waiting["excl"].shape.exclusive
    assert waiting["mem0"].shape.exclusive
    assert {job.name: job.shape.exclusive for job in queue.jobs if job.name in ("exuser", "oversub")} == {
        "exuser": True,
        "oversub": False,
    }
    assert waiting["count"].shape.features == (("std", "gpu"),)
    assert waiting["named"].shape.hosts == ("rec-00000000", "rec-00000001")


def test_nodes(nodes: Nodes) -> None:
    assert not nodes.dropped
    assert not nodes.declared
    assert sorted(len(names) for names in nodes.templates.values()) == [2, 2, 4]
    real = {host.name: host for host in nodes.hosts if not host.template}
    assert {name: host.state for name, host in real.items()} == dict.fromkeys(real, HostState.UP)
    held = real["rec-00000001"].hold
    assert held is not None
    assert held.ours
    assert {host.gpu_type for host in nodes.hosts if host.total.gpus == 2} == {"a100"}


def test_a_partition_of_all_nodes_is_no_set_of_nodes() -> None:
    assert parse_partitions(text("scontrol_show_partition_o")).by_feature == {"main", "long"}


def test_settings_licences_and_reservations() -> None:
    config = parse_config(text("scontrol_show_config"))
    assert (config.version, config.max_node_count, config.limits_enforced) == ("24.11.5", 400, True)
    assert parse_licences(text("scontrol_show_licenses_o")) == {"matlab": 1}
    maint, part, lic, two = parse_reservations(text("scontrol_show_reservation_o"))
    assert (maint.maintenance, maint.grows, part.grows, two.grows) == (True, True, True, False)
    assert (two.active, two.accounts, two.hosts, two.cores) == (True, ("chem",), {"rec-00000000"}, 4)
    assert lic.free_choice


def test_limits() -> None:
    limits = parse_limits(text("scontrol_show_assoc_mgr_o"))
    assert limits.associations["chem", "", ""].bounds == {"GrpTRES cpu": Bound(4, 0)}
    assert limits.associations["orga", "", ""].parent == "chem"
    assert limits.associations["phys", "root", ""].bounds == {}
    assert limits.qos["gpus"].bounds["GrpTRES gres/gpu"].limit == 2
    assert limits.numbers == {"root": "0"}


def test_every_reason_that_it_can_give_is_known() -> None:
    unknown = {word for word in text("reason_words").split() if wait_of("PENDING", word) is None}
    assert unknown == NOT_REASONS
