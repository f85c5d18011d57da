"""The page about a node's life: the prose of each state, a drawing and the whole table, from ``lifecycle``.

``python -m dynamiccluster.decide.lifecycle_page`` prints ``docs/lifecycle.md``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from dynamiccluster.decide.lifecycle import IGNORE, REFUSE, TABLE, NodeEvent, answer
from dynamiccluster.model.worker_node import NodeState

S = NodeState


@dataclass(frozen=True, slots=True)
class StateNote:
    """The prose of a state: what it means, and what ends it."""

    meaning: str
    ends: str  # its deadline and successor, or why it may last for ever


NOTES: dict[NodeState, StateNote] = {
    S.REQUESTED: StateNote(
        "The intent is stored; the launch call is under way.",
        "The call has a time limit and always ends as accepted, refused or unknown; after a crash it is unknown.",
    ),
    S.UNSETTLED: StateNote(
        "The launch reply was lost: the machine may exist, or appear later.",
        "Settled by the cloud's list, by repeating the call where that is idempotent, or abandoned after "
        "`settle_polls` good lists and `settle_s`; a machine that appears later is swept.",
    ),
    S.STARTING: StateNote(
        "The cloud has accepted the launch and builds the machine.",
        "`boot_s`, and `launch_s` for launch and join together, then FAILED.",
    ),
    S.CONFIGURING: StateNote(
        "The machine runs. Hook, name, checker and adding to the scheduler are done step by step.",
        "`launch_s`, then FAILED.",
    ),
    S.JOINING: StateNote("The scheduler knows the host; its daemon has not reported in.", "`launch_s`, then FAILED."),
    S.IDLE: StateNote(
        "Usable and without jobs.",
        "May last for ever: `min_nodes`, nominations and waiting demand keep nodes; else `idle_s`, then HOLDING.",
    ),
    S.BUSY: StateNote("Jobs run on it.", "May last for ever: a running job on a living node is never ended by us."),
    S.HOLDING: StateNote(
        "Asked the scheduler to keep new jobs away. Not yet shown held and empty by a later view.",
        "May last for ever: it lasts as long as the jobs on it.",
    ),
    S.HELD: StateNote(
        "A view started after the hold was confirmed shows it held and empty.",
        "Scale-down, drain, deletion and fault go on in the next decision; an operator's hold lasts until undone.",
    ),
    S.DOWN: StateNote(
        "The scheduler says down, or has lost a held host, while the cloud does not say gone.",
        "`down_s` if it lists no jobs, `down_hard_s` whatever it lists, then FAILED.",
    ),
    S.FAILED: StateNote(
        "It never became usable, or is dead.",
        "Cleaned up in the next decision; in manual mode it waits for the operator's delete.",
    ),
    S.EVACUATING: StateNote(
        "A dead host's jobs are being requeued or deleted, as configured.", "The step is repeated until it is done."
    ),
    S.REMOVING: StateNote("Being taken out of the scheduler.", "The step is repeated until done or refused as busy."),
    S.TERMINATING: StateNote(
        "The cloud was asked to end the machine; waiting until it is gone. Of one that never became usable the end of "
        "the console is kept, if it can be had within seconds.",
        "`terminate_s`, then the call is repeated; it costs money, so it is never given up.",
    ),
    S.FORGETTING: StateNote("The machine is gone; name and hook are cleaned up.", "The steps are repeated until done."),
    S.QUARANTINED: StateNote(
        "Something impossible was reported about it, so it is left alone.",
        "May last for ever, because only a person can judge it: `delete` or `unhold`.",
    ),
    S.GONE: StateNote("Ended. The record is dropped, its launch is remembered.", "Final."),
}


SWITCHED_NOTE = (
    "Where the scheduler itself switches hosts on and off (`provisioning: scheduler`), its word goes before all this:",
    "a node whose host is *switched off*, and without jobs, is removed at once, in whatever state; one whose host is",
    "*switched on anew* under a machine of its last life has failed. Such nodes have no idle limit of ours.",
)


def markdown() -> str:
    """``docs/lifecycle.md``: prose, drawing and table, from the code above."""
    lines = ["# The life of a worker node", "", "Generated from `dynamiccluster/decide/lifecycle.py`; do not edit.", ""]
    lines += ["```mermaid", "stateDiagram-v2"]
    for state, edges in TABLE.items():
        targets: dict[NodeState, list[str]] = {}
        for event, to in edges.items():
            targets.setdefault(to, []).append(str(event))
        lines += [f"    {state} --> {to}: {' / '.join(events)}" for to, events in targets.items()]
    lines += ["```", "", "| State | Meaning | What ends it |", "|---|---|---|"]
    lines += [f"| **{state}** | {note.meaning} | {note.ends} |" for state, note in NOTES.items()]
    lines += [
        "",
        *SWITCHED_NOTE,
        "",
        "## Every pair",
        "",
        "`.` = normal, nothing to do; `!` = impossible, the node is quarantined.",
        "",
    ]
    lines += ["| Event | " + " | ".join(NodeState) + " |", "|---|" + "---|" * len(NodeState)]
    for event in NodeEvent:
        answers = [answer(state, event) for state in NodeState]
        cells = ["." if found is IGNORE else "!" if found is REFUSE else str(found) for found in answers]
        lines.append(f"| {event} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
