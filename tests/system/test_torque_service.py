"""The service as a process beside the Torque double: the rounds of every scheduler, with Maui and without."""

from __future__ import annotations

import os
import pathlib
import random
from collections.abc import Iterator

import pytest
from rounds import faults
from rounds.mixed import resources, round_of_mixed_jobs
from rounds.races import lanes, race
from rounds.service import Service, running

from dynamiccluster.testing.bed import SWITCH
from dynamiccluster.testing.torque_bed import TorqueBed, torque_bed

pytestmark = [pytest.mark.system, pytest.mark.timeout(400), pytest.mark.xdist_group("torque-service")]


@pytest.fixture(scope="module")
def bed() -> Iterator[TorqueBed]:
    if os.environ.get(SWITCH) != "1":
        pytest.skip(f"takes minutes: set {SWITCH}=1")
    with torque_bed("10.80.4.0/24" if os.geteuid() == 0 else "") as made:
        yield made


@pytest.mark.parametrize("least", [0, 1])
def test_mixed_jobs_on_an_empty_cluster(bed: TorqueBed, tmp_path: pathlib.Path, least: int) -> None:
    service = Service(bed, tmp_path, f"round{least}", resources(bed, least))
    assert not service.leftovers()
    with running(service):
        print(round_of_mixed_jobs(service, least))  # noqa: T201 - the measurement


def test_jobs_that_come_while_their_node_is_being_let_go(bed: TorqueBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "races", lanes(bed, 3))
    with running(service):
        tally = race(service, 6, random.Random(1))
        assert tally.problems == []
        assert len(tally.waits_s) == 6
        print(f"{len(service.machines)} machines; {tally}")  # noqa: T201 - the measurement


QUICK = {"store-lost", "clock-set-forward", "clock-set-back"}
"""Rounds whose jobs are over before a Torque 6 would have let in a second node: 20 s, as recorded."""


@pytest.mark.parametrize("name", [name for name in faults.FAULTS if name not in QUICK])
def test_faults_around_the_service(bed: TorqueBed, tmp_path: pathlib.Path, name: str) -> None:
    print(faults.run(bed, tmp_path, name))  # noqa: T201 - the measurement


@pytest.mark.parametrize("name", sorted(QUICK))
def test_faults_with_pbs_sched_where_nodes_join_sooner(tmp_path: pathlib.Path, name: str) -> None:
    """Without Maui, which would put the jobs off."""
    if os.environ.get(SWITCH) != "1":
        pytest.skip(f"takes minutes: set {SWITCH}=1")
    with torque_bed("10.80.6.0/24" if os.geteuid() == 0 else "", scheduler="pbs_sched", unsent_s=1) as quick:
        print(faults.run(quick, tmp_path, name))  # noqa: T201 - the measurement
