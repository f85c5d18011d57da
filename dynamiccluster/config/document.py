"""A YAML file as plain data that remembers the line of every key.

Stricter than YAML: one document, a mapping at the top, each key once, no tags but YAML's own scalars. Values
never appear in messages, because any of them may be a secret in the wrong place.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from dynamiccluster.config.problems import ConfigProblems, Path, Problem, dotted
from dynamiccluster.config.syntax import syntax

MAX_BYTES = 1 << 20
"""A thousand resources take about 500 KiB; more than this is the wrong file."""

MAX_VALUES = 100_000
"""Bound of the values once aliases are expanded: a few hundred bytes of nested aliases can stand for billions."""

MAX_DEPTH = 32
"""The schema is seven levels deep; arguments of plug-ins may add some."""

_TAG = "tag:yaml.org,2002:"


class RawInt(int):
    """A YAML integer that knows how it was written, for keys that want text (``0123``) or an octal number."""

    raw: str


class RawFloat(float):
    """A YAML number that knows how it was written (``1.10`` as a version or flavor name)."""

    raw: str


def plain(value: Any) -> Any:
    """A value without the memory of how its numbers were written."""
    if isinstance(value, RawInt):
        return int(value)
    if isinstance(value, RawFloat):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


@dataclass(slots=True)
class Document:
    """One file's data. ``lines`` has a line for every path in ``data``; ``written`` has paths that were moved."""

    file: str
    data: dict[str, Any] = field(repr=False)  # may hold secrets
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, Path] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of a key, or of the nearest section above it that is written down."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 0

    def key(self, path: Path) -> str:
        """The dotted key as the operator wrote it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.written:
                return dotted(self.written[path[:length]] + path[length:])
        return dotted(path)

    def problem(self, path: Path, problem: str, expected: str = "", nearest: str = "") -> Problem:
        return Problem(self.file, self.line(path), self.key(path), problem, expected, nearest)

    def has(self, path: Path) -> bool:
        return path in self.lines

    def move(self, old: Path, new: Path) -> bool:
        """Put the value of ``old`` where ``new`` is; false (and nothing done) if something stands there already."""
        source, target = self._parent(old), self._parent(new, make=True)
        if source is None or target is None or target.get(new[-1]) is not None:
            return False
        target[new[-1]] = source.pop(old[-1])
        self.lines.pop(new, None)
        for path in [path for path in self.lines if path[: len(old)] == old]:
            self.lines[new + path[len(old) :]] = self.lines.pop(path)
        self.written[new] = self.written.get(old, old)
        return True

    def drop(self, path: Path) -> None:
        """Forget one value."""
        parent = self._parent(path)
        if parent is not None:
            parent.pop(path[-1], None)

    def drop_blanks(self) -> None:
        """Forget keys without a value: ``queue:`` means the same as no such line.

        Entries of ``cloud`` and ``plugins`` stay: a name without a body is a mistake.
        """
        _drop_blanks(self.data, ())

    def _parent(self, path: Path, make: bool = False) -> dict[Any, Any] | None:
        here: Any = self.data
        for part in path[:-1]:
            if make and isinstance(here, dict) and here.get(part) is None:
                here[part] = {}
            here = here.get(part) if isinstance(here, dict) else None
        return here if isinstance(here, dict) else None


def _drop_blanks(here: dict[str, Any], path: Path) -> None:
    for key, value in list(here.items()):
        if value is None and path not in (("cloud",), ("plugins",)):
            del here[key]
        elif isinstance(value, dict):
            _drop_blanks(value, (*path, key))


def read(path: str) -> Document:
    """The document in the file at ``path``.

    :raises ConfigProblems: no such file, unreadable, not UTF-8, not YAML, empty, not a mapping, a key given twice ...
    """
    try:
        where = pathlib.Path(path)
        if where.is_dir():
            _fail(path, 0, "is a directory", "a YAML file")
        with where.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a file name"
        raise ConfigProblems([Problem(path, 0, "", f"cannot be read: {reason}", "a readable YAML file")]) from error
    return parse(path, content)


def parse(file: str, content: bytes) -> Document:
    """The document in ``content``; ``file`` is its name in messages. Errors as :func:`read`."""
    if len(content) > MAX_BYTES:
        _fail(file, 0, "is too large for a configuration", f"at most {MAX_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigProblems([Problem(file, line, "", "is not UTF-8 text", "a UTF-8 encoded file")]) from None
    reader = _Reader(file)
    root = _compose(file, text)
    document = Document(file, {})
    try:
        document.data = reader.mapping(root, (), document.lines)
    except RecursionError:
        _fail(file, 0, "is nested too deeply", f"at most {MAX_DEPTH} levels")
    if reader.problems:
        raise ConfigProblems(reader.problems)
    return document


def _compose(file: str, text: str) -> yaml.MappingNode:
    try:
        roots = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = Problem(file, line, "", "holds a control character", "printable UTF-8 text")
        raise ConfigProblems([problem]) from None
    except yaml.MarkedYAMLError as error:  # its own text quotes the line, which may hold a secret
        mark = error.problem_mark or error.context_mark
        raise ConfigProblems([Problem(file, mark.line + 1 if mark else 0, "", *syntax(error))]) from None
    except RecursionError:
        _fail(file, 0, "is nested too deeply", f"at most {MAX_DEPTH} levels")
    except (yaml.YAMLError, ValueError):
        raise ConfigProblems([Problem(file, 0, "", "is not valid YAML")]) from None
    if not roots or _is_null(roots[0]):
        _fail(file, 0, "is empty", "at least the sections cluster and cloud")
    if len(roots) > 1:
        _fail(file, roots[1].start_mark.line + 1, "holds a second YAML document", "one document")
    root = roots[0]
    if not isinstance(root, yaml.MappingNode):
        _fail(file, root.start_mark.line + 1, "is not a mapping", "sections such as `cluster:` and `cloud:`")
    return root


def _fail(file: str, line: int, problem: str, expected: str) -> NoReturn:
    raise ConfigProblems([Problem(file, line, "", problem, expected)])


def _is_null(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null")


class _Reader:
    """Turns nodes into data and collects what is wrong with them."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._values = 0
        self._open: set[int] = set()
        self._make = yaml.constructor.SafeConstructor()

    def mapping(self, node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node, own in self._pairs(node, path):
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._add(line, path, "a key must be a word, not a list or a mapping")
                continue
            key = key_node.value
            if own and key in first:
                self._add(line, (*path, key), f"is given twice, first in line {first[key]}", "each key once")
                continue
            if own:
                first[key] = line
            lines[(*path, key)] = line
            data[key] = self._value(value_node, (*path, key), lines)
        return data

    def _pairs(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """Keys and values; those that come in by a merge key (``<<``) first, so that the mapping's own win."""
        own = []
        for key, value in node.value:
            if key.tag != _TAG + "merge":
                own.append((key, value, True))
                continue
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(source, yaml.MappingNode):
                    self._add(key.start_mark.line + 1, path, "`<<` can only take in mappings")
                elif self._enter(source, path):
                    yield from ((k, v, False) for k, v, _ in self._pairs(source, path))
                    self._open.discard(id(source))
        yield from own

    def _enter(self, node: yaml.Node, path: Path) -> bool:
        line = node.start_mark.line + 1
        if id(node) in self._open:
            self._add(line, path, "contains itself through an alias")
        elif self._values > MAX_VALUES:
            self._add(line, (), f"holds more than {MAX_VALUES} values once its aliases are expanded")
        elif len(path) > MAX_DEPTH:
            self._add(line, path[:3], "is nested too deeply", f"at most {MAX_DEPTH} levels")
        else:
            self._open.add(id(node))
            return True
        return False

    def _value(self, node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
        self._values += 1
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        standard = _TAG + ("map" if isinstance(node, yaml.MappingNode) else "seq")
        if node.tag != standard:
            self._add(node.start_mark.line + 1, path, "has a YAML tag (`!`), which is not supported")
            return None
        if not self._enter(node, path):
            return None
        try:
            if isinstance(node, yaml.MappingNode):
                return self.mapping(node, path, lines)
            items = []
            for number, item in enumerate(node.value):
                lines[(*path, number)] = item.start_mark.line + 1
                items.append(self._value(item, (*path, number), lines))
            return items
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        kind = node.tag.removeprefix(_TAG)
        try:
            match kind:
                case "null":
                    return None
                case "str" | "timestamp" | "value" | "merge":  # dates are text here; no key wants one
                    return node.value
                case "bool":
                    return self._make.construct_yaml_bool(node)
                case "int":
                    whole = RawInt(self._make.construct_yaml_int(node))
                    whole.raw = node.value
                    return whole
                case "float":
                    number = RawFloat(self._make.construct_yaml_float(node))
                    number.raw = node.value
                    return number
        except (ValueError, KeyError, IndexError, OverflowError):
            self._add(node.start_mark.line + 1, path, f"is not a YAML {kind}")
            return None
        self._add(
            node.start_mark.line + 1, path, "has a YAML tag (`!`), which is not supported", "a quoted text instead"
        )
        return None

    def _add(self, line: int, path: Path, problem: str, expected: str = "") -> None:
        self.problems.append(Problem(self.file, line, dotted(path), problem, expected))
