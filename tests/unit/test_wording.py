"""Words for people that several rooms share."""

from __future__ import annotations

import pytest

from dynamiccluster.model.wording import MOST_NAMES, amount, unknown


def test_amounts() -> None:
    assert [amount(count, "node") for count in (0, 1, 2)] == ["0 nodes", "1 node", "2 nodes"]


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("smal", ["small", "large"], "there is no resource 'smal'; there are large, small; did you mean small?"),
        ("SMALL", ["small", "large"], "there is no resource 'SMALL'; there are large, small; did you mean small?"),
        ("x", ["small", "large"], "there is no resource 'x'; there are large, small"),
        ("smal", ["small"], "there is no resource 'smal'; there is small"),
        ("x", [], "there is no resource 'x', nor any other"),
    ],
)
def test_a_name_that_there_is_not(name: str, known: list[str], said: str) -> None:
    assert unknown("resource", name, known) == said


def test_not_all_of_very_many_are_named() -> None:
    said = unknown("resource", "nosuch", [f"r{number:03d}" for number in range(MOST_NAMES + 7)])
    assert said.endswith("r019 and 7 more")
