"""From the ``plugins:`` section to plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.loading import instantiate
from dynamiccluster.plugins.base import Plugin


def load_plugin(name: str, class_path: str, arguments: Mapping[str, Any]) -> Plugin:
    """The plug-in ``name``.

    :raises BadConfigError: it cannot be made; the sentence names it and says why.
    """
    try:
        plugin: Plugin = instantiate(class_path, arguments, methods=("observe", "close"))
    except BadConfigError as error:
        raise BadConfigError(f"plug-in {name}: {error}") from error
    interval_s = getattr(plugin, "interval_s", None)
    if isinstance(interval_s, bool) or not isinstance(interval_s, int | float) or not interval_s >= 1:
        raise BadConfigError(f"plug-in {name}: {class_path} has no interval_s of at least 1 second, but {interval_s!r}")
    return plugin
