"""Writes ``docs/configuration.md`` from the schema.

Run as ``python -m dynamiccluster.config.reference > docs/configuration.md``.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from dynamiccluster.config.fields import Section
from dynamiccluster.config.legacy import CLASS_PATHS
from dynamiccluster.config.problems import Path
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.walk import TYPE, field_shape, keys, sections

_HEAD = """# Configuration reference

Written from the schema by `python -m dynamiccluster.config.reference > docs/configuration.md`; a test fails if it was
edited by hand.

The service reads one YAML file, by default `/etc/dynamiccluster/dynamiccluster.yaml`. The command
`dynamiccluster check-config -c FILE` names every problem of a file at once. Files of the original Dynamic Cluster load
as they are: see [compatibility](compatibility.md). Examples with comments:
`config/dynamiccluster.yaml`, `config/demo.yaml`.

Rules that hold everywhere:

- A key without a value (`queue:`) is the same as no such key.
- Unknown keys, and keys given twice, are refused.
- The keys of `dynamic-cluster` and of `logging` may also stand at the top level of the file.
- Text may be written as a number (`password: 0123`); it is taken as written. `yes`, `no`, `on`, `off` need quotes.
- A relative path counts from the directory of the configuration file.
- Times are seconds. They are counted while the service sees the cluster and the clouds: an outage ages nothing.
- A *secret* is text, or `{from_env: NAME}` for an environment variable, or `{from_file: PATH}` for a file's contents
  (white space around it removed). Arguments of plug-ins may use these forms too; those whose name says that they are
  secret (password, token ...) are never shown.
- A *command with {0} ...* is split into words as a shell would, and then the values are put in; `{{` and `}}` stand for
  braces. Only a command with a pipe or back-quotes is run by a shell.
"""


def reference() -> str:
    """The whole page as Markdown."""
    parts = [_HEAD]
    done: set[type[Section]] = set()
    everywhere = Counter(model for _, model in sections(Settings))
    for path, model in sections(Settings):
        common = model.__mro__[1]
        if not issubclass(common, Section):
            continue
        if common is not Section and common not in done:
            done.add(common)
            parts += _section(_untyped(path), common, list(keys(common)))
        if model not in done:
            done.add(model)
            own = [key for key in keys(model) if key not in common.model_fields]
            parts += _section(_untyped(path) if everywhere[model] > 1 else path, model, own)
    parts.append(_classes())
    return "\n".join(parts)


def _section(path: Path, model: type[Section], own: list[str]) -> list[str]:
    """A heading, what the section is, and a table of its keys; nothing for a section without keys."""
    if not own:
        return []
    lines = [f"## {_title(path)}" if path else "## The sections", ""]
    if model.__doc__:
        lines += [" ".join(model.__doc__.replace("``", "`").split()), ""]
    lines += ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    lines += [_row(key, keys(model)[key]) for key in own]
    return ["\n".join([*lines, ""])]


def _untyped(path: Path) -> Path:
    return tuple(part for part in path if not str(part).startswith(TYPE))


def _title(path: Path) -> str:
    """``cloud.<name>.config, type local``."""
    kinds = [f", type {str(part).removeprefix(TYPE)}" for part in path if str(part).startswith(TYPE)]
    return ".".join(f"`{part}`" if part == "<name>" else str(part) for part in _untyped(path)) + "".join(kinds)


def _row(key: str, info: FieldInfo) -> str:
    meaning = info.description or ""
    if info.examples:
        meaning += f" Example: {_code(_shown(info.examples[0], info))}."
    cells = (f"`{key}`", field_shape(info).phrase or "a mapping", _default(info), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "none"
    return _code(_shown(value, info))


def _code(text: str) -> str:
    """A code span; with doubled quotes around text that has back-quotes itself."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _shown(value: Any, info: FieldInfo) -> str:
    """A value as it could stand in the file, in YAML's one-line (JSON) form where it is not plain."""
    if isinstance(value, SecretStr):
        raise TypeError("a secret has no default")
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    if isinstance(value, int) and extra.get("base") == 8:
        return f"{value:04o}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str) and value:
        return value
    return json.dumps(value)


def _classes() -> str:
    lines = ["## Class paths", "", "Old paths are understood wherever a class is named.", "", "| Written | Meant |"]
    lines += ["|---|---|", *(f"| `{old}` | `{new}` |" for old, new in CLASS_PATHS.items())]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(reference())
