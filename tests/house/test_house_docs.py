"""The pages tell the truth: generated ones are up to date, links lead somewhere, promises name tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from sources import ROOT

from dynamiccluster.cli.main import VERBS
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.walk import keys, sections
from dynamiccluster.decide.lifecycle_page import markdown
from dynamiccluster.model.resource import Timers

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROMISES = 9
KEY = re.compile(r"`(?:timers|failure|limits)\.(\w+)`")


def names_of_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}


def missing_tests(text: str) -> list[str]:
    """Tests that the text names and that are not there."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    return [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).exists() or name not in names_of_tests(ROOT / file)
    ]


def broken_links(page: Path, text: str) -> list[str]:
    """Links and pictures of a page that lead to no file, or to no heading of a page."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows_of(name: str) -> list[str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("|")]


def test_the_index_leads_to_every_page() -> None:
    docs = ROOT / "docs"
    pages = {page.relative_to(docs).as_posix() for page in docs.rglob("*.md")} - {"index.md"}
    linked = re.findall(r"\]\(([\w/-]+\.md)\)", (docs / "index.md").read_text(encoding="utf-8"))
    assert pages - set(linked) == set()


def test_the_page_of_states_is_the_generated_one() -> None:
    assert (ROOT / "docs/lifecycle.md").read_text(encoding="utf-8") == markdown(), "run scripts/docs"


def test_every_promise_names_tests_that_exist() -> None:
    rows = [row for row in rows_of("promises.md") if re.match(r"\| \d", row)]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, PROMISES + 1))
    assert [row[:60] for row in rows if "::test_" not in row] == []
    assert missing_tests("\n".join(rows)) == []


def test_a_test_that_is_gone_is_noticed() -> None:
    assert missing_tests("`tests/house/test_house_docs.py::test_that_nobody_wrote`")
    assert missing_tests("`tests/house/no_such_file.py::test_x`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def test_a_broken_link_is_noticed() -> None:
    assert broken_links(ROOT / "README.md", "[x](docs/nothing.md) [y](docs/clocks.md#no-such-heading)") != []


def test_keys_in_the_pages_exist() -> None:
    known = {key for _, model in sections(Settings) for key in keys(model)}
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert {key for key in KEY.findall(text) if key not in known} == set()


def test_every_timer_stands_in_the_table_of_clocks() -> None:
    table = "\n".join(rows_of("clocks.md"))
    said = {"idle_s": "`max_idle_time`", "down_s": "`max_down_time`", "launch_s": "`max_launch_time`"}
    timers = Timers.__dataclass_fields__
    assert [name for name in timers if said.get(name, f"`timers.{name}`") not in table] == []


def test_every_verb_stands_on_the_command_line_page() -> None:
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"`{verb}" not in text] == []


def test_the_readme_begins_with_two_commands_that_exist() -> None:
    commands = re.findall(r"(?m)^    (scripts/\w+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert commands[:2] == ["scripts/demo", "scripts/test"]
    assert all((ROOT / command).stat().st_mode & 0o100 for command in commands)
