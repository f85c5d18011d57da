"""Which limit of the account a machine type counts against. Pure.

Source: EC2 user guide, "On-Demand Instance quotas" and "Spot Instance quotas", whose tables link every name to its code
in Service Quotas; compared with them on 2026-11-20. All of them count vCPUs.
"""

from __future__ import annotations

import re

SPOT = "spot"
_LETTERS = re.compile(r"[a-z]+")
_STANDARD = frozenset({"a", "c", "d", "h", "i", "m", "r", "t", "z"})
_CODES = {
    # name of the limit: on demand, spot
    "standard": ("L-1216C47A", "L-34B43A08"),
    "f": ("L-74FC7D96", "L-88CF9481"),
    "g": ("L-DB2E81BA", "L-3819A6DF"),
    "p": ("L-417A185B", "L-7212CCBC"),
    "x": ("L-7295265B", "L-E3A00192"),
    "inf": ("L-1945791B", "L-B5D1601B"),
    "trn": ("L-2C3B7624", "L-6B0D517C"),
    "dl": ("L-6E869C2A", "L-85EED4F7"),
    "hpc": ("L-F7808C92", ""),
    "u": ("L-43DA4232", ""),
}
_LIKE = {"vt": "g", "gr": "g", "im": "standard", "is": "standard"}
"""Families whose letters say otherwise: im4gn and is4gen are of I."""

_UNSURE = re.compile(r"p[5-9]")
"""Spot instances of these counted against P's limit at some times, and against one of their own at others."""


def limit_of(instance_type: str, market: str) -> str:
    """The quota code of a type in a market; "" = not known here, so that it shows when a launch is refused."""
    found = _LETTERS.match(instance_type)
    letters = found.group() if found else ""
    name = "standard" if letters in _STANDARD else _LIKE.get(letters, letters)
    on_demand, spot = _CODES.get(name, ("", ""))
    if market == SPOT:
        return "" if _UNSURE.match(instance_type) else spot
    return on_demand
