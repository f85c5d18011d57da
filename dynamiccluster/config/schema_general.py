"""The keys of the ``dynamic-cluster:`` section and of ``logging:``."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dynamiccluster.config.fields import (
    ClusterId,
    Command2,
    Command4,
    Count,
    FileMode,
    FilePath,
    Flag,
    Interval,
    Money,
    Number,
    Positive,
    Says,
    Seconds,
    Secret,
    Section,
    SiteName,
    Text,
    Texts,
)
from dynamiccluster.config.schema_plugins import ConfigChecker
from dynamiccluster.model.policy import DeadJobs

MIN_SECRET = 20
"""Characters of a proxy's secret: nobody's guess."""

DEFAULT_CLUSTER_ID = "dynamiccluster"


class GeneralTimers(Section):
    """Time limits in a node's life that have no key of their own above. Count while the views are good."""

    down_hard_s: Seconds | None = Field(
        None,
        description="A node that is down for so long is removed even if jobs are listed on it; they are treated as "
        "`dead_jobs` says. Not below `max_down_time`. Default: 1800, or `max_down_time` if that is longer.",
        examples=[1800],
    )
    boot_s: Seconds | None = Field(
        None,
        description="From the launch request until the cloud calls the machine active; later it is destroyed. "
        "0: only `max_launch_time` counts. Default: 600, or `max_launch_time` if that is shorter.",
        examples=[600],
    )
    first_job_s: Seconds = Field(
        1800.0,
        description="A new node that gets no job for so long, while jobs that fit it wait, is thought to be useless "
        "and is removed. 0: never.",
        examples=[1800],
    )
    min_lifetime_s: Seconds = Field(
        0.0,
        description="A node is not removed for idleness before it has been usable for so long (clouds that bill by "
        "the hour).",
        examples=[3000],
    )
    terminate_s: Interval = Field(
        120.0,
        description="A machine that is still there so long after it was told to go is told again.",
        examples=[120],
    )
    queue_idle_s: dict[SiteName, Seconds] = Field(
        default_factory=dict,
        description="Idle limits of single queues, in seconds. Of a node that serves several, the longest counts.",
        examples=[{"short": 120}],
    )


Roles = dict[str, Literal["viewer", "operator", "admin"]]
"""Who may do what."""


class Proxy(Section):
    """A reverse proxy that authenticates users. Its word is believed only with its secret: on a login node everybody
    can connect from loopback."""

    addresses: Texts = Field(
        ("127.0.0.1", "::1"), description="Addresses or networks that the proxy connects from.", examples=[["10.0.0.5"]]
    )
    user_header: Text = Field("X-Remote-User", description="The header in which it names the user.")
    secret: Secret = Field(description="What it sends as `X-Proxy-Secret`, at least 20 characters.")
    roles: Roles = Field(
        default_factory=dict,
        description="Role of each user: viewer, operator or admin; `*` is everybody else. Not listed: none.",
        examples=[{"ada": "admin", "*": "viewer"}],
    )

    @model_validator(mode="after")
    def _strong(self) -> Proxy:
        if len(self.secret.get_secret_value()) < MIN_SECRET:
            raise ValueError(f"its secret is shorter than {MIN_SECRET} characters")
        for address in self.addresses:
            try:
                ipaddress.ip_network(address, strict=False)
            except ValueError:
                raise ValueError("an address of the proxy is neither an address nor a network") from None
        return self


class Pam(Section):
    """Log-in to the dashboard with an account of this machine. Needs the extra `pam`."""

    service: Text = Field("dynamiccluster", description="Name of the PAM service, a file in /etc/pam.d.")
    roles: Roles = Field(
        description="Role of each account, or of a group as `@GROUP`: viewer, operator or admin. Not listed: none.",
        examples=[{"ada": "admin", "@hpcadmin": "operator"}],
    )


class AdminServer(Section):
    """Where the REST API and the dashboard listen."""

    port: Annotated[Count, Field(le=65535), Says("a port number, 0 to 65535")] = Field(
        8001,
        description="TCP port. Without a token it only answers questions. 0: any free one.",
        examples=[8001],
    )
    bind_address: Text = Field(
        "127.0.0.1", description='Address of the TCP port. Beyond loopback `tokens_file` is needed. `""`: no TCP.'
    )
    socket: FilePath = Field(
        "/run/dynamiccluster/api.sock",
        description='Path of the Unix socket; who may use it may change things. `""`: none.',
    )
    socket_mode: FileMode = Field(
        0o660, description="Who may use the socket, in octal digits.", examples=["0660"], json_schema_extra={"base": 8}
    )
    socket_group: Text = Field("", description="Group of the socket. Empty: the service's own.", examples=["hpcadmin"])
    tokens_file: FilePath = Field(
        "",
        description="File with the tokens that make changes over TCP possible. Empty: none.",
        examples=["/etc/dynamiccluster/tokens"],
    )
    tls_certificate: FilePath = Field(
        "",
        description="Certificate of the TCP port, with its chain, as PEM; a new one is noticed within half a minute. "
        "Empty: plain HTTP.",
        examples=["/etc/dynamiccluster/tls.crt"],
    )
    tls_key: FilePath = Field("", description="Its key, as PEM.", examples=["/etc/dynamiccluster/tls.key"])
    allowed_hosts: Texts = Field(
        (),
        description="Names besides localhost under which browsers may ask without a token.",
        examples=[["head.example.org"]],
    )
    max_connections: Positive = Field(256, description="Connections at the same time, for TCP and socket each.")
    command_timeout_s: Interval = Field(60.0, description="How long a change may wait until it is stored.")
    slow_client_s: Interval = Field(20.0, description="How long a client may take to send or receive.")
    graphite_url: Text = Field(
        "",
        description="Web address of Graphite, for graphs in the dashboard; the plug-in `graphite` sends figures there.",
        examples=["http://127.0.0.1:8080"],
    )
    proxy: Proxy | None = Field(None, description="A reverse proxy that says who asks. Absent: none is believed.")
    pam: Pam | None = Field(None, description="Log-in with a password. Absent: with tokens only.")


