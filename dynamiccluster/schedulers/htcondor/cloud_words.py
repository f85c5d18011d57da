"""Cloud Scheduler's conventions: what a job's own attributes say of the machine it wants. Pure.

``+VMAMI = "a"`` asks for a resource with the feature ``VMAMI=a``. Where no resource has a word of that attribute, the
site does not use it, and it chooses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

CHOOSING = ("TargetClouds", "VMType", "VMAMI", "VMImage", "VMInstanceType", "VMNetwork")
"""The attributes that choose a resource. The others of Cloud Scheduler are shown with the job."""

_BY_CLOUD = frozenset({"VMAMI", "VMImage", "VMInstanceType", "VMNetwork"})
"""Whose value may be a list ``CLOUD:VALUE,CLOUD2:VALUE2,VALUE``: which is for which cloud, and which for all others."""


def wishes(special: Iterable[tuple[str, str]], used: Collection[str]) -> list[tuple[str, ...]]:
    """For each attribute of a job that chooses: the words of which one must be had. ``used``: attributes that some
    resource has a word of, as they are spelt there.
    """
    spelt = {name.lower(): name for name in used}
    found = []
    for name, value in special:
        if name in CHOOSING and name.lower() in spelt:
            alternatives = [_alone(name, part.strip()) for part in value.split(",") if part.strip()]
            if alternatives:
                found.append(tuple(dict.fromkeys(f"{spelt[name.lower()]}={one}" for one in alternatives)))
    return found


def _alone(name: str, part: str) -> str:
    cloud, colon, value = part.partition(":")
    return value if name in _BY_CLOUD and colon and cloud and value else part
