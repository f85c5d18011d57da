"""The mutants fit the code as it is: one whose text is gone breaks nothing, and nobody hears of it for weeks."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "scripts" / "mutants.d"
NAMES = sorted(path.stem for path in PLACE.glob("*.py") if path.stem != "run")
CLOUDS = ("aws", "command", "local", "openstack", "simulated", "xspot")
TEN = 10


def mutants(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """They are modules of a script, which import each other by their plain names."""
    monkeypatch.syspath_prepend(str(PLACE))
    for known in NAMES:
        monkeypatch.delitem(sys.modules, known, raising=False)
    made = importlib.import_module(name)
    for known in NAMES:
        sys.modules.pop(known, None)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_each_changes_one_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for mutant in mutants(name, monkeypatch).MUTANTS:
        for edit in mutant.edits:
            text = (ROOT / "dynamiccluster" / edit.file).read_text("utf-8")
            assert text.count(edit.old) == 1, f"{mutant.name}: {edit.file}"
            assert edit.old != edit.new


@pytest.mark.parametrize("name", [name for name in NAMES if name != "table"])
def test_the_tests_that_must_notice_are_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (ROOT / mutants(name, monkeypatch).SUITE).is_file()


@pytest.mark.parametrize("name", CLOUDS)
def test_each_cloud_has_ten(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [mutant.name for mutant in mutants(name, monkeypatch).MUTANTS]
    assert len(set(found)) == len(found) >= TEN
