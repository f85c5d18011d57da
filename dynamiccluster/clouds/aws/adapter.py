"""One account and region of Amazon EC2."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls, within
from dynamiccluster.clouds.aws.catalogue import Catalogue
from dynamiccluster.clouds.aws.fleets import Fleets
from dynamiccluster.clouds.aws.instance_map import (
    MOST_NODES,
    cluster_of,
    id_of,
    state_of,
    tags_of,
    to_instance,
    to_launched,
)
from dynamiccluster.clouds.aws.menu import Menus
from dynamiccluster.clouds.aws.menu_map import bought
from dynamiccluster.clouds.aws.notices import Notices
from dynamiccluster.clouds.aws.request_map import SPOT, placed, run_instances
from dynamiccluster.clouds.aws.warm import WarmNodes
from dynamiccluster.clouds.userdata import Prepared, UserData
from dynamiccluster.errors import BadConfigError, BusyError, DynamicClusterError, NotFoundError, UnknownOutcomeError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.model.action import LaunchedInstance, NodeSpec, PartialLaunch
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView

PAGE = 1000
"""DescribeInstances gives at most so many at once."""

USER_DATA_BYTES = 16 * 1024
_CONSOLE_CHARACTERS = 65536
_TERMINATED_AT_ONCE = 1000


class AwsCloud:
    """Implements ``clouds/base``.

    ``configs``: the keys of each resource, by name. ``user_data``: their templates. A client token makes a repeated
    launch give the machines of the first one for at least a day (EC2 API reference, "Ensuring idempotency").
    """

    idempotent = True

    def __init__(
        self,
        clock: Clock,
        cluster_id: str,
        tenancy: str,
        calls: AwsCalls,
        configs: Mapping[str, Mapping[str, Any]],
        user_data: Mapping[str, UserData],
        notices: Notices | None = None,
    ) -> None:
        self.tenancy = tenancy
        self._clock = clock
        self._cluster_id = cluster_id
        self._calls = calls
        self._configs = dict(configs)
        self._user_data = dict(user_data)
        self._notices = notices
        single = {name: config for name, config in configs.items() if "instance_type" in config}
        menus = {name: config for name, config in configs.items() if name not in single}
        self._catalogue = Catalogue(calls, clock, tenancy, single, menus=bought(menus.values()))
        self._warm = WarmNodes(calls, clock, cluster_id, single, self._user_data)
        self._menus = Menus(calls, clock, tenancy, menus, self._catalogue)
        self._fleets = Fleets(calls, clock, cluster_id, tenancy)

    def list_instances(self) -> CloudView:
        started_at = self._clock.now()
        ec2 = self._calls.client("ec2")
        ours: list[Mapping[str, Any]] = []
        strangers, living = 0, []
        for reservation in self._calls.pages(ec2.describe_instances, "Reservations", MaxResults=PAGE):
            for described in map(self._warm.shown, reservation.get("Instances", ())):
                if state_of(described) is not InstanceState.GONE:
                    living.append(described)
                if cluster_of(described) == self._cluster_id:
                    ours.append(described)
                elif state_of(described) is not InstanceState.GONE:
                    strangers += 1
        completed_at = self._clock.now()
        parked = self._warm.hidden(ours)
        instances = tuple(
            _without(to_instance(one)) if one["InstanceId"] in parked else to_instance(one, completed_at)
            for one in ours
        )
        offers = (*self._catalogue.offers(), *self._menus.offers())
        return CloudView(
            self.tenancy,
            started_at,
            completed_at,
            instances,
            strangers,
            self._catalogue.quota(living),
            offers,
            self._notices.of(instances) if self._notices else (),
        )

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        config, template = self._prepared(resource, specs)
        if self._fleets.suit(resource, config, template):
            by_fleet = self._by_fleet(launch_id, resource, config, specs, template)
            if by_fleet is not None:
                return by_fleet
        size = 1 if template is not None and template.per_node else MOST_NODES
        made = [] if template is not None and template.per_node else self._restarted(launch_id, resource, config, specs)
        known = {machine.node_id for machine in made}
        specs = [spec for spec in specs if spec.node_id not in known]
        for number, first in enumerate(range(0, len(specs), size)):
            portion = specs[first : first + size]
            try:
                launched = self._request(f"{launch_id}-{number}", launch_id, resource, config, portion, template)
            except UnknownOutcomeError:
                raise
            except DynamicClusterError as error:
                if not made:
                    raise
                return PartialLaunch.because(error, made)
            made += launched
            if len(launched) < len(portion):
                break
        return tuple(made)

    def _by_fleet(
        self,
        launch_id: str,
        resource: Resource,
        config: Mapping[str, Any],
        specs: Sequence[NodeSpec],
        template: Prepared | None,
    ) -> tuple[LaunchedInstance, ...] | None:
        """As :meth:`launch`, of whichever of the resource's offers EC2 takes. ``None``: that is not permitted."""

        def run(word: str, offering: str, others: Sequence[NodeSpec]) -> list[LaunchedInstance]:
            there = replace(resource, offering=offering, any_of=())
            return self._request(f"{launch_id}-{word}", launch_id, there, config, others, template)

        script = self._script(launch_id, resource, specs[0], template)
        with_image = {**config, "image_id": self._menus.image(config["image_id"])}
        token = _token(f"{launch_id}-fleet")
        return self._fleets.launch(launch_id, token, resource, with_image, specs, script, run)

    def launch_whole(
        self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]
    ) -> tuple[LaunchedInstance, ...]:
        """One request for all of them with that number as its least (RunInstances, ``MinCount``); never warm nodes.

        What does not go into one request, more than :data:`MOST_NODES` or nodes whose user data differ, is launched as
        :meth:`launch` does, and may come in part.
        """
        config, template = self._prepared(resource, specs)
        if len(specs) > MOST_NODES or (template is not None and template.per_node and len(specs) > 1):
            return self.launch(launch_id, resource, specs)
        request = self._request(f"{launch_id}-0", launch_id, resource, config, specs, template, least=len(specs))
        return tuple(request)

    def _prepared(self, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[Mapping[str, Any], Prepared | None]:
        """The configuration of the resource and its user data."""
        for spec in specs:
            require_host_name(spec.host_name)
        config = self._configs.get(resource.name)
        if config is None:
            raise BadConfigError(f"{self.tenancy} has no resource {resource.name}")
        return config, self._user_data[resource.name].prepare() if resource.name in self._user_data else None

    def terminate(self, instance_ids: Sequence[str]) -> None:
        """EC2 refuses the whole list for one id that it does not know, so only what it shows as ours is named.

        :raises BusyError: some are protected against their end, or in a state that rules it out. The others are ended.
        """
        known = [str(one["InstanceId"]) for one in self._warm.park(self._ours(instance_ids))]
        portions = range(0, len(known), _TERMINATED_AT_ONCE)
        refused = [error for first in portions for error in self._end(known[first : first + _TERMINATED_AT_ONCE])]
        if refused:
            raise refused[0]

    def console_tail(self, instance_id: str) -> str:
        found = self._ours([instance_id])
        if not found:
            return ""
        with self._calls.errors():
            said = self._calls.client("ec2").get_console_output(InstanceId=found[0]["InstanceId"])
        return str(said.get("Output") or "")[-_CONSOLE_CHARACTERS:]

    def _end(self, ids: Sequence[str]) -> list[DynamicClusterError]:
        """End these. It is refused for all of them for the sake of one, so that halves are tried, and halves of those:
        20 requests find one among a thousand. Returned is why the last ones were refused."""
        refused: list[DynamicClusterError]
        try:
            with self._calls.errors():
                reply = self._calls.client("ec2").terminate_instances(InstanceIds=list(ids))
            within(reply, "TerminatingInstances")
        except NotFoundError:
            refused = []
        except BusyError as error:
            refused = [error]
        else:
            return []
        half = len(ids) // 2
        return [one for part in (ids[:half], ids[half:]) for one in self._end(part)] if half else refused

    def _request(
        self,
        token: str,
        launch_id: str,
        resource: Resource,
        config: Mapping[str, Any],
        specs: Sequence[NodeSpec],
        template: Prepared | None,
        least: int = 1,
    ) -> list[LaunchedInstance]:
        zone, instance_type, market = placed(resource.offering, self.tenancy)
        if not instance_type and "instance_type" not in config:
            raise BadConfigError(f"{resource.name} is a menu, and {resource.offering!r} is not one of its offers")
        config = {**config, "image_id": self._menus.image(config["image_id"])}
        script = self._script(launch_id, resource, specs[0] if len(specs) == 1 else None, template)
        tags = tags_of(self._cluster_id, launch_id, resource.name, resource.offering, specs, config["tags"])
        request = run_instances(
            config,
            specs,
            token=_token(token),
            tags=tags | self._warm.tags(resource.name),
            user_data=script,
            zone=zone,
            instance_type=instance_type,
            market=market,
            least=least,
            hyperthreading_cores=self._catalogue.cores_without_hyperthreading(config, instance_type),
        )
        ec2 = self._calls.client("ec2")
        with self._calls.errors(launching=True, offering=resource.offering):
            reply = ec2.run_instances(**request)
        return [to_launched(described) for described in within(reply, "Instances", UnknownOutcomeError)]

    def _script(self, launch_id: str, resource: Resource, spec: NodeSpec | None, template: Prepared | None) -> str:
        script = template.render(launch_id, resource, spec) if template else ""
        if len(script.encode()) > USER_DATA_BYTES:
            raise BadConfigError(f"{resource.name}: its user data is longer than the {USER_DATA_BYTES} bytes of EC2")
        return script

    def _restarted(
        self, launch_id: str, resource: Resource, config: Mapping[str, Any], specs: Sequence[NodeSpec]
    ) -> list[LaunchedInstance]:
        """Warm nodes, if the resource has any and this launch is not for spot."""
        zone, _, market = placed(resource.offering, self.tenancy)
        return [] if market == SPOT else list(self._warm.take(launch_id, resource, config, specs, zone))

    def _ours(self, instance_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """Those of the machines that exist and are ours. Asked with a filter, which unknown ids do not disturb."""
        found: list[Mapping[str, Any]] = []
        for first in range(0, len(instance_ids), _FILTER_VALUES):
            wanted = [one for one in instance_ids[first : first + _FILTER_VALUES] if one]
            filters = [{"Name": "instance-id", "Values": [one.partition("+")[0] for one in wanted]}]
            ec2 = self._calls.client("ec2")
            for reservation in self._calls.pages(ec2.describe_instances, "Reservations", Filters=filters):
                found += [
                    described
                    for described in map(self._warm.shown, reservation.get("Instances", ()))
                    if cluster_of(described) == self._cluster_id and id_of(described) in wanted
                ]
        return found


_FILTER_VALUES = 200
"""EC2 takes so many values in a filter."""


def _without(instance: Instance) -> Instance:
    """A parked machine, as the engine sees it. Nobody's: its tags may name a node that another machine is."""
    return replace(instance, state=InstanceState.GONE, launch_id="", node_id="")


def _token(text: str) -> str:
    """A client token: at most 64 ASCII characters."""
    return text if len(text) <= 64 and text.isascii() else hashlib.sha256(text.encode()).hexdigest()
