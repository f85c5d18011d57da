"""From the ``plugins:`` section to plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.loading import ArgumentsError, instantiate
from dynamiccluster.plugins.base import Plugin

GROUP = "dynamiccluster.plugins"
"""Entry points of this group are plug-ins that installed packages bring, by name."""


def load_plugin(name: str, class_path: str, arguments: Mapping[str, Any]) -> Plugin:
    """The plug-in ``name``. ``class_path``: a dotted path, or a name from the entry points of :data:`GROUP`.

    :raises BadConfigError: it cannot be made; the sentence names it and says why.
    :raises ArgumentsError: because of its arguments.
    """
    try:
        plugin: Plugin = instantiate(_path(class_path), arguments, methods=("observe", "close"))
    except BadConfigError as error:
        raise type(error)(f"plug-in {name}: {error}") from error
    interval_s = getattr(plugin, "interval_s", None)
    if isinstance(interval_s, bool) or not isinstance(interval_s, int | float) or not interval_s >= 1:
        raise ArgumentsError(f"plug-in {name}: {class_path} has no interval_s of at least 1 second, but {interval_s!r}")
    return plugin


def _path(name: str) -> str:
    """The dotted path behind the name of an entry point; anything else is a path already."""
    known = entry_points(group=GROUP)
    for found in known.select(name=name):
        return found.value.replace(":", ".")
    if "." in name:
        return name
    names = ", ".join(sorted(known.names)) or "none"
    raise BadConfigError(f"no installed package brings a plug-in named {name!r}; there is {names}")
