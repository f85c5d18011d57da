"""Files that a reader can take in: not too long, said at the top what they are, every waiver with its reason."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter

import pytest
from sources import ROOT, Module, module, package

MOST_LINES = 450

WAIVER = re.compile(r"#\s*(type:\s*ignore\b(\[[^\]]*\])?|noqa\b(:\s*[A-Z]+\d+(\s*,\s*[A-Z]+\d+)*)?|pragma:\s*no cover)")


def unexplained_waivers(text: str) -> list[str]:
    """Comments that silence a tool without naming what they silence, or without a reason after it."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        match = WAIVER.search(token.string)
        if match is None:
            continue
        named = match[2] or match[3] or "pragma" in match[1]
        reason = WAIVER.sub("", token.string).strip(" #-")
        if not named or len(reason) < 5:
            found.append(f"line {token.start[0]}: {token.string}")
    return found


def lines(one: Module) -> int:
    return one.text.count("\n")


def test_files_are_short_enough_to_read() -> None:
    long = {one.where: lines(one) for one in package() if lines(one) > MOST_LINES}
    assert not long


def test_every_module_says_what_it_is() -> None:
    empty = {one.where for one in package() if not ast.get_docstring(one.tree)}
    assert not empty


def test_waivers_have_reasons() -> None:
    wrong = {one.where: unexplained_waivers(one.text) for one in package() if unexplained_waivers(one.text)}
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        if found := unexplained_waivers(path.read_text(encoding="utf-8")):
            wrong[path.name] = found
    assert not wrong


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: S101",
        "# type: ignore",
        "# type: ignore[misc]",
        "# noqa - because",
        "# type: ignore  # why not",
    ],
)
def test_a_waiver_without_code_or_reason_is_found(comment: str) -> None:
    assert unexplained_waivers(f"x = 1  {comment}\n")


@pytest.mark.parametrize(
    "comment",
    ["# noqa: S101 - for the type checker", "# type: ignore[misc]  # click reads it", "# pragma: no cover - Windows"],
)
def test_a_waiver_with_both_is_fine(comment: str) -> None:
    assert not unexplained_waivers(f"x = 1  {comment}\n")


def test_no_one_leaves_notes_to_self() -> None:
    left = {
        one.where: re.findall(r"\b(?:TODO|FIXME|XXX|HACK)\b.*", one.text)
        for one in package()
        if re.search(r"\b(?:TODO|FIXME|XXX|HACK)\b", one.text)
    }
    assert not left
    assert module("x.py", "# TODO\n").text.count("TODO") == 1


def test_modules_of_tests_have_names_of_their_own() -> None:
    """pytest imports them by their bare names when all of tests/ is collected at once, as for the system tests."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_rows_for_one_release_only_are_dropped() -> None:
    """The hook that does it was once lost, and nobody saw but by the clock."""
    assert "left_out(item)" in (ROOT / "tests" / "system" / "conftest.py").read_text()
    assert "older_release_only" in (ROOT / "tests" / "slurm_harness.py").read_text()
