"""The keys of the ``cloud:`` section for worker daemons of this machine."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from dynamiccluster.config.fields import (
    Count,
    FilePath,
    Name,
    Says,
    Text,
    WorkerArgv,
)
from dynamiccluster.config.schema_cloud_common import CommonCloud, ResourceSection
from dynamiccluster.config.schema_cluster_common import lower


def _network(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        raise ValueError("is not an IPv4 network such as 10.77.0.0/24 (host bits must be 0)") from None
    if not 8 <= network.prefixlen <= 29:
        raise ValueError("must be between /8 and /29")
    if not network.is_private:
        raise ValueError("must be a private network")
    return value


class LocalConfig(CommonCloud):
    """Worker daemons as processes of this machine, each in a network namespace of its own. Needs root."""

    worker_command: WorkerArgv = Field(
        description="Starts one worker in the foreground; the instance lives as long as it runs.",
        examples=[["slurmd", "-D", "-N", "{name}", "-Z", "-b"]],
    )
    network: Annotated[Text, AfterValidator(_network), Says("a private IPv4 network")] = Field(
        "10.77.0.0/24", description="Addresses of the workers. The same in all local resources of a tenancy."
    )
    bridge: Name = Field(
        "br0",
        description="The bridge that joins the workers' network namespaces; without it no worker starts. The site "
        "makes it (`ip link add br0 type bridge`, `ip link set br0 up`) and gives it an address of the network below "
        "the tenth (`ip address add 10.77.0.1/24 dev br0`). The same in all local resources of a tenancy.",
        examples=["br0"],
    )
    network_namespace: Text = Field(
        "",
        description="The network namespace in which the bridge is. Empty: the machine's own. The same in all local "
        "resources of a tenancy.",
        examples=["testbed"],
    )
    state_dir: FilePath = Field(
        "/var/lib/dynamiccluster/local",
        description="Where the running workers are written down. The same in all local resources of a tenancy.",
    )
    max_instances: Count = Field(
        0, description="Quota of the tenancy. 0: as many as the network has addresses.", examples=[8]
    )


class LocalResource(ResourceSection):
    """A process of this machine."""

    type: Annotated[Literal["local"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: LocalConfig = Field(description="Its keys.")
