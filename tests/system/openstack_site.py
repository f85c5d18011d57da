"""Adapters on the real OpenStack of the test bed, as several test modules need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamiccluster.clouds.openstack.adapter import OpenstackCloud
from dynamiccluster.clouds.openstack.build import build
from dynamiccluster.config.schema_cloud_openstack import OpenstackConfig
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.resource import Resource
from dynamiccluster.testing.openstack_bed import OpenstackBed

SMALL = Resource("small", "openstack", "t", Capacity(2, 2000), max_nodes=20)
FULL = {"availability_zone": "zone-2"}
"""Keys for the host that has room for two machines."""

BROKEN = {"availability_zone": "zone-broken"}
"""Keys for the host where no machine ever comes up."""


class LaterClock(SystemClock):
    """The machine's clock, set forward: waits of minutes are over at once."""

    later_by = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.later_by


def cloud(bed: OpenstackBed, cluster_id: str = "ours", *, clock: Clock | None = None, **more: Any) -> OpenstackCloud:
    """An adapter of its own, with a session of its own. ``more``: keys besides those of the bed; None takes one out."""
    keys = {key: value for key, value in bed.config(**more).items() if value is not None}
    return build("t", {"small": dict(OpenstackConfig.model_validate(keys))}, cluster_id, clock or SystemClock())


def launch(made_by: OpenstackCloud, *names: str) -> tuple[LaunchedInstance, ...]:
    return made_by.launch(f"launch-{names[0]}", SMALL, [NodeSpec(f"id-{name}", name) for name in names])


def until(bed: OpenstackBed, asked: OpenstackCloud, state: InstanceState, limit_s: float = 60.0) -> Sequence[Instance]:
    """The machines of ``asked``, as soon as all of them are in this state."""
    seen: Sequence[Instance] = ()

    def all_are() -> bool:
        nonlocal seen
        seen = asked.list_instances().instances
        return bool(seen) and all(one.state is state for one in seen)

    bed.until(all_are, f"all are {state}", limit_s)
    return seen
