"""The keys of the ``cluster:`` section for the embedded scheduler."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    Fraction,
    Number,
    Says,
    Seconds,
    Section,
    Span,
    Whole,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower


class Workload(Section):
    """How the people of the embedded scheduler use it."""

    jobs_per_day: Number = Field(2400.0, description="Submissions per day on average. 0: nobody submits anything.")
    burst: Annotated[Number, Field(ge=1), Says("a number, 1 or more")] = Field(
        8.0, description="Mean number of submissions in a burst."
    )
    run_s: Span = Field((20.0, 420.0), description="Typical run times.", examples=[[20, 420]])
    arrays: Fraction = Field(0.1, description="Share of submissions that are arrays.")
    oddities: Fraction = Field(0.05, description="Share that is held, depends on another job, or begins later.")
    swing: Fraction = Field(0.0, description="Of day and night. 0: the same all day.")
    first_after_s: Seconds | None = Field(10.0, description="When the first burst comes.")


class SimulatedClusterConfig(CommonCluster):
    """The embedded scheduler of the demo and the simulation."""

    seed: Whole = Field(1, description="Start of all random numbers: the same seed gives the same day.")
    workload: Workload = Field(default_factory=Workload, description="The jobs that arrive by themselves.")


class SimulatedCluster(Section):
    """The embedded scheduler."""

    type: Annotated[Literal["simulated"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: SimulatedClusterConfig = Field(default_factory=SimulatedClusterConfig, description="Its keys.")
