"""Torque's own scheduler, first in first out, as 4.2.10 was recorded with it. It deletes jobs that can never run."""

from __future__ import annotations

from datetime import UTC, datetime

from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import free_slots, state_words
from dynamiccluster.testing.torque_double.life import finish, is_eligible, place, start
from dynamiccluster.testing.torque_double.request import fits, slots_wanted

_NOT_ENOUGH = "Not Running: Not enough of the right type of nodes are available"


def cycle(state: State, now: float) -> None:
    """One look at the queue: start what fits, delete what no defined node could ever run, say why others wait."""
    for job in list(state["jobs"].values()):
        if not is_eligible(state, job):
            continue
        if not fits(slots_wanted(job), state["nodes"]):
            finish(state, job, None, now)
            continue
        open_nodes = {name: node for name, node in state["nodes"].items() if state_words(node) == ["free"]}
        room = {name: len(free_slots(node)) for name, node in open_nodes.items()}
        chosen = place(state, job, room, last_of_equals=False)
        if chosen:
            job["comment"] = f"Job started on {datetime.fromtimestamp(now, tz=UTC):%a %b %d at %H:%M}"
            start(state, job, chosen, now)
        elif job["comment"] != _NOT_ENOUGH:
            job.update(comment=_NOT_ENOUGH, mtime=int(now))
