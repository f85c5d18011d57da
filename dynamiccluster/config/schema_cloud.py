"""The ``cloud:`` section: one class per type of cloud, each in a file of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag

from dynamiccluster.config.schema_cloud_aws import AwsResource
from dynamiccluster.config.schema_cloud_command import CommandResource
from dynamiccluster.config.schema_cloud_local import LocalResource
from dynamiccluster.config.schema_cloud_openstack import OpenstackResource
from dynamiccluster.config.schema_cloud_simulated import SimulatedResource
from dynamiccluster.config.schema_cloud_xspot import XspotResource
from dynamiccluster.config.schema_cluster_common import type_tag

CloudResource = Annotated[
    Annotated[OpenstackResource, Tag("type=openstack")]
    | Annotated[AwsResource, Tag("type=aws")]
    | Annotated[XspotResource, Tag("type=xspot")]
    | Annotated[CommandResource, Tag("type=command")]
    | Annotated[LocalResource, Tag("type=local")]
    | Annotated[SimulatedResource, Tag("type=simulated")],
    Discriminator(type_tag),
]
