"""The keys of the ``cloud:`` section: what every resource has, and one class per type of cloud."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from dynamiccluster.config.fields import (
    Count,
    FilePath,
    Flag,
    Fraction,
    Interval,
    Money,
    Name,
    NamePrefix,
    Port,
    Positive,
    Says,
    Seconds,
    Secret,
    Section,
    SiteName,
    SiteNames,
    Span,
    Text,
    Texts,
    Url,
    Whole,
    WorkerArgv,
)
from dynamiccluster.config.schema_cluster_common import lower, type_tag


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


class OpenstackConfig(CommonCloud):
    """OpenStack. Without user name and password the SDK's own sources are used: `os_cloud`, or OS_... variables."""

    username: Text | None = Field(None, description="User of the account.", examples=["hpc"])
    password: Secret | None = Field(None, description="Its password.", examples=[{"from_env": "OS_PASSWORD"}])
    project: Text | None = Field(None, description="The project (tenant).", examples=["hpc-burst"])
    auth_url: Url | None = Field(None, description="URL of Keystone.", examples=["https://cloud.example.org:5000/v3"])
    os_cloud: Text | None = Field(
        None, description="Entry of the SDK's clouds.yaml to use instead.", examples=["burst"]
    )
    user_domain_name: Text = Field("Default", description="Domain of the user (Keystone v3).")
    project_domain_name: Text = Field("Default", description="Domain of the project (Keystone v3).")
    region_name: Text | None = Field(None, description="Region, if the cloud has several.")
    image_uuid: Text = Field(description="UUID of the image.", examples=["7f2c1c1e-6e0c-4b59-9d3a-2f1f6f0a9b11"])
    flavor: Text = Field(description="Flavor of the machines.", examples=["m1.small"])
    flavor_id: Text | None = Field(None, description="The flavor's id, if its name is not unique.")
    key_name: Text | None = Field(None, description="SSH key pair.", examples=["admin"])
    security_groups: Texts = Field((), description="Security groups.", examples=[["default"]])
    availability_zone: Text | None = Field(
        None, description="Availability zone. For several zones make several resources.", examples=["az1"]
    )
    userdata_file: FilePath | None = Field(
        None,
        description="User-data script, a Jinja template that is given `minion_id`, the instance's name.",
        examples=["/etc/dynamiccluster/userdata.sh"],
    )


class Disk(Section):
    """One more disk of an AWS instance."""

    device: Text = Field(description="Device name.", examples=["/dev/sdb"])
    size: Positive = Field(description="Size in GB.", examples=[100])
    delete_on_termination: Flag = Field(True, description="Whether the disk goes with the instance.")


class AwsConfig(CommonCloud):
    """Amazon EC2. Without keys the SDK's own sources are used: environment, profile, instance role."""

    access_key_id: Secret | None = Field(None, description="Access key.", examples=[{"from_env": "AWS_ACCESS_KEY_ID"}])
    secret_access_key: Secret | None = Field(
        None, description="Its secret half.", examples=[{"from_file": "/etc/dynamiccluster/aws.secret"}]
    )
    image_id: Text = Field(description="The AMI.", examples=["ami-0123456789abcdef0"])
    instance_type: Text = Field(description="Instance type.", examples=["c6i.4xlarge"])
    region_name: Text = Field(description="Region.", examples=["ap-southeast-2"])
    key_name: Text | None = Field(None, description="SSH key pair.", examples=["admin"])
    security_groups: Texts = Field(
        (), description="Security groups; ids if `subnet_id` is given.", examples=[["sg-0123456789abcdef0"]]
    )
    availability_zone: Text | None = Field(None, description="Availability zone.", examples=["ap-southeast-2a"])
    subnet_id: Text | None = Field(None, description="Subnet.", examples=["subnet-0123456789abcdef0"])
    use_public_ip_address: Flag | None = Field(
        None, description="Whether instances get a public address. Default: as the subnet says.", examples=[False]
    )
    userdata_file: FilePath | None = Field(
        None,
        description="User-data script, a Jinja template that is given `minion_id`, the instance's name.",
        examples=["/etc/dynamiccluster/userdata.sh"],
    )
    spot_bid: Money | None = Field(
        None, description="The most to pay per hour for a spot instance. Absent: on demand.", examples=[0.12]
    )
    spot_timeout: Seconds = Field(300.0, description="Seconds after which an unfilled spot request is given up.")
    proxy: Text | None = Field(None, description="Host name of an HTTP proxy.", examples=["proxy.example.org"])
    proxy_port: Port | None = Field(None, description="Its port.", examples=[3128])
    validate_certs: Flag = Field(True, description="Whether TLS certificates are checked.")
    disk_map: dict[Name, Disk] = Field(
        default_factory=dict,
        description="More disks, by name.",
        examples=[{"scratch": {"device": "/dev/sdb", "size": 100}}],
    )


