"""The dashboard's types are those of the service's documents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.api.tokens import Role
from dynamiccluster.api.typescript import type_of, typescript
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.job import JobState, Wait
from dynamiccluster.model.memory import BreakerState
from dynamiccluster.model.plan import MISFITS, Refusal
from dynamiccluster.model.resource import ResourceFlag
from dynamiccluster.model.worker_node import NodeState

API = Path(__file__).parents[2] / "web" / "src" / "api"


def test_the_types_in_the_tree_are_the_generated_ones() -> None:
    assert (API / "documents.ts").read_text("utf-8") == typescript(), "run scripts/docs"


def test_the_dashboard_declares_no_document_of_its_own() -> None:
    """Only names for what is generated."""
    assert "interface" not in (API / "types.ts").read_text("utf-8")


def test_every_role_is_known_to_the_dashboard() -> None:
    told = " | ".join(f'"{role.name.lower()}"' for role in Role)
    assert f"  role: {told};" in typescript()


def keys(file: str, table: str) -> set[str]:
    """The keys of a table of words in one of the dashboard's files."""
    text = (API.parent / "lib" / file).read_text("utf-8")
    body = re.search(rf"const {table}\b[^=]*= {{\n(.*?)\n}};", text, re.DOTALL)
    assert body
    return set(re.findall(r'^  "?([a-z-]+)"?:', body[1], re.MULTILINE))


def test_the_dashboard_knows_the_word_for_jobs_that_only_lack_nodes() -> None:
    assert f'const HELPS = "{Wait.HELPS}";' in (API.parent / "pages" / "job.tsx").read_text("utf-8")


@pytest.mark.parametrize(
    ("file", "table", "words"),
    [
        ("states.ts", "NODE", NodeState),
        ("states.ts", "JOB", JobState),
        ("states.ts", "FLAG", ResourceFlag),
        ("states.ts", "BREAKER", BreakerState),
        ("states.ts", "KIND", EventKind),
        ("limits.ts", "ENDS", [refusal for refusal in Refusal if refusal not in MISFITS]),
    ],
)
def test_the_dashboard_has_words_for_every_state_and_limit(file: str, table: str, words: Iterable[str]) -> None:
    assert keys(file, table) == {str(word) for word in words}


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
