"""The documents of ``/api/v1`` as types of TypeScript, made from the OpenAPI document: there is no second truth.

``scripts/docs`` writes them to ``web/src/api/documents.ts``, and a test says when they are out of date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dynamiccluster.api.openapi import document
from dynamiccluster.api.routes import ORIGINAL, OURS

_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_HEAD = """\
// Made by scripts/docs from the OpenAPI document. Instants are ISO 8601 in UTC; null: never, or not known.
"""


def typescript() -> str:
    """The whole file."""
    schemas = document(ORIGINAL + OURS)["components"]["schemas"]
    parts = [_interface(name, schema) for name, schema in sorted(schemas.items())]
    return "\n".join((_HEAD, *parts))


def _interface(name: str, schema: Mapping[str, Any]) -> str:
    return "\n".join((*_said(schema, ""), f"export interface {name} {{", *_members(schema), "}", ""))


def _members(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, member in schema["properties"].items():
        yield from _said(member, "  ")
        optional = "" if name in schema.get("required", ()) else "?"
        yield f"  {name}{optional}: {type_of(member)};"


def _said(schema: Mapping[str, Any], indent: str) -> Iterator[str]:
    if text := re.sub(r"\s+", " ", schema.get("description", "")).replace("*/", "* /"):
        yield f"{indent}/** {text} */"


def type_of(schema: Mapping[str, Any]) -> str:
    """The type for one schema.

    :raises ValueError: it has something that none of our documents had before: teach it here.
    """
    match schema:
        case {"$ref": ref}:
            return str(ref).rpartition("/")[2]
        case {"anyOf": several}:
            return " | ".join(type_of(one) for one in several)
        case {"enum": words}:
            return " | ".join(json.dumps(word) for word in words)
        case {"const": word}:
            return json.dumps(word)
        case {"type": "array", "prefixItems": places}:
            return f"[{', '.join(type_of(one) for one in places)}]"
        case {"type": "array", "items": item}:
            inner = type_of(item)
            return f"({inner})[]" if "anyOf" in item or "enum" in item else f"{inner}[]"
        case {"type": "object", "additionalProperties": Mapping() as value}:
            return f"Record<string, {type_of(value)}>"
        case {"type": str(word)} if word in _PLAIN:
            return _PLAIN[word]
    raise ValueError(f"no type of TypeScript for {schema}")
