"""What the scripts of a command cloud answer, made into our own words. Pure. ``docs/clouds/command.md`` is the text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    NotFoundError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.model.action import LaunchedInstance
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.offer import Notice, NoticeKind, Offer
from dynamiccluster.model.view import Quota

Document = Mapping[str, Any]

_ERRORS: Mapping[str, type[DynamicClusterError]] = {
    "transient": TransientError,
    "throttled": ThrottledError,
    "capacity": CapacityError,
    "quota": QuotaError,
    "not-found": NotFoundError,
    "auth": AuthError,
    "bad-config": BadConfigError,
    "unknown-outcome": UnknownOutcomeError,
}
"""Words of ``error: class:``; they are those of :class:`dynamiccluster.errors.ErrorClass`."""

_QUOTA = ("max_instances", "used_instances", "max_cores", "used_cores", "max_memory_mib", "used_memory_mib")
_LONGEST = 1000


def parse_document(text: str) -> Document:
    """The one JSON object that a script prints.

    :raises ValueError: it is none.
    """
    return _object(json.loads(text, parse_constant=_no_constant))


def parse_error(document: Document, lost: type[DynamicClusterError] = TransientError) -> DynamicClusterError | None:
    """The error that the script reports, ready to be raised; ``None`` if it reports none.

    ``lost``: what it is if no class that we know says it, or machines stand beside it. A launch is refused only by a
    script that says so plainly.
    """
    error = document.get("error")
    if error is None:
        return None
    if not isinstance(error, dict):
        return lost(_text(error))
    kind = _ERRORS.get(str(error.get("class", "")), lost)
    if document.get("instances"):
        kind = lost
    return kind(_text(error.get("message")) or "the script reports an error")


def parse_number(record: Document, key: str) -> float:
    """A number of a record; 0 if it is not there.

    :raises ValueError: it is none, or less than 0.
    """
    value = record.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"`{key}` is not a number, 0 or more")
    return float(value)


def parse_instance(record: object) -> Instance:
    """One element of ``instances``.

    :raises ValueError: it is no machine that can be told from others.
    """
    found = _object(record)
    instance_id = _word(found, "id")
    word = str(found.get("state", "unknown"))
    state = InstanceState(word) if word in set(InstanceState) else InstanceState.UNKNOWN
    return Instance(
        instance_id,
        state,
        launch_id=_text(found.get("launch_id")),
        node_id=_text(found.get("node_id")),
        resource=_text(found.get("resource")),
        name=_text(found.get("name")) or _text(found.get("host_name")),
        host_name=_text(found.get("host_name")),
        address=_text(found.get("address")),
        created_at=parse_number(found, "created_at"),
        fault=_text(found.get("fault")),
        offering=_text(found.get("offering")),
    )


def parse_quota(record: object, used_instances: int) -> Quota:
    """``quota``; what a script does not count is counted for it."""
    if not isinstance(record, dict):
        return Quota(None, used_instances)
    found: dict[str, Any] = {"used_instances": used_instances}
    for key in _QUOTA:
        if record.get(key) is not None:
            found[key] = int(parse_number(record, key))
    return Quota(**found)


def parse_launched(record: object) -> LaunchedInstance:
    """One element of the answer to ``launch``.

    :raises ValueError: no machine could be found again by it.
    """
    instance = parse_instance(record)
    return LaunchedInstance(
        instance.instance_id,
        instance.node_id,
        instance.name,
        instance.address,
        instance.host_name,
        instance.offering,
    )


def parse_offer(record: object) -> Offer:
    """One element of ``offers``.

    :raises ValueError: it does not say of which resource, or how big.
    """
    found = _object(record)
    capacity = Capacity(*(int(parse_number(found, key)) for key in ("cores", "memory_mib", "gpus")))
    if capacity.cores < 1:
        raise ValueError("has no `cores`")
    return Offer(
        _word(found, "resource"),
        capacity,
        offering=_text(found.get("offering")),
        gpu_type=_text(found.get("gpu_type")),
        price_per_hour=parse_number(found, "price_per_hour"),
    )


def parse_notice(record: object) -> Notice:
    """One element of ``notices``.

    :raises ValueError: it is none that we know.
    """
    found = _object(record)
    return Notice(_word(found, "id"), NoticeKind(str(found.get("kind", ""))), parse_number(found, "due_at"))


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _object(value: object) -> Document:
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - a wrong document, not a wrong call
    return value


def _word(record: Document, key: str) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"has no `{key}`")
    return value


def _text(value: object) -> str:
    return "" if value is None else str(value)[:_LONGEST]
