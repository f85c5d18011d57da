"""The dashboard's types are those of the service's documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.api.tokens import Role
from dynamiccluster.api.typescript import type_of, typescript

API = Path(__file__).parents[2] / "web" / "src" / "api"


def test_the_types_in_the_tree_are_the_generated_ones() -> None:
    assert (API / "documents.ts").read_text("utf-8") == typescript(), "run scripts/docs"


def test_the_dashboard_declares_no_document_of_its_own() -> None:
    """Only names for what is generated."""
    assert "interface" not in (API / "types.ts").read_text("utf-8")


def test_every_role_is_known_to_the_dashboard() -> None:
    told = " | ".join(f'"{role.name.lower()}"' for role in Role)
    assert f"  role: {told};" in typescript()


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}}, "(number | null)[]"),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"$ref": "#/x/ADoc"}]}, "[string, ADoc]"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "Record<string, number>"),
        ({"enum": ["a", "b-c"], "type": "string"}, '"a" | "b-c"'),
        ({"const": "a", "type": "string"}, '"a"'),
    ],
)
def test_schemas_become_types(schema: dict[str, Any], said: str) -> None:
    assert type_of(schema) == said


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": "object", "additionalProperties": True}])
def test_what_has_no_type_is_not_guessed(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no type of TypeScript"):
        type_of(schema)
