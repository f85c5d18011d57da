"""Launches of which EC2 chooses the kind of machine: the first of it by CreateFleet, its like by RunInstances.

A fleet of several machines has no fixed answer to which of them is which node. So EC2 is asked for one, of whichever of
the offers it has most; the other nodes of the launch are asked for in the same pool, in one request whose launch
indices tell them apart, as everywhere else. What the pool does not give is launched with the next decision, which
knows of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.fleet_map import (
    NO_TEMPLATE,
    USER_DATA,
    any_offering,
    create_fleet,
    made_of,
    nothing,
    refused_by,
    sold_out_of,
    template_of,
)
from dynamiccluster.clouds.aws.instance_map import MOST_NODES, tags_of
from dynamiccluster.clouds.aws.templates import Templates
from dynamiccluster.clouds.userdata import Prepared
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.action import LaunchedInstance, NodeSpec, PartialLaunch
from dynamiccluster.model.resource import Resource

log = logging.getLogger(__name__)

Run = Callable[[str, str, Sequence[NodeSpec]], list[LaunchedInstance]]
"""RunInstances of one offering for these nodes, with this word in its client token."""

DENIED_FOR_S = 3600.0
"""For so long fleets are not asked for again where they are not permitted."""

_DENIED = ("UnauthorizedOperation", "AccessDenied", "AuthFailure.ServiceLinkedRoleCreationNotPermitted")
"""How errors begin that are about permissions, and not about who asks: RunInstances may be permitted."""

_RIGHTS = (
    "fleets need ec2:CreateFleet, ec2:CreateLaunchTemplate and ec2:CreateTags for both; spot instances need the role "
    "AWSServiceRoleForEC2Spot"
)


class Fleets:
    """Of one installation in one tenancy."""

    def __init__(self, calls: AwsCalls, clock: Clock, cluster_id: str, tenancy: str) -> None:
        self._calls = calls
        self._cluster_id = cluster_id
        self._tenancy = tenancy
        self._templates = Templates(calls, clock, cluster_id)
        self._clock = clock
        self._denied_until = 0.0

    def suit(self, resource: Resource, config: Mapping[str, Any], template: Prepared | None) -> bool:
        """Whether a launch of this resource, with these user data, goes by a fleet."""
        if not resource.any_of or (template and (template.per_node or not self._takes_user_data())):
            return False
        return config["launch_by"] is not None or self._clock.monotonic() >= self._denied_until

    def _takes_user_data(self) -> bool:
        """Whether the SDK can hand them to a fleet."""
        known = self._calls.client("ec2").meta.service_model.shape_for("FleetLaunchTemplateSpecificationRequest")
        if USER_DATA in known.members:
            return True
        log.warning("%s: this boto3 knows no user data of fleets: launched by RunInstances instead", self._tenancy)
        return False

    def launch(
        self,
        launch_id: str,
        token: str,
        resource: Resource,
        config: Mapping[str, Any],
        specs: Sequence[NodeSpec],
        script: str,
        run: Run,
    ) -> tuple[LaunchedInstance, ...] | None:
        """``config``: with the image's own id. ``token``: of the fleet's request. Raises as ``Cloud.launch``.

        ``None``: nothing was launched, as EC2 refuses fleets; and nobody has said that it must be by them.
        """
        try:
            first, short = self._one(launch_id, token, resource, config, specs[0], script)
        except (AuthError, BadConfigError) as refused:
            if config["launch_by"] is not None or not _only_as_a_fleet(refused, resource):
                raise
            if isinstance(refused, AuthError):
                self._denied_until = self._clock.monotonic() + DENIED_FOR_S
            log.warning("%s: launched by RunInstances instead, one offer at a time: %s", self._tenancy, refused)
            return None
        made = [first]
        error = _rest(first, resource, specs[1:], run, made)
        if error is None and short:
            error = _lack(resource.offering, "was taken from elsewhere")
        if error is None:
            return tuple(made)
        if isinstance(error, CapacityError):
            error.sold_out = short
        return PartialLaunch.because(error, made)

    def _one(
        self,
        launch_id: str,
        token: str,
        resource: Resource,
        config: Mapping[str, Any],
        spec: NodeSpec,
        script: str,
    ) -> tuple[LaunchedInstance, tuple[str, ...]]:
        """The machine of the fleet, and the offers that are sold out."""
        offers = resource.any_of
        try:
            data = template_of(self._cluster_id, resource.name, config, offers[0])
            template = self._templates.named(data, config["tags"])
            tags = tags_of(
                self._cluster_id, launch_id, resource.name, any_offering(self._tenancy), [spec], config["tags"]
            )
            request = create_fleet(config, offers, template=template, token=token, tags=tags, user_data=script)
            with self._calls.errors(launching=True):
                reply = self._calls.client("ec2").create_fleet(**request)
            if "FleetId" not in reply:
                raise UnknownOutcomeError("the answer has no FleetId: it is not EC2's")
            instance_id, offering = made_of(reply, config, offers, self._tenancy)
            refused = refused_by(reply, config, offers, self._tenancy)
            if not instance_id:
                raise nothing(refused, offers)
        except DynamicClusterError as error:
            told = self._told(error)
            told.offering = error.offering or resource.offering
            if told is error:
                raise
            raise told from error
        made = LaunchedInstance(instance_id, spec.node_id, spec.host_name, "", spec.host_name, offering)
        return made, sold_out_of(refused)

    def _told(self, error: DynamicClusterError) -> DynamicClusterError:
        """The error as an operator, or the engine, should know it."""
        if isinstance(error, AuthError):
            return AuthError(f"{error} ({_RIGHTS})")
        if isinstance(error, BadConfigError) and str(error).startswith(NO_TEMPLATE):
            self._templates.forget_all()
            return TransientError(str(error))
        return error


def _only_as_a_fleet(error: AuthError | BadConfigError, resource: Resource) -> bool:
    """Whether RunInstances may do what was refused: it says itself if the offer that was chosen is wrong."""
    if isinstance(error, AuthError):
        return str(error).startswith(_DENIED)
    return error.offering == resource.offering


def _rest(
    first: LaunchedInstance, resource: Resource, specs: Sequence[NodeSpec], run: Run, made: list[LaunchedInstance]
) -> DynamicClusterError | None:
    """Launch the other nodes where the first one is, and say why there are no more of them.

    :raises UnknownOutcomeError: nobody knows how many there are.
    """
    if specs and not any(offer.offering == first.offering for offer in resource.any_of):
        return _lack(resource.offering, "gave way to something that was not asked for")
    for number, at in enumerate(range(0, len(specs), MOST_NODES)):
        portion = specs[at : at + MOST_NODES]
        try:
            launched = run(f"{number}", first.offering, portion)
        except UnknownOutcomeError:
            raise
        except DynamicClusterError as error:
            return error
        made += launched
        if len(launched) < len(portion):
            return _lack(first.offering, "has no more machines")
    return None


def _lack(offering: str, why: str) -> CapacityError:
    error = CapacityError(f"{offering} {why}")
    error.offering = offering
    return error
