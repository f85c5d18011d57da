"""The keys of the ``cloud:`` section for Amazon EC2."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    Flag,
    Money,
    Name,
    Port,
    Positive,
    Seconds,
    Secret,
    Section,
    Text,
    Texts,
)
from dynamiccluster.config.schema_cloud_common import ResourceSection, ScriptedCloud
from dynamiccluster.config.schema_cluster_common import lower


class Disk(Section):
    """One more disk of an AWS instance."""

    device: Text = Field(description="Device name.", examples=["/dev/sdb"])
    size: Positive = Field(description="Size in GB.", examples=[100])
    delete_on_termination: Flag = Field(True, description="Whether the disk goes with the instance.")


class AwsConfig(ScriptedCloud):
    """Amazon EC2. Without keys the SDK's own sources are used: environment, profile, instance role."""

    access_key_id: Secret | None = Field(None, description="Access key.", examples=[{"from_env": "AWS_ACCESS_KEY_ID"}])
    secret_access_key: Secret | None = Field(
        None, description="Its secret half.", examples=[{"from_file": "/etc/dynamiccluster/aws.secret"}]
    )
    image_id: Text = Field(description="The AMI.", examples=["ami-0123456789abcdef0"])
    instance_type: Text = Field(description="Instance type.", examples=["c6i.4xlarge"])
    region_name: Text = Field(description="Region.", examples=["ap-southeast-2"])
    key_name: Text | None = Field(None, description="SSH key pair.", examples=["admin"])
    security_groups: Texts = Field(
        (), description="Security groups; ids if `subnet_id` is given.", examples=[["sg-0123456789abcdef0"]]
    )
    availability_zone: Text | None = Field(None, description="Availability zone.", examples=["ap-southeast-2a"])
    subnet_id: Text | None = Field(None, description="Subnet.", examples=["subnet-0123456789abcdef0"])
    use_public_ip_address: Flag | None = Field(
        None, description="Whether instances get a public address. Default: as the subnet says.", examples=[False]
    )
    spot_bid: Money | None = Field(
        None, description="The most to pay per hour for a spot instance. Absent: on demand.", examples=[0.12]
    )
    spot_timeout: Seconds = Field(300.0, description="Seconds after which an unfilled spot request is given up.")
    proxy: Text | None = Field(None, description="Host name of an HTTP proxy.", examples=["proxy.example.org"])
    proxy_port: Port | None = Field(None, description="Its port.", examples=[3128])
    validate_certs: Flag = Field(True, description="Whether TLS certificates are checked.")
    disk_map: dict[Name, Disk] = Field(
        default_factory=dict,
        description="More disks, by name.",
        examples=[{"scratch": {"device": "/dev/sdb", "size": 100}}],
    )


class AwsResource(ResourceSection):
    """An instance of Amazon EC2."""

    type: Annotated[Literal["aws"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: AwsConfig = Field(description="Its keys.")