def _network(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        raise ValueError("is not an IPv4 network such as 10.77.0.0/24 (host bits must be 0)") from None
    if not 8 <= network.prefixlen <= 29:
        raise ValueError("must be between /8 and /29")
    if not network.is_private:
        raise ValueError("must be a private network")
    return value


class LocalConfig(CommonCloud):
    """Worker daemons as processes of this machine, each in a network namespace of its own. Needs root."""

    worker_command: WorkerArgv = Field(
        description="Starts one worker in the foreground; the instance lives as long as it runs.",
        examples=[["slurmd", "-D", "-N", "{name}", "-Z", "-b"]],
    )
    network: Annotated[Text, AfterValidator(_network), Says("a private IPv4 network")] = Field(
        "10.77.0.0/24", description="Addresses of the workers. The same in all local resources of a tenancy."
    )
    bridge: Name = Field(
        "br0",
        description="The bridge that joins the workers' network namespaces; without it no worker starts. The site "
        "makes it (`ip link add br0 type bridge`, `ip link set br0 up`) and gives it an address of the network below "
        "the tenth (`ip address add 10.77.0.1/24 dev br0`). The same in all local resources of a tenancy.",
        examples=["br0"],
    )
    network_namespace: Text = Field(
        "",
        description="The network namespace in which the bridge is. Empty: the machine's own. The same in all local "
        "resources of a tenancy.",
        examples=["testbed"],
    )
    state_dir: FilePath = Field(
        "/var/lib/dynamiccluster/local",
        description="Where the running workers are written down. The same in all local resources of a tenancy.",
    )
    max_instances: Count = Field(
        0, description="Quota of the tenancy. 0: as many as the network has addresses.", examples=[8]
    )


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
    features: SiteNames = Field((), description="What its nodes offer to jobs that ask.", examples=[["avx512", "nvme"]])
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
    offering: Text = Field(
        "",
        description="Resources with the same text here run out of capacity together. Default: zone, machine type and "
        "market where there are such, else the resource alone.",
    )


class OpenstackResource(ResourceSection):
    """A machine of an OpenStack cloud."""

    type: Annotated[Literal["openstack"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: OpenstackConfig = Field(description="Its keys.")


class AwsResource(ResourceSection):
    """An instance of Amazon EC2."""

    type: Annotated[Literal["aws"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: AwsConfig = Field(description="Its keys.")


class LocalResource(ResourceSection):
    """A process of this machine."""

    type: Annotated[Literal["local"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: LocalConfig = Field(description="Its keys.")


class SimulatedResource(ResourceSection):
    """A machine of the embedded cloud."""

    type: Annotated[Literal["simulated"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: SimulatedCloudConfig = Field(default_factory=SimulatedCloudConfig, description="Its keys.")


CloudResource = Annotated[
    Annotated[OpenstackResource, Tag("type=openstack")]
    | Annotated[AwsResource, Tag("type=aws")]
    | Annotated[LocalResource, Tag("type=local")]
    | Annotated[SimulatedResource, Tag("type=simulated")],
    Discriminator(type_tag),
]
