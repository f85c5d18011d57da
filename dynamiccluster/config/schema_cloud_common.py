"""The keys of the ``cloud:`` section that every resource has."""

from __future__ import annotations

from pydantic import Field

from dynamiccluster.config.fields import (
    Count,
    Features,
    FilePath,
    Flag,
    Interval,
    Money,
    Name,
    NamePrefix,
    Seconds,
    Secret,
    Section,
    SiteName,
    SiteNames,
    Text,
    Whole,
)
from dynamiccluster.model.resource import Provisioning


class ReservationSection(Section):
    """Whom the nodes of a resource are for. What is not given is not limited."""

    queue: SiteName | None = Field(None, description="Only jobs of this queue.", examples=["long"])
    account: SiteName | None = Field(None, description="Only jobs of this account.", examples=["physics"])
    property: SiteName | None = Field(
        None,
        description="Only jobs that ask for this property (Slurm: feature), which the nodes then have.",
        examples=["bigmem"],
    )


class Quantity(Section):
    """How many worker nodes a resource has."""

    min: Count = Field(0, description="At least so many are kept, also when idle.", examples=[0])
    max: Count = Field(description="At most so many are launched.", examples=[10])


class CapacitySection(Section):
    """What one node has. Clouds that tell the sizes of their machines need none of it."""

    cores: Count = Field(0, description="Cores that jobs can use.", examples=[16])
    memory_mib: Count = Field(0, description="Memory that jobs can use, in MiB.", examples=[62000])
    gpus: Count = Field(0, description="GPUs.", examples=[2])
    gpu_type: Text = Field("", description="Their type, as jobs ask for it.", examples=["a100"])


class ResourceTimers(Section):
    """Time limits of one resource's nodes; what is not given is taken from `dynamic-cluster`."""

    idle_s: Seconds | None = Field(None, description="In place of `max_idle_time`.", examples=[300])
    down_s: Seconds | None = Field(None, description="In place of `max_down_time`.", examples=[480])
    down_hard_s: Seconds | None = Field(None, description="In place of `timers.down_hard_s`.", examples=[1800])
    launch_s: Interval | None = Field(None, description="In place of `max_launch_time`.", examples=[1200])
    boot_s: Seconds | None = Field(None, description="In place of `timers.boot_s`.", examples=[600])
    first_job_s: Seconds | None = Field(None, description="In place of `timers.first_job_s`.", examples=[1800])
    min_lifetime_s: Seconds | None = Field(None, description="In place of `timers.min_lifetime_s`.", examples=[3000])
    terminate_s: Interval | None = Field(None, description="In place of `timers.terminate_s`.", examples=[120])
    queue_idle_s: dict[SiteName, Seconds] = Field(
        default_factory=dict, description="In place of `timers.queue_idle_s`, queue by queue.", examples=[{"short": 60}]
    )


class CommonCloud(Section):
    """Keys that every cloud has."""

    instance_name_prefix: NamePrefix | None = Field(
        None,
        description="Names of instances and hosts are this, `-` and eight characters. Each resource needs its own. "
        "Default: the name of the resource, with `-` for what a host name may not have.",
        examples=["wn-small"],
    )


class ScriptedCloud(CommonCloud):
    """Keys of clouds whose new machines run a script of the site."""

    userdata_file: FilePath | None = Field(
        None,
        description="User-data script, a Jinja template (docs/clouds/user-data.md). It is given `minion_id`, the "
        "instance's name, among others.",
        examples=["/etc/dynamiccluster/userdata.sh"],
    )
    userdata_values: dict[Name, Secret] = Field(
        default_factory=dict,
        description="The template's own variables, as `values.NAME`: keys to join with, for example.",
        examples=[{"join_key": {"from_file": "/etc/dynamiccluster/join.key"}}],
    )


class ResourceSection(Section):
    """One kind of worker node that can be had. Its name in `cloud:` is the resource's name everywhere."""

    reservation: ReservationSection = Field(default_factory=ReservationSection, description="Whom its nodes are for.")
    quantity: Quantity = Field(description="How many nodes it has.", examples=[{"min": 0, "max": 10}])
    priority: Whole = Field(
        0, description="Of several suitable resources the one with the lowest number is used first.", examples=[1]
    )
    price_per_hour: Money = Field(
        0.0, description="What one node costs per hour, in any one currency. 0: nothing (budgets leave it alone)."
    )
    capacity: CapacitySection = Field(default_factory=CapacitySection, description="What one node has.")
    features: Features = Field(
        (),
        description="What its nodes offer to jobs that ask. With HTCondor also `NAME=value`, for jobs with `+NAME = "
        '"value"` (docs/schedulers/htcondor.md).',
        examples=[["avx512", "nvme"]],
    )
    queues: SiteNames = Field((), description="The queues its nodes serve. Empty: all.", examples=[["short", "long"]])
    tenancy: Text = Field(
        "",
        description="The account or project at the cloud that pays. Resources of one tenancy share quota and polls, "
        "and must have the same credentials. Default: made from the type and, where there are such, project, server "
        "and region.",
        examples=["openstack:hpc-burst"],
    )
    timers: ResourceTimers = Field(default_factory=ResourceTimers, description="Time limits of its nodes.")
    max_starting: Count = Field(
        0,
        description="Nodes on their way at the same time; a larger gang may start when no other node does. "
        "0: no limit of its own.",
    )
    provisioning: Provisioning = Field(
        Provisioning.DEMAND,
        description="Who decides when a node is launched. `demand`: the service, from the waiting jobs. `scheduler`: "
        "Slurm's power saving, which gives nodes that are off to jobs and has them started; `dynamiccluster "
        "slurm-config` prints what slurm.conf needs for that (docs/schedulers/slurm.md).",
        examples=["scheduler"],
    )
    drain_at_risk: Flag = Field(
        False,
        description="Whether a node gets no new jobs, and is removed once it is empty, when its cloud says that it "
        "may take the machine away (EC2's rebalance recommendation). One that it *will* take away is always emptied.",
    )
    offering: Text = Field(
        "",
        description="Resources with the same text here run out of capacity together. Default: zone, machine type and "
        "market where there are such, else the resource alone.",
    )
