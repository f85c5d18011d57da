"""What the resources of one tenancy must have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dynamiccluster.errors import BadConfigError


def agreed(tenancy: str, keys: Iterable[str], configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The values of these keys, which all resources of a tenancy share. ``configs``: resource name -> its keys.

    :raises BadConfigError: they disagree.
    """
    found = {}
    for key in keys:
        values = {name: config[key] for name, config in configs.items()}
        first = next(iter(values.values()))
        if any(value != first for value in values.values()):
            names = ", ".join(sorted(values))
            raise BadConfigError(f"the resources of tenancy {tenancy!r} must have the same {key}: {names}")
        found[key] = first
    return found
