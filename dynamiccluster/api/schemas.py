"""The shapes of ``/api/v1``: what clients and scripts may rely on. Fields are added, never renamed or removed.

Instants are ISO 8601 in UTC, or null for *never* and *not known*. Durations are seconds and end in ``_s``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dynamiccluster.kit.clock import iso


def printable(text: object) -> object:
    """Lone surrogates (bytes that were no text) replaced: JSON cannot carry them. All else passes as it is."""
    if isinstance(text, str) and not text.isascii():
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


Text = Annotated[str, BeforeValidator(printable)]
"""Text that users, schedulers or clouds may have written."""

PluginState = Literal["works", "fails", "cut-off", "new"]

Instant = str | None
"""ISO 8601 in UTC, made by :func:`instant`."""


def instant(at: float) -> Instant:
    """Epoch seconds as documents show them; 0 (never, not known) becomes null."""
    return iso(at) or None


class Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CapacityDoc(Document):
    cores: int
    memory_mib: int
    gpus: int


class HostDoc(Document):
    """What the scheduler says of a host."""

    state: str
    detail: Text
    total: CapacityDoc
    used: CapacityDoc
    jobs: list[Text]
    hold_mark: Text
    hold_ours: bool
    features: list[Text]
    queues: list[Text]


class InstanceDoc(Document):
    """What the cloud says of a machine."""

    instance_id: Text
    state: str
    name: Text
    address: Text
    created_at: Instant
    offering: Text
    fault: Text


class ActionDoc(Document):
    action_id: str
    kind: str
    reason: Text
    actor: Text
    created_at: Instant
    node_id: str
    host_name: Text
    resource: str
    count: int


class EventDoc(Document):
    seq: int
    at: Instant
    kind: str
    text: Text
    actor: Text
    node_id: str
    host_name: Text
    resource: str
    job_id: Text
    from_state: str
    to_state: str


class EventList(Document):
    events: list[EventDoc]
    next_before: int


class NodeDoc(Document):
    node_id: str
    host_name: Text
    resource: str
    tenancy: str
    state: str
    original_state: str
    original_number: int
    state_since_at: Instant
    in_state_s: float
    reason: Text
    hold_why: str
    address: Text
    instance_id: Text
    instance_name: Text
    cloud_state: str = Field(description='what the cloud says of its machine; "" = it does not list one')
    capacity: CapacityDoc
    used_cores: int
    jobs: list[Text]
    adopted: bool
    created_at: Instant
    joined_at: Instant
    first_job_at: Instant
    price_per_hour: float


class NodeDetail(NodeDoc):
    launch_id: str
    steps_to_do: list[str]
    failed_attempts: int
    nominated_for: Text
    host: HostDoc | None
    instance: InstanceDoc | None
    action: ActionDoc | None
    history: list[EventDoc]


class NodeList(Document):
    """``in_state_s`` is as of ``as_of_at``, when this version of the list was first asked for."""

    nodes: list[NodeDoc]
    total: int = Field(description="that match, on all pages")
    next: str = Field(description='goes into "after"; "" = no more')
    counts: dict[str, int] = Field(description="by state, of all that match the other filters")
    version: str
    as_of_at: Instant


class JobDoc(Document):
    job_id: Text
    name: Text
    user: Text
    state: str
    wait: str
    reason: Text
    queues: list[Text]
    account: Text
    features: list[list[Text]]
    cores: int
    chunk: CapacityDoc
    chunks: int
    distinct_hosts: bool
    exclusive: bool
    gpu_type: Text
    walltime_s: int
    priority: float
    submitted_at: Instant
    waited_s: float
    started_at: Instant
    eligible_at: Instant
    tasks: int
    throttle: int
    running_tasks: int
    hosts: list[Text]
    rerunnable: bool


class AnswerDoc(Document):
    """Why a job waits, or where it runs."""

    summary: Text
    wait: str
    refusals: dict[str, Text]
    limit: str
    earliest_retry_at: Instant
    nodes: list[Text]


class JobDetail(JobDoc):
    answer: AnswerDoc | None
    history: list[EventDoc]


class JobList(Document):
    """``waited_s`` is as of ``as_of_at``, when this version of the list was first asked for."""

    jobs: list[JobDoc]
    total: int = Field(description="that match, on all pages")
    next: Text = Field(description='goes into "after"; "" = no more')
    counts: dict[str, int] = Field(description="by state, of all that match the other filters")
    version: str
    as_of_at: Instant


class BreakerDoc(Document):
    state: str
    failures: int
    retry_at: Instant
    error: Text


class BackoffDoc(Document):
    scope: str
    until_at: Instant
    count: int
    error_class: str
    error: Text
    word: str = Field(description="what the pause is for: sold out, over quota, slowed down, failed")


class ReservationDoc(Document):
    queue: str
    account: str
    property: str


class QuotaDoc(Document):
    """Null = no such limit is known. ``used_*`` counts everybody's machines, strangers included."""

    max_instances: int | None
    used_instances: int
    max_cores: int | None
    used_cores: int
    max_memory_mib: int | None
    used_memory_mib: int


