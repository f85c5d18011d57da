"""What is wrong with a configuration, or worth knowing about it: data, and one line of text each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dynamiccluster.errors import BadConfigError

Path = tuple[str | int, ...]
"""Where a value stands: ``("cloud", "small", "quantity", "min")``; numbers count list items from 0."""


def dotted(path: Path) -> str:
    """A path as a person reads it: ``cloud.small.quantity.min``, ``cluster.config.queue_to_monitor[2]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return _visible(text)


def _visible(text: str) -> str:
    """``text`` on one line, whatever an odd key or file name holds."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a configuration cannot be used. Never holds a configured value, which may be a secret."""

    file: str
    line: int  # counted from 1; 0 = the file as a whole
    key: str  # dotted; "" = the file as a whole
    problem: str
    expected: str = ""
    nearest: str = ""  # the known key that was probably meant

    def __str__(self) -> str:
        text = f"{_place(self.file, self.line, self.key)}: {self.problem}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f"; did you mean {self.nearest}?"
        return text


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that does not stop the service but that its operator should know."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return f"{_place(self.file, self.line, self.key)}: notice: {self.text}"


def _place(file: str, line: int, key: str) -> str:
    return ":".join([_visible(file), *([str(line)] if line else [])]) + (f": {key}" if key else "")


class ConfigProblems(BadConfigError):  # noqa: N818 - it holds problems, plural
    """The configuration cannot be used; holds *all* problems, in the order of their lines."""

    def __init__(self, problems: Iterable[Problem], notices: Iterable[Notice] = ()) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda p: (p.line, p.key, p.problem)))
        self.notices = tuple(notices)
        super().__init__("\n".join(str(problem) for problem in self.problems))
