"""The committed reference and the sample files are true."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dynamiccluster.config.load import load
from dynamiccluster.config.reference import reference
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.walk import keys, places, sections

ROOT = Path(__file__).parents[2]


def test_the_committed_reference_is_the_generated_one() -> None:
    committed = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert committed == reference(), "python -m dynamiccluster.config.reference > docs/configuration.md"


def test_every_key_is_described_and_listed() -> None:
    page = reference()
    for path, model in sections(Settings):
        for key, info in keys(model).items():
            assert info.description, (path, key)
            assert f"| `{key}` |" in page, (path, key)


def test_every_value_is_said_in_words() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert not [row for row in rows if "|  |" in row]


def test_examples_are_valid_values() -> None:
    for path, model in sections(Settings):
        for name, info in model.model_fields.items():
            for example in info.examples or []:
                if info.is_required() or isinstance(example, dict):
                    continue
                partial = {info.alias or name: example}
                errors = [e for e in _errors(model, partial) if e[:1] == (info.alias or name,)]
                assert not errors, (path, name, example)


def _errors(model: type, data: dict[str, object]) -> list[tuple[object, ...]]:
    try:
        model.model_validate(data)  # type: ignore[attr-defined]
    except ValueError as error:
        return [tuple(item["loc"]) for item in error.errors()]  # type: ignore[attr-defined]
    return []


@pytest.mark.parametrize("name", ["dynamiccluster.yaml", "demo.yaml"])
def test_sample_files_load(name: str) -> None:
    result = load(ROOT / "config" / name)
    own = {"cluster.config.slurm_conf", "cloud.small.config.bridge"}
    expected = own if name == "dynamiccluster.yaml" else {"cloud.rack"}
    assert {notice.key for notice in result.notices} <= expected


def test_the_demo_has_several_queues_and_priced_resources_one_of_them_flaky() -> None:
    result = load(ROOT / "config/demo.yaml")
    assert len(result.policy.queues) >= 3
    resources = result.policy.resources.values()
    assert len(resources) >= 3
    assert sum(resource.price_per_hour > 0 for resource in resources) >= 3
    written = yaml.safe_load((ROOT / "config/demo.yaml").read_text(encoding="utf-8"))
    assert [name for name, item in written["cloud"].items() if "mishaps" in item["config"]] == ["cloud-flaky"]


def test_places() -> None:
    assert places(Settings, "spot_bid") == ["cloud.<name>.config.spot_bid"]
    assert places(Settings, "nothing") == []
