"""The init.d script, run as an administrator runs it, with the service on the embedded cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from service_process import ROOT, Service, configuration

SCRIPT = ROOT / "scripts" / "initd-script"


@dataclass
class InitScript:
    folder: Path
    service: Service  # only asked, never started

    @property
    def pidfile(self) -> Path:
        return self.folder / "run" / "dc.pid"

    @property
    def config(self) -> Path:
        return self.folder / "dc.yaml"

    def run(self, *words: str) -> tuple[int, str]:
        environment = {**os.environ, "DYNAMICCLUSTER_DEFAULTS": str(self.folder / "defaults")}
        done = subprocess.run(
            [str(SCRIPT), *words],
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout


@pytest.fixture
def init(tmp_path: Path) -> Iterator[InitScript]:
    document = configuration(tmp_path)
    made = InitScript(tmp_path, Service(tmp_path, document))
    made.config.write_text(yaml.safe_dump(document))
    program = tmp_path / "dynamiccluster"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dynamiccluster.cli.main "$@"\n')
    program.chmod(0o755)
    (tmp_path / "defaults").write_text(f"PROGRAM={program}\nCONFIG={made.config}\nPIDFILE={made.pidfile}\n")
    yield made
    if made.pidfile.exists():
        os.kill(int(made.pidfile.read_text()), signal.SIGKILL)


def test_a_life(init: InitScript) -> None:
    assert init.run("status") == (3, "dynamiccluster is not running\n")
    code, said = init.run("start")
    assert code == 0, said
    first = int(init.pidfile.read_text())
    assert init.service.get("/healthz")[0] == 200
    assert init.run("status") == (0, f"dynamiccluster is running, as process {first}\n")
    assert init.run("start") == (0, f"dynamiccluster is running already, as process {first}\n")
    code, said = init.run("reload")
    assert (code, "reads its configuration again" in said) == (0, True)
    code, said = init.run("quickrestart")
    assert code == 0, said
    second = int(init.pidfile.read_text())
    assert second != first
    code, said = init.run("stop")
    assert (code, said) == (0, "dynamiccluster stopped; worker nodes and jobs are as they were\n")
    assert not init.pidfile.exists()
    assert init.run("stop") == (0, "dynamiccluster is not running\n")


def test_a_bad_configuration_takes_no_running_service_down(init: InitScript) -> None:
    assert init.run("start")[0] == 0
    pid = init.pidfile.read_text()
    init.config.write_text("cloud: [\n")
    for word in ("restart", "reload"):
        code, said = init.run(word)
        assert code != 0
        assert "dc.yaml:" in said
    assert init.pidfile.read_text() == pid
    assert init.run("status")[0] == 0
    assert init.run("stop")[0] == 0


def test_a_pid_file_that_a_crash_left_is_no_service(init: InitScript) -> None:
    init.pidfile.parent.mkdir()
    other = subprocess.Popen(["/bin/sleep", "60"])  # has the number now
    try:
        init.pidfile.write_text(f"{other.pid}\n")
        assert init.run("status")[0] == 1
        assert init.run("stop")[0] == 0
        assert other.poll() is None
        assert init.run("start")[0] == 0
        assert int(init.pidfile.read_text()) != other.pid
        assert init.run("stop")[0] == 0
    finally:
        other.kill()
        other.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has processes of others")
def test_root_signals_no_process_but_the_service_user_s(init: InitScript) -> None:
    """The pid file is the service's own user's to write."""
    with (init.folder / "defaults").open("a") as file:
        file.write("RUNAS=nobody\n")
    init.pidfile.parent.mkdir()
    for user, code in (("root", 1), ("nobody", 0)):
        named_so = subprocess.Popen(["/dynamiccluster", "60"], executable="/bin/sleep", user=user)
        try:
            init.pidfile.write_text(f"{named_so.pid}\n")
            assert init.run("status")[0] == code
            init.run("reload")
            assert init.run("stop")[0] == 0
            assert (named_so.poll() is None) == (user == "root")
        finally:
            named_so.kill()
            named_so.wait()
    init.pidfile.unlink()


def test_enabled_and_disabled_clouds_survive_a_quickrestart(init: InitScript) -> None:
    """Unlike in Cloud Scheduler."""
    assert init.run("start")[0] == 0
    last = time.monotonic() + 60
    while init.service.ask("POST", "/api/v1/resources/fast/drain")[0] != 200:
        assert time.monotonic() < last
        time.sleep(0.1)
    assert init.run("quickrestart")[0] == 0
    last = time.monotonic() + 60
    while init.service.get("/readyz")[0] != 200:  # before that its store is not read
        assert time.monotonic() < last
        time.sleep(0.1)
    assert init.service.get("/api/v1/resources/fast")[1]["flag"] in ("draining", "drained")
    assert init.run("stop")[0] == 0


@pytest.mark.parametrize(
    ("defaults", "code"), [("PROGRAM=/nowhere/dynamiccluster", 5), ("CONFIG=/nowhere/dynamiccluster.yaml", 6)]
)
def test_what_is_missing_is_named(init: InitScript, defaults: str, code: int) -> None:
    with (init.folder / "defaults").open("a") as file:
        file.write(f"{defaults}\n")
    assert init.run("start")[0] == code
    assert "/nowhere" in init.run("start")[1]


def test_other_words_are_explained(init: InitScript) -> None:
    code, said = init.run("explode")
    assert code == 2
    assert "usage:" in said
    assert "quickrestart" in said
