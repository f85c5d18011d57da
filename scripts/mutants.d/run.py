"""Apply each mutant to a copy of the package and run on it what must turn red: worlds, or an adapter's contract.

The mutants of ``table.py`` break the core, and worlds must notice. Those of the other modules here break one adapter
each; they have ``MUTANTS`` and ``SUITE``, the tests that must notice.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from table import MUTANTS, Mutant

HERE = Path(__file__).resolve().parent
ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 1800


@dataclass(frozen=True)
class Verdict:
    killed: bool
    text: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these mutants (part of the name is enough)")
    parser.add_argument("--worlds", type=int, default=40, help="seeds to try at most per mutant")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    every = [(mutant, "") for mutant in MUTANTS] + list(of_adapters())
    chosen = [each for each in every if not options.names or any(name in each[0].name for name in options.names)]
    survivors = 0
    for mutant, suite in chosen:
        verdict = judge(mutant, suite, options.worlds, options.jobs)
        survivors += not verdict.killed
        print(f"{'killed  ' if verdict.killed else 'SURVIVED'} {mutant.name}: {verdict.text}", flush=True)
    print(f"{len(chosen)} mutants: {len(chosen) - survivors} killed, {survivors} survived")
    return 1 if survivors or not chosen else 0


def of_adapters() -> Iterator[tuple[Mutant, str]]:
    """The mutants of each adapter, and the tests that must turn red for them."""
    for path in sorted(HERE.glob("*.py")):
        if path.stem not in ("run", "table"):
            module = importlib.import_module(path.stem)
            yield from ((mutant, module.SUITE) for mutant in module.MUTANTS)


def judge(mutant: Mutant, suite: str, worlds: int, jobs: int) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="mutant-") as place:
        shutil.copytree(
            ROOT / "dynamiccluster", Path(place, "dynamiccluster"), ignore=shutil.ignore_patterns("__pycache__")
        )
        for edit in mutant.edits:
            file = Path(place, "dynamiccluster", edit.file)
            text = file.read_text(encoding="utf-8")
            if text.count(edit.old) != 1:
                return Verdict(
                    False, f"the text to change occurs {text.count(edit.old)} times in {edit.file}, not once"
                )
            file.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
        worlds_until_red = ["dynamiccluster.testing.worlds", str(worlds), "--until-red", "--jobs", str(jobs)]
        contract = ["pytest", "-x", "-q", "-p", "no:randomly", "-c", str(ROOT / "pyproject.toml"), str(ROOT / suite)]
        command = [sys.executable, "-m", *(contract if suite else worlds_until_red)]
        environment = {**os.environ, "PYTHONPATH": place, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        sign = "FAILED " if suite else "promise "
        said = [line.strip() for line in run.stdout.splitlines() if line.strip().startswith(sign)]
        if run.returncode == 1 and said:
            return Verdict(True, said[0])
        if run.returncode == 0:
            return Verdict(False, f"{suite or f'{worlds} worlds'} noticed nothing")
        return Verdict(False, f"the run itself failed: {(run.stderr or run.stdout).strip()[-300:]}")


if __name__ == "__main__":
    sys.exit(main())
