"""The keys of the ``cluster:`` section for Slurm."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    Argv,
    FilePath,
    Flag,
    Interval,
    Name,
    NamePrefix,
    Positive,
    Section,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower


class SlurmConfig(CommonCluster):
    """Slurm 22.05 or later, with dynamic nodes (``MaxNodeCount`` in ``slurm.conf``)."""

    squeue_command: Argv = Field(("squeue",), description="Lists jobs.", examples=["/usr/bin/squeue"])
    scontrol_command: Argv = Field(
        ("scontrol",),
        description="Lists, creates, updates and deletes nodes, updates jobs. Its user must be SlurmUser, root, or an "
        "administrator of Slurm's.",
        examples=["/usr/bin/scontrol"],
    )
    scancel_command: Argv = Field(("scancel",), description="Deletes jobs.", examples=["/usr/bin/scancel"])
    command_prefix: Argv | None = Field(
        None, description="Stands before each of these commands.", examples=["sudo -n -u slurm"]
    )
    slurm_conf: FilePath = Field(
        "",
        description="Given to Slurm's commands as SLURM_CONF. Empty: their own default.",
        examples=["/etc/slurm/slurm.conf"],
    )
    template_prefix: NamePrefix = Field(
        "dc-template",
        description="Names of the FUTURE nodes that make Slurm accept jobs of a shape that no node has yet begin so.",
    )
    template_limit: Positive = Field(256, description="So many of them per shape at most.")
    queue_feature_prefix: Name = Field(
        "queue_",
        description="A partition that is a node set with the feature of this name and its own is served by nodes that "
        "have the feature.",
    )
    reservation_lead_s: Interval = Field(
        300.0,
        description="A job is served only if it could end before somebody else's reservation of all nodes begins even "
        "when its nodes take so long to come.",
        examples=[300],
    )
    reason_in_admin_comment: Flag = Field(
        False,
        description="true: the reason why a job waits is written into its admin comment, where its owner sees it "
        "(`scontrol show job`, `squeue -O admin_comment`).",
    )


class SlurmCluster(Section):
    """Slurm."""

    type: Annotated[Literal["slurm"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: SlurmConfig = Field(default_factory=SlurmConfig, description="Its keys.")
