"""Starting the service: the original's options, the pid file, the background, and bad configurations."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dynamiccluster.cli import exits
from dynamiccluster.cli.daemon import PidFile, detach
from dynamiccluster.cli.main import main
from dynamiccluster.config import adapters
from dynamiccluster.config import check as checking
from dynamiccluster.config.problems import Notice, Problem
from dynamiccluster.errors import BadConfigError


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, catch_exceptions=False)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Stands in for the application; every file counts as good."""
    calls: list[dict[str, Any]] = []

    def serve(path: str, **more: Any) -> int:
        calls.append({"path": path, **more})
        return more["speed"] == 7 and 9

    monkeypatch.setitem(sys.modules, "dynamiccluster.app", types.SimpleNamespace(serve=serve))
    monkeypatch.setattr(checking, "check", lambda _path: ((), ()))
    return calls


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-f", "-c", "x.yaml"), {"speed": 1.0, "verbosity": 0}),
        (("-c", "x.yaml", "-v", "-v"), {"verbosity": 2}),
        (("-vvq", "-c", "x.yaml"), {"verbosity": 1}),
        (("serve", "-c", "x.yaml", "--speed", "20"), {"speed": 20.0}),
        (("-v", "-c", "x.yaml", "serve"), {"verbosity": 1}),
    ],
)
def test_options_of_the_original_serve(
    started: list[dict[str, Any]], words: tuple[str, ...], expected: dict[str, Any]
) -> None:
    assert run(*words).exit_code == 0
    assert started[0]["path"] == str(Path("x.yaml").absolute())
    assert expected.items() <= started[0].items()


def test_code_of_the_service_is_passed_on(started: list[dict[str, Any]]) -> None:
    assert run("serve", "-c", "x.yaml", "--speed", "7").exit_code == 9


def test_options_of_the_service_go_with_no_other_verb(started: list[dict[str, Any]]) -> None:
    assert run("-c", "x.yaml", "nodes").exit_code == exits.USAGE
    assert run("serve", "-b", "-f").exit_code == exits.USAGE
    assert not started


def test_bad_configuration_never_starts(started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem("x.yaml", 3, "cloud.a", "unknown key \x1b", nearest="cloud.b")
    monkeypatch.setattr(checking, "check", lambda _path: ((problem,), ()))
    result = run("serve", "-c", "x.yaml")
    assert result.exit_code == exits.BAD_CONFIG
    assert "x.yaml:3" in result.stderr
    assert "\x1b" not in result.stderr
    assert not started


def test_check_config_prints_all_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = (Problem("x", 1, "a", "wrong"), Problem("x", 2, "b", "worse", "a number"))
    monkeypatch.setattr(checking, "check", lambda _path, **_types: (problems, (Notice("x", 3, "c", "old name"),)))
    result = run("check-config", "x")
    assert result.exit_code == exits.BAD_CONFIG
    *three, last = result.stderr.splitlines()
    assert (len(three), last.startswith("plug-ins, tokens and certificates are looked at once")) == (3, True)
    told = json.loads(run("check-config", "x", "-o", "json").stdout)
    assert (told["ok"], [one["line"] for one in told["problems"]], told["notices"][0]["key"]) == (False, [1, 2], "c")


def test_check_config_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert run("check-config", str(tmp_path / "none.yaml")).exit_code == exits.BAD_CONFIG
    (tmp_path / "bad.yaml").write_text("cluster: [")
    assert run("check-config", str(tmp_path / "bad.yaml")).exit_code == exits.BAD_CONFIG


def test_pid_file_is_held_by_one_and_removed(started: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    with PidFile(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"
        result = run("-f", "-p", str(path), "-c", "x.yaml")
        assert result.exit_code == exits.BAD_CONFIG
        assert f"running already, as process {os.getpid()}" in result.stderr
        assert path.exists()
    assert not path.exists()
    assert run("-f", "-p", str(path), "-c", "x.yaml").exit_code == 0
    assert not path.exists()


def test_pid_file_left_by_a_crash_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "x.pid"
    path.write_text("999999999 and more text\n")
    with PidFile(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"


def test_pid_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "none" / "x.pid", tmp_path / "link"):
        with pytest.raises(BadConfigError, match="pid file"):
            PidFile(str(path)).__enter__()
    assert not (tmp_path / "elsewhere").exists()


def test_background_process_has_its_own_session_and_the_pid_file(tmp_path: Path) -> None:
    """A real fork: the child reports through a pipe, the process that was called ends at once."""
    path = tmp_path / "x.pid"
    reader, writer = os.pipe()
    called = os.fork()
    if called == 0:  # as the shell's command
        try:
            with PidFile(str(path)) as held:
                tell = detach()
                held.write()
                facts = [os.getpid(), int(path.read_text()), os.getsid(0), os.getcwd(), os.readlink("/proc/self/fd/1")]
                os.write(writer, json.dumps(facts).encode())
                tell("")
        finally:
            os._exit(0)
    os.close(writer)
    assert os.waitpid(called, 0)[1] == 0
    with os.fdopen(reader) as pipe:
        pid, written, session, folder, output = json.load(pipe)
    assert written == pid != called
    assert session not in {pid, os.getsid(0)}
    assert (folder, output) == ("/", os.devnull)


def test_check_config_names_types_without_an_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "SCHEDULERS", ("simulated",))
    monkeypatch.setattr(adapters, "CLOUDS", ("simulated",))
    file = tmp_path / "c.yaml"
    file.write_text(
        "cluster: {type: torque}\n"
        "cloud: {a: {type: aws, quantity: {max: 1}, "
        "config: {image_id: ami-1, instance_type: c5.large, region_name: r}}}\n",
        encoding="utf-8",
    )
    result = run("check-config", str(file))
    assert result.exit_code == exits.OK
    assert "type torque is known but this release has no adapter for it yet" in result.output + result.stderr
    assert "cloud.a.type" in result.output + result.stderr
