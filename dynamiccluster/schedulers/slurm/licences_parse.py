"""Licences as Slurm writes them. Pure."""

from __future__ import annotations

import re


def parse_licences(text: str) -> dict[str, int]:
    """Free licences by name, from ``scontrol -o show licenses``."""
    free: dict[str, int] = {}
    for line in text.splitlines():
        values = dict(part.partition("=")[::2] for part in line.split())
        try:
            free[values["LicenseName"]] = int(values["Free"]) - int(values.get("Reserved") or 0)
        except (KeyError, ValueError):
            continue  # an unknown licence counts as none free
    return free


def licences_in(text: str) -> dict[str, int]:
    """``matlab:2,ansys@server`` as numbers by name; of alternatives (``a|b``) each is asked for."""
    wanted: dict[str, int] = {}
    for part in re.split(r"[,|;]", text):
        name, _, number = part.partition(":")
        if name:
            wanted[name] = max(1, int(number)) if number.isdigit() else 1
    return wanted
