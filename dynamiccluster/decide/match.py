"""Matching: which resources and hosts may take a job at all, and in which order resources are tried.

The rules are the original's (seed, cloud variables): a reserved resource takes only jobs that match its queue,
account and property; a job that asks for a property needs a resource that has it. Among those that may, resources
reserved for the job come first, then lower priority numbers, then fewer worker nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host
from dynamiccluster.model.job import Shape
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Provisioning, Reservation, Resource


def words(shape: Shape) -> frozenset[str]:
    """Every property that the job mentions."""
    return frozenset(word for group in shape.features for word in group)


def features_fit(shape: Shape, features: frozenset[str]) -> bool:
    """Whether each group of wanted features has at least one of its words there."""
    return all(any(word in features for word in group) for group in shape.features)


def misfit(shape: Shape, resource: Resource) -> Refusal | None:
    """Why this resource is of the wrong kind for the job, whatever its size; ``None`` if it is not."""
    if resource.provisioning is Provisioning.SCHEDULER:
        return Refusal.BY_SCHEDULER
    return wrong_kind(shape, resource)


def wrong_kind(shape: Shape, resource: Resource) -> Refusal | None:
    """The same whoever decides when its nodes are launched."""
    refused = _reservation_refuses(shape, resource.reservation)
    if refused:
        return refused
    if resource.queues and resource.queues.isdisjoint(shape.queues):
        return Refusal.QUEUE
    if not features_fit(shape, features_of(resource)):
        return Refusal.FEATURES
    if shape.gpu_type and shape.gpu_type != resource.gpu_type:
        return Refusal.GPU_TYPE
    return None


def features_of(resource: Resource) -> frozenset[str]:
    """What a node of the resource offers: its features, its reserved property, and its own word."""
    reserved = resource.reservation.property
    return resource.features | {reserved, resource.word} if reserved else resource.features | {resource.word}


def too_small(shape: Shape, capacity: Capacity) -> Refusal | None:
    """What of an empty node is too little for one piece of the job; ``None`` if it fits."""
    if capacity.cores < shape.chunk.cores:
        return Refusal.CORES if capacity.cores else Refusal.NO_SIZE
    if capacity.memory_mib < shape.chunk.memory_mib + shape.memory_per_host_mib:
        return Refusal.MEMORY
    if capacity.gpus < shape.chunk.gpus:
        return Refusal.GPUS
    return None


def host_takes(shape: Shape, host: Host, resource: Resource | None) -> bool:
    """Whether an existing host may run the job, size apart. ``resource`` if it is a node of ours."""
    if resource is not None and _reservation_refuses(shape, resource.reservation):
        return False
    queues = host.queues or (resource.queues if resource else frozenset())
    if queues and queues.isdisjoint(shape.queues):
        return False
    features = host.features | features_of(resource) if resource else host.features
    if not features_fit(shape, features):
        return False
    if host.free_for_s and not 0 < shape.walltime_s <= host.free_for_s:
        return False
    gpu_type = host.gpu_type or (resource.gpu_type if resource else "")
    return not shape.gpu_type or shape.gpu_type == gpu_type


def preference(resource: Resource) -> tuple[int, int]:
    """Order among resources that may take a job: those reserved for it first, then lower priority numbers."""
    return (0 if resource.reservation else 1, resource.priority)


def tie_break(resource: Resource, nodes: Mapping[str, int]) -> tuple[int, float, str]:
    """Order among equals: fewer worker nodes (there and coming), then cheaper."""
    return (nodes.get(resource.name, 0), resource.price_per_hour, resource.name)


def pieces_per_node(shape: Shape, capacity: Capacity) -> int:
    """How many pieces (of any jobs of this shape) an empty node holds."""
    if shape.exclusive:
        return 1 if shape.distinct else _pieces(shape, capacity)
    return _pieces(shape, capacity)


def _pieces(shape: Shape, capacity: Capacity) -> int:
    bounds = []
    if shape.chunk.cores > 0:
        bounds.append(capacity.cores // shape.chunk.cores)
    memory_mib = capacity.memory_mib
    if shape.distinct or shape.chunks == 1:
        per_piece_mib = shape.chunk.memory_mib + shape.memory_per_host_mib
    else:
        per_piece_mib, memory_mib = shape.chunk.memory_mib, memory_mib - shape.memory_per_host_mib
    if per_piece_mib > 0:
        bounds.append(memory_mib // per_piece_mib)
    if shape.chunk.gpus > 0:
        bounds.append(capacity.gpus // shape.chunk.gpus)
    return max(0, min(bounds, default=1))


def nodes_needed(shape: Shape, capacity: Capacity, jobs: int) -> int:
    """Empty nodes of this size that ``jobs`` jobs of the shape need together."""
    per_node = pieces_per_node(shape, capacity)
    if per_node <= 0:
        return 1 << 30
    if shape.exclusive:
        per_job = shape.chunks if shape.distinct else -(-shape.chunks // per_node)
        return jobs * per_job
    total = -(-jobs * shape.chunks // per_node)
    return max(total, shape.chunks) if shape.distinct else total


def jobs_in(shape: Shape, capacity: Capacity, nodes: int) -> int:
    """How many whole jobs ``nodes`` empty nodes of this size hold, which is at least a piece's."""
    per_node = pieces_per_node(shape, capacity)
    if shape.exclusive:
        per_job = shape.chunks if shape.distinct else -(-shape.chunks // per_node)
        return nodes // per_job
    if shape.distinct and nodes < shape.chunks:
        return 0
    return nodes * per_node // shape.chunks


def in_one_piece(shape: Shape) -> Shape:
    """The same job as one piece on one host, which it then pays for once."""
    whole = shape.chunk * shape.chunks + Capacity(memory_mib=shape.memory_per_host_mib)
    return replace(shape, chunk=whole, chunks=1, memory_per_host_mib=0)


def _reservation_refuses(shape: Shape, reservation: Reservation) -> Refusal | None:
    if reservation.queue and reservation.queue not in shape.queues:
        return Refusal.QUEUE
    if reservation.account and reservation.account != shape.account:
        return Refusal.ACCOUNT
    if reservation.property and not any(reservation.property in group for group in shape.features):
        return Refusal.PROPERTY
    return None
