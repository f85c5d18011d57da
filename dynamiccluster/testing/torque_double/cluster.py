"""A new cluster, and words about its parts that everything else uses."""

from __future__ import annotations

from typing import Any

from dynamiccluster.testing.stand_in.place import State

Job = dict[str, Any]
Node = dict[str, Any]

SIX, FOUR = "6.1.3", "4.2.10.h2"
COMMITS = {SIX: "ccdab3b43f4578573b166587f2f327a2ce9605e9", FOUR: "1437c56d2ebcd7deb2c6b6e837ec79aa6d955493"}

_SERVER = {
    "scheduling": "True",
    "acl_hosts": "{host}",
    "managers": "root@{host}",
    "operators": "root@{host}",
    "default_queue": "batch",
    "log_events": "2047",
    "mail_from": "adm",
    "query_other_jobs": "True",
    "scheduler_iteration": "10",
    "node_check_rate": "20",
    "tcp_timeout": "30",
    "job_stat_rate": "10",
    "poll_jobs": "True",
    "down_on_error": "True",
    "mom_job_sync": "True",
    "keep_completed": "60",
    "submit_hosts": "{host}",
    "allow_node_submit": "True",
    "auto_node_np": "False",
    "moab_array_compatible": "True",
    "nppcu": "1",
    "timeout_for_job_delete": "120",
    "timeout_for_job_requeue": "120",
    "note_append_on_error": "True",
}
_BATCH = {
    "queue_type": "Execution",
    "resources_default.walltime": "01:00:00",
    "resources_default.nodes": "1",
    "enabled": "True",
    "started": "True",
}


def new_cluster(
    now: float, *, version: str = SIX, scheduler: str = "maui", host: str = "thn01", address: str = "10.79.0.1"
) -> State:
    """A server without nodes or jobs. ``scheduler``: ``maui`` or ``pbs_sched``."""
    return {
        "version": version,
        "scheduler": scheduler,
        "host": host,
        "address": address,
        "server": {key: value.format(host=host) for key, value in _SERVER.items()},
        "queues": {"batch": {"mtime": int(now), **_BATCH}},
        "nodes": {},
        "jobs": {},
        "next_job": 0,
        "next_rank": 1,
        "moms": {},
        "deletions": {},
        "now": now,
        "next_cycle": now,
        "news": 0.0,
        "poll_s": 10,  # Maui's RMPOLLINTERVAL, or scheduler_iteration
        "report_s": 10,  # status_update_time of the moms
        "unsent_s": 11,  # 6.x: 10-12 s until the new list of nodes has been sent to the moms
        "maui": {
            "defer_s": 3600,  # DEFERTIME
            "classes": {},  # CLASSCFG[...] PRIORITY=
            "deferred": {},
            "idle_at": {},
            "reservations": {},
            "user_reservations": [],
            "view": None,
        },
    }


def is_six(state: State) -> bool:
    return bool(state["version"] == SIX)


def full_id(state: State, job: Job) -> str:
    return f"{job['id']}.{state['host']}"


def new_node(np: int, now: float, *, six: bool, unsent_s: float = 11) -> Node:
    """A node record as it is right after ``create node``."""
    return {
        "np": np,
        "properties": [],
        "offline": True,
        "down": True,
        "unsent_until": now + unsent_s if six else 0,
        "note": "",
        "status": [],
        "rectime": 0,
        "created": now,
        "jobs": [],
    }


def state_words(node: Node) -> list[str]:
    """The words of ``state``, in the order in which they are printed; ``free`` if there is nothing to say."""
    words = []
    if node["down"]:
        words.append("down")
    if node["offline"]:
        words.append("offline")
    if used(node) >= node["np"] > 0:
        words.append("job-exclusive")
    if node["unsent_until"]:
        words.append("MOM-list-not-sent")
    return words or ["free"]


def used(node: Node) -> int:
    return sum(len(slots) for slots, _ in node["jobs"])


def free_slots(node: Node) -> list[int]:
    taken = {slot for slots, _ in node["jobs"] for slot in slots}
    return [slot for slot in range(node["np"]) if slot not in taken]


def ranges(slots: list[int]) -> str:
    """``0-1,3`` as 6.x writes slots."""
    parts: list[list[int]] = []
    for slot in slots:
        if parts and parts[-1][1] == slot - 1:
            parts[-1][1] = slot
        else:
            parts.append([slot, slot])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def exec_host(state: State, job: Job) -> str:
    if is_six(state):
        return "+".join(f"{node}/{ranges(slots)}" for node, slots in job["slots"])
    return "+".join(f"{node}/{slot}" for node, slots in job["slots"] for slot in slots)


def jobs_on(node: Node) -> list[str]:
    """Ids of the jobs on a node, each once."""
    return list(dict.fromkeys(job_id for _, job_id in node["jobs"]))


def elements(state: State, array: str) -> list[Job]:
    return [job for job in state["jobs"].values() if job["array"] == array]


def news(state: State, now: float) -> None:
    """Something happened that the scheduler is told of: it looks a second later."""
    state["news"] = state["news"] or now + 1
