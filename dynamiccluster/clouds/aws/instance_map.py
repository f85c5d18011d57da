"""Between EC2's descriptions of instances and ours. Pure.

Everything an instance is found by is in the tags that its launch request carries, so that there is no moment in which
a machine exists without them. A request for several machines has one set of tags; which of its nodes a machine is
tells its launch index. Node after node stands in as few tags as hold them: every list brings all tags of a machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.instance import Instance, InstanceState

CLUSTER_TAG = "dynamiccluster:cluster"
LAUNCH_TAG = "dynamiccluster:launch"
RESOURCE_TAG = "dynamiccluster:resource"
OFFERING_TAG = "dynamiccluster:offering"
ANY = "any"
"""In the place of zone or type in an offering: whichever EC2 takes."""

NODES_TAG = "dynamiccluster:nodes."
"""With a number from 0: the launch's nodes in the order of launch indices, ``HOST_NAME=NODE_ID`` each, or ``HOST_NAME``
where that ends with ``-NODE_ID``. ``scripts/join/machine`` reads it, too."""

PARKED_TAG = "dynamiccluster:parked"
"""Since when a machine is kept stopped, in epoch seconds; ``taken AT SINCE`` = at AT it was taken into use, and had
been kept since SINCE (``warm``)."""

MAKING_TAG = "dynamiccluster:making"
"""What a machine that may be kept was made of (``making``)."""

STARTING_S = 300.0
"""For so long after it was taken a machine that is still stopped is one that starts: tags are written machine by
machine, then all are started, and lists show that seconds later."""

GENERATION_TAG = "dynamiccluster:generation"
"""How often it was taken into use again."""

MOST_NODES = 100
"""Nodes of one request: with the longest names they take 34 of the 50 tags that EC2 allows, and the
site may have ten."""

_VALUE = 256  # characters of a tag's value

_STATES = {
    "pending": InstanceState.PENDING,
    "running": InstanceState.ACTIVE,
    "shutting-down": InstanceState.TERMINATING,
    "stopping": InstanceState.STOPPED,
    "stopped": InstanceState.STOPPED,
    "terminated": InstanceState.GONE,
}


def tags_of(
    cluster_id: str, launch_id: str, resource: str, offering: str, specs: Sequence[NodeSpec], site: Mapping[str, str]
) -> dict[str, str]:
    """The tags of one request. ``site``: the operator's own, which cannot replace ours."""
    name = specs[0].host_name if len(specs) == 1 else specs[0].host_name.rpartition("-")[0] or specs[0].host_name
    ours = {
        CLUSTER_TAG: cluster_id,
        LAUNCH_TAG: launch_id,
        RESOURCE_TAG: resource,
        **({OFFERING_TAG: offering} if offering else {}),
        **{f"{NODES_TAG}{number}": value for number, value in enumerate(_joined(map(_word, specs)))},
    }
    return {"Name": name, **site, **ours}


def tags_in(described: Mapping[str, Any]) -> dict[str, str]:
    return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in described.get("Tags", ())}


def cluster_of(described: Mapping[str, Any]) -> str:
    """Which installation a machine belongs to; "" = a stranger's."""
    return tags_in(described).get(CLUSTER_TAG, "")


def state_of(described: Mapping[str, Any]) -> InstanceState:
    return _STATES.get(str(described.get("State", {}).get("Name", "")), InstanceState.UNKNOWN)


