"""Files that are not what they should be: a clear problem each time, with the line, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_files import SMALL, loaded, problems, small

from dynamiccluster.config.document import MAX_BYTES, RawInt, parse
from dynamiccluster.config.load import load
from dynamiccluster.config.problems import ConfigProblems
from dynamiccluster.errors import BadConfigError, ErrorClass, classify


def only(directory: Path, text: str | bytes) -> tuple[int, str]:
    (problem,) = problems(directory, text)
    return problem.line, problem.problem


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, "a\0b"):
        with pytest.raises(ConfigProblems) as caught:
            load(path)
        assert len(caught.value.problems) == 1
    with pytest.raises(BadConfigError) as error:
        load(tmp_path / "none.yaml")
    assert classify(error.value) is ErrorClass.BAD_CONFIG
    assert "cannot be read: No such file" in str(error.value)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~\n", "null"])
def test_an_empty_file(tmp_path: Path, text: str) -> None:
    assert only(tmp_path, text)[1] == "is empty"


@pytest.mark.parametrize("text", ["just words", "- a\n- list\n", "42"])
def test_a_file_that_is_not_a_mapping(tmp_path: Path, text: str) -> None:
    assert only(tmp_path, text) == (1, "is not a mapping")


def test_encodings(tmp_path: Path) -> None:
    assert loaded(tmp_path, b"\xef\xbb\xbf" + SMALL.encode()).policy.cluster_id == "test"
    assert only(tmp_path, SMALL.encode("utf-16"))[1] == "is not UTF-8 text"
    assert only(tmp_path, SMALL.encode() + b"# \xfcber\n") == (SMALL.count("\n") + 1, "is not UTF-8 text")
    assert only(tmp_path, SMALL + "a: \x00\n") == (SMALL.count("\n") + 1, "holds a control character")


def test_syntax_errors_name_the_line(tmp_path: Path) -> None:
    line, text = only(tmp_path, "cluster:\n  type: slurm\n config: {}\n")
    assert line == 3
    assert text.startswith("not valid YAML")
    assert only(tmp_path, "a: [1, 2\nb: 3\n")[0] in (2, 3)
    assert only(tmp_path, "a: 'unfinished\n")[1].startswith("not valid YAML")
    assert only(tmp_path, "\ta: 1\n")[0] == 1


@pytest.mark.parametrize(
    ("text", "line", "words", "expected"),
    [
        ("cluster:\n\ttype: slurm\n", 2, "a tab", "spaces"),
        ("a: [hunter2\n", 2, "the end of the file in the list that begins in line 1", "`,` or `]`"),
        ("a: {hunter2: 1\nb: 2\n", 2, "`:` in the mapping that begins in line 1", "`,` or `}`"),
        ("a: 'hunter2\n", 2, "in the quoted text that begins in line 1", "a closing quote"),
        ("cluster:\n  type slurm\n  config: {}\n", 3, "a colon may be missing on the line before", ""),
        ("password: @hunter2\n", 1, "`@` at the start of a value", "in quotes"),
        ("password: `hunter2\n", 1, "a backquote at the start of a value", "in quotes"),
        ("password: 'x' hunter2\n", 1, "one more value", "one value for each key"),
        ("password: |hunter2\n", 1, "another character", "indentation indicators"),
        ('password: "\\qhunter2"\n', 1, "unknown escape character", ""),
        ("a: &hunter2 1\nb: &hunter2 2\n", 2, "an anchor (`&`) is given twice", ""),
    ],
)
def test_syntax_errors_say_what_was_found_and_expected(
    tmp_path: Path, text: str, line: int, words: str, expected: str
) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.line == line
    assert problem.problem.startswith("not valid YAML: ")
    assert words in problem.problem
    assert expected in problem.expected
    assert "hunter2" not in str(problem)


def test_values_that_yaml_misreads_are_told_to_be_quoted(tmp_path: Path) -> None:
    assert "quotes" in only(tmp_path, "a: *hunter2\n")[1]
    assert "tag" in only(tmp_path, "a: !hunter2\n")[1]
    assert "hunter2" not in only(tmp_path, "a: !hunter2\n")[1]
    assert "tag" in only(tmp_path, "a: !!python/object:os.system {}\n")[1]
    assert "tag" in only(tmp_path, "a: !<x!y> 1\n")[1]
    assert "int" in only(tmp_path, "a: !!int word\n")[1]


def test_a_key_given_twice(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, SMALL + "cluster:\n  type: slurm\n")
    assert (problem.key, problem.line) == ("cluster", SMALL.count("\n") + 1)
    assert "first in line 4" in problem.problem


def test_more_than_one_document(tmp_path: Path) -> None:
    assert only(tmp_path, SMALL + "---\na: 1\n")[1] == "holds a second YAML document"


def test_too_much(tmp_path: Path) -> None:
    assert only(tmp_path, "#" * (MAX_BYTES + 1))[1] == "is too large for a configuration"
    assert "nested too deeply" in only(tmp_path, "a: " + "[" * 5000)[1]
    assert "nested too deeply" in only(tmp_path, "a: " + "[" * 60 + "]" * 60)[1]
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 9):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    found = problems(tmp_path, bomb)
    assert any("values once its aliases are expanded" in problem.problem for problem in found)
    assert len(found) < 10


def test_aliases_and_merges_work_and_loops_are_refused(tmp_path: Path) -> None:
    text = SMALL + (
        "  medium: &base\n    type: simulated\n    quantity: {max: 3}\n    capacity: {cores: 8}\n"
        "  large:\n    <<: *base\n    capacity: {cores: 16}\n"
    )
    resources = loaded(tmp_path, text).policy.resources
    assert (resources["large"].max_nodes, resources["large"].capacity.cores) == (3, 16)
    assert "contains itself" in only(tmp_path, "a: &a\n  b: *a\n")[1]
    assert "contains itself" in only(tmp_path, "a: &a\n  <<: *a\n")[1]
    assert "can only take in mappings" in only(tmp_path, "a:\n  <<: 3\n")[1]


def test_odd_keys(tmp_path: Path) -> None:
    assert "a key must be a word" in only(tmp_path, "? [1, 2]\n: 3\n")[1]
    assert loaded(
        tmp_path, small(general="timers: {queue_idle_s: {1: 5, on: 6}}")
    ).settings.general.timers.queue_idle_s == {
        "1": 5.0,
        "on": 6.0,
    }


def test_lines_and_raw_numbers() -> None:
    document = parse("f", b"a:\n  b:\n    - 010\n    - 1.10\n    - 2026-01-01\n  c: true\n")
    items = document.data["a"]["b"]
    assert isinstance(items[0], RawInt)
    assert [items[0], items[0].raw, items[1].raw, items[2]] == [8, "010", "1.10", "2026-01-01"]
    assert document.line(("a", "b", 1)) == 4
    assert document.line(("a", "b", 7, "x")) == 2
    assert document.line(("z",)) == 0
    assert document.key(("a", "b", 1)) == "a.b[1]"
    assert "2026" not in repr(document)


def test_blank_keys_mean_absent_but_a_resource_without_a_body_is_a_mistake(tmp_path: Path) -> None:
    text = small("reservation:\n  queue:\npriority:\n", "max_idle_time:\n", rest="plugins:\nlogging:\n")
    assert loaded(tmp_path, text).policy.resources["small"].timers.idle_s == 600
    (problem,) = problems(tmp_path, small(rest="  empty:\n"))
    assert (problem.key, problem.problem) == ("cloud.empty", "is not a mapping")
