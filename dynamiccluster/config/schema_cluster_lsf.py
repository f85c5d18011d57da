"""The keys of the ``cluster:`` section for LSF."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    FilePath,
    Section,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower


class LsfConfig(CommonCluster):
    """IBM Spectrum LSF or OpenLava."""

    bin_dir: FilePath = Field("", description="Directory of the commands. Empty: they are looked up in PATH.")
    envdir: FilePath = Field("", description="Given to the commands as LSF_ENVDIR. Empty: their own default.")


class LsfCluster(Section):
    """LSF."""

    type: Annotated[Literal["lsf"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: LsfConfig = Field(default_factory=LsfConfig, description="Its keys.")
