"""The whole configuration file."""

from __future__ import annotations

from pydantic import Field

from dynamiccluster.config.fields import Name, Section
from dynamiccluster.config.schema_cloud import CloudResource
from dynamiccluster.config.schema_cluster import Cluster
from dynamiccluster.config.schema_general import General, Logging
from dynamiccluster.config.schema_plugins import Plugin


class Settings(Section):
    """The sections of the file."""

    general: General = Field(default_factory=General, alias="dynamic-cluster", description="Dynamic Cluster itself.")
    cluster: Cluster = Field(description="The batch system to look after.", examples=[{"type": "slurm"}])
    cloud: dict[Name, CloudResource] = Field(
        min_length=1,
        description="The resources, by name.",
        examples=[{"small": {"type": "simulated", "quantity": {"max": 10}, "capacity": {"cores": 4}}}],
    )
    plugins: dict[Name, Plugin] = Field(default_factory=dict, description="Plug-ins, by a name of your choice.")
    logging: Logging = Field(default_factory=Logging, description="What is logged, and where.")