def generation_of(described: Mapping[str, Any]) -> int:
    text = tags_in(described).get(GENERATION_TAG, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def parked_at(described: Mapping[str, Any]) -> float:
    """Since when it is kept stopped; 0 = it is not."""
    return _number(tags_in(described).get(PARKED_TAG, ""))


def taken(at: float, since: float) -> dict[str, str]:
    """The tag of a machine that is taken into use again."""
    return {PARKED_TAG: f"taken {at:.0f} {since:.0f}"}


def taken_at(described: Mapping[str, Any]) -> tuple[float, float]:
    """When it was taken into use again, and since when it had been kept then; 0 = never."""
    word, _, times = tags_in(described).get(PARKED_TAG, "").partition(" ")
    at, _, since = times.partition(" ")
    return (_number(at), _number(since)) if word == "taken" else (0.0, 0.0)


def id_of(described: Mapping[str, Any]) -> str:
    """What the engine calls a machine: another one each time it is taken into use again."""
    generation = generation_of(described)
    return f"{described['InstanceId']}+{generation}" if generation else str(described["InstanceId"])


def renamed(described: Mapping[str, Any], spec: NodeSpec) -> dict[str, str]:
    """The node tags with another node in the place of this machine's, which still goes by its launch index."""
    index, tags = int(described.get("AmiLaunchIndex", 0)), tags_in(described)
    old = sorted(int(key[len(NODES_TAG) :]) for key in tags if key.startswith(NODES_TAG))
    words = [word for number in old for word in tags[f"{NODES_TAG}{number}"].split()]
    words += ["-"] * (index + 1 - len(words))
    words[index] = _word(spec)
    values = _joined(words)
    values += [""] * (len(old) - len(values))
    return {f"{NODES_TAG}{number}": value for number, value in enumerate(values)}


def to_instance(described: Mapping[str, Any], now: float = 0.0) -> Instance:
    """One element of DescribeInstances. ``now``: epoch seconds, to tell a machine that is about to be started."""
    tags = tags_in(described)
    node_id, host_name = _node(described, tags)
    reason = described.get("StateReason") or {}
    state = state_of(described)
    since = taken_at(described)[0]
    if state is InstanceState.STOPPED and since and abs(now - since) < STARTING_S:
        state = InstanceState.PENDING
    fault = str(reason.get("Message", "")) if state in (InstanceState.GONE, InstanceState.STOPPED) else ""
    return Instance(
        id_of(described),
        state,
        launch_id=tags.get(LAUNCH_TAG, ""),
        node_id=node_id,
        resource=tags.get(RESOURCE_TAG, ""),
        name=tags.get("Name", ""),
        host_name=host_name,
        address=str(described.get("PrivateIpAddress") or ""),
        created_at=_seconds(described.get("LaunchTime")),
        fault=fault,
        offering=_offering(described, tags),
    )


def to_launched(described: Mapping[str, Any]) -> LaunchedInstance:
    """One element of the reply to RunInstances."""
    made = to_instance(described)
    return LaunchedInstance(
        made.instance_id,
        made.node_id,
        made.host_name or made.name,
        made.address,
        made.host_name,
        made.offering,
    )


def _word(spec: NodeSpec) -> str:
    plain = spec.node_id and spec.host_name.rpartition("-")[2] == spec.node_id
    return spec.host_name if plain else f"{spec.host_name}={spec.node_id}"


def _joined(words: Iterable[str]) -> list[str]:
    """As few values of tags as hold these words."""
    values: list[str] = []
    for word in words:
        if values and len(values[-1]) + 1 + len(word) <= _VALUE:
            values[-1] += f" {word}"
        else:
            values.append(word)
    return values


def _node(described: Mapping[str, Any], tags: Mapping[str, str]) -> tuple[str, str]:
    """Which node of its launch a machine is: id and host name; empty if its tags do not say."""
    index, number = int(described.get("AmiLaunchIndex", 0)), 0
    while (value := tags.get(f"{NODES_TAG}{number}")) is not None:
        words = value.split()
        if index < len(words):
            host_name, _, node_id = words[index].partition("=")
            return node_id or host_name.rpartition("-")[2], host_name
        index -= len(words)
        number += 1
    return "", ""


def _offering(described: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """As asked for; of a machine that was asked for by several offers, the one that it is."""
    named = tags.get(OFFERING_TAG, "")
    tenancy, *parts = named.rsplit("/", 3)
    if len(parts) != 3 or parts[1] != ANY:
        return named
    zone = str(described.get("Placement", {}).get("AvailabilityZone") or ANY)
    return f"{tenancy}/{zone}/{described.get('InstanceType') or ANY}/{parts[2]}"


def _number(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _seconds(at: object) -> float:
    return at.timestamp() if isinstance(at, datetime) else 0.0
