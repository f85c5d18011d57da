"""Whatever stands in the file: a configuration, or a list of problems; never another exception."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from config_files import SGE, SMALL, TORQUE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamiccluster.config.load import Loaded, load
from dynamiccluster.config.problems import ConfigProblems
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.walk import keys, sections

KEYS = sorted({key for _, model in sections(Settings) for key in keys(model)})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.dates(),
    st.binary(max_size=4),
    st.sampled_from(["slurm", "aws", "local", "simulated", "10.0.0.0/24", "{0}", "{", "`x`", "'", "a.B", "hosts_file"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inner, max_size=4),
    ),
    max_leaves=10,
)
BASES = [yaml.safe_load(text) for text in (SMALL, SGE, TORQUE)]


def outcome(content: bytes) -> Loaded | ConfigProblems:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "dc.yaml"
        file.write_bytes(content)
        try:
            return load(file, env={})
        except ConfigProblems as problems:
            return problems


def check(content: bytes) -> None:
    """Either a configuration, or problems of one line each."""
    result = outcome(content)
    if isinstance(result, ConfigProblems):
        assert result.problems
        assert all(len(str(problem).splitlines()) == 1 for problem in result.problems)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes(content: bytes) -> None:
    check(content)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_any_yaml_data(data: object) -> None:
    check(yaml.safe_dump(data).encode())


def paths(data: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [here]
    if isinstance(data, dict):
        for key, value in data.items():
            found += paths(value, (*here, key))
    return found


def replaced(data: object, path: tuple[object, ...], value: object) -> object:
    if not path:
        return value
    here = data if isinstance(data, dict) else {}
    return {**here, path[0]: replaced(here.get(path[0]), path[1:], value)}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_good_files_with_anything_put_anywhere(data: st.DataObject) -> None:
    content: object = data.draw(st.sampled_from(BASES))
    for _ in range(data.draw(st.integers(1, 3))):
        path: tuple[object, ...] = data.draw(st.sampled_from(paths(content)))
        beside = data.draw(st.booleans())
        if path and beside:  # beside it, under a known key
            path = (*path[:-1], data.draw(st.sampled_from(KEYS)))
        content = replaced(content, path, data.draw(VALUES))
    check(yaml.safe_dump(content).encode())


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([SMALL, SGE, TORQUE]), st.integers(0, 3000), st.text(max_size=3))
def test_good_files_with_a_few_characters_overwritten(text: str, at: int, with_what: str) -> None:
    at %= len(text)
    check((text[:at] + with_what + text[at + len(with_what) :]).encode("utf-8", "replace"))
