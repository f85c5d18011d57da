"""The keys of the ``cluster:`` section for LSF."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    Argv,
    FilePath,
    Name,
    Number,
    Says,
    Section,
    SiteNames,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower

Dialect = Annotated[
    Literal["auto", "lsf", "openlava"], BeforeValidator(lower), Says("one of `auto`, `lsf` and `openlava`")
]
Account = Annotated[
    Literal["project", "user_group", "user"], BeforeValidator(lower), Says("one of `project`, `user_group` and `user`")
]
MemoryUnit = Annotated[Literal["KB", "MB", "GB", "TB", "PB"], Says("one of `KB`, `MB`, `GB`, `TB` and `PB`")]
Factor = Annotated[Number, Field(gt=0), Says("a number, more than 0")]
MemoryPer = Annotated[Literal["host", "slot"], BeforeValidator(lower), Says("`host` or `slot`")]


class LsfConfig(CommonCluster):
    """IBM Spectrum LSF 10.1, or OpenLava. Their commands are looked up in PATH unless told otherwise."""

    dialect: Dialect = Field(
        "auto", description="Whose commands they are. `auto`: what `lsid` says.", examples=["openlava"]
    )
    bin_dir: FilePath = Field(
        "",
        description="Directory of the commands that have none of their own. Empty: they are looked up in PATH.",
        examples=["/opt/openlava/bin"],
    )
    envdir: FilePath = Field(
        "",
        description="Given to the commands as LSF_ENVDIR. Empty: what the service's own environment says.",
        examples=["/opt/openlava/etc"],
    )
    command_prefix: Argv | None = Field(
        None, description="Stands before each of these commands.", examples=["sudo -n -u lsfadmin"]
    )
    lsid_command: Argv = Field(("lsid",), description="Tells whose LSF it is.")
    lsinfo_command: Argv = Field(("lsinfo",), description="Lists the resources that `lsf.shared` defines.")
    lshosts_command: Argv = Field(("lshosts",), description="Lists hosts with what they have.")
    lsload_command: Argv = Field(("lsload",), description="Lists hosts with whether they are alive.")
    bhosts_command: Argv = Field(("bhosts",), description="Lists hosts with their slots, and whether they are closed.")
    bjobs_command: Argv = Field(("bjobs",), description="Lists jobs.", examples=["/opt/openlava/bin/bjobs"])
    bqueues_command: Argv = Field(("bqueues",), description="Lists queues.")
    badmin_command: Argv = Field(
        ("badmin",),
        description="Closes and opens hosts. Its user must be root or an administrator of LSF's, as for all that "
        "follow.",
    )
    brequeue_command: Argv = Field(("brequeue",), description="Sends jobs back to their queue.")
    bkill_command: Argv = Field(("bkill",), description="Deletes jobs.")
    lsaddhost_command: Argv = Field(("lsaddhost",), description="Adds a host (OpenLava).")
    lsrmhost_command: Argv = Field(("lsrmhost",), description="Removes a host (OpenLava).")
    lsadmin_command: Argv = Field(
        ("lsadmin",), description="`lsadmin expire` removes a host (LSF 10.1 with fix pack 14 or later)."
    )
    account: Account = Field(
        "project", description="What counts as a job's account: that of `-P`, of `-G`, or its owner."
    )
    host_type: Name = Field("linux", description="The type that hosts are added with (OpenLava); see `lsinfo -t`.")
    host_model: Name = Field("IntelI5", description="The model that hosts are added with (OpenLava); see `lsinfo -m`.")
    cpu_factor: Factor = Field(100.0, description="The CPU factor that hosts are added with (OpenLava).")
    host_resources: SiteNames = Field(
        (),
        description="Boolean resources that every host has. New ones are added with them, and jobs that ask for one "
        "are not held to be choosy.",
        examples=[["cs"]],
    )
    placeholder_hosts: SiteNames = Field(
        ("dc-placeholder",),
        description="Names of hosts that never come. OpenLava counts their slots when it decides whether a job is too "
        "large to be submitted. Without a method in `names` that makes names known, each must be in DNS or in the "
        "master's /etc/hosts, with an address that nobody has. `[]`: none.",
        examples=[["dc-placeholder"]],
    )
    queue_resource_prefix: Name = Field(
        "queue_",
        description="A queue whose RES_REQ selects the resource of this name and its own is served by the hosts that "
        "have it.",
    )
    unit_for_limits: MemoryUnit = Field(
        "MB", description="The unit of amounts of memory without one: LSF_UNIT_FOR_LIMITS of `lsf.conf`, else MB."
    )
    memory_per: MemoryPer = Field(
        "host",
        description="What `rusage[mem=N]` reserves N for. `slot` where `lsf.conf` has RESOURCE_RESERVE_PER_TASK=Y (or "
        "..._PER_SLOT).",
    )


class LsfCluster(Section):
    """LSF."""

    type: Annotated[Literal["lsf"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: LsfConfig = Field(default_factory=LsfConfig, description="Its keys.")
