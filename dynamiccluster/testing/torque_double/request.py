"""What a job asks for: ``-l`` lists, node specifications, times; and whether the server takes such a job."""

from __future__ import annotations

from typing import Any

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import Job, Node, is_six

Chunk = dict[str, Any]

_BUSY = (
    "cannot locate feasible nodes (nodes file is empty, all systems are busy, or no nodes have the requested feature)"
)
_TOO_MANY = "cannot locate feasible nodes (nodes file is empty or requested nodes exceed all systems)"
_WALLTIME = "cannot satisfy queue max walltime requirement"
LIMITS = "Job exceeds queue resource limits"


def seconds(text: str) -> int:
    """``[[D:]H:]M:S`` or plain seconds."""
    total = 0
    parts = text.split(":")
    for part, unit in zip(reversed(parts), (1, 60, 3600, 86400), strict=False):
        total += int(part) * unit
    return total


def hms(total: float) -> str:
    """``HH:MM:SS`` as Torque writes durations."""
    whole = max(0, int(total))
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def chunks(spec: str) -> list[Chunk]:
    """``node02:ppn=1+2:ppn=2:bigmem`` as parts: ``count``, ``host``, ``ppn``, ``gpus``, ``properties``."""
    found = []
    for part in spec.split("+"):
        words = part.split(":")
        chunk: Chunk = {"count": 1, "host": "", "ppn": 1, "gpus": 0, "properties": []}
        if words[0].isdigit():
            chunk["count"] = int(words.pop(0))
        elif "=" not in words[0]:
            chunk["host"] = words.pop(0)
        for word in words:
            key, _, value = word.partition("=")
            if key in ("ppn", "gpus"):
                chunk[key] = int(value)
            elif word:
                chunk["properties"].append(word)
        found.append(chunk)
    return found


def resource(job: Job, name: str) -> str:
    return next((str(value) for key, value in job["resources"] if key == name), "")


def walltime_s(job: Job) -> int:
    return seconds(resource(job, "walltime") or "0")


def node_count(job: Job) -> int:
    return int(resource(job, "nodect") or 0)


def tasks(job: Job) -> int:
    """Slots in all, as ``qstat -a`` counts them."""
    if spec := resource(job, "nodes"):
        return sum(chunk["count"] * chunk["ppn"] for chunk in chunks(spec))
    return int(resource(job, "ncpus") or resource(job, "procs") or 1)


def slots_wanted(job: Job) -> list[Chunk]:
    """What is allocated: for ``ncpus=`` and ``procs=`` one slot, whatever the number (recorded)."""
    return chunks(resource(job, "nodes") or "1")


def resources(state: State, queue: str, words: list[str]) -> list[list[str]]:
    """The ``Resource_List`` of a new job: what was asked for, and what server and queue add to it."""
    asked: dict[str, str] = {}
    for word in words:
        for item in split_list(word):
            key, _, value = item.partition("=")
            asked[key] = hms(seconds(value)) if key in ("walltime", "cput") else value
    defaults = {
        key.partition(".")[2]: value
        for key, value in state["queues"][queue].items()
        if key.startswith("resources_default.")
    }
    if "nodes" not in asked and (not is_six(state) or not {"ncpus", "procs"} & set(asked)):
        asked["nodes"] = defaults.get("nodes", "1")
    if "nodes" in asked:
        asked["nodect"] = str(sum(chunk["count"] for chunk in chunks(asked["nodes"])))
        asked["neednodes"] = asked["nodes"]
    for key, value in defaults.items():
        if key != "nodes":
            asked.setdefault(key, value)
    return [[key, asked[key]] for key in (asked if is_six(state) else sorted(asked))]


def split_list(word: str) -> list[str]:
    """``nodes=1:ppn=2,walltime=1:00:00`` at its commas."""
    return [item for item in word.split(",") if item]


def refusal(state: State, queue: str, asked: list[list[str]]) -> str:
    """Why the server does not take such a job (the ``MSG=``); "" if it does.

    Nodes that are down or offline count: they are defined. ``resources_available.nodect`` of server or queue lets
    jobs in that no defined node fits, as long as their slots are not more than all nodes have together;
    ``is_transit`` of the queue lets in everything.
    """
    wanted = dict(asked)
    facts = state["queues"][queue]
    longest = facts.get("resources_max.walltime")
    if longest and seconds(wanted.get("walltime", "0")) > seconds(longest):
        return _WALLTIME
    if facts.get("is_transit") == "True" or "nodes" not in wanted:
        return ""
    parts = chunks(wanted["nodes"])
    slots = sum(chunk["count"] * chunk["ppn"] for chunk in parts)
    limit = facts.get("resources_available.nodect") or state["server"].get("resources_available.nodect")
    if limit:
        if slots > int(limit) or any(chunk["gpus"] for chunk in parts):
            return _BUSY
        return _TOO_MANY if slots > sum(node["np"] for node in state["nodes"].values()) else ""
    return "" if fits(parts, state["nodes"]) else _BUSY


def fits(parts: list[Chunk], nodes: dict[str, Node]) -> bool:
    """Whether as many different nodes of the right kind exist, whatever they are doing."""
    left = dict(nodes)
    for chunk in sorted(parts, key=hardest_first):
        for _ in range(chunk["count"]):
            name = next((name for name in left if matches(chunk, name, left[name])), "")
            if not name or chunk["gpus"]:
                return False
            del left[name]
    return True


def hardest_first(chunk: Chunk) -> tuple[bool, int, int]:
    """Sorting key: what names a host, then what needs most properties, then what needs most slots."""
    return not chunk["host"], -len(chunk["properties"]), -chunk["ppn"]


def matches(chunk: Chunk, name: str, node: Node) -> bool:
    if chunk["host"] and chunk["host"] != name and chunk["host"] not in node["properties"]:
        return False
    return chunk["ppn"] <= node["np"] and set(chunk["properties"]) <= set(node["properties"])
