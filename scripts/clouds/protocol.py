"""What the example clouds share: one JSON object in, one out, errors by class, programs with time limits, a state file.

The protocol is that of docs/clouds/command.md. Only the standard library, so that a machine needs nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PROTOCOL = 1
HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
Document = dict[str, Any]
Verb = Callable[[Mapping[str, Any], Document], Document]


class SiteError(Exception):
    """What the answer says went wrong. ``kind`` is an error class of the protocol."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class UnsentError(SiteError):
    """Nothing was asked of anybody: it is certain that nothing happened. Any other failure may have done its work."""


class LateError(Exception):
    """A program did not end in time and was killed. Whether it did its work is not known."""


def answer(verbs: Mapping[str, Verb], describe: str) -> int:
    """Read the question, let ``verbs[VERB](settings, question)`` answer it, print that. The process's exit code."""
    parser = argparse.ArgumentParser(description=describe)
    parser.add_argument("--config", type=Path, required=True, help="TOML file")
    parser.add_argument("verb", choices=sorted(verbs))
    words = parser.parse_args()
    try:
        said = verbs[words.verb](_settings(words.config), _question(words.verb))
    except SiteError as error:
        said = {"error": {"class": error.kind, "message": str(error)[:1000]}}
    except LateError as error:
        kind = "unknown-outcome" if words.verb == "launch" else "transient"
        said = {"error": {"class": kind, "message": str(error)[:1000]}}
    json.dump(said, sys.stdout)
    return 1 if "error" in said else 0


def _settings(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SiteError("bad-config", f"{path}: {error}") from error


def _question(verb: str) -> Document:
    try:
        asked = json.load(sys.stdin)
        good = asked["protocol"] == PROTOCOL and asked["verb"] == verb and isinstance(asked["cluster_id"], str)
    except (ValueError, KeyError, TypeError) as error:
        raise SiteError("bad-config", f"the question is none of protocol {PROTOCOL}: {error!r}") from error
    if not good:
        raise SiteError("bad-config", f"the question is none of protocol {PROTOCOL} for {verb}")
    found: Document = asked
    return found


def setting(settings: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """``settings[key]``, which is needed where there is no default, and of the default's type where there is one."""
    value = settings.get(key, default)
    if value is None:
        raise SiteError("bad-config", f"the setting {key} is missing")
    if default is not None and not isinstance(value, (int, float) if isinstance(default, float) else type(default)):
        raise SiteError("bad-config", f"the setting {key} is no {type(default).__name__}")
    return value


def host_name(node: Mapping[str, Any]) -> str:
    """That of a node to launch: nothing that could be an option, a path or a line of its own."""
    name = str(node.get("host_name", ""))
    if not HOST_NAME.fullmatch(name):
        raise SiteError("bad-config", f"{name[:100]!r} cannot be a host name")
    return name


def run(argv: Sequence[str], timeout_s: float, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    :raises LateError: after ``timeout_s``.
    :raises UnsentError: there is no such program.
    """
    try:
        return subprocess.run(
            list(argv),
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise LateError(f"{argv[0]} {argv[-1]} did not end within {timeout_s:g} s") from error
    except (OSError, ValueError) as error:
        raise UnsentError("bad-config", f"{argv[0]} cannot be run: {error}") from error


@contextlib.contextmanager
def alone(directory: Path, *, wait: bool = True, mode: int = 0o700) -> Iterator[bool]:
    """One at a time, whoever else works with this state directory. Without ``wait`` it may be somebody else: False."""
    try:
        directory.mkdir(mode=mode, parents=True, exist_ok=True)
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SiteError("bad-config", f"{directory}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def load(path: Path) -> Document:
    """A state file; empty if there is none. A damaged one is an error: a list without its machines would be a lie."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SiteError("transient", f"{path}: {error}") from error
    if not isinstance(found, dict):
        raise SiteError("transient", f"{path} is damaged")
    return found


def save(path: Path, state: Document) -> None:
    """All of it or nothing. A full disk is an error before anything was switched on."""
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w", encoding="utf-8") as file:
            json.dump(state, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise SiteError("capacity", f"{path}: {error.strerror}") from error
