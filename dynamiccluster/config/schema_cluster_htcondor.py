"""The keys of the ``cluster:`` section for HTCondor."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    FilePath,
    Section,
    Text,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower


class HtcondorConfig(CommonCluster):
    """HTCondor; its queue is the schedd, a job's account is its accounting group."""

    bin_dir: FilePath = Field("", description="Directory of the commands. Empty: they are looked up in PATH.")
    condor_config: FilePath = Field("", description="Given to the commands as CONDOR_CONFIG. Empty: their own default.")
    pool: Text = Field("", description="The central manager. Empty: the configured one.", examples=["cm.example.org"])
    schedd: Text = Field("", description="The schedd to look after. Empty: the local one.")


class HtcondorCluster(Section):
    """HTCondor."""

    type: Annotated[Literal["htcondor"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: HtcondorConfig = Field(default_factory=HtcondorConfig, description="Its keys.")
