"""The contract of clouds on the embedded one, and on the double that makes a bad day of it, on a good day."""

from __future__ import annotations

import random

import pytest
from cloud_suite import MOST, RESOURCE, CloudSuite, Harness, specs

from dynamiccluster.clouds.base import Cloud
from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.machines import Kind, TenancyLimits
from dynamiccluster.embedded.site import Site
from dynamiccluster.testing.faults import Faults
from dynamiccluster.testing.flaky_cloud import FlakyCloud


class HandClock:
    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.elapsed_s

    def monotonic(self) -> float:
        return self.elapsed_s


class SimulatedHarness:
    def __init__(self, idempotent: bool) -> None:
        self.clock = HandClock()
        site = Site(1, self.clock.now())
        site.add_tenancy("t", {"small": Kind()}, TenancyLimits(max_instances=MOST))
        self.cloud: Cloud = SimulatedCloud(site, "t", self.clock, "ours", idempotent=idempotent, tags_nodes=idempotent)
        self.other: Cloud = SimulatedCloud(site, "t", self.clock, "theirs")

    def wait(self, seconds: float) -> None:
        self.clock.elapsed_s += seconds * 20


class TestSimulated(CloudSuite):
    @pytest.fixture(params=[True, False], ids=["repeatable", "launches not repeatable"])
    def harness(self, request: pytest.FixtureRequest) -> Harness:
        return SimulatedHarness(idempotent=request.param)

    def test_the_list_says_in_which_offering_a_machine_is(self, harness: Harness) -> None:
        harness.cloud.launch("launch-1", RESOURCE, specs("small-a"))
        assert [one.offering for one in harness.cloud.list_instances().instances] == [RESOURCE.offering]


class FlakyHarness(SimulatedHarness):
    """Nothing goes wrong: then the double changes nothing."""

    def __init__(self, idempotent: bool) -> None:
        super().__init__(idempotent)
        quiet = Faults((), random.Random(1), self.clock.monotonic)
        self.cloud, self.other = (
            FlakyCloud(inner, quiet, "t", lambda _delay_s, _function: None) for inner in (self.cloud, self.other)
        )


class TestFlaky(CloudSuite):
    @pytest.fixture(params=[True, False], ids=["repeatable", "launches not repeatable"])
    def harness(self, request: pytest.FixtureRequest) -> Harness:
        return FlakyHarness(idempotent=request.param)
