"""Commands: what an operator asks of the running service, and the answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CommandKind(StrEnum):
    HOLD = "hold"
    UNHOLD = "unhold"
    VACATE = "vacate"
    DELETE = "delete"
    LAUNCH = "launch"  # ``count`` nodes of resource ``target``
    FREEZE = "freeze"
    RESTORE = "restore"
    DRAIN = "drain"
    RESET = "reset"  # close the breaker and forget the back-off of resource ``target``
    AUTO_ON = "auto-on"
    AUTO_OFF = "auto-off"
    OBSERVE_ON = "observe-on"
    OBSERVE_OFF = "observe-off"
    RECLAIM = "reclaim"  # the machine of node ``target`` will be taken away
    REBALANCE = "rebalance"  # it may be
    ADOPT = "adopt"  # take host ``target`` in as a node of ``resource``


@dataclass(frozen=True, slots=True)
class Command:
    command_id: str
    kind: CommandKind
    actor: str
    target: str = ""  # node id or host name, or resource name
    count: int = 1
    resource: str = ""
    instance_id: str = ""
    force: bool = False


class ReplyCode(StrEnum):
    """What the REST layer turns into a status code."""

    OK = "ok"  # 200: committed
    NOT_FOUND = "not-found"  # 404
    NOT_ALLOWED = "not-allowed"  # 400: not in the present state, or beyond a limit
    CONFLICT = "conflict"  # 409: observe-only


@dataclass(frozen=True, slots=True)
class CommandReply:
    command_id: str
    code: ReplyCode
    message: str
    node_ids: tuple[str, ...] = ()
