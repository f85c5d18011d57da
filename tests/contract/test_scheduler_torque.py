"""The contract of schedulers on the Torque that behaves as the recorded ones, in a time set by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from scheduler_suite import CLUSTER, RESOURCE, Harness, SchedulerSuite
from torque_harness import TorqueHarness

KINDS = {"torque-6.1-maui": ("6.1.3", "maui"), "torque-4.2-pbs_sched": ("4.2.10.h2", "pbs_sched")}


@pytest.mark.parametrize("kind", list(KINDS))
class TestTorque(SchedulerSuite):
    @pytest.fixture
    def harness(self, kind: str, tmp_path: Path) -> Harness:
        torque = TorqueHarness(tmp_path, *KINDS[kind], cluster_id=CLUSTER)
        torque.scheduler.declare([RESOURCE])
        torque.wait(15)  # the scheduler has looked around, the server has told everybody of the placeholders
        return torque
