"""Run benchmarks, one row after the other, each in a fresh process so that its memory is its own.

A benchmark is a module here with ``ROWS``, a tuple of its arguments for each row, and ``rows()``, which yields what
came out for each of them: an object with the fields of ``COLUMNS``, and more where one figure does not say it all.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MODULES = {
    "api": "api",
    "choose": "choose",
    "decide": "decide",
    "parse-lsf": "parse_lsf",
    "parse-htcondor": "parse_htcondor",
    "parse-sge": "parse_sge",
    "parse-slurm": "parse_slurm",
    "parse-torque": "parse_torque",
    "poll-aws": "poll_aws",
    "reaction": "reaction",
}
"""Name on the command line -> module."""

COLUMNS = ("name", "jobs", "nodes", "shapes", "seconds", "rss_mib")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(MODULES)}")
    parser.add_argument("--json", action="store_true", help="one JSON object per row instead of a table")
    parser.add_argument("--list", action="store_true", help="the names, and how many rows each has")
    parser.add_argument("--row", help=argparse.SUPPRESS)  # in the child: measure this row of one benchmark
    options = parser.parse_args()
    unknown = set(options.names) - set(MODULES)
    if unknown:
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}")
    if options.row:
        print(json.dumps(in_this_process(options.names[0], json.loads(options.row))))
        return 0
    names = options.names or list(MODULES)
    if options.list:
        for name in names:
            print(f"{name}: {len(rows_of(name))} rows")
        return 0
    failures = 0
    if not options.json:
        print(line(dict(zip(COLUMNS, COLUMNS, strict=True))))
    for name in names:
        for arguments in rows_of(name):
            row = in_a_child(name, arguments)
            failures += row is None
            if row:
                print(json.dumps(row) if options.json else line(row), flush=True)
    return 1 if failures else 0


def rows_of(name: str) -> list[list[Any]]:
    return [list(row) for row in importlib.import_module(MODULES[name]).ROWS]


def in_this_process(name: str, arguments: list[Any]) -> dict[str, object]:
    module = importlib.import_module(MODULES[name])
    module.ROWS = (tuple(arguments),)
    (row,) = module.rows()
    return {column: row[column] for column in COLUMNS} | row


def in_a_child(name: str, arguments: list[Any]) -> dict[str, object] | None:
    # one order of sets and dicts of text on every run, or the figures would differ for no reason of ours
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, str(HERE / "run.py"), name, "--row", json.dumps(arguments)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        print(f"{name} {arguments}: failed\n{run.stderr.strip()}", file=sys.stderr)
        return None
    row: dict[str, object] = json.loads(run.stdout.splitlines()[-1])
    return row


def line(row: dict[str, object]) -> str:
    more = "".join(f"  {key} {value}" for key, value in row.items() if key not in COLUMNS)
    return f"{row['name']:<12}" + "".join(f"{row[column]!s:>10}" for column in COLUMNS[1:]) + more


if __name__ == "__main__":
    sys.exit(main())
