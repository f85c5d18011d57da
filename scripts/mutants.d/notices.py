"""Mutants of notices: each forgets something about a machine that will be taken away."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/unit/test_decide_notices.py"
"""The tests that must turn red."""


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"notices: {name}", (Edit(f"decide/{file}", old, new),))


MUTANTS = (
    _one("a notice counts each time", "notices.py", "if key in draft.memory.noticed:", "if key is None:"),
    _one(
        "jobs stay on the machine", "lifecycle.py", "if event in (E.OP_VACATE, E.RECLAIM):", "if event is E.OP_VACATE:"
    ),
    _one("no nodes before the requeue", "notices.py", "if view is None or not leaving:", "if True:"),
    _one(
        "wide jobs are replaced twice",
        "notices.py",
        "and leaving.issuperset(job.hosts)",
        "and leaving.intersection(job.hosts)",
    ),
    _one(
        "the offering is asked again at once",
        "notices.py",
        "breaker.reclaimed(draft, resource, offering, age_s)",
        "pass",
    ),
    _one("nobody remembers interruptions", "notices.py", "interruptions.interrupted(draft, offering)", "pass"),
    _one("held for ever", "shrink.py", "HoldWhy.FAULT, HoldWhy.RECLAIM, HoldWhy.RISK}", "HoldWhy.FAULT}"),
)
