"""The commands of a stand-in as executables. Imports little: each command is a process of its own."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Callable, Iterable, Sequence

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import Place

Dispatch = Callable[[Call], int]
"""Runs one call; returns its exit code."""

_SHIM = """#!{python} -SE
import os, sys
sys.path.insert(0, {root!r})
from {module} import main
os._exit(main({place!r}, {name!r}, sys.argv[1:]))
"""
"""``-S``: without the site's packages, which nothing here needs, it starts three times as fast."""


def install(place: Place, module: str, names: Iterable[str]) -> str:
    """Write the executables into ``bin/`` of the place. ``module``: has ``main(place, name, arguments) -> int``."""
    directory = place.file("bin")
    os.makedirs(directory, exist_ok=True)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    for name in names:
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(_SHIM.format(python=sys.executable, root=root, module=module, place=place.path, name=name))
        os.chmod(path, 0o755)  # noqa: S103 - anybody may run them: jobs are submitted by users
    return directory


def run_here(dispatch: Dispatch, path: str, name: str, arguments: Sequence[str]) -> int:
    """The body of a shim's ``main``: run the command as this process, print, return the exit code."""
    call = Call(
        Place(path),
        name,
        arguments,
        user=os.environ.get("STAND_IN_USER") or pwd.getpwuid(os.geteuid()).pw_name,
        stdin="" if os.isatty(0) else _read_stdin(arguments),
        cwd=os.environ.get("PWD", "/"),
        env=os.environ,
    )
    code = dispatch(call)
    call.flush()
    return code


def _read_stdin(arguments: Sequence[str]) -> str:
    """Only where a script may come that way: other commands must not wait for somebody else's input."""
    if arguments and not arguments[-1].startswith("-") and os.path.exists(arguments[-1]):
        return ""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return ""
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return ""
    with open(0, encoding="utf-8", errors="replace", closefd=False) as file:
        return file.read()
