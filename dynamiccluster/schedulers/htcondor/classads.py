"""Expressions that need HTCondor's own evaluator: the ``classad`` module of the optional ``htcondor`` package.

It is looked for when the first expression needs it. Where it is not installed every answer is ``None``, "not known",
and the adapter says so of the job; nothing is guessed. Texts that are long or deeply nested are not given to it: it
is written in C++, and parses by recursion.
"""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from dynamiccluster.schedulers.htcondor.ads_parse import expression
from dynamiccluster.schedulers.htcondor.requirements_parse import evaluable

log = logging.getLogger(__name__)

_NAMES = (("classad2", "htcondor2"), ("classad", "htcondor"))
"""Of the package's versions 24 and later, and of those before. The second module brings functions of HTCondor's own,
such as ``stringListMember``, into the first (25.14.1: without it they evaluate to an error)."""


def find_classad() -> ModuleType | None:
    """The module, or ``None`` where the package is not installed.

    Importing it sets ``CONDOR_CONFIG`` in the environment where no configuration is found, which would mislead all
    programs that are started later (25.14.1): that is undone.
    """
    before = os.environ.get("CONDOR_CONFIG")
    try:
        return _imported()
    finally:
        if before is None:
            os.environ.pop("CONDOR_CONFIG", None)
        else:
            os.environ["CONDOR_CONFIG"] = before


def _imported() -> ModuleType | None:
    for language, functions in _NAMES:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there is no configuration of HTCondor here: none is needed
                importlib.import_module(functions)
            return importlib.import_module(language)
        except ImportError as error:
            if not isinstance(error, ModuleNotFoundError):
                log.warning("the module %s is installed and cannot be used: %s", language, error)
    return None


class Evaluator:
    """Answers about single expressions. ``module``: ``classad``; ``None`` means that nothing can be evaluated."""

    def __init__(self, module: ModuleType | None) -> None:
        self._module: Any = module
        own: Any = getattr(module, "ClassAdException", ValueError)
        self._errors: tuple[type[Exception], ...] = (ValueError, TypeError, RuntimeError, SyntaxError, own)

    @property
    def able(self) -> bool:
        return self._module is not None

    def number(self, text: str, job: Mapping[str, Any]) -> float | None:
        """What an expression of this job amounts to; ``None`` if that is not known, or no number."""
        value = self._value(text, job, None)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def holds(self, text: str, job: Mapping[str, Any], machine: Mapping[str, Any]) -> bool | None:
        """Whether the job's Requirements are true of a machine; ``None`` if they speak of what is not known of it."""
        value = self._value(text, job, machine)
        if isinstance(value, bool):
            return value
        return bool(value) if isinstance(value, int | float) else None

    def _value(self, text: str, job: Mapping[str, Any], machine: Mapping[str, Any] | None) -> Any:
        if self._module is None or not evaluable(text):
            return None
        try:
            scope, target = self._ad(job), self._ad(machine) if machine is not None else None
            value = self._module.ExprTree(text).eval(scope, target)
        except self._errors as error:
            log.debug("%r cannot be evaluated: %s", text[:200], error)
            return None
        return None if isinstance(value, self._module.Value) else value

    def _ad(self, attributes: Mapping[str, Any]) -> Any:
        ad = self._module.ClassAd()
        for name, value in attributes.items():
            inner = expression(value)
            if inner is None:
                ad[name] = value
            elif evaluable(inner):
                ad[name] = self._module.ExprTree(inner)
        return ad
