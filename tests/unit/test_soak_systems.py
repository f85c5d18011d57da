"""The table of systems that ``scripts/soak`` runs on: each line leads to a bed."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from typing import Any

import pytest

from dynamiccluster.testing.bed import SWITCH

PLACE = pathlib.Path(__file__).parents[2] / "scripts" / "soak.d" / "beds.py"


def table() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("beds", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["beds"] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    systems: dict[str, Any] = module.SYSTEMS
    return systems


@pytest.mark.parametrize("name", table())
def test_each_system_leads_to_a_bed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    system = table()[name]
    system.why_not()  # says something or nothing, but is there
    made = getattr(importlib.import_module(system.module), system.function)
    made(*system.arguments)  # a context manager, not entered


def test_systems_do_not_share_a_network() -> None:
    networks = [word for system in table().values() for word in system.arguments if "/" in word]
    assert len(networks) == len(set(networks))
