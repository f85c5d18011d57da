"""The contract of schedulers on the LSF that behaves as the recorded OpenLava, or as LSF 10.1 is described."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lsf_harness import LsfHarness
from scheduler_suite import (
    CLUSTER,
    FULL,
    RESOURCE,
    SERIAL,
    SchedulerSuite,
    host,
    is_up,
    job,
    join,
    mark,
    runs,
    until,
)

from dynamiccluster.errors import TransientError
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState
from dynamiccluster.testing.lsf_double.cluster import LSF, OPENLAVA


@pytest.mark.parametrize("dialect", [OPENLAVA, LSF])
class TestLsf(SchedulerSuite):
    @pytest.fixture
    def harness(self, dialect: str, tmp_path: Path) -> LsfHarness:
        lsf = LsfHarness(tmp_path, dialect, cluster_id=CLUSTER)
        lsf.scheduler.declare([RESOURCE])
        lsf.wait(15)  # mbatchd has looked around, and knows the placeholder
        return lsf

    def test_death_is_seen_behind_a_hold(self, harness: LsfHarness) -> None:
        """To mbatchd a closed host stays just that."""
        join(harness, "small-1")
        harness.scheduler.hold("small-1", mark("n1"))
        harness.crash("small-1")
        harness.wait(130)
        found = harness.scheduler.find("small-1")
        assert found is not None
        assert (found.state, found.hold is not None) == (HostState.DOWN, True)

    def test_a_host_that_lost_its_job_is_not_up(self, harness: LsfHarness) -> None:
        join(harness, "small-1")
        lost = harness.submit(SERIAL, 300)
        until(harness, runs(lost))
        harness.crash("small-1")
        view = until(harness, lambda view: (on := host(view, "small-1")) is None or on.state is not HostState.UP, 90)
        found = host(view, "small-1")
        assert found is not None
        assert found.busy


def test_a_host_is_up_only_when_both_of_its_daemons_are(tmp_path: Path) -> None:
    harness = LsfHarness(tmp_path, cluster_id=CLUSTER)
    harness.double.settings(lim_start_s=33)  # seen: the other daemon is the quicker one
    address = harness.boot("small-1")
    harness.resolve("small-1", address)
    harness.scheduler.add("small-1", address, RESOURCE)
    harness.wait(15)
    assert " ok " in harness.double.run("bhosts", "-w", "small-1")
    found = harness.scheduler.find("small-1")
    assert found is not None
    assert found.state is HostState.JOINING
    until(harness, is_up("small-1"), 30)


def test_a_placeholder_grows_with_what_is_declared(tmp_path: Path) -> None:
    """OpenLava refuses jobs of more slots than its hosts have together, those that never come included."""
    harness = LsfHarness(tmp_path, cluster_id=CLUSTER)
    few = replace(RESOURCE, max_nodes=1)
    many = replace(RESOURCE, max_nodes=6)
    for resources, accepted in (([few], False), ([few, many], True), ([few], True)):
        harness.scheduler.declare(resources)
        harness.wait(15)
        if accepted:
            assert harness.submit(replace(FULL, chunks=6, distinct=True), 1)
        else:
            with pytest.raises(Exception, match="Too many processors"):
                harness.submit(replace(FULL, chunks=6, distinct=True), 1)


def test_jobs_that_a_dead_host_keeps_are_asked_for_once_more(tmp_path: Path) -> None:
    """``brequeue`` fails while the host is silent; the job is struck off and sent back as one that ended."""
    harness = LsfHarness(tmp_path, cluster_id=CLUSTER)
    join(harness, "small-1")
    lost = harness.submit(SERIAL, 300)
    until(harness, runs(lost))
    harness.crash("small-1")
    with pytest.raises(TransientError):
        harness.scheduler.vacate("small-1", [lost])
    harness.scheduler.evacuate("small-1", [lost], delete_jobs=False)
    found = job(harness.scheduler.poll(), lost)
    assert found is not None
    assert (found.state, found.hosts) == (JobState.PENDING, ())
