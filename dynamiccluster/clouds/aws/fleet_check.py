"""What launches by fleets need beyond those of one offer, looked at without launching: for ``check-cloud``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.check import wrong
from dynamiccluster.clouds.aws.fleet_map import (
    NO_TEMPLATE,
    TEMPLATE_THERE,
    any_offering,
    create_fleet,
    create_template,
    template_of,
)
from dynamiccluster.clouds.aws.instance_map import tags_of
from dynamiccluster.errors import AuthError, BadConfigError, DynamicClusterError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Resource

_SPEC = NodeSpec("check", "check-cloud")


def check_fleets(
    resource: Resource, config: Mapping[str, Any], cluster_id: str, calls: AwsCalls, offers: Sequence[Offer]
) -> Iterator[Finding]:
    """Rehearsals of what such a launch does. ``config``: with the image's own id. ``offers``: spot ones."""
    ec2 = calls.client("ec2")
    by_itself = config["launch_by"] is None
    otherwise = ": RunInstances launches otherwise, one offer at a time" if by_itself else ", or take launch_by out"
    data = template_of(cluster_id, resource.name, config, offers[0])
    template = create_template(cluster_id, data, config["tags"])
    name = template["LaunchTemplateName"]
    tags = tags_of(cluster_id, "check", resource.name, any_offering(resource.tenancy), [_SPEC], config["tags"])
    fleet = create_fleet(config, offers[:2], template=name, token="", tags=tags, user_data="")
    del fleet["ClientToken"]
    right = f"ec2:CreateFleet, with ec2:CreateTags for it{otherwise}"
    yield _rehearsed(calls, "launch by fleet", right, ec2.create_fleet, fleet)
    right = f"ec2:CreateLaunchTemplate, with ec2:CreateTags for it{otherwise}"
    yield _rehearsed(calls, "make launch templates", right, ec2.create_launch_template, template)
    right = "ec2:DescribeLaunchTemplates: those that are not needed any more stay, otherwise"
    yield _rehearsed(calls, "list launch templates", right, ec2.describe_launch_templates, {})
    right = "ec2:DeleteLaunchTemplate: those that are not needed any more stay, otherwise"
    yield _rehearsed(
        calls, "delete launch templates", right, ec2.delete_launch_template, {"LaunchTemplateName": f"{name}-no"}
    )


def _rehearsed(
    calls: AwsCalls, what: str, right: str, call: Callable[..., object], request: Mapping[str, Any]
) -> Finding:
    try:
        calls.rehearse(call, **request)
    except AuthError as error:
        return Finding(f"may {what}", FindingState.DENIED, str(error), f"Allow {right}")
    except DynamicClusterError as error:
        # permission comes first, so whoever is told that a template is (not) there may do it
        if not (isinstance(error, BadConfigError) and str(error).startswith((*NO_TEMPLATE, TEMPLATE_THERE))):
            return wrong(f"may {what}", error, "Mend what EC2 names")
    return Finding(f"may {what}", FindingState.OK, "EC2 would do it")
