"""Machines of the simulated clouds, how long they take, and what goes wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dynamiccluster.model.instance import Instance, InstanceState


class Mishap(StrEnum):
    """What a cloud or an image does wrong for a while."""

    SOLD_OUT = "sold out"  # every launch is refused for want of capacity
    THROTTLED = "throttled"
    REFUSED = "refused"  # credentials
    BUILD_ERROR = "build error"  # accepted, then state ERROR
    SLOW = "slow"  # builds and boots take ten times as long
    NEVER_BOOTS = "never boots"  # stays PENDING
    NEVER_JOINS = "never joins"  # ACTIVE, but no daemon ever reports in: a black hole
    DEAF = "deaf"  # joins, and never gets a job started: a black hole of the other kind


@dataclass(frozen=True, slots=True)
class Window:
    """One mishap of one resource for a while; seconds count from the start of the site."""

    mishap: Mishap
    resource: str  # "" = every resource of the tenancy
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Kind:
    """How machines of one resource behave here. Ranges are (least, most) seconds."""

    build_s: tuple[float, float] = (15.0, 40.0)  # launch call -> ACTIVE
    boot_s: tuple[float, float] = (20.0, 60.0)  # ACTIVE -> the scheduler's daemon reports in
    shutdown_s: tuple[float, float] = (5.0, 30.0)  # terminate call -> GONE
    stock: int | None = None  # machines of this kind that the cloud has for everybody; ``None`` = plenty
    memory_share: float = 1.0  # what the running machine shows of the memory that it is sold with


@dataclass(slots=True)
class Machine:
    """One machine as it really is."""

    instance_id: str
    cluster_id: str
    launch_id: str
    node_id: str
    resource: str
    name: str
    host_name: str
    address: str
    offering: str
    cores: int
    memory_mib: int
    created_at: float
    state: InstanceState = InstanceState.PENDING
    joins: bool = True  # whether its daemon will ever report in
    deaf: bool = False
    memory_share: float = 1.0
    running: bool = False  # whether it is switched on; a dead machine may still be listed as ACTIVE
    joined: bool = False  # whether its daemon was started
    fault: str = ""
    ended_at: float = 0.0  # GONE since; 0 = not yet
    terminate_asked_at: float = 0.0
    picture: Instance | None = None

    @property
    def exists(self) -> bool:
        """Whether it still counts against the quota and costs money."""
        return self.state is not InstanceState.GONE


@dataclass(frozen=True, slots=True)
class TenancyLimits:
    """Quota of one tenancy. ``None`` = no such limit."""

    max_instances: int | None = None
    max_cores: int | None = None
    max_memory_mib: int | None = None
