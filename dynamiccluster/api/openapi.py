"""The OpenAPI 3.1 document, made from what the handlers declare and the paths that are routed: no second truth."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dynamiccluster import __version__
from dynamiccluster.api.declare import Operation, Param, operation_of
from dynamiccluster.api.schemas import ErrorDoc
from dynamiccluster.api.tokens import Role

METHODS = ("get", "put", "post", "delete")
_REF = "#/components/schemas/{model}"
_JSON = "application/json"

_CHANGE_STATUSES = (400, 409, 502, 503, 504)
"""What any change may be answered with, besides what is true of all requests."""


def _name(part: str) -> str:
    return part[1:-1].partition(":")[0]


def plain_path(path: str) -> str:
    """The path as OpenAPI writes it: ``{action:hold|vacate}`` is ``{action}``."""
    return re.sub(r"\{[^}]*\}", lambda match: "{" + _name(match[0]) + "}", path)


def statuses(operation: Operation, method: str, path: str) -> list[int]:
    """Every status that this verb may be answered with."""
    found = {operation.status, 401, 403, 429, *operation.also}
    if (operation.takes and path.startswith("/api/")) or operation.body:
        found.add(400)
    if "{" in path:
        found.add(404)
    if path.startswith("/api/v1/") and method == "get":
        found.add(400)  # unknown parameters are refused
    if method != "get":
        found.update(_CHANGE_STATUSES)
        found.add(415)
    if operation.answer is not None and operation.media == _JSON and path in VERSIONED:
        found.add(304)
    return sorted(found)


_LISTS = ("nodes", "jobs", "resources", "events", "audit")
VERSIONED = frozenset(f"/api/v1/{name}" for name in ("overview", "status", *_LISTS))
"""Paths whose answers carry an ETag."""


def document(routes: Iterable[tuple[str, type[object]]]) -> dict[str, Any]:
    """The whole document."""
    table = list(routes)
    declared = [
        (path, handler, method, found)
        for path, handler in table
        for method in METHODS
        if (found := operation_of(handler, method)) is not None
    ]
    models: set[type[BaseModel]] = {ErrorDoc}
    requests: set[type[BaseModel]] = set()
    for _, _, _, found in declared:
        if isinstance(found.answer, type):
            models.add(found.answer)
        if found.body is not None:
            requests.add(found.body)
    wanted = sorted(models, key=lambda model: model.__name__)
    bodies = sorted(requests, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [*((model, "serialization") for model in wanted), *((model, "validation") for model in bodies)],
        ref_template=_REF,
    )
    paths: dict[str, Any] = {}
    for path, handler, method, found in declared:
        entry = paths.setdefault(plain_path(path), {})
        if "{" in path:
            entry["parameters"] = [_path_parameter(part) for part in re.findall(r"\{[^}]*\}", path)]
        entry[method] = _operation(path, handler, method, found)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dynamic Cluster",
            "version": __version__,
            "description": "JSON over HTTP on a Unix socket and on TCP. docs/rest-api.md says who may do what. HEAD is "
            "answered wherever GET is, with the same status and headers and without a body.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}, {"session": []}, {}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "dynamiccluster_session"},
            },
        },
    }


def _path_parameter(part: str) -> dict[str, Any]:
    name, _, valid = part[1:-1].partition(":")
    schema: dict[str, Any] = {"type": "string", "enum": valid.split("|")} if valid else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(param: Param[Any]) -> dict[str, Any]:
    found = {"name": param.name, "in": "query", "required": False, "schema": dict(param.schema)}
    if param.about:
        found["description"] = param.about
    if param.listed:
        found |= {"style": "form", "explode": False}
    elif param.repeated:
        found |= {"style": "form", "explode": True}
    return found


def _schema(answer: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(answer, type):
        return {"$ref": _REF.format(model=answer.__name__)}
    return dict(answer)


def _operation(path: str, handler: type[object], method: str, found: Operation) -> dict[str, Any]:
    needed = found.needs(method.upper())
    entry: dict[str, Any] = {
        "operationId": f"{method}_{re.sub(r'[^a-z0-9]+', '_', path.lower()).strip('_') or 'root'}",
        "summary": found.summary,
        "description": f"Role: {needed.name.lower()}{', or agent of that node' if found.agents else ''}.",
        "tags": ["ours" if path.startswith("/api/") or handler.__module__.endswith("health") else "original"],
        "responses": {str(status): _response(found, status) for status in statuses(found, method, path)},
    }
    if needed is Role.NOBODY:
        entry["security"] = [{}]
    if found.takes:
        entry["parameters"] = [_query_parameter(param) for param in found.takes]
    if found.body is not None:
        entry["requestBody"] = {"content": {_JSON: {"schema": _schema(found.body)}}, "required": _required(found.body)}
    return entry


def _required(body: type[BaseModel]) -> bool:
    return any(field.is_required() for field in body.model_fields.values())


def _response(found: Operation, status: int) -> dict[str, Any]:
    if status == HTTPStatus.NOT_MODIFIED:
        return {"description": "as the one with the ETag that was sent"}
    if status == found.status:
        return {"description": "done", "content": {found.media: {"schema": _schema(found.answer)}}}
    return {
        "description": HTTPStatus(status).phrase,
        "content": {_JSON: {"schema": _schema(ErrorDoc)}},
    }
