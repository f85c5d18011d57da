"""The keys of the ``cloud:`` section for the embedded cloud."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from dynamiccluster.config.fields import (
    Count,
    Fraction,
    Seconds,
    Section,
    Span,
)
from dynamiccluster.config.schema_cloud_common import CommonCloud, ResourceSection
from dynamiccluster.config.schema_cluster_common import lower


class MishapSection(Section):
    """Something that goes wrong with a resource of the embedded cloud for a while."""

    mishap: Literal["sold out", "throttled", "refused", "build error", "slow", "never boots", "never joins", "deaf"] = (
        Field(
            description="`sold out`, `throttled`, `refused` (credentials): no launches; `build error`, `never boots`: "
            "spoilt machines; `slow`: ten times as slow; `never joins`: never seen by the scheduler; `deaf`: no job "
            "starts on them."
        )
    )
    from_s: Seconds = Field(description="Begin, counted from the start of the service.", examples=[300])
    until_s: Seconds = Field(description="End, counted the same way.", examples=[1200])

    @model_validator(mode="after")
    def _lasting(self) -> MishapSection:
        if self.from_s >= self.until_s:
            raise ValueError("until_s is not later than from_s")
        return self


class SimulatedCloudConfig(CommonCloud):
    """The embedded cloud of the demo and the simulation."""

    build_s: Span = Field((15.0, 40.0), description="From the launch request until active.", examples=[[15, 40]])
    boot_s: Span = Field(
        (20.0, 60.0), description="From active until the scheduler sees the node.", examples=[[20, 60]]
    )
    shutdown_s: Span = Field((5.0, 30.0), description="From the order to end until gone.", examples=[[5, 30]])
    stock: Count | None = Field(None, description="Machines of this kind that the cloud has. Default: plenty.")
    memory_share: Fraction = Field(1.0, description="What a running machine shows of its `memory_mib`.")
    mishaps: tuple[MishapSection, ...] = Field(
        (),
        description="What goes wrong, and when.",
        examples=[[{"mishap": "sold out", "from_s": 300, "until_s": 1200}]],
    )
    max_instances: Count | None = Field(None, description="Quota of the tenancy: machines. Default: none.")
    max_cores: Count | None = Field(None, description="Quota of the tenancy: cores. Default: none.")
    max_memory_mib: Count | None = Field(None, description="Quota of the tenancy: memory. Default: none.")


class SimulatedResource(ResourceSection):
    """A machine of the embedded cloud."""

    type: Annotated[Literal["simulated"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: SimulatedCloudConfig = Field(default_factory=SimulatedCloudConfig, description="Its keys.")
