"""Actions: what the engine carries out, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from dynamiccluster.model.offer import Offer


class ActionKind(StrEnum):
    """Everything that the actuator can do. All but ``LAUNCH`` and the hooks may be repeated without harm."""

    LAUNCH = "launch"  # N machines of one resource, one request
    TERMINATE = "terminate"
    NAME_ADD = "name-add"  # make the host name resolvable
    NAME_REMOVE = "name-remove"
    CHECK = "check"  # is the new machine configured?
    HOST_ADD = "host-add"  # make the scheduler know it
    HOST_REMOVE = "host-remove"
    HOLD = "hold"
    RELEASE = "release"
    VACATE = "vacate"  # requeue the jobs of a held host
    EVACUATE = "evacuate"  # requeue or delete the jobs of a dead host
    DECLARE = "declare"  # make the scheduler accept the shapes our resources can give
    UNSTICK = "unstick"  # release jobs that the scheduler has given up on
    WITHDRAW = "withdraw"  # hosts that the scheduler switches: no machine will come, give them to no job
    OFFER = "offer"  # undo that
    HOOK_VM_PROVISIONED = "hook-vm-provisioned"
    HOOK_VM_DESTROYED = "hook-vm-destroyed"
    HOOK_NODE_ADDED = "hook-node-added"
    HOOK_NODE_REMOVED = "hook-node-removed"


HOOKS = frozenset(
    {
        ActionKind.HOOK_VM_PROVISIONED,
        ActionKind.HOOK_VM_DESTROYED,
        ActionKind.HOOK_NODE_ADDED,
        ActionKind.HOOK_NODE_REMOVED,
    }
)
"""Site scripts: run at most once each, and a failing one never holds up a node's life."""


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"  # it certainly did not happen; ``error_class`` says why
    UNKNOWN = "unknown"  # it may or may not have happened


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One machine of a launch, as the cloud adapter is to build it."""

    node_id: str
    host_name: str


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. ``action_id`` is its idempotency key; it is stored before anything is called."""

    action_id: str
    kind: ActionKind
    reason: str
    actor: str = "engine"  # or the operator's name
    created_at: float = 0.0
    node_id: str = ""
    resource: str = ""
    tenancy: str = ""
    launch_id: str = ""  # LAUNCH
    specs: tuple[NodeSpec, ...] = ()  # LAUNCH
    host_name: str = ""
    address: str = ""
    instance_id: str = ""
    instance_name: str = ""
    mark: str = ""  # HOLD, RELEASE, WITHDRAW: our text on the host
    host_names: tuple[str, ...] = ()  # WITHDRAW, OFFER
    job_ids: tuple[str, ...] = ()  # VACATE, EVACUATE, UNSTICK
    delete_jobs: bool = False  # EVACUATE: delete instead of requeue
    resources: tuple[str, ...] = ()  # DECLARE
    console: bool = False  # TERMINATE: what the machine's console said last is wanted, if it can be had soon
    whole: bool = False  # LAUNCH: all machines or none, where the cloud can do that
    offer: Offer | None = None  # of a menu: LAUNCH asks for it, HOST_ADD adds what it has


@dataclass(frozen=True, slots=True)
class LaunchedInstance:
    """What a launch reply says of one machine."""

    instance_id: str
    node_id: str = ""  # "" = bind in order
    name: str = ""
    address: str = ""
    host_name: str = ""
    offering: str = ""


class PartialLaunch(tuple[LaunchedInstance, ...]):
    """A launch reply of fewer machines than asked, by a cloud that says why there are no more; or of all of them, of
    which some are not what was asked for first, as that was sold out."""

    error: Exception  # what the launch would have raised, had the first machine met with it

    @classmethod
    def because(cls, error: Exception, made: Iterable[LaunchedInstance]) -> PartialLaunch:
        """These machines, and the error at which the cloud stopped."""
        reply = cls(made)
        reply.error = error
        return reply


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What came of an action."""

    action_id: str
    kind: ActionKind
    outcome: Outcome
    finished_at: float
    error_class: str = ""  # an ``ErrorClass``; of a launch that is done, why there are no more machines
    message: str = ""
    node_id: str = ""
    launch_id: str = ""
    resource: str = ""
    instances: tuple[LaunchedInstance, ...] = field(default=())  # LAUNCH: fewer than asked = partial success
    offering: str = ""  # LAUNCH refused for capacity: which offering is empty
    sold_out: tuple[str, ...] = ()  # LAUNCH: more offerings that were asked for and are empty
    cut_off: bool = False  # the service ended before a reply came: what is unknown is not the other side's doing
    console: str = ""  # TERMINATE: the end of the machine's console, where that was wanted and could be had
