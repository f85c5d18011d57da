"""Launch templates of ours: made when they are first needed, and gone when they no longer are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.due import ODD
from dynamiccluster.clouds.aws.fleet_map import TEMPLATE_THERE, create_template, template_name, template_prefix
from dynamiccluster.clouds.aws.instance_map import CLUSTER_TAG
from dynamiccluster.errors import BadConfigError, DynamicClusterError
from dynamiccluster.kit.clock import Clock

log = logging.getLogger(__name__)

UNUSED_S = 86400.0
"""A template that this process has not used for so long, and that is as old, may go: the next launch that needs it
makes it anew. EC2 keeps 5000 of them in a region."""


class Templates:
    """Of one installation in one tenancy. They are told from others' by a tag, as machines are, and by their names: the
    site may give its own the same tags."""

    def __init__(self, calls: AwsCalls, clock: Clock, cluster_id: str) -> None:
        self._calls = calls
        self._clock = clock
        self._cluster_id = cluster_id
        self._used: dict[str, float] = {}

    def named(self, data: Mapping[str, Any], site: Mapping[str, str]) -> str:
        """The name of the template with these data, which exists then. ``site``: the operator's own tags."""
        name = template_name(self._cluster_id, data)
        if name not in self._used:
            self._make(create_template(self._cluster_id, data, site))
            self._used[name] = self._clock.now()
            self._sweep()
        self._used[name] = self._clock.now()
        return name

    def forget_all(self) -> None:
        """EC2 says that one is not there (any more): the next launches make theirs anew."""
        self._used.clear()

    def _make(self, request: Mapping[str, Any]) -> None:
        ec2 = self._calls.client("ec2")
        try:
            with self._calls.errors():
                ec2.create_launch_template(**request)
        except BadConfigError as error:
            if not str(error).startswith(TEMPLATE_THERE):
                raise

    def _sweep(self) -> None:
        """Delete what is not needed any more. That this fails is in nobody's way."""
        try:
            self._delete_unused()
        except (DynamicClusterError, *ODD) as error:
            log.warning("launch templates that are not needed any more could not be deleted: %s", error)

    def _delete_unused(self) -> None:
        ec2, now = self._calls.client("ec2"), self._clock.now()
        filters = [{"Name": f"tag:{CLUSTER_TAG}", "Values": [self._cluster_id]}]
        for one in list(self._calls.pages(ec2.describe_launch_templates, "LaunchTemplates", Filters=filters)):
            name = str(one["LaunchTemplateName"])
            if not name.startswith(template_prefix(self._cluster_id)):
                continue
            last_at = max(self._used.get(name, 0.0), one["CreateTime"].timestamp())
            if now - last_at > UNUSED_S:
                with self._calls.errors():
                    ec2.delete_launch_template(LaunchTemplateId=one["LaunchTemplateId"])
                self._used.pop(name, None)
