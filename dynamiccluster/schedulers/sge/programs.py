"""Where Grid Engine's programs are, and what is missing from commands that were written for another machine.

The documented commands name ``/opt/sge/bin/lx-amd64``; Debian has the programs in ``/usr/bin``, others below
``$SGE_ROOT/bin/ARCHITECTURE``. A program that is not where a command says is looked for in all of them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

NAMES = ("qstat", "qhost", "qconf", "qmod", "qdel", "qquota")

_PROGRAM = re.compile(r"(?<![\w./@{}-])((?:[\w.+-]*/)*)(" + "|".join(NAMES) + r")(?![\w./-])")
_ARCHITECTURES = {"x86_64": ("amd64", "x64"), "aarch64": ("arm64", "aarch64")}
"""How Grid Engine's architectures for a kind of machine end: lx-amd64, lx26-amd64, linux-x64."""

_USUAL_ROOTS = ("/opt/sge", "/usr/share/gridengine", "/var/lib/gridengine", "/opt/gridengine", "/opt/uge")


def located(template: str, sge_root: str) -> str:
    """The command with every program of Grid Engine that is not there replaced by the one that is."""

    def find(match: re.Match[str]) -> str:
        written = match[1] + match[2]
        if match[1] and os.access(written, os.X_OK):
            return written
        return program(match[2], sge_root) or written

    return _PROGRAM.sub(find, template)


def program(name: str, sge_root: str) -> str:
    """The path of a program, or its name where PATH has it; "" if it is nowhere."""
    if sge_root and (found := _below(sge_root, name)):
        return found
    if shutil.which(name):
        return name
    return next((found for found in (_below(root, name) for root in _USUAL_ROOTS) if found), "")


def _below(root: str, name: str) -> str:
    """``ROOT/bin/ARCHITECTURE/NAME`` for the kind of this machine; a root may serve many kinds."""
    mine = _ARCHITECTURES.get(os.uname().machine, (os.uname().machine,))
    places = sorted(Path(root, "bin").glob(f"*/{name}"))
    fitting = (place for place in places if place.parent.name.endswith(mine) and os.access(place, os.X_OK))
    return next((str(place) for place in fitting), "")


def root_of(template: str) -> str:
    """The SGE_ROOT that a program with a path belongs to (``ROOT/bin/ARCHITECTURE/qstat``); "" if that is no cell's."""
    for directory, _ in _PROGRAM.findall(template):
        root = Path(directory).parent.parent
        if directory and Path(directory).parent.name == "bin" and (root / "default" / "common").is_dir():
            return str(root)
    return ""


def leading_words(template: str, name: str) -> tuple[str, ...]:
    """The words of a command up to the program, so that other options can follow: ``sudo -n /opt/.../qmod``.

    "()" if the program is not a word of it, as in a script of the site's.
    """
    try:
        words = shlex.split(template.partition("|")[0])
    except ValueError:
        return ()
    for at, word in enumerate(words):
        if os.path.basename(word) == name:
            return tuple(words[: at + 1])
    return ()


def completed(template: str, name: str, options: Mapping[str, Sequence[str]]) -> str:
    """The command with those options right after the program that it does not have; ``options``: with their values."""
    missing = [
        shlex.join((option, *values))
        for option, values in options.items()
        if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", template)
    ]
    if not missing:
        return template
    return re.sub(rf"((?<![\w.-]){name})(?![\w./-])", lambda found: " ".join((found[1], *missing)), template, count=1)
