"""The service as a process beside a real nova: jobs of a batch system bring servers, and let them go."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from openstack_service import OpenstackService, alive, resources
from rounds.service import put_away, until_declared

from dynamiccluster.testing.bed import JobState, Order
from dynamiccluster.testing.openstack_bed import OpenstackBed
from dynamiccluster.testing.torque_bed import TorqueBed, torque_bed

pytestmark = [pytest.mark.system, pytest.mark.openstack, pytest.mark.timeout(1500)]
GENERAL = {"max_idle_time": 3}
LIMIT_S = 240


@pytest.fixture
def batch(openstack: OpenstackBed) -> Iterator[TorqueBed]:
    with torque_bed("", scheduler="pbs_sched", unsent_s=1) as made:
        yield made


def whole_node() -> Order:
    return Order("echo ran; sleep 2", cores=2)


def test_jobs_bring_servers_and_let_them_go(openstack: OpenstackBed, batch: TorqueBed, tmp_path: pathlib.Path) -> None:
    service = OpenstackService(batch, tmp_path, "round", resources(3), GENERAL, nova=openstack)
    with alive(service):
        service.start()
        until_declared(service)
        jobs = [batch.submit(whole_node()) for _ in range(3)]
        took_s = service.until(lambda: not service.waiting_or_running(), LIMIT_S, "the jobs are over")
        assert {service.job(job).state for job in jobs} == {JobState.COMPLETED}, service.scene()
        gone_s = put_away(service)
        assert len(service.machines) == len({one.host_name for one in service.machines}) <= 3
        service.stop()
    print(f"3 jobs over after {took_s:.0f} s, nothing left {gone_s:.0f} s later")  # noqa: T201 - the measurement
