"""Replays a recording's ``INDEX.tsv`` on a double: the very command line, its output, its errors, its exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dynamiccluster.testing.stand_in.place import Place, State

Rule = Callable[[str], str]
SLEEP = """#!{python} -S
import sys
sys.path[:0] = {paths!r}
from replay import pass_time
pass_time({place!r}, float(sys.argv[1]))
"""


@dataclass(frozen=True)
class Line:
    """One line of ``INDEX.tsv``."""

    file: str
    code: str
    user: str
    command: str


@dataclass(frozen=True)
class Case:
    """How a line is replayed: the situation before it, and rules that both sides are put through first."""

    situation: Callable[[], State]
    rules: tuple[Rule, ...] = ()


def index(directory: Path) -> list[Line]:
    lines = (directory / "INDEX.tsv").read_text(encoding="utf-8").splitlines()[1:]
    fields = [line.split("\t") for line in lines if line.strip()]
    return [Line(file, code, who.partition("@")[0], command) for file, code, who, command in fields]


def recorded(directory: Path, line: Line) -> tuple[str, str]:
    def text(path: Path) -> str:
        return path.read_text(encoding="utf-8") if path.exists() else ""

    return text(directory / line.file), text(directory / f"{line.file}.stderr")


def install_sleep(place: Place) -> None:
    """``sleep`` in a command line lets the double's time pass, which is set by hand."""
    path = Path(place.file("bin", "sleep"))
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    path.write_text(SLEEP.format(python=sys.executable, paths=paths, place=place.path))
    path.chmod(0o755)


def replay(place: Place, line: Line, home: Path, env: Mapping[str, str] | None = None) -> tuple[str, str, str]:
    """Output, errors and exit code of the command line, run by ``bash`` with the double's commands first."""
    done = subprocess.run(
        ["/bin/bash", "-c", line.command],
        capture_output=True,
        text=True,
        cwd=home,
        timeout=30,
        check=False,
        env={
            "PATH": f"{place.file('bin')}:{os.environ['PATH']}",
            "HOME": str(home),
            "STAND_IN_USER": line.user,
            "LC_ALL": "C",
            **(env or {}),
        },
    )
    return done.stdout, done.stderr, str(done.returncode)


def through(rules: tuple[Rule, ...], text: str) -> str:
    for rule in rules:
        text = rule(text)
    return text


def pass_time(path: str, seconds: float) -> None:
    """What ``sleep`` does in a replay: the double's clock, set by hand, goes on."""
    place = Place(path)
    place.set_clock(place.now() + seconds)


def masked(pattern: str, with_text: str = "X") -> Rule:
    """A rule: what the pattern finds is not compared. Its first group, if it has one, stays."""

    def rule(text: str) -> str:
        return re.sub(pattern, lambda match: (match[1] if match.lastindex else "") + with_text, text)

    return rule
