"""The keys of the ``cluster:`` section for Grid Engine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    Command0,
    Command1,
    Command2,
    Command3,
    Section,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower


class SgeConfig(CommonCluster):
    """Grid Engine. Adjust the paths; the options are what the service relies on."""

    qstat_command: Command0 = Field(
        "/opt/sge/bin/lx-amd64/qstat -xml -r",
        description="Lists the jobs, in XML, with their requests. All users' jobs are asked for even if it has no "
        "`-u`.",
    )
    qhost_command: Command2 = Field(
        "/opt/sge/bin/lx-amd64/qhost -q -j -xml {0} {1}",
        description="Lists the hosts with queues and jobs, in XML: {0} `-h` and {1} a host name, or nothing.",
    )
    hostgroup_command: Command3 = Field(
        "/opt/sge/bin/lx-amd64/qconf {0} hostgroup hostlist {1} {2}",
        description="Changes a host group: {0} `-aattr` or `-dattr`, {1} host name, {2} group.",
    )
    qmod_command: Command2 = Field(
        "/opt/sge/bin/lx-amd64/qmod {0} *@{1}",
        description="Disables or enables a host's queues: {0} `-d` or `-e`, {1} host name.",
    )
    remove_node_command: Command1 = Field("/opt/sge/bin/lx-amd64/qconf -de {0}", description="Removes the host {0}.")
    set_slots_command: Command3 = Field(
        "/opt/sge/bin/lx-amd64/qconf -rattr queue slots {0} {1}@{2}",
        description="Gives a host slots in a queue: {0} slots, {1} queue, {2} host name.",
    )
    unset_slots_command: Command2 = Field(
        "/opt/sge/bin/lx-amd64/qconf -purge queue slots {0}@{1}",
        description="Takes a host's slots out of a queue: {0} queue, {1} host name.",
    )
    qconf_spl_command: Command0 = Field("/opt/sge/bin/lx-amd64/qconf -spl", description="Lists parallel environments.")
    qconf_sp_command: Command1 = Field(
        "/opt/sge/bin/lx-amd64/qconf -sp {0} | grep allocation_rule | awk '{{print $2}}'",
        description="Prints the allocation rule of the parallel environment {0}.",
    )
    qdel_command: Command1 = Field(
        "/opt/sge/bin/lx-amd64/qdel -f {0}", description="Deletes the dead job {0}, come what may."
    )


class SgeCluster(Section):
    """Grid Engine."""

    type: Annotated[Literal["sge"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: SgeConfig = Field(default_factory=SgeConfig, description="Its keys.")
