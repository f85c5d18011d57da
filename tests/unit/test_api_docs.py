"""The documents name everything that can be called, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynamiccluster.api.routes import ORIGINAL, OURS
from dynamiccluster.cli import exits
from dynamiccluster.cli.main import VERBS

DOCS = Path(__file__).parents[2] / "docs"


def written() -> set[str]:
    """Paths in the tables, with each placeholder as ``*``."""
    text = (DOCS / "rest-api.md").read_text("utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ") and "`/" in line]
    paths = {path for row in rows for path in re.findall(r"`(/[^`?]*)`", row)}
    return {re.sub(r"\b[A-Z]+\b", "*", path) for path in paths}


def served() -> set[str]:
    return {re.sub(r"\{[^}]*\}", "*", path) for path, _ in ORIGINAL + OURS}


def test_every_path_is_documented_and_every_documented_path_is_served() -> None:
    assert written() == served()


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_is_documented(verb: str) -> None:
    assert re.search(rf"`{verb}\b", (DOCS / "cli.md").read_text("utf-8"))


def test_every_exit_code_is_documented() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    text = (DOCS / "cli.md").read_text("utf-8").split("## Exit codes")[1].split("##")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == codes
    assert all(f"{code} " in exits.TEXT for code in codes)