def _method_only(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


class Names(Section):
    """How the host name of a new node becomes resolvable before the scheduler is told of it."""

    method: Literal["already", "hosts_file", "script"] = Field(
        "already",
        description="`already`: it resolves by itself (DNS, or a scheduler that is given addresses). `hosts_file`: we "
        "keep a block of our own in such a file. `script`: commands of the site.",
    )
    hosts_file: FilePath = Field("/etc/hosts", description="The file that holds our block, for `hosts_file`.")
    add_command: Command2 | None = Field(
        None,
        description="For `script`: {0} host name, {1} address. Must succeed when repeated.",
        examples=["/usr/local/sbin/dns-add {0} {1}"],
    )
    remove_command: Command2 | None = Field(
        None,
        description="For `script`: {0} host name. Must succeed when repeated.",
        examples=["/usr/local/sbin/dns-remove {0}"],
    )
    timeout_s: Interval = Field(30.0, description="How long one of these commands may take.", examples=[30])

    @model_validator(mode="after")
    def _complete(self) -> Names:
        if self.method == "script" and (self.add_command is None or self.remove_command is None):
            raise ValueError("the method script needs add_command and remove_command")
        return self


class LimitsSection(Section):
    """Limits of the whole installation. 0: none. They keep machines from being launched, never end a running job."""

    max_nodes: Count = Field(0, description="Worker nodes in all resources together.", examples=[200])
    max_cores: Count = Field(0, description="Cores of all worker nodes together.", examples=[4096])
    launches_per_minute: Number = Field(
        0.0,
        description="Machines launched per minute on average. One gang may go over it once.",
        examples=[30],
    )
    launch_batch: Positive = Field(100, description="Machines asked for in one request.", examples=[100])
    budget_per_hour: Money = Field(
        0.0,
        description="What all machines together may cost per hour, in the unit of `price_per_hour`.",
        examples=[12.5],
    )
    budget_per_month: Money = Field(0.0, description="What may be spent per calendar month (UTC).", examples=[5000])


class FailureSection(Section):
    """How resources that fail are treated."""

    breaker_failures: Positive = Field(5, description="So many failed nodes in a row close a resource.")
    breaker_open_s: Interval = Field(
        1800.0, description="How long it stays closed before one node is tried; doubles with each failed trial."
    )
    breaker_max_s: Interval = Field(14400.0, description="The longest time it stays closed.")
    backoff_s: Interval = Field(
        180.0, description="First pause after the cloud had no capacity or quota; doubles each time."
    )
    backoff_max_s: Interval = Field(1800.0, description="The longest such pause.")
    throttle_s: Interval = Field(30.0, description="Pause after a provider said that we ask too often.")
    step_retry_s: Interval = Field(10.0, description="First pause before a failed step is tried again; doubles.")
    step_retry_max_s: Interval = Field(300.0, description="The longest such pause.")
    missing_polls: Positive = Field(3, description="A machine is believed gone after so many good lists without it ...")
    missing_s: Seconds = Field(120.0, description="... and at least so many seconds.")
    host_missing_polls: Positive = Field(
        2, description="A host is believed unknown to the scheduler after so many good lists without it."
    )
    settle_polls: Positive = Field(
        3, description="A launch whose reply was lost is given up after so many good lists without it ..."
    )
    settle_s: Seconds = Field(120.0, description="... and at least so many seconds.")
    orphan_polls: Positive = Field(
        2, description="A machine of a launch that was given up is destroyed after being seen so often."
    )

    @model_validator(mode="after")
    def _ordered(self) -> FailureSection:
        for first, longest in (
            ("breaker_open_s", "breaker_max_s"),
            ("backoff_s", "backoff_max_s"),
            ("step_retry_s", "step_retry_max_s"),
        ):
            if getattr(self, first) > getattr(self, longest):
                raise ValueError(f"{first} is longer than {longest}")
        return self


class StoreSection(Section):
    """Where the service remembers what it has done."""

    path: FilePath = Field(
        "/var/lib/dynamiccluster/dynamiccluster.db",
        description="The SQLite file; it and its directory are made if they are not there.",
    )


class General(Section):
    """Dynamic Cluster itself. The keys may also stand at the top level of the file, without this section."""

    cluster_id: ClusterId = Field(
        DEFAULT_CLUSTER_ID,
        description="The name of this installation, which goes into every tag and hold mark. Two installations that "
        "share a tenancy need different ones. Never change it while nodes are running: they would be strangers.",
        examples=["physics-slurm"],
    )
    max_idle_time: Seconds = Field(
        600.0, description="A worker node without jobs for so many seconds is removed.", examples=[600]
    )
    max_down_time: Seconds = Field(
        480.0, description="A worker node that is down and empty for so many seconds is removed.", examples=[480]
    )
    max_launch_time: Interval = Field(
        1200.0,
        description="From the launch request until the scheduler can use the node, in seconds; after it the machine "
        "is destroyed.",
        examples=[1200],
    )
    cluster_poller_interval: Interval = Field(
        10.0, description="Seconds between two questions to the scheduler.", examples=[10]
    )
    cloud_poller_interval: Interval = Field(
        20.0, description="Seconds between two questions to each cloud.", examples=[20]
    )
    auto_provision_interval: Interval = Field(
        60.0,
        description="The longest time between two decisions while nothing changes, in seconds. News is acted on at "
        "once.",
        examples=[60],
    )
    worker_number: Positive = Field(
        2,
        description="Launches that each cloud is asked for at the same time, and as many calls that end machines. "
        "`worker_thread_number` means the same.",
        examples=[2],
    )
    auto_mode: Flag = Field(True, description="false: nothing is launched or removed unless an administrator says so.")
    admin_server: AdminServer = Field(
        default_factory=AdminServer,
        alias="admin-server",
        description="Where the REST API and the dashboard listen. `api` means the same.",
    )
    config_checker: ConfigChecker | None = Field(
        None,
        alias="config-checker",
        description="How to find out that a new machine is configured. Absent: it joins as soon as it runs.",
    )
    post_vm_provision_command: Command4 | None = Field(
        None,
        description="Runs when the cloud calls a new machine active: {0} host name, {1} address, {2} instance name, "
        "{3} resource. It is split into words without a shell.",
        examples=["/usr/local/sbin/vm-up {0} {1} {2}"],
    )
    post_vm_destroy_command: Command4 | None = Field(
        None,
        description="Runs when a machine is gone from the cloud, with the same values.",
        examples=["/usr/local/sbin/vm-gone {0} {1} {2}"],
    )
    doorbell: FilePath = Field(
        "",
        description="A file that submit hooks write to when the queue has changed; the service then looks at once. It "
        "is made if it is not there. Empty: none.",
        examples=["/run/dynamiccluster/doorbell"],
    )
    hook_timeout_s: Interval = Field(
        60.0,
        description="How long each of the four `post_..._command` scripts may take. A script that fails or takes "
        "longer is reported and otherwise ignored.",
        examples=[60],
    )
    observe_first: Flag = Field(
        True,
        description="true: at the first start on a cluster that already has nodes, only say what would be done, until "
        "`dynamiccluster observe off`; switching automatic mode on does not end it.",
    )
    dead_jobs: DeadJobs = Field(
        DeadJobs.REQUEUE,
        description="What becomes of jobs on a node that is dead: `requeue`, or `delete`.",
    )
    nomination_s: Seconds = Field(
        300.0, description="How long a new node is kept for the job it was launched for.", examples=[300]
    )
    tombstone_s: Seconds = Field(
        604800.0,
        description="How long ended launches are remembered, so that a machine that appears late is known.",
    )
    timers: GeneralTimers = Field(default_factory=GeneralTimers, description="More time limits.")
    names: Annotated[Names, BeforeValidator(_method_only)] = Field(
        default_factory=Names, description="How names of new nodes become resolvable. One word means its `method`."
    )
    limits: LimitsSection = Field(default_factory=LimitsSection, description="Limits of the whole installation.")
    failure: FailureSection = Field(default_factory=FailureSection, description="Treatment of failing resources.")
    store: StoreSection = Field(default_factory=StoreSection, description="The service's memory.")


class Logging(Section):
    """What is logged, and where. The keys may also stand at the top level of the file."""

    log_level: Count = Field(
        2, le=4, description="0 errors, 1 warnings, 2 information, 3 or 4 debugging.", examples=[2]
    )
    log_location: FilePath = Field(
        "",
        description="The log file. Empty: standard error.",
        examples=["/var/log/dynamiccluster/dynamiccluster.log"],
    )
    log_format: Text = Field(
        "%(asctime)s - %(levelname)s - %(processName)s - %(threadName)s - %(message)s",
        description="Format of a line, in the words of Python's logging module; or `json`: one JSON object a line, "
        "with the ids of node, job and tick. Where journald reads the log, it gets levels and messages.",
    )
    log_max_size: Count = Field(
        2097152,
        description="A log file of so many bytes is put aside; the last 3 are kept. 0: never.",
        examples=[2097152],
    )
