"""The keys of the ``cloud:`` section for OpenStack."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    Secret,
    Text,
    Texts,
    Url,
)
from dynamiccluster.config.schema_cloud_common import ResourceSection, ScriptedCloud
from dynamiccluster.config.schema_cluster_common import lower


class OpenstackConfig(ScriptedCloud):
    """OpenStack. Without user name and password the SDK's own sources are used: `os_cloud`, or OS_... variables."""

    username: Text | None = Field(None, description="User of the account.", examples=["hpc"])
    password: Secret | None = Field(None, description="Its password.", examples=[{"from_env": "OS_PASSWORD"}])
    project: Text | None = Field(None, description="The project (tenant).", examples=["hpc-burst"])
    auth_url: Url | None = Field(None, description="URL of Keystone.", examples=["https://cloud.example.org:5000/v3"])
    os_cloud: Text | None = Field(
        None, description="Entry of the SDK's clouds.yaml to use instead.", examples=["burst"]
    )
    user_domain_name: Text = Field("Default", description="Domain of the user (Keystone v3).")
    project_domain_name: Text = Field("Default", description="Domain of the project (Keystone v3).")
    region_name: Text | None = Field(None, description="Region, if the cloud has several.")
    image_uuid: Text = Field(description="UUID of the image.", examples=["7f2c1c1e-6e0c-4b59-9d3a-2f1f6f0a9b11"])
    flavor: Text = Field(description="Flavor of the machines.", examples=["m1.small"])
    flavor_id: Text | None = Field(None, description="The flavor's id, if its name is not unique.")
    key_name: Text | None = Field(None, description="SSH key pair.", examples=["admin"])
    security_groups: Texts = Field((), description="Security groups.", examples=[["default"]])
    availability_zone: Text | None = Field(
        None, description="Availability zone. For several zones make several resources.", examples=["az1"]
    )


class OpenstackResource(ResourceSection):
    """A machine of an OpenStack cloud."""

    type: Annotated[Literal["openstack"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: OpenstackConfig = Field(description="Its keys.")
