"""The stages of ``scripts/test``: one line and its time each, the output of what failed, a summary at the end."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CORES = len(os.sched_getaffinity(0))
LEAST_LANES = 3
"""So many real systems at a time even on two cores: their tests wait most of the time, for daemons and for nodes. The
tests of one module share a system, and so a lane."""

SYSTEM_OPTIONS = ["-p", "no:randomly", "-r", "sfE", "--tb=short", "--timeout=1500", "--durations=20"]
MOST_AGAIN = 6
"""Three systems beside each other keep two cores busy, and daemons and browsers have time-outs of their own: so many
failed tests at most are tried once more, alone, and reported as such. More than that are no accident."""

MINUTE_S = 60.0
MOST_LINES = 110  # of a failed stage's output; all of it is in a file
MOST_CHARACTERS = 260  # of a line


@dataclass(frozen=True)
class Stage:
    """One command. ``limit_s`` ends it: a stage that hangs fails, it does not hang the rest."""

    name: str
    command: list[str]
    limit_s: float
    slow: bool = False  # left out by --quick
    apart: bool = False  # left out unless it is asked for by name
    shown: bool = False  # its last lines are shown even if it passes
    again: tuple[str, ...] = ()  # how the tests that failed are run once more, alone; which ones is always said


def tool(name: str) -> str:
    return str(BIN / name)


def stages() -> list[Stage]:
    python = sys.executable
    kinds = ("unit", "property", "contract", "house", "service", "regress")
    paths = [f"tests/{kind}" for kind in kinds if has_tests(kind)]
    in_lanes = ["-n", str(max(LEAST_LANES, min(CORES, 6))), "--dist", "loadfile"]
    return [
        Stage("lint", [tool("ruff"), "check", "."], 2 * MINUTE_S),
        Stage("format", [tool("ruff"), "format", "--check", "."], 2 * MINUTE_S),
        Stage("types", [tool("mypy"), "dynamiccluster"], 8 * MINUTE_S),
        Stage("imports", [tool("lint-imports"), "--no-logo", "--no-cache"], 2 * MINUTE_S),
        Stage("docs", [python, "scripts/docs.d/write.py", "--check"], MINUTE_S),
        Stage(
            "tests",
            [python, "-m", "pytest", "-n", str(max(2, min(CORES, 8))), "-m", "not system", *paths],
            20 * MINUTE_S,
            shown=True,
        ),
        *web_stages(),
        Stage("worlds", ["scripts/worlds", "50", "--jobs", str(CORES)], 15 * MINUTE_S, slow=True, shown=True),
        Stage(
            "systems",
            [python, "-m", "pytest", "-m", "system and not openstack", *in_lanes, *SYSTEM_OPTIONS, "tests"],
            65 * MINUTE_S,
            shown=True,
            again=(python, "-m", "pytest", "-m", "system and not openstack", "--last-failed", *SYSTEM_OPTIONS, "tests"),
        ),
        Stage(  # one OpenStack for all of its tests, and nothing beside it: it wants both cores for itself
            "openstack",
            [python, "-m", "pytest", "-m", "openstack", *SYSTEM_OPTIONS, "tests/system"],
            40 * MINUTE_S,
            shown=True,
            apart=True,
        ),
    ]


def web_stages() -> list[Stage]:
    """The dashboard is built and checked where there is Node.js; the service does without."""
    if shutil.which("npm") is None:
        return []
    options = ["-p", "no:randomly", "-rsfE", "--timeout=240", "--tb=short", "tests/browser"]
    driven = [sys.executable, "-m", "pytest", *options]
    return [
        Stage("web", ["scripts/web", "check"], 5 * MINUTE_S),
        Stage("browser", driven, 10 * MINUTE_S, slow=True, shown=True, again=(*driven, "--last-failed")),
    ]


def has_tests(kind: str) -> bool:
    return any((ROOT / "tests" / kind).glob("test_*.py"))


@dataclass(frozen=True)
class Result:
    stage: Stage
    code: int
    took_s: float
    tried_again: int  # tests that failed beside others and were run once more


def run(stage: Stage, environment: dict[str, str]) -> Result:
    """Run one stage, and what failed in it once more where the stage says how."""
    began = time.monotonic()
    code, text = carry_out(stage.command, stage.limit_s, environment)
    failed = [line.partition(" - ")[0] for line in text.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    tried_again = 0
    if code == 1 and stage.again and 0 < len(failed) <= MOST_AGAIN:
        print(
            f"again {stage.name:<8} {time.monotonic() - began:7.1f} s: {len(failed)} failed beside others", flush=True
        )
        for line in failed:
            print(f"       {line}", flush=True)
        print(f"       {closing(text)[-1]}\n       all of it: {kept(stage, text)}", flush=True)
        tried_again = len(failed)
        code, text = carry_out(list(stage.again), stage.limit_s, environment)
    took_s = time.monotonic() - began
    print(f"{'ok  ' if code == 0 else 'FAIL'} {stage.name:<9} {took_s:7.1f} s", flush=True)
    if code:
        print(f"--- {' '.join(stage.command)}", flush=True)
        print(f"{tail(text)}\n--- exit code {code}; all of it: {kept(stage, text)}", flush=True)
    elif stage.shown:
        for line in closing(text):
            print(f"       {line}", flush=True)
    return Result(stage, code, took_s, tried_again)


def carry_out(command: list[str], limit_s: float, environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and output of a command that runs in a process group of its own, so that all of it can be ended."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            end(process)
            output.seek(0, os.SEEK_END)
            output.write(f"\nended: it took longer than {limit_s / 60:.0f} minutes\n".encode())
            code = 124
        except KeyboardInterrupt:
            end(process)
            raise
        output.seek(0)
        return code, output.read().decode("utf-8", "replace").rstrip()


def tail(text: str) -> str:
    """The end of a long output, where pytest names what failed."""
    lines = [line[:MOST_CHARACTERS] for line in text.splitlines()]
    left_out = len(lines) - MOST_LINES
    return "\n".join(lines if left_out <= 0 else [f"... {left_out} lines left out ...", *lines[-MOST_LINES:]])


def kept(stage: Stage, text: str) -> Path:
    """A file with the whole output."""
    number, name = tempfile.mkstemp(suffix=".log", prefix=f"dynamiccluster-{stage.name}-")
    with os.fdopen(number, "w") as file:
        file.write(text + "\n")
    return Path(name)


def closing(text: str) -> list[str]:
    """The last line, and before it every skipped test with its reason."""
    lines = [line for line in text.splitlines() if line.strip()]
    return [line for line in lines[:-1] if line.startswith("SKIPPED")] + lines[-1:]


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the group to stop, then insist. Test beds take themselves down when they are interrupted."""
    for number, patience_s in ((signal.SIGINT, 60.0), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def choose(options: argparse.Namespace) -> list[Stage]:
    known = stages()
    if unknown := set(options.stages) - {stage.name for stage in known}:
        raise SystemExit(f"no stage {', '.join(sorted(unknown))}: there are {' '.join(stage.name for stage in known)}")
    wanted = {*options.stages, *(["openstack"] if options.openstack else [])}
    if wanted and not (options.testbeds and not options.stages):
        return [stage for stage in known if stage.name in wanted]
    return [
        stage for stage in known if not (options.quick and stage.slow) and (stage.name in wanted or not stage.apart)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/test", description="Run the tests.")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="only these")
    parser.add_argument("--testbeds", action="store_true", help="install and test real systems, too")
    parser.add_argument(
        "--openstack",
        action="store_true",
        help="install and test a real OpenStack; with --testbeds after all else, alone nothing else",
    )
    parser.add_argument("--quick", action="store_true", help="without what takes minutes")
    parser.add_argument("--list", action="store_true", help="show the stages and their commands")
    options = parser.parse_args()
    chosen = choose(options)
    if options.list:
        for stage in chosen:
            print(f"{stage.name:<9} {' '.join(stage.command)}")
        return 0
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
    environment.pop("DYNAMICCLUSTER_TESTBEDS", None)
    if options.testbeds or options.openstack:
        environment["DYNAMICCLUSTER_TESTBEDS"] = "1"
    if shutil.which("npm") is None:
        print("left out: web, browser (no Node.js with npm on this machine)", flush=True)
    began = time.monotonic()
    results = [run(stage, environment) for stage in chosen]
    failed = [result.stage.name for result in results if result.code]
    took = f"{len(results)} stages in {(time.monotonic() - began) / 60:.1f} minutes"
    again = sum(result.tried_again for result in results)
    second = f" ({again} at a second try)" if again else ""
    print(f"{took}: {'FAILED ' + ', '.join(failed) if failed else 'all passed' + second}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT is ignored in what a script starts with &
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
