"""Hosts of the simulated queue and the question which pieces of a job they can take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Shape
from dynamiccluster.model.resource import Reservation


@dataclass(frozen=True, slots=True)
class HostAttributes:
    """What the scheduler is told of a host when it is added."""

    capacity: Capacity
    features: frozenset[str] = frozenset()
    gpu_type: str = ""
    queues: frozenset[str] = frozenset()
    reservation: Reservation = field(default_factory=Reservation)
    resource: str = ""


@dataclass(slots=True)
class BatchHost:
    """One host as the simulated scheduler keeps it."""

    name: str
    attributes: HostAttributes
    address: str = ""
    physical: bool = False  # bought, not launched: somebody else's business
    state: HostState = HostState.JOINING
    machine_id: str = ""  # whose daemon answers under this name; "" = none
    deaf: bool = False  # registers and looks well, but never gets a job started
    mark: str = ""  # text of the hold; "" = not held
    held_at: float = 0.0
    silent_since: float | None = None  # since when the daemon has not answered; ``None`` = it does
    silence: int = 0  # serial of the present silence
    runs: dict[str, Capacity] = field(default_factory=dict)  # job id -> what it uses here
    used: Capacity = field(default_factory=Capacity)
    exclusive: bool = False  # the one job here has the whole host
    picture: Host | None = None

    @property
    def available(self) -> bool:
        """Whether the scheduler may start jobs here."""
        return self.state is HostState.UP and not self.mark and not self.deaf and not self.exclusive

    def occupy(self, job_id: str, use: Capacity, exclusive: bool) -> None:
        self.runs[job_id] = use
        self.used += use
        self.exclusive = exclusive
        self.picture = None

    def free(self, job_id: str) -> None:
        use = self.runs.pop(job_id, None)
        if use is not None:
            self.used -= use
            self.exclusive = False
            self.picture = None

    def admits(self, shape: Shape) -> bool:
        """Whether jobs of this shape may run here at all, however much room there is."""
        mine = self.attributes
        wanted = mine.reservation
        if wanted.account and wanted.account != shape.account:
            return False
        if wanted.queue and wanted.queue not in shape.queues:
            return False
        if wanted.property and not any(wanted.property in group for group in shape.features):
            return False
        if mine.queues and not mine.queues.intersection(shape.queues):
            return False
        if shape.gpu_type and shape.gpu_type != mine.gpu_type:
            return False
        if shape.hosts and self.name not in shape.hosts:
            return False
        return all(mine.features.intersection(group) for group in shape.features)

    def pieces(self, shape: Shape) -> int:
        """How many pieces of a job of this shape find room here now."""
        if shape.exclusive and self.runs:
            return 0
        total = self.attributes.capacity
        memory_mib = total.memory_mib - self.used.memory_mib - shape.memory_per_host_mib
        if memory_mib < 0:
            return 0
        chunk = shape.chunk
        most = 1 if shape.distinct else shape.chunks
        if chunk.cores > 0:
            most = min(most, (total.cores - self.used.cores) // chunk.cores)
        if chunk.memory_mib > 0:
            most = min(most, memory_mib // chunk.memory_mib)
        if chunk.gpus > 0:
            most = min(most, (total.gpus - self.used.gpus) // chunk.gpus)
        return most

    def use_of(self, shape: Shape, pieces: int) -> Capacity:
        """What ``pieces`` pieces use up here."""
        if shape.exclusive:
            return self.attributes.capacity
        return shape.chunk * pieces + Capacity(0, shape.memory_per_host_mib, 0)


def place(shape: Shape, hosts: Iterable[BatchHost]) -> list[tuple[BatchHost, int]] | None:
    """Where a job of this shape can start at once, host by host; ``None`` if it cannot start as a whole."""
    wanted = shape.chunks
    chosen: list[tuple[BatchHost, int]] = []
    for host in hosts:
        if not host.available or not host.admits(shape):
            continue
        pieces = min(host.pieces(shape), wanted)
        if pieces > 0:
            chosen.append((host, pieces))
            wanted -= pieces
            if wanted == 0:
                return chosen
    return None
