"""One of each tool: programs, time and threads are used through ``kit`` only, and pure rooms reach nothing."""

from __future__ import annotations

import pytest
from sources import Module, called, imported, module, package

PROGRAMS = {"subprocess", "pty", "_posixsubprocess"}
PROGRAM_CALLS = {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile"}
MAY_START_PROGRAMS = {
    "kit/runner.py": "the one place for it",
    "cli/daemon.py": "a service that goes into the background forks itself",
    "clouds/local_worker.py": "a program of its own: the first process of a local instance, which must fork and exec",
    "testing/stand_in/processes.py": "programs of their own: daemons and jobs of the doubles of schedulers",
}

TIME_CALLS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
MAY_READ_TIME = {
    "kit/clock.py": "the one place for it",
    "kit/pace.py": "the event loop whose time runs at another speed",
    "kit/runner.py": "time limits of real programs are real, at every speed",
}

THREADS = {"threading", "_thread", "concurrent", "multiprocessing"}
THREAD_CALLS = {"asyncio.to_thread", "loop.run_in_executor"}
MAY_HAVE_THREADS = {
    "kit/blocking.py": "the one bridge to threads",
    "kit/exclusive.py": "the one lock, for things that two threads of the bridge share",
    "testing/worlds.py": "simulates several worlds at a time, in processes that share nothing",
}

IO = {
    "asyncio", "fcntl", "http", "io", "logging", "os", "pathlib", "random", "secrets", "select", "selectors", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
"""What a pure module has no use for: the world, and chance."""

IO_CALLS = {"open", "print", "input"}


def programs(one: Module) -> list[str]:
    found = [f"imports {name}" for _, name in imported(one.tree) if name.partition(".")[0] in PROGRAMS]
    for _, name in called(one.tree):
        owner, _, verb = name.rpartition(".")
        if owner == "os" and (verb in PROGRAM_CALLS or verb.startswith(("exec", "spawn"))):
            found.append(f"calls {name}")
        if owner == "asyncio" and verb.startswith("create_subprocess"):
            found.append(f"calls {name}")
    return found


def time(one: Module) -> list[str]:
    found = [f"imports {name}" for _, name in imported(one.tree) if name.partition(".")[0] == "time"]
    return found + [f"calls {name}" for _, name in called(one.tree) if reads_time(name)]


def reads_time(name: str) -> bool:
    """Whether the last two words are one of the calls: ``datetime.datetime.now`` is ``datetime.now``."""
    return ".".join(name.split(".")[-2:]) in TIME_CALLS


def threads(one: Module) -> list[str]:
    found = [f"imports {name}" for _, name in imported(one.tree) if name.partition(".")[0] in THREADS]
    return found + [f"calls {name}" for _, name in called(one.tree) if name in THREAD_CALLS]


def impure(one: Module) -> list[str]:
    found = [f"imports {name}" for _, name in imported(one.tree) if name.partition(".")[0] in IO]
    return found + [f"calls {name}" for _, name in called(one.tree) if name in IO_CALLS or reads_time(name)]


def is_pure(one: Module) -> bool:
    return one.room in ("decide", "model", "errors") or one.name.endswith(("_parse", "_map"))


@pytest.mark.parametrize(
    ("rule", "allowed"), [(programs, MAY_START_PROGRAMS), (time, MAY_READ_TIME), (threads, MAY_HAVE_THREADS)]
)
def test_one_place_for_each_tool(rule, allowed) -> None:
    wrong = {one.where: rule(one) for one in package() if one.where not in allowed and rule(one)}
    assert not wrong


@pytest.mark.parametrize(
    ("rule", "allowed"), [(programs, MAY_START_PROGRAMS), (time, MAY_READ_TIME), (threads, MAY_HAVE_THREADS)]
)
def test_no_exception_outlives_its_reason(rule, allowed) -> None:
    used = {one.where for one in package() if rule(one)}
    assert set(allowed) <= used


def test_pure_rooms_reach_nothing() -> None:
    assert not {one.where: impure(one) for one in package() if is_pure(one) and impure(one)}
    assert sum(is_pure(one) for one in package()) > 25


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (programs, "import subprocess"),
        (programs, "def f():\n    from subprocess import run"),
        (programs, "import os\nos.execvp('sh', [])"),
        (programs, "import asyncio\nasyncio.create_subprocess_exec('sh')"),
        (time, "from time import monotonic"),
        (time, "from datetime import datetime\ndatetime.now()"),
        (time, "import datetime\ndatetime.datetime.now()"),
        (threads, "from concurrent.futures import ThreadPoolExecutor"),
        (threads, "import asyncio\nasyncio.to_thread(f)"),
        (impure, "import logging"),
        (impure, "open('x')"),
        (impure, "from pathlib import Path"),
    ],
)
def test_the_rules_can_fail(rule, text: str) -> None:
    assert rule(module("decide/bad.py", text))
