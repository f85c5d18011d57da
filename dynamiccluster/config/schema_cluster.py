"""The keys of the ``cluster:`` section, one class per type of scheduler."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from dynamiccluster.config.fields import (
    Argv,
    Command0,
    Command1,
    Command2,
    Command3,
    Command4,
    Count,
    FilePath,
    Fraction,
    Interval,
    Name,
    NamePrefix,
    Number,
    Positive,
    Says,
    Seconds,
    Section,
    SiteNames,
    Span,
    Text,
    Whole,
)


def lower(value: Any) -> Any:
    """Types were never case-sensitive."""
    return value.lower() if isinstance(value, str) else value


def type_tag(value: Any) -> str:
    """Which class of a union a ``type:`` key asks for; the prefix keeps it apart from keys in error paths."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"type={lower(kind)}" if isinstance(kind, str) else "type="


class CommonCluster(Section):
    """Keys that every scheduler has."""

    queue_to_monitor: SiteNames = Field(
        (),
        description="The queues to look after; jobs in others are ignored. Empty: all.",
        examples=[["short", "long"]],
    )
    queued_job_number_to_display: Count = Field(
        30,
        description="How many queued jobs are shown. All are counted and served. 0: all.",
        examples=[30],
    )
    post_add_node_command: Command4 | None = Field(
        None,
        description="Runs when a node has joined the scheduler: {0} host name, {1} address, {2} instance name, "
        "{3} resource. It is split into words without a shell.",
        examples=["/usr/local/sbin/node-added {0} {1}"],
    )
    post_remove_node_command: Command4 | None = Field(
        None,
        description="Runs when a node has left the scheduler, with the same values.",
        examples=["/usr/local/sbin/node-removed {0} {1}"],
    )
    command_timeout_s: Interval = Field(
        30.0, description="How long one command of the scheduler may take.", examples=[30]
    )


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


class LsfConfig(CommonCluster):
    """IBM Spectrum LSF or OpenLava."""

    bin_dir: FilePath = Field("", description="Directory of the commands. Empty: they are looked up in PATH.")
    envdir: FilePath = Field("", description="Given to the commands as LSF_ENVDIR. Empty: their own default.")


class HtcondorConfig(CommonCluster):
    """HTCondor; its queue is the schedd, a job's account is its accounting group."""

    bin_dir: FilePath = Field("", description="Directory of the commands. Empty: they are looked up in PATH.")
    condor_config: FilePath = Field("", description="Given to the commands as CONDOR_CONFIG. Empty: their own default.")
    pool: Text = Field("", description="The central manager. Empty: the configured one.", examples=["cm.example.org"])
    schedd: Text = Field("", description="The schedd to look after. Empty: the local one.")


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


class SlurmCluster(Section):
    """Slurm."""

    type: Annotated[Literal["slurm"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: SlurmConfig = Field(default_factory=SlurmConfig, description="Its keys.")


class TorqueCluster(Section):
    """Torque with Maui."""

    type: Annotated[Literal["torque"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: TorqueConfig = Field(default_factory=TorqueConfig, description="Its keys.")


class SgeCluster(Section):
    """Grid Engine."""

    type: Annotated[Literal["sge"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: SgeConfig = Field(default_factory=SgeConfig, description="Its keys.")


class LsfCluster(Section):
    """LSF."""

    type: Annotated[Literal["lsf"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: LsfConfig = Field(default_factory=LsfConfig, description="Its keys.")


class HtcondorCluster(Section):
    """HTCondor."""

    type: Annotated[Literal["htcondor"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: HtcondorConfig = Field(default_factory=HtcondorConfig, description="Its keys.")


class SimulatedCluster(Section):
    """The embedded scheduler."""

    type: Annotated[Literal["simulated"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: SimulatedClusterConfig = Field(default_factory=SimulatedClusterConfig, description="Its keys.")


Cluster = Annotated[
    Annotated[SlurmCluster, Tag("type=slurm")]
    | Annotated[TorqueCluster, Tag("type=torque")]
    | Annotated[SgeCluster, Tag("type=sge")]
    | Annotated[LsfCluster, Tag("type=lsf")]
    | Annotated[HtcondorCluster, Tag("type=htcondor")]
    | Annotated[SimulatedCluster, Tag("type=simulated")],
    Discriminator(type_tag),
]
