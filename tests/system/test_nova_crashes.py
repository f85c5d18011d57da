"""``kill -9`` of the service while a real nova launches and ends its servers. ``scripts/soak`` does it 200 times."""

from __future__ import annotations

import pathlib

import pytest
from openstack_service import OpenstackService, alive, resources
from rounds.server_kills import GENERAL, Tally, live_through

from dynamiccluster.testing.openstack_bed import OpenstackBed
from dynamiccluster.testing.torque_bed import torque_bed

pytestmark = [pytest.mark.system, pytest.mark.openstack, pytest.mark.timeout(1500)]


def test_ten_jobs_and_five_deaths(openstack: OpenstackBed, tmp_path: pathlib.Path) -> None:
    tally = Tally()
    deaths = ["after-call:launch", 6.0, "before-record", 12.0, "after-call:terminate"]
    with torque_bed("", scheduler="pbs_sched", unsent_s=1) as batch:
        service = OpenstackService(batch, tmp_path, "deaths", resources(10), GENERAL, nova=openstack)
        with alive(service):
            live_through(service, 10, deaths, tally)
    assert not tally.problems
    assert tally.deaths >= 3
    assert tally.launches >= 3
    print(tally)  # noqa: T201 - the measurement
