"""The keys of the ``cloud:`` section for OpenStack."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dynamiccluster.config.fields import (
    Count,
    FilePath,
    Flag,
    Secret,
    Text,
    Texts,
    Url,
)
from dynamiccluster.config.schema_cloud_common import ResourceSection, ScriptedCloud
from dynamiccluster.config.schema_cluster_common import lower


class OpenstackConfig(ScriptedCloud):
    """OpenStack. Without credentials of its own the SDK's sources are used: `os_cloud`, or OS_... variables."""

    username: Text | None = Field(None, description="User of the account.", examples=["hpc"])
    password: Secret | None = Field(None, description="Its password.", examples=[{"from_env": "OS_PASSWORD"}])
    project: Text | None = Field(None, description="The project (tenant).", examples=["hpc-burst"])
    auth_url: Url | None = Field(None, description="URL of Keystone.", examples=["https://cloud.example.org:5000/v3"])
    os_cloud: Text | None = Field(
        None, description="Entry of the SDK's clouds.yaml to use instead. `cloud` means the same.", examples=["burst"]
    )
    application_credential_id: Text | None = Field(
        None, description="Application credential, in place of user, password and project.", examples=["5a3f..."]
    )
    application_credential_secret: Secret | None = Field(
        None, description="Its secret.", examples=[{"from_file": "/etc/dynamiccluster/burst.secret"}]
    )
    user_domain_name: Text = Field("Default", description="Domain of the user (Keystone v3).")
    project_domain_name: Text = Field("Default", description="Domain of the project (Keystone v3).")
    region_name: Text | None = Field(None, description="Region, if the cloud has several.")
    interface: Literal["public", "internal", "admin"] | None = Field(
        None, description="Which of the cloud's endpoints are used. Default: `public`."
    )
    ca_file: FilePath | None = Field(
        None, description="Certificates that the cloud's are checked against.", examples=["/etc/ssl/certs/site-ca.pem"]
    )
    image_uuid: Text = Field(
        description="UUID of the image, or its name: of several active ones with that name the newest.",
        examples=["7f2c1c1e-6e0c-4b59-9d3a-2f1f6f0a9b11"],
    )
    flavor: Text = Field(description="Flavor of the machines.", examples=["m1.small"])
    flavor_id: Text | None = Field(None, description="The flavor's id, if its name is not unique.")
    key_name: Text | None = Field(None, description="SSH key pair.", examples=["admin"])
    security_groups: Texts = Field((), description="Security groups.", examples=[["default"]])
    availability_zone: Text | None = Field(
        None, description="Availability zone. For several zones make several resources.", examples=["az1"]
    )
    networks: Texts = Field(
        (),
        description="Networks by name or UUID; the node's address is that of the first. Default: the project's only "
        "one.",
        examples=[["hpc-internal"]],
    )
    floating_network: Text | None = Field(
        None,
        description="An external network by name or UUID: each machine gets a floating IP of it, which then is the "
        "node's address.",
        examples=["public"],
    )
    boot_volume_gb: Count = Field(
        0, description="Size of the volume that the machine boots from, made of the image and gone with it. 0: none."
    )
    boot_volume_type: Text | None = Field(None, description="Type of that volume.", examples=["ssd"])
    server_group: Text | None = Field(
        None, description="Server group by name or UUID (affinity).", examples=["hpc-spread"]
    )
    metadata: dict[Text, Text] = Field(
        default_factory=dict, description="More metadata of the machines.", examples=[{"owner": "hpc"}]
    )
    scheduler_hints: dict[Text, Text | Texts] = Field(
        default_factory=dict, description="Hints for the cloud's scheduler.", examples=[{"different_cell": "slow"}]
    )
    config_drive: Flag = Field(False, description="User data on a drive, for clouds without a metadata service.")

    @model_validator(mode="before")
    @classmethod
    def _second_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and "cloud" in given:
            if "os_cloud" in given:
                raise ValueError("cloud and os_cloud are the same: give one of them")
            return {"os_cloud" if key == "cloud" else key: value for key, value in given.items()}
        return given

    @model_validator(mode="after")
    def _whole_credential(self) -> OpenstackConfig:
        if (self.application_credential_id is None) != (self.application_credential_secret is None):
            raise ValueError("application_credential_id and application_credential_secret go together")
        if self.application_credential_id and not (self.auth_url or self.os_cloud):
            raise ValueError("application_credential_id needs auth_url")
        return self


class OpenstackResource(ResourceSection):
    """A machine of an OpenStack cloud."""

    type: Annotated[Literal["openstack"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: OpenstackConfig = Field(description="Its keys.")
