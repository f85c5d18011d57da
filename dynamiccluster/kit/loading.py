"""Classes of the site: found by their dotted path in the configuration, made with the arguments that stand there."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from dynamiccluster.errors import BadConfigError


class ArgumentsError(BadConfigError):
    """The class is there; what it is to be made with does not suit it."""


def instantiate(class_path: str, arguments: Mapping[str, Any], methods: Sequence[str]) -> Any:
    """An object of the class at ``class_path``, called with ``arguments`` by name, that has all ``methods``.

    :raises BadConfigError: there is no such module or class, or a method is missing.
    :raises ArgumentsError: it does not take these arguments, or its constructor fails. The sentence says which;
        argument values are never in it, unless the constructor's own words hold them.
    """
    module_name, _, class_name = class_path.rpartition(".")
    if not module_name or not all(part.isidentifier() for part in class_path.split(".")):
        raise BadConfigError(f"{class_path!r} is not the dotted path of a class, like site_package.module.Class")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise BadConfigError(f"{class_path}: the module {module_name} cannot be imported: {_said(error)}") from error
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        raise BadConfigError(f"{class_path}: the module {module_name} has no class {class_name}")
    missing = [name for name in methods if not callable(getattr(found, name, None))]
    if missing:
        raise BadConfigError(f"{class_path}: the class has no method {', '.join(missing)}")
    try:
        inspect.signature(found).bind(**arguments)
    except TypeError as error:
        raise ArgumentsError(f"{class_path}: these arguments do not fit: {error}") from error
    try:
        return found(**arguments)
    except BadConfigError as error:
        raise ArgumentsError(f"{class_path}: {error}") from error
    except Exception as error:
        raise ArgumentsError(f"{class_path} cannot be made: {_said(error)}") from error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
