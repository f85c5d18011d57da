"""The keys of the ``cloud:`` section for Amazon EC2."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from dynamiccluster.config.fields import (
    Count,
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
    Url,
)
from dynamiccluster.config.schema_cloud_common import ResourceSection, ScriptedCloud
from dynamiccluster.config.schema_cluster_common import lower


class Disk(Section):
    """One more disk of an AWS instance."""

    device: Text = Field(
        description="Device name. The image's own root device (often `/dev/xvda`) changes the root disk.",
        examples=["/dev/sdb"],
    )
    size: Positive = Field(description="Size in GB.", examples=[100])
    delete_on_termination: Flag = Field(True, description="Whether the disk goes with the instance.")
    volume_type: Text | None = Field(None, description="Type of the EBS volume.", examples=["gp3"])
    iops: Positive | None = Field(None, description="Operations per second (io1, io2, gp3).", examples=[3000])
    throughput_mib_s: Positive | None = Field(None, description="Throughput in MiB/s (gp3).", examples=[250])
    encrypted: Flag | None = Field(None, description="Whether it is encrypted. Default: as the account says.")
    kms_key_id: Text | None = Field(None, description="Key to encrypt it with.", examples=["alias/hpc"])
    snapshot_id: Text | None = Field(None, description="What it is a copy of.", examples=["snap-0123456789abcdef0"])


class LaunchTemplate(Section):
    """A launch template of the account; what the resource says itself wins."""

    id: Text | None = Field(None, description="Its id.", examples=["lt-0123456789abcdef0"])
    name: Text | None = Field(None, description="Or its name.", examples=["hpc-worker"])
    version: Text = Field("$Default", description="Version, `$Default` or `$Latest`.")

    @model_validator(mode="after")
    def _one(self) -> LaunchTemplate:
        if (self.id is None) == (self.name is None):
            raise ValueError("needs either id or name")
        return self


class Ec2Config(ScriptedCloud):
    """Keys of every resource that is made of EC2's instances, of one kind or of many."""

    access_key_id: Secret | None = Field(None, description="Access key.", examples=[{"from_env": "AWS_ACCESS_KEY_ID"}])
    secret_access_key: Secret | None = Field(
        None, description="Its secret half.", examples=[{"from_file": "/etc/dynamiccluster/aws.secret"}]
    )
    region_name: Text = Field(description="Region.", examples=["ap-southeast-2"])
    key_name: Text | None = Field(None, description="SSH key pair.", examples=["admin"])
    security_groups: Texts = Field(
        (), description="Security groups; ids if `subnet_id` is given.", examples=[["sg-0123456789abcdef0"]]
    )
    subnet_id: Text | None = Field(None, description="Subnet.", examples=["subnet-0123456789abcdef0"])
    subnets: dict[Text, Text] = Field(
        default_factory=dict,
        description="Subnet of each availability zone, where machines may be in several; in place of `subnet_id`.",
        examples=[{"ap-southeast-2a": "subnet-0123456789abcdef0"}],
    )
    use_public_ip_address: Flag | None = Field(
        None, description="Whether instances get a public address. Default: as the subnet says.", examples=[False]
    )
    proxy: Text | None = Field(None, description="Host name of an HTTP proxy.", examples=["proxy.example.org"])
    proxy_port: Port | None = Field(None, description="Its port.", examples=[3128])
    validate_certs: Flag = Field(True, description="Whether TLS certificates are checked.")
    profile_name: Text | None = Field(
        None, description="Profile of the SDK's files to take credentials from.", examples=["burst"]
    )
    endpoint_url: Url | None = Field(
        None,
        description="Where EC2 and the other services are asked. Default: the region's own.",
        examples=["http://127.0.0.1:5000"],
    )
    iam_instance_profile: Text | None = Field(
        None, description="Role of the instances: name or ARN of an instance profile.", examples=["hpc-worker"]
    )
    notices_queue_url: Url | None = Field(
        None,
        description="SQS queue to which EventBridge sends the warnings of interruption and the recommendations to "
        "rebalance (docs/clouds/aws.md). Each installation needs one of its own.",
        examples=["https://sqs.us-east-1.amazonaws.com/123456789012/hpc-notices"],
    )
    launch_template: LaunchTemplate | None = Field(None, description="What launches start from.")
    tags: dict[Text, Text] = Field(
        default_factory=dict,
        max_length=10,
        description="Tags of instances and volumes, ten at most.",
        examples=[{"project": "hpc"}],
    )
    imds_hop_limit: Positive = Field(
        1, description="How far the instance metadata service answers; 2 for containers. Version 2 is always required."
    )
    placement_group: Text | None = Field(None, description="Placement group.", examples=["hpc-cluster"])
    hyperthreading: Flag = Field(
        True, description="Whether jobs get a core per hardware thread. `false` switches the second threads off."
    )
    disk_map: dict[Name, Disk] = Field(
        default_factory=dict,
        description="More disks, by name.",
        examples=[{"scratch": {"device": "/dev/sdb", "size": 100}}],
    )


class AwsConfig(Ec2Config):
    """Amazon EC2. Without keys the SDK's own sources are used: environment, profile, instance role."""

    image_id: Text = Field(description="The AMI.", examples=["ami-0123456789abcdef0"])
    instance_type: Text = Field(description="Instance type.", examples=["c6i.4xlarge"])
    availability_zone: Text | None = Field(None, description="Availability zone.", examples=["ap-southeast-2a"])
    spot_bid: Money | None = Field(
        None, description="The most to pay per hour for a spot instance. Absent: on demand.", examples=[0.12]
    )
    spot_timeout: Seconds = Field(
        300.0,
        description="How long work waits for spot instances from the first refusal on, while they are asked for again "
        "and again; then `spot_fallback` says where it goes.",
    )
    spot_fallback: Literal["next", "on-demand", "none"] = Field(
        "next",
        description="Where work goes for which there were no spot instances for `spot_timeout`. `next`: to the next "
        "resource by priority that suits it. `on-demand`: the same type on demand. `none`: nowhere, it waits on.",
        examples=["on-demand"],
    )
    when_idle: Literal["terminate", "stop", "hibernate"] = Field(
        "terminate",
        description="What becomes of a machine that is not needed any more. `stop`, `hibernate`: it is kept for a "
        "later launch (docs/clouds/aws.md#warm-nodes). Spot instances are always ended.",
        examples=["stop"],
    )
    warm_max: Count = Field(5, description="At most so many machines of the resource are kept stopped.")
    warm_max_age_s: Seconds = Field(86400.0, description="For at most so long.")
    capacity_reservation_id: Text | None = Field(
        None, description="Capacity reservation to use.", examples=["cr-0123456789abcdef0"]
    )


class AwsResource(ResourceSection):
    """An instance of Amazon EC2."""

    type: Annotated[Literal["aws"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: AwsConfig = Field(description="Its keys.")
