"""Slurm's resume and suspend programs: a nudge that stands in the history, never late, never failing."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from live_api import Live, live

from dynamiccluster.cli import slurm_hook
from dynamiccluster.cli.main import main
from dynamiccluster.client.rest import DEFAULT_SOCKET


@pytest.fixture
def api(tmp_path: Path):
    with live(tmp_path) as running:
        yield running


def power(api: Live, wants: str, hosts: object) -> int:
    return api.change("POST", "/api/v1/power", {"wants": wants, "hosts": hosts}).status


def test_the_history_says_who_wants_what(api: Live) -> None:
    assert power(api, "resume", "pc-[0001-0020],gpu-3") == 200
    assert api.service.nudges == ["scheduler"]
    ((actor, note),) = api.service.notes
    assert "(uid " in actor
    assert "wants to resume 21 host(s): pc-[0001-0020],gpu-3" in note


def test_a_long_list_is_counted_and_cut(api: Live) -> None:
    assert power(api, "suspend", ",".join(f"a{number}" for number in range(5000))) == 200
    ((_, note),) = api.service.notes
    assert "suspend 5000 host(s)" in note
    assert len(note) < 300


@pytest.mark.parametrize(
    "hosts",
    [
        "",
        "x" * 60_001,
        "pc-[1-",
        "pc-]1",
        "a[1-99999999]",
        "a[" + ",".join(["1-99999"] * 4000) + "]",
        "a[1-1000][1-1000]",
        "a b",
        "-oProxyCommand=x",
        "a\nb",
        "pc-[0001-0002],\x1b[31m",
        ["a"],
        None,
    ],
)
def test_odd_lists_are_refused(api: Live, hosts: object) -> None:
    assert power(api, "resume", hosts) == 400
    assert not api.service.nudges
    assert not api.service.notes


def test_the_wish_is_one_of_two_and_not_for_everybody(api: Live) -> None:
    assert power(api, "destroy", "a") == 400
    assert api.ask("POST", "/api/v1/power", {"wants": "resume", "hosts": "a"}).status == 403
    assert not api.service.nudges


# -- the programs -------------------------------------------------------------------------------------


def said(wants: str, arguments: list[str], where: str) -> list[str]:
    lines: list[str] = []
    assert slurm_hook.run(wants, arguments, where, lines.append) == 0
    return lines


def test_the_service_is_told(api: Live) -> None:
    assert said("resume", ["pc-[0001-0002]"], api.settings.socket_path) == []
    assert said("suspend", ["pc-0001"], f"unix:{api.settings.socket_path}") == []
    assert [note.split()[6:9] for _, note in api.service.notes] == [
        ["resume", "2", "host(s):"],
        ["suspend", "1", "host(s):"],
    ]


def test_a_refusal_is_one_line(api: Live) -> None:
    (line,) = said("resume", ["pc-[1-"], api.settings.socket_path)
    assert "400" in line


def test_a_service_that_is_away_is_one_line(tmp_path: Path) -> None:
    (line,) = said("resume", ["pc-0001"], str(tmp_path / "none.sock"))
    assert "resume pc-0001" in line
    assert "next poll" in line


@pytest.mark.parametrize("hosts", [[], [""], ["x" * 50_000]])
def test_nothing_or_too_much_to_tell_is_one_short_line(tmp_path: Path, hosts: list[str]) -> None:
    (line,) = said("resume", hosts, str(tmp_path / "none.sock"))
    assert len(line) < 500


def test_only_a_socket_will_do_and_no_control_character_is_told(tmp_path: Path) -> None:
    (line,) = said("resume", ["a"], "http://127.0.0.1:8001")
    assert "Unix socket" in line
    (line,) = said("resume", ["a\x1b[31m\n"], str(tmp_path / "none.sock"))
    assert line.isprintable()


def test_the_default_socket_is_the_clients() -> None:
    assert slurm_hook.DEFAULT_SOCKET == DEFAULT_SOCKET


def test_a_log_that_fails_does_not_matter(tmp_path: Path) -> None:
    def broken(line: str) -> None:
        raise OSError("no log")

    assert slurm_hook.run("resume", ["a"], str(tmp_path / "none.sock"), broken) == 0


def test_a_service_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "deaf.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(0)
        began = time.monotonic()
        (line,) = said("resume", ["a"], path)
        took_s = time.monotonic() - began
    assert "no answer" in line
    assert took_s < 5  # a second, on a machine with nothing else to do


def test_as_a_program_without_environment(api: Live, tmp_path: Path) -> None:
    """As slurmctld starts it: no PATH, one argument, whatever directory."""
    code = "import sys; from dynamiccluster.cli.slurm_hook import resume; sys.exit(resume())"
    for where in (api.settings.socket_path, str(tmp_path / "none.sock")):
        argv = [sys.executable, "-c", code, "pc-0001"]
        done = subprocess.run(argv, env={"DYNAMICCLUSTER_CONNECT": where}, cwd="/", capture_output=True, check=False)
        assert done.returncode == 0
    assert len(api.service.notes) == 1


def test_it_imports_next_to_nothing() -> None:
    code = "import sys; import dynamiccluster.cli.slurm_hook; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("dynamiccluster")}
    assert ours == {"dynamiccluster", "dynamiccluster.cli", "dynamiccluster.cli.slurm_hook"}
    assert not {"click", "http", "http.client", "asyncio", "pydantic", "syslog"} & set(done.stdout.split())


def test_the_verbs_do_the_same(api: Live, tmp_path: Path) -> None:
    for verb in ("slurm-resume", "slurm-suspend"):
        result = CliRunner().invoke(main, [verb, "pc-0001", "--connect", api.settings.socket_path])
        assert result.exit_code == 0
        assert CliRunner().invoke(main, [verb, "pc-0001", "--connect", str(tmp_path / "none.sock")]).exit_code == 0
    assert [note.split()[6] for _, note in api.service.notes] == ["resume", "suspend"]
