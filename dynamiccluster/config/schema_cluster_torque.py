"""The keys of the ``cluster:`` section for Torque."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dynamiccluster.config.fields import (
    Command0,
    Command1,
    Command2,
    Command3,
    Command4,
    Section,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower


class TorqueConfig(CommonCluster):
    """Torque with Maui. Adjust the paths; the options are what the service relies on."""

    qstat_command: Command0 = Field("/usr/bin/qstat -x -t", description="Lists the jobs, in XML.")
    pbsnodes_command: Command2 = Field(
        "/usr/bin/pbsnodes {0} {1}",
        description="Lists, holds and releases nodes: {0} is `-x`, `-o` or `-c`, {1} the host name.",
    )
    add_node_command: Command1 = Field('/usr/bin/qmgr -c "create node {0}"', description="Adds the node {0}.")
    check_node_command: Command1 = Field("/usr/bin/checknode {0}", description="Asks Maui about the node {0}.")
    remove_node_command: Command1 = Field('/usr/bin/qmgr -c "delete node {0}"', description="Removes the node {0}.")
    set_node_command: Command4 = Field(
        '/usr/bin/qmgr -c "set node {0} {1} {2} {3}"',
        description="Sets an attribute of a node: {0} host name, {1} attribute, {2} operator (`=`, `+=`, `-=`), "
        "{3} value.",
    )
    diagnose_p_command: Command0 = Field("/usr/bin/diagnose -p", description="Asks Maui for the jobs' priorities.")
    showres_command: Command1 = Field("/usr/bin/showres -n | grep {0}", description="Shows reservations of node {0}.")
    setres_command: Command3 = Field(
        "/usr/bin/setres {0} {1} {2}",
        description="Reserves a node: {0} `-a` or `-q`, {1} the account or queue, {2} the host name.",
    )
    releaseres_command: Command2 = Field(
        "/usr/bin/releaseres `/usr/bin/showres -n | grep User | grep {0} | grep {1} | awk '{{print $3}}' `",
        description="Ends the reservation of a node: {0} host name, {1} account or queue.",
    )
    delete_job_command: Command1 = Field("/usr/bin/qdel -p {0}", description="Deletes the job {0}, come what may.")
    signal_job_command: Command2 = Field("/usr/bin/qsig -s {0} {1}", description="Sends the signal {0} to the job {1}.")


class TorqueCluster(Section):
    """Torque with Maui."""

    type: Annotated[Literal["torque"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: TorqueConfig = Field(default_factory=TorqueConfig, description="Its keys.")
