"""The tables of docs/rest-api.md, made from what the handlers declare."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dynamiccluster.api.declare import Operation, Param, operation_of
from dynamiccluster.api.openapi import METHODS, VERSIONED
from dynamiccluster.api.routes import ORIGINAL, OURS, Route
from dynamiccluster.api.tokens import Role

MOST_WORDS = 10
"""Valid words of a parameter that the table names; refusals name them all."""


def tables() -> dict[str, str]:
    """Text by the name of its place in the page."""
    return {"original": _table(ORIGINAL), "ours": _table(OURS), "parameters": _parameters(ORIGINAL + OURS)}


def _table(routes: Iterable[Route]) -> str:
    rows = ["| call | answer | role |", "|---|---|---|"]
    for path, handler in routes:
        for method in METHODS:
            found = operation_of(handler, method)
            if found is not None:
                rows.append(f"| {method.upper()} `{_shown(path)}` | {_answer(path, found)} | {_role(found, method)} |")
    return "\n".join(rows)


def _shown(path: str) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", lambda match: match[1].upper(), path)


def _answer(path: str, found: Operation) -> str:
    text = found.summary
    for valid in re.findall(r"\{\w+:([^}]*)\}", path):
        text += ": " + ", ".join(f"`{one}`" for one in valid.split("|"))
    if found.body is not None:
        text += "; body: " + ", ".join(f"`{name}`" for name in found.body.model_fields)
    if found.takes:
        text += "; takes " + ", ".join(f"`{param.name}`" for param in found.takes)
    if path in VERSIONED and found.body is None:
        text += "; ETag"
    return text


def _role(found: Operation, method: str) -> str:
    needed = found.needs(method.upper())
    name = "none" if needed is Role.NOBODY else needed.name.lower()
    return f"{name}, or agent of that node" if found.agents else name


def _parameters(routes: Iterable[Route]) -> str:
    users: dict[Param[Any], list[str]] = {}
    for path, handler in routes:
        for method in METHODS:
            found = operation_of(handler, method)
            for param in found.takes if found else ():
                users.setdefault(param, []).append(f"`{_shown(path)}`")
    rows = ["| parameter | of | meaning | value |", "|---|---|---|---|"]
    for param, paths in sorted(users.items(), key=lambda item: item[0].name):
        rows.append(f"| `{param.name}` | {', '.join(paths)} | {param.about} | {_values(param)} |")
    return "\n".join(rows)


def _values(param: Param[Any]) -> str:
    words = param.schema.get("enum") or param.schema.get("items", {}).get("enum")
    if words:
        shown = [f"`{one}`" for one in words if one]
        more = "" if len(shown) <= MOST_WORDS else f" and {len(shown) - MOST_WORDS} more"
        return ("any of " if param.listed else "") + ", ".join(shown[:MOST_WORDS]) + more
    default = param.schema.get("default")
    return param.expected + (f"; {default} if absent" if isinstance(default, int) and default else "")
