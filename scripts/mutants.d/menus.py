"""Mutants of menus: each breaks one rule of which offer is taken."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/unit/test_decide_menus.py"
"""The tests that must turn red."""


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"menus: {name}", (Edit(f"decide/{file}", old, new),))


MUTANTS = (
    _one("nobody is patient", "eligible.py", "or (spot and patient)", "or (spot and not spot)"),
    _one("on-demand never", "menus.py", "else menu.on_demand", "else False"),
    _one(
        "sold-out offers are as good as others",
        "menus.py",
        "return (self.unaffordable, self.closed, self.tier,",
        "return (self.unaffordable, False, self.tier,",
    ),
    _one("interruptions do not count", "menus.py", "price * (1.0 + rate * LOST_H)", "price"),
    _one("quota closes both markets", "breaker.py", 'market or f"resource:{name}"', 'f"resource:{name}"'),
    _one(
        "an offer that is refused closes the menu", "breaker.py", "named = offering or resource.offering", "named = ''"
    ),
    _one("nodes cost what their resource does", "limits.py", "kind = node.offer or known", "kind = known"),
    _one("nodes on their way have no size", "grow.py", "if node.offer is not None:", "if False:"),
    _one("advice goes unheard", "counsel.py", "return known[-1] if known else None", "return None"),
    _one("what clouds told is forgotten", "offers.py", "if kept != known:", "if False:"),
)
