"""The contract of ``clouds/base`` for every adapter. Each brings a harness: machines of its kind, and time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Protocol

import pytest

from dynamiccluster.clouds.base import Cloud
from dynamiccluster.errors import ErrorClass, QuotaError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import Quota

RESOURCE = Resource("small", "any", "t", Capacity(2, 2000), max_nodes=5, offering="zone-1", features=frozenset({"x"}))
MOST = 4
SERIALS = itertools.count()


class Harness(Protocol):
    """Two installations in one tenancy that has room for :data:`MOST` machines."""

    cloud: Cloud
    other: Cloud

    def wait(self, seconds: float) -> None: ...


def room(quota: Quota) -> int | None:
    """For how many more machines of :data:`RESOURCE` there is room, by whichever limit the cloud has."""
    if quota.max_instances is not None:
        return quota.max_instances - quota.used_instances
    return None if quota.max_cores is None else (quota.max_cores - quota.used_cores) // RESOURCE.capacity.cores


def specs(*names: str) -> list[NodeSpec]:
    return [NodeSpec(f"id-{name}", name) for name in names]


def until(harness: Harness, cloud: Cloud, holds: Callable[[tuple[Instance, ...]], bool]) -> tuple[Instance, ...]:
    for _ in range(100):
        instances = cloud.list_instances().instances
        if holds(instances):
            return instances
        harness.wait(0.1)
    raise AssertionError(cloud.list_instances())


def all_in(state: InstanceState) -> Callable[[tuple[Instance, ...]], bool]:
    return lambda instances: all(instance.state is state for instance in instances)


class CloudSuite:
    """Every adapter's test class inherits it and brings a fixture ``harness``."""

    counts_late = False
    """Whether the cloud may accept more than its quota, whose limit the machines of a launch then fail by."""

    def test_an_empty_tenancy(self, harness: Harness) -> None:
        view = harness.cloud.list_instances()
        assert view.tenancy == harness.cloud.tenancy
        assert not view.instances
        assert view.strangers == 0
        assert room(view.quota) == MOST
        assert view.quota.used_instances == 0
        assert view.started_at <= view.completed_at

    def test_launched_machines_carry_what_they_are_found_by(self, harness: Harness) -> None:
        launched = harness.cloud.launch("launch-1", RESOURCE, specs("small-a", "small-b"))
        assert len({machine.instance_id for machine in launched}) == 2
        instances = until(harness, harness.cloud, all_in(InstanceState.ACTIVE))
        assert {instance.instance_id for instance in instances} == {machine.instance_id for machine in launched}
        assert {instance.launch_id for instance in instances} == {"launch-1"}
        assert {instance.resource for instance in instances} == {"small"}
        assert {(instance.fault, instance.fault_class) for instance in instances} == {("", "")}
        assert {instance.node_id for instance in instances} in ({""}, {"id-small-a", "id-small-b"})
        assert {instance.host_name for instance in instances} == {"small-a", "small-b"}
        assert all(instance.created_at > 0 for instance in instances)
        assert harness.cloud.list_instances().quota.used_instances == 2

    def test_a_launch_may_be_repeated_where_the_adapter_says_so(self, harness: Harness) -> None:
        first = harness.cloud.launch("launch-1", RESOURCE, specs("small-a", "small-b"))
        again = harness.cloud.launch("launch-1", RESOURCE, specs("small-a", "small-b"))
        same = {machine.instance_id for machine in again} == {machine.instance_id for machine in first}
        assert same is harness.cloud.idempotent
        assert len(harness.cloud.list_instances().instances) == (2 if harness.cloud.idempotent else 4)

    def test_terminated_machines_go_and_nobody_minds_a_second_time(self, harness: Harness) -> None:
        keeps, goes = harness.cloud.launch("launch-1", RESOURCE, specs("small-a", "small-b"))
        until(harness, harness.cloud, all_in(InstanceState.ACTIVE))
        harness.cloud.terminate([goes.instance_id, "no-such-machine"])
        harness.cloud.terminate([goes.instance_id])

        def left(instances: tuple[Instance, ...]) -> bool:
            return {instance.instance_id for instance in instances if instance.state is not InstanceState.GONE} == {
                keeps.instance_id
            }

        until(harness, harness.cloud, left)
        assert harness.cloud.list_instances().quota.used_instances == 1

    def test_machines_of_others_are_counted_and_left_alone(self, harness: Harness) -> None:
        (theirs,) = harness.other.launch("launch-1", RESOURCE, specs("theirs-a"))
        view = harness.cloud.list_instances()
        assert not view.instances
        assert view.strangers == 1
        assert view.quota.used_instances == 1
        harness.cloud.terminate([theirs.instance_id])
        assert harness.cloud.console_tail(theirs.instance_id) == ""
        until(harness, harness.other, lambda instances: bool(instances) and all_in(InstanceState.ACTIVE)(instances))
        harness.wait(0.5)
        assert harness.cloud.console_tail(theirs.instance_id) == "", "though it says something now"

    def test_the_quota_counts_everybody_and_gives_what_is_left(self, harness: Harness) -> None:
        harness.other.launch("launch-1", RESOURCE, specs("theirs-a", "theirs-b"))
        until(harness, harness.other, all_in(InstanceState.ACTIVE))
        launched = harness.cloud.launch("launch-2", RESOURCE, specs("small-a", "small-b", "small-c"))
        assert len(launched) == MOST - 2 or self.counts_late
        settled = until(harness, harness.cloud, lambda found: InstanceState.PENDING not in {one.state for one in found})
        good = [one for one in settled if one.state is InstanceState.ACTIVE]
        assert len(settled) == len(launched) >= MOST - 2 >= len(good)
        assert {one.fault_class for one in settled if one not in good} <= {ErrorClass.QUOTA}
        with pytest.raises(QuotaError):
            harness.cloud.launch("launch-3", RESOURCE, specs("small-d"))
        assert len(harness.cloud.list_instances().instances) == len(launched)

    def test_the_console_of_a_running_machine_says_something(self, harness: Harness) -> None:
        (machine,) = harness.cloud.launch("launch-1", RESOURCE, specs("small-a"))
        until(harness, harness.cloud, all_in(InstanceState.ACTIVE))
        harness.wait(0.5)
        said = harness.cloud.console_tail(machine.instance_id)
        assert "small-a" in said or machine.instance_id in said
        assert harness.cloud.console_tail("no-such-machine") == ""
        assert harness.cloud.console_tail("../../etc/passwd") == ""
