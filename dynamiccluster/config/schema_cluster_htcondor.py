"""The keys of the ``cluster:`` section for HTCondor."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.document import plain
from dynamiccluster.config.fields import (
    Argv,
    FilePath,
    Flag,
    Name,
    Says,
    Seconds,
    Section,
    Text,
    matching,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower


def _words(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _constant(value: Any) -> Any:
    """Numbers as numbers; what else YAML makes of a value is checked by its type."""
    return plain(value)


_ATTRIBUTE = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
Attribute = Annotated[
    str,
    matching(_ATTRIBUTE, "only letters, digits and `_`, not beginning with a digit"),
    Says("the name of an attribute"),
]
Attributes = Annotated[tuple[Attribute, ...], BeforeValidator(_words), Says("a list of names of attributes")]
Constant = Annotated[bool | int | float | str, BeforeValidator(_constant), Says("true, false, a number or a text")]


class HtcondorConfig(CommonCluster):
    """HTCondor 23 or later; its queue is the schedd, a job's account is its accounting group."""

    bin_dir: FilePath = Field(
        "", description="Directory of the programs (`condor_q` and others). Empty: they are looked up in PATH."
    )
    command_prefix: Argv | None = Field(
        None,
        description="Stands before each of these programs.",
        examples=["nsenter --target 4711 --mount --net --pid --root --"],
    )
    condor_config: FilePath = Field(
        "",
        description="Given to the programs as CONDOR_CONFIG. Empty: their own default.",
        examples=["/etc/condor/condor_config"],
    )
    pool: Text = Field("", description="The central manager. Empty: the configured one.", examples=["cm.example.org"])
    schedd: Text = Field(
        "", description="The schedd to look after. Empty: the local one.", examples=["submit.example.org"]
    )
    queue_attribute: Annotated[str, matching(rf"({_ATTRIBUTE})?", "a name of an attribute, or nothing")] = Field(
        "",
        description='The attribute of jobs that names their queue (`+JobQueue = "long"` in a submit file). Where it is '
        "missing, the schedd's name is the queue.",
        examples=["JobQueue"],
    )
    feature_attributes: Attributes = Field(
        (),
        description="Attributes of machines that count as features beside those of resources: `NAME` if true, "
        "`NAME=VALUE` for a text.",
        examples=[["BigMem", "VMType"]],
    )
    machine_attributes: dict[Name, dict[Attribute, Constant]] = Field(
        default_factory=dict,
        description="By resource: what the ads of its machines will have beyond size and features, for the evaluation "
        "of Requirements. Disk is in KiB.",
        examples=[{"small": {"OpSysAndVer": "Debian13", "Disk": 20000000}}],
    )
    serve_unknown: Flag = Field(
        False,
        description="Whether nodes are launched for jobs of whose Requirements it is not known if nodes would help "
        "(the optional package `htcondor` evaluates most).",
    )
    silent_s: Seconds = Field(
        660.0,
        description="A machine that the collector has not heard of for longer is unknown: two of its reports "
        "(UPDATE_INTERVAL) and a minute. 0: never.",
        examples=[660],
    )
    settle_s: Seconds = Field(
        330.0,
        description="For so long after its collector was started again the pool is not believed to be complete: one "
        "UPDATE_INTERVAL and half a minute.",
        examples=[330],
    )


class HtcondorCluster(Section):
    """HTCondor."""

    type: Annotated[Literal["htcondor"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: HtcondorConfig = Field(default_factory=HtcondorConfig, description="Its keys.")
