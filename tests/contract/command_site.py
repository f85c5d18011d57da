"""A site's script for a command cloud, as short as one can be: machines are lines of a file.

``command_site.py STATE VERB``: STATE names the file. A file ``STATE.fault`` holds what the next calls do instead.
"""

from __future__ import annotations

import fcntl
import json
import sys
import time
from pathlib import Path
from typing import Any

MOST = 4
BOOT_S = 0.2


def main() -> int:
    state, verb = Path(sys.argv[1]), sys.argv[2]
    asked = json.load(sys.stdin)
    with state.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        machines: list[dict[str, Any]] = json.loads(state.read_text()) if state.exists() else []
        answer = VERBS[verb](machines, asked)
        state.write_text(json.dumps(machines))
    fault = state.with_suffix(".fault")
    if fault.exists():  # the work is done by now, and the answer is lost
        word, _, text = fault.read_text().partition(":")
        if word in ("all", verb):
            sys.stdout.write(text)
            return 1
    json.dump(answer, sys.stdout)
    return 1 if "error" in answer else 0


def living(machines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in machines if one["state"] != "gone"]


def shown(machines: list[dict[str, Any]], _asked: dict[str, Any]) -> dict[str, Any]:
    for one in machines:
        if one["state"] == "pending" and time.time() > one["created_at"] + BOOT_S:
            one["state"] = "active"
    return {"instances": machines, "quota": {"max_instances": MOST}}


def launch(machines: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    before = [one for one in machines if one["launch_id"] == asked["launch_id"]]
    if before and asked["resource"]["parameters"].get("repeatable"):
        return {"instances": before}
    room = MOST - len(living(machines))
    if room <= 0:
        return {"error": {"class": "quota", "message": "the shelf is full"}}
    new = [
        {
            "id": f"m{len(machines) + number}",
            "state": "pending",
            "cluster_id": asked["cluster_id"],
            "launch_id": asked["launch_id"],
            "node_id": node["node_id"],
            "host_name": node["host_name"],
            "name": node["host_name"],
            "resource": asked["resource"]["name"],
            "created_at": time.time(),
            "user_data": node.get("user_data", ""),
        }
        for number, node in enumerate(asked["nodes"][:room])
    ]
    machines += new
    return {"instances": new}


def terminate(machines: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    for one in machines:
        if one["id"] in asked["instance_ids"] and one["cluster_id"] == asked["cluster_id"]:
            one["state"] = "gone"
    return {}


def console(machines: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    ours = [one for one in machines if (one["id"], one["cluster_id"]) == (asked["instance_id"], asked["cluster_id"])]
    return {"console": "".join(f"this is {one['name']}\n" for one in ours)}


def offers(_machines: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    found = [{"resource": name, "cores": 8, "memory_mib": 16000, "price_per_hour": 0.1} for name in asked["resources"]]
    return {"offers": found}


VERBS = {"list": shown, "launch": launch, "terminate": terminate, "console": console, "offers": offers}

if __name__ == "__main__":
    sys.exit(main())