class OfferDoc(Document):
    """A kind of machine that a resource can be, as its cloud offers it now."""

    offering: Text
    instance_type: Text
    zone: Text
    market: str
    capacity: CapacityDoc
    gpu_type: Text
    price_per_hour: float | None = Field(description="null: not known")
    pause: str = Field(description="why it is not asked for now, in the words of back-offs")
    until_at: Instant


class ResourceDoc(Document):
    name: str
    cloud: str
    tenancy: str
    priority: int
    flag: str
    flag_number: int
    min_nodes: int
    max_nodes: int
    configured_min_nodes: int
    configured_max_nodes: int
    current_nodes: int
    nodes_by_state: dict[str, int]
    max_starting: int
    capacity: CapacityDoc
    features: list[str]
    gpu_type: str
    queues: list[str]
    reservation: ReservationDoc
    price_per_hour: float
    cost_per_hour: float
    breaker: BreakerDoc
    backoffs: list[BackoffDoc]
    quota: QuotaDoc | None
    strangers: int
    offers: list[OfferDoc]
    announced: int = Field(description="nodes whose machines the cloud will take away soon, as it says")


class ResourceList(Document):
    resources: list[ResourceDoc]


class SourceDoc(Document):
    source: str
    ok: bool
    last_good_at: Instant
    age_s: float | None
    poll_s: float = Field(description="how often it is asked")
    stale_after_s: float = Field(description="what is older than this is not to be trusted: several polls are missing")
    last_try_at: Instant
    failures: int
    error: Text
    stale_facets: list[str]
    dropped: list[Text]


class SourceList(Document):
    sources: list[SourceDoc]


class PluginDoc(Document):
    name: str
    ok: bool
    state: PluginState = Field(description="new: has not looked yet; cut-off: its last look has not come back")
    last_good_at: Instant
    age_s: float | None
    last_try_at: Instant
    failures: int
    error: Text


class PluginList(Document):
    plugins: list[PluginDoc]


class CostByResource(Document):
    nodes: int
    price_per_hour: float
    cost_per_hour: float


class CostDoc(Document):
    """Money, in the unit that the configured prices are in. ``forecast`` holds if nothing changes until the end."""

    month: str
    spent: float
    as_of_at: Instant
    cost_per_hour: float
    remaining_hours: float
    forecast: float
    budget_per_hour: float | None
    budget_per_month: float | None
    beyond_budget: list[str]
    resources: dict[str, CostByResource]
    unpriced: list[str] = Field(description="resources without a price: their nodes count as free")


class ModeDoc(Document):
    auto: bool
    observe_only: bool


class SupplyDoc(Document):
    """Cores of our own nodes. ``other_cores`` are held, down, or on their way out."""

    busy_cores: int
    idle_cores: int
    booting_cores: int
    other_cores: int


class DemandDoc(Document):
    waiting_tasks: int
    waiting_cores: int
    unplaced_tasks: int
    held_back: dict[str, int]


class StatusDoc(Document):
    cluster_id: str
    version: str
    now: Instant
    started_at: Instant
    decided_at: Instant
    decided_s_ago: float
    tick: int
    tick_s: float
    sentence: Text
    mode: ModeDoc
    ready: bool
    not_ready: list[Text]
    store_error: Text
    inbox_length: int
    sources: list[SourceDoc]
    plugins: list[PluginDoc]
    demand: DemandDoc
    supply: SupplyDoc
    nodes_by_state: dict[str, int]
    foreign_hosts: int
    proposals: list[Text]
    cost_per_hour: float


class ChangeDoc(Document):
    """A change that is committed."""

    success: bool = True
    message: Text = ""
    node_ids: list[str] = []


class ConsoleDoc(Document):
    node_id: str
    text: Text


class HealthDoc(Document):
    alive: bool = True
    version: str


class ReadyDoc(Document):
    ready: bool
    reasons: list[Text]


class ErrorBody(Document):
    code: str
    message: Text
    field: str = ""


class ErrorDoc(Document):
    error: ErrorBody


class Request(BaseModel):
    """Bodies of changing requests. Unknown fields are refused, so that a slip of the pen does not pass unseen."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LaunchRequest(Request):
    count: int = Field(default=1, ge=1, le=100_000)


class AdoptRequest(Request):
    host: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$")
    resource: str = Field(min_length=1, max_length=200)
    instance_id: str = Field(default="", pattern=r"^[A-Za-z0-9._:/-]{0,200}$")


class NoticeRequest(Request):
    kind: Literal["reclaim", "rebalance"] = Field(
        description="`reclaim`: its cloud takes the machine away within minutes; `rebalance`: it may do so soon"
    )


class NudgeRequest(Request):
    source: str = Field(default="scheduler", max_length=200)
