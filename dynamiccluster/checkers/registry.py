"""From the words of ``config-checker:`` to a checker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamiccluster.checkers.base import Checker
from dynamiccluster.checkers.port import PortChecker
from dynamiccluster.kit.loading import instantiate


def port_checker(number: int, timeout_s: float) -> Checker:
    """For ``port:``."""
    return PortChecker(number, timeout_s)


def plugin_checker(class_path: str, arguments: Mapping[str, Any]) -> Checker:
    """For ``plugin:``, of ours or of the site.

    :raises BadConfigError: see :func:`dynamiccluster.kit.loading.instantiate`.
    """
    checker: Checker = instantiate(class_path, arguments, methods=("check",))
    return checker
