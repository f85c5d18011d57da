"""The rounds assert, too: their failures show values as those of tests do. The real OpenStack is shared by modules."""

from __future__ import annotations

import os
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from slurm_harness import left_out

if TYPE_CHECKING:
    from dynamiccluster.testing.openstack_bed import OpenstackBed

pytest.register_assert_rewrite("rounds")
sys.path.append(str(pathlib.Path(__file__).parents[1] / "contract"))  # the suites, for systems that are tested here


@pytest.fixture(scope="session")
def real_openstack() -> Iterator[OpenstackBed]:
    """Comes up in one to two minutes: one for all tests of a process."""
    from dynamiccluster.testing import openstack_bed  # the SDK takes a second, and no other system needs it

    reason = openstack_bed.why_not()
    if reason:
        pytest.skip(reason)
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
    with openstack_bed.openstack_bed(openstack_bed.FIRST_PORT + 20 * worker) as bed:
        yield bed


@pytest.fixture
def openstack(real_openstack: OpenstackBed) -> Iterator[OpenstackBed]:
    """As after bring-up, and nothing of the test is left."""
    yield real_openstack
    real_openstack.sweep()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop what is not repeated beside each release of Slurm."""
    dropped = [item for item in items if left_out(item)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]
