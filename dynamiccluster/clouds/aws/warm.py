"""Warm nodes: machines that are stopped instead of terminated, and started again before new ones are made.

A parked machine carries the time in a tag, and to the engine it is gone. Taken into use again it is another machine:
its id gets a number behind it (``i-0123+1``), so that whoever still means the one before has no hold on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls, within
from dynamiccluster.clouds.aws.instance_map import (
    CLUSTER_TAG,
    GENERATION_TAG,
    LAUNCH_TAG,
    MAKING_TAG,
    PARKED_TAG,
    RESOURCE_TAG,
    generation_of,
    parked_at,
    renamed,
    tags_in,
    tags_of,
    taken,
    taken_at,
    to_launched,
)
from dynamiccluster.clouds.aws.making import making
from dynamiccluster.clouds.aws.written import Written
from dynamiccluster.clouds.userdata import UserData
from dynamiccluster.errors import BadConfigError, DynamicClusterError, UnknownOutcomeError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.exclusive import Exclusive
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.resource import Resource

log = logging.getLogger(__name__)

Described = Mapping[str, Any]
_STOPPED = ("stopping", "stopped")
BACK_S = 600.0
"""Longer than a launch takes whose reply is lost once."""

TERMINATE, HIBERNATE = "terminate", "hibernate"


class WarmNodes:
    """Those of one tenancy. ``configs``: the keys ``when_idle warm_max warm_max_age_s`` and others, by resource.
    ``user_data``: their templates."""

    def __init__(
        self,
        calls: AwsCalls,
        clock: Clock,
        cluster_id: str,
        configs: Mapping[str, Mapping[str, Any]],
        user_data: Mapping[str, UserData],
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._cluster_id = cluster_id
        self._configs = {
            name: config for name, config in configs.items() if config.get("when_idle", "") not in ("", TERMINATE)
        }
        self._user_data = user_data
        self._turn = Exclusive()
        self._written = Written(calls, clock)
        self._back_at: dict[str, float] = {}

    def shown(self, described: Described) -> Described:
        """A machine of a list as it is, though the list may not show yet that it was taken into use again."""
        return self._written.shown(described)

    def tags(self, resource: str) -> dict[str, str]:
        """What new machines of a resource carry so that they may be kept.

        :raises BadConfigError: the template cannot be read now.
        """
        if resource not in self._configs:
            return {}
        return {MAKING_TAG: making(self._configs[resource], self._user_data.get(resource))}

    def kept(self, ours: Iterable[Described]) -> set[str]:
        """Ids of the machines that stay parked: of each resource the latest, as many and as long as it says, and
        made as it would be now. What is parked beyond that is seen as the stopped machine it is, and thus ended."""
        found: set[str] = set()
        room = {name: int(config["warm_max"]) for name, config in self._configs.items()}
        now, current = self._clock.now(), self._current()
        for described in sorted(ours, key=parked_at, reverse=True):
            name, since = tags_in(described).get(RESOURCE_TAG, ""), parked_at(described)
            if not since or _state(described) not in _STOPPED or not room.get(name) or not _made_as(described, current):
                continue
            if now - since <= self._configs[name]["warm_max_age_s"]:
                found.add(str(described["InstanceId"]))
                room[name] -= 1
        return found

    def hidden(self, ours: Iterable[Described]) -> set[str]:
        """Ids of the machines that are gone to the engine: those kept, and for a while those that could not be started,
        whose tags name a node that may still wait for another machine."""
        ours, now = list(ours), self._clock.monotonic()
        back = {one for one, at in list(self._back_at.items()) if now - at < BACK_S}
        stopped = {str(one["InstanceId"]) for one in ours if parked_at(one) and _state(one) in _STOPPED}
        return self.kept(ours) | (back & stopped)

    def park(self, machines: Sequence[Described]) -> list[Described]:
        """Stop those of the machines that may be kept. The others, which are to be ended, are returned."""
        if not self._configs:
            return list(machines)
        with self._turn.after(_nothing):
            stopped = self._listed({"Name": "instance-state-name", "Values": list(_STOPPED)})
            kept = self.kept(stopped)
            room = {name: int(config["warm_max"]) for name, config in self._configs.items()}
            for described in stopped:
                if str(described["InstanceId"]) in kept:
                    room[tags_in(described)[RESOURCE_TAG]] -= 1
            current = self._current()
            may_stop = [str(one["InstanceId"]) for one in machines if _may_stop(one) and _made_as(one, current)]
            healthy = self._healthy(may_stop) if may_stop else set()
            ending: list[Described] = []
            parking: dict[str, list[Described]] = {}
            for described in machines:
                instance_id, name = str(described["InstanceId"]), tags_in(described).get(RESOURCE_TAG, "")
                if instance_id in kept:
                    continue
                if instance_id in healthy and room.get(name, 0) > 0:
                    room[name] -= 1
                    parking.setdefault(self._configs[name]["when_idle"], []).append(described)
                else:
                    ending.append(described)
            for how, several in parking.items():
                ending += self._stop(several, hibernate=how == HIBERNATE)
            return ending

    def take(
        self, launch_id: str, resource: Resource, config: Mapping[str, Any], specs: Sequence[NodeSpec], zone: str
    ) -> tuple[LaunchedInstance, ...]:
        """Start parked machines for the first of these nodes, as many as there are.

        A launch that is repeated is given those it has taken before, and no others. A service that has just started
        takes none: one before it may have taken them, and lists are late.
        """
        if resource.name not in self._configs:
            return ()
        with self._turn.after(_nothing):
            before = self._given(launch_id)
            if before:
                return self._start(self._taken_still(before), resource)
            if self._written.blind():
                return ()
            stopped = self._listed({"Name": "instance-state-name", "Values": ["stopped"]})
            kept = self.kept(stopped)
            fitting = [one for one in stopped if str(one["InstanceId"]) in kept and _fits(one, resource, config, zone)]
            chosen = []
            for spec, described in zip(specs, fitting, strict=False):
                tags = self._tags(launch_id, resource, config, spec, described)
                self._written.write([described["InstanceId"]], tags)
                chosen.append(self._written.shown(described))
            return self._start(chosen, resource)

    def _taken_still(self, machines: Sequence[Described]) -> list[Described]:
        """Those of a launch before, which say anew that they start if that is to be done again. What went back remains
        there: other machines were asked for in its place."""
        still = [one for one in machines if generation_of(one) and not parked_at(one)]
        for described in still:
            if _state(described) in _STOPPED:
                again = taken(self._clock.now(), taken_at(described)[1])
                self._written.write([described["InstanceId"]], again)
        return [self._written.shown(one) for one in still]

    def _tags(
        self, launch_id: str, resource: Resource, config: Mapping[str, Any], spec: NodeSpec, described: Described
    ) -> dict[str, str]:
        tags = tags_of(self._cluster_id, launch_id, resource.name, resource.offering, [spec], config["tags"])
        again = {GENERATION_TAG: str(generation_of(described) + 1), **taken(self._clock.now(), parked_at(described))}
        return {**tags, **renamed(described, spec), **again}

    def _start(self, machines: Sequence[Described], resource: Resource) -> tuple[LaunchedInstance, ...]:
        """What cannot be started goes back, and new machines are made instead."""
        stopped = [str(one["InstanceId"]) for one in machines if _state(one) in _STOPPED]
        try:
            if stopped:
                with self._calls.errors(launching=True, offering=resource.offering):
                    reply = self._calls.client("ec2").start_instances(InstanceIds=stopped)
                within(reply, "StartingInstances", UnknownOutcomeError)
        except UnknownOutcomeError:
            raise
        except DynamicClusterError as error:
            log.warning("%s: %d warm machine(s) cannot be started: %s", resource.name, len(stopped), error)
            now = self._clock.monotonic()
            self._back_at = {one: at for one, at in self._back_at.items() if now - at < BACK_S}
            self._back_at |= dict.fromkeys(stopped, now)
            for described in machines:
                if str(described["InstanceId"]) in stopped:  # as old as it was, or it would never grow too old
                    since = taken_at(described)[1] or self._clock.now()
                    self._written.write([described["InstanceId"]], {PARKED_TAG: f"{since:.0f}"})
            machines = [one for one in machines if str(one["InstanceId"]) not in stopped]
        return tuple(to_launched(one) for one in machines)

    def _current(self) -> dict[str, str]:
        """What each resource's machines would be made of now; one is left out while its template cannot be read."""
        found = {}
        for name in self._configs:
            try:
                found[name] = self.tags(name)[MAKING_TAG]
            except BadConfigError as error:
                log.warning("%s: whether its warm nodes are of today is not known: %s", name, error)
        return found

    def _stop(self, machines: Sequence[Described], *, hibernate: bool) -> list[Described]:
        """Marked first: should the stop fail, the machine is seen running, and ended. Returned are those."""
        ids = [str(one["InstanceId"]) for one in machines]
        try:
            self._written.write_parked(ids, {PARKED_TAG: f"{self._clock.now():.0f}"})
            with self._calls.errors():
                reply = self._calls.client("ec2").stop_instances(InstanceIds=ids, Hibernate=hibernate)
            within(reply, "StoppingInstances")
        except DynamicClusterError as error:
            log.warning("%d machine(s) cannot be kept, and are ended: %s", len(ids), error)
            return list(machines)
        return []

    def _healthy(self, ids: Sequence[str]) -> set[str]:
        """Those of which EC2's own checks say that they are well; none if it does not answer."""
        ec2 = self._calls.client("ec2")
        try:
            found = list(self._calls.pages(ec2.describe_instance_status, "InstanceStatuses", InstanceIds=list(ids)))
        except DynamicClusterError as error:
            log.warning("%d machine(s) cannot be kept, and are ended: %s", len(ids), error)
            return set()
        return {str(one["InstanceId"]) for one in found if _well(one)}

    def _given(self, launch_id: str) -> list[Described]:
        """The machines of a launch, also those that a late list does not show as its own."""
        found = self._listed({"Name": f"tag:{LAUNCH_TAG}", "Values": [launch_id]})
        missing = set(self._written.of_launch(launch_id)) - {str(one["InstanceId"]) for one in found}
        if missing:
            found += self._listed({"Name": "instance-id", "Values": sorted(missing)})
        return [one for one in found if tags_in(one).get(LAUNCH_TAG) == launch_id]

    def _listed(self, wanted: Mapping[str, Any]) -> list[Described]:
        ec2 = self._calls.client("ec2")
        filters = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [self._cluster_id]}, wanted]
        return [
            self._written.shown(described)
            for reservation in self._calls.pages(ec2.describe_instances, "Reservations", Filters=filters)
            for described in reservation.get("Instances", ())
            if _state(described) not in ("shutting-down", "terminated")
        ]


def _nothing() -> None:
    """What is asked for is asked for by itself."""


def _state(described: Described) -> str:
    return str(described.get("State", {}).get("Name", ""))


def _may_stop(described: Described) -> bool:
    """It runs, is not spot (which ends when stopped), and was not left half parked."""
    return _state(described) == "running" and described.get("InstanceLifecycle") != "spot" and not parked_at(described)


def _made_as(described: Described, current: Mapping[str, str]) -> bool:
    tags = tags_in(described)
    now = current.get(tags.get(RESOURCE_TAG, ""))
    return now is None or now == tags.get(MAKING_TAG)


def _fits(described: Described, resource: Resource, config: Mapping[str, Any], zone: str) -> bool:
    return (
        tags_in(described).get(RESOURCE_TAG) == resource.name
        and described.get("InstanceType") == config["instance_type"]
        and described.get("ImageId") == config["image_id"]
        and zone in ("", described.get("Placement", {}).get("AvailabilityZone"))
    )


def _well(status: Described) -> bool:
    return all(status.get(kind, {}).get("Status") == "ok" for kind in ("InstanceStatus", "SystemStatus"))
