"""What ``check-config`` asks: is this file usable, and what should its operator know?"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping

from dynamiccluster.config.load import Loaded, load
from dynamiccluster.config.problems import ConfigProblems, Notice, Path, Problem, dotted


def check(
    path: str | os.PathLike[str],
    *,
    schedulers: Collection[str] | None = None,
    clouds: Collection[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> tuple[tuple[Problem, ...], tuple[Notice, ...]]:
    """All problems and notices of a configuration file; never raises for anything the file holds.

    ``schedulers`` and ``clouds`` are the types that this release has adapters for (the registries know); a known
    type without one is a notice here, because the file is right, and a refusal at start. ``None`` leaves it out.
    """
    try:
        loaded = load(path, env=env)
    except ConfigProblems as problems:
        return problems.problems, problems.notices
    return (), (*loaded.notices, *adapter_gaps(loaded, schedulers, clouds))


def adapter_gaps(
    loaded: Loaded, schedulers: Collection[str] | None, clouds: Collection[str] | None
) -> tuple[Notice, ...]:
    """One notice for each scheduler or cloud that is configured and has no adapter yet. Any of them forbids a start."""
    gaps = []
    cluster = loaded.settings.cluster
    if schedulers is not None and cluster.type not in schedulers:
        gaps.append(_gap(loaded, ("cluster", "type"), cluster.type))
    for name, item in loaded.settings.cloud.items():
        if clouds is not None and item.type not in clouds:
            gaps.append(_gap(loaded, ("cloud", name, "type"), item.type))
    return tuple(gaps)


def require_adapters(loaded: Loaded, schedulers: Collection[str], clouds: Collection[str]) -> None:
    """For the start of the service, and for a reload.

    :raises ConfigProblems: a scheduler or cloud that is configured has no adapter in this release.
    """
    gaps = adapter_gaps(loaded, schedulers, clouds)
    if gaps:
        raise ConfigProblems(Problem(gap.file, gap.line, gap.key, gap.text) for gap in gaps)


def _gap(loaded: Loaded, path: Path, kind: str) -> Notice:
    text = f"type {kind} is known but this release has no adapter for it yet, so the service does not start with it"
    return Notice(loaded.path, loaded.lines.get(path, 0), dotted(path), text)


def render(problems: Iterable[Problem], notices: Iterable[Notice] = ()) -> list[str]:
    """One line of text each, problems first."""
    return [str(line) for line in (*problems, *notices)]
