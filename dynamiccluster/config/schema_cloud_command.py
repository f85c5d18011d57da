"""The keys of the ``cloud:`` section for machines that the site's own scripts start."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import Argv, Flag, Interval, Name, Text
from dynamiccluster.config.schema_cloud_common import ResourceSection, ScriptedCloud
from dynamiccluster.config.schema_cluster_common import lower

MOST_LAUNCH_S = 150
"""The service takes a launch of 180 s for lost, and asks again or looks elsewhere: by then the script has ended."""


class CommandConfig(ScriptedCloud):
    """Four scripts of the site: whatever can be listed, started and ended by a program is a cloud.

    Each gets one JSON object on standard input and prints one: see docs/clouds/command.md.
    """

    list_command: Argv = Field(
        description="Lists all machines. The same in all resources of a tenancy, like the other commands.",
        examples=["/usr/local/lib/dynamiccluster/libvirt list"],
    )
    launch_command: Argv = Field(
        description="Starts machines.", examples=["/usr/local/lib/dynamiccluster/libvirt launch"]
    )
    terminate_command: Argv = Field(
        description="Ends machines.", examples=["/usr/local/lib/dynamiccluster/libvirt terminate"]
    )
    offers_command: Argv | None = Field(
        None,
        description="Tells size and price of the machines of each resource, where the configuration does not.",
        examples=["/usr/local/lib/dynamiccluster/libvirt offers"],
    )
    console_command: Argv | None = Field(
        None,
        description="Prints the end of a machine's console.",
        examples=["/usr/local/lib/dynamiccluster/libvirt console"],
    )
    idempotent: Flag = Field(
        False,
        description="The launch command gives the machines of the first call when it gets a `launch_id` again. The "
        "same in all resources of a tenancy.",
    )
    command_timeout_s: Interval = Field(
        60.0, description="How long a command may take. The same in all resources of a tenancy."
    )
    launch_timeout_s: Interval = Field(
        150.0,
        le=MOST_LAUNCH_S,
        description="How long the launch command may take before it is killed. The same in all resources of a tenancy.",
    )
    parameters: dict[Name, Text] = Field(
        default_factory=dict,
        description="Passed to the launch command as they are.",
        examples=[{"image": "worker.qcow2", "pool": "nvme"}],
    )


class CommandResource(ResourceSection):
    """A machine that the site's scripts start."""

    type: Annotated[Literal["command"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: CommandConfig = Field(description="Its keys.")
