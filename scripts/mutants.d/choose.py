"""Mutants of the choice of sizes: each spoils what it costs, or what fits."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/unit/test_decide_choose.py"
"""The tests that must turn red."""


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"choose: {name}", (Edit(f"decide/{file}", old, new),))


MUTANTS = (
    _one("nothing is tried again", "choose.py", "TRIES = 320", "TRIES = 0"),
    _one("the dearest filling wins", "choose.py", "np.argsort(-efficiency,", "np.argsort(efficiency,"),
    _one(
        "sizes that are not allowed",
        "choose.py",
        "self.per_node = held.min(2) * allowed",
        "self.per_node = held.min(2)",
    ),
    _one(
        "limit of nodes unheeded",
        "choose.py",
        "if most_nodes is None or len(nodes) <= most_nodes:",
        "if most_nodes != -1:",
    ),
    _one("room is not used up", "choose.py", "room -= most * each", "room -= 0 * each"),
)
