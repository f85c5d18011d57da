"""``check-cluster``: what it tries, and what it makes of the answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dynamiccluster.cli import exits
from dynamiccluster.cli.check_cluster import all_checks, all_tried, tried, verdict
from dynamiccluster.cli.main import main
from dynamiccluster.config.load import load
from dynamiccluster.errors import BadConfigError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.check import CheckResult, CheckState, CommandCheck
from dynamiccluster.schedulers.registry import CHECKS, scheduler_checks
from dynamiccluster.testing.runner import FakeRunner

CLOUD = """cloud:
  a:
    type: simulated
    quantity: {min: 0, max: 1}
    capacity: {cores: 1, memory_mib: 1}
"""
ASK = CommandCheck("cluster.config.x_command", ("x", "-l"), "it works", expects="HOST", harmless=("none found",))


def config(tmp_path: Path, cluster: str, general: str = "") -> Path:
    file = tmp_path / "dc.yaml"
    file.write_text(f"dynamic-cluster: {{cluster_id: c1{general}}}\ncluster:\n{cluster}\n{CLOUD}", encoding="utf-8")
    return file


def program(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check-cluster", *arguments])


def answered(code: int = 0, out: str = "", err: str = "", seconds: float = 0.1) -> CheckResult:
    fake = FakeRunner()
    fake.on(["x"], lambda call: Completed(call.argv, code, out, err, seconds))
    return tried(ASK, fake, 30.0, 10.0)


@pytest.mark.parametrize(
    ("answer", "state", "says"),
    [
        ({"out": "HOST a\n"}, CheckState.OK, ""),
        ({"code": 255, "out": "HOST", "err": "none found\n"}, CheckState.OK, ""),
        ({"out": "Segmentation fault\n"}, CheckState.FAILED, "not what it should be"),
        ({"code": 1, "out": "HOST", "err": "kaput\n"}, CheckState.FAILED, "return code 1: kaput"),
        ({"code": 1, "err": "slurm_update error: Access/permission denied\n"}, CheckState.DENIED, "denied"),
        ({"code": 1, "err": "sudo: a password is required\n"}, CheckState.DENIED, "password"),
        ({"code": 127, "err": "env: 'x': No such file or directory\n"}, CheckState.MISSING, "No such file"),
        ({"out": "HOST", "seconds": 11.0}, CheckState.SLOW, "11.0 s, and there is a poll every 10 s"),
    ],
)
def test_answers(answer: dict[str, object], state: CheckState, says: str) -> None:
    result = answered(**answer)  # type: ignore[arg-type]  # as its parameters
    assert result.state is state
    assert says in result.message


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UnknownOutcomeError("x did not end within 30 s and was killed"), CheckState.SLOW),
        (BadConfigError("there is no program 'x'"), CheckState.MISSING),
        (BadConfigError("'x' may not be run: Permission denied"), CheckState.DENIED),
        (TransientError("'x' cannot be started now: out of memory"), CheckState.FAILED),
    ],
)
def test_programs_that_do_not_even_answer(error: Exception, state: CheckState) -> None:
    fake = FakeRunner()
    fake.on(["x"], error)
    result = tried(ASK, fake, 30.0, 10.0)
    assert (result.state, result.message) == (state, str(error))


def test_complaints_of_its_own() -> None:
    fake = FakeRunner()
    fake.on(["x"], "", returncode=255, stderr="not an LSF administrator\n")
    check = CommandCheck("k", ("x",), "p", denied=("not an LSF administrator",))
    assert tried(check, fake, 30.0, 10.0).state is CheckState.DENIED


def test_a_dead_scheduler_is_not_waited_for_with_each_command() -> None:
    fake = FakeRunner()
    fake.on(["x"], UnknownOutcomeError("x did not end in time and was killed"))
    results = list(all_tried([ASK] * 4, fake, 30.0, 10.0))
    assert [result.seconds for result in results] == [30.0, 5.0, 5.0, 5.0]
    assert {result.state for result in results} == {CheckState.SLOW}


def test_scripts_are_only_looked_for(tmp_path: Path) -> None:
    def look(path: Path) -> CheckState:
        return tried(CommandCheck("k", (str(path),), "p", look_only=True), FakeRunner(), 30.0, 10.0).state

    there = program(tmp_path, "there", "touch /tmp/never")
    assert look(there) is CheckState.OK
    there.chmod(0o644)
    assert look(there) is CheckState.DENIED
    assert look(tmp_path / "none") is CheckState.MISSING


def test_the_worst_decides() -> None:
    def code(*states: CheckState, optional: bool = False) -> int:
        check = CommandCheck("k", ("x",), "p", optional=optional)
        return verdict([CheckResult(check, state, "") for state in states])

    ok, missing, denied = CheckState.OK, CheckState.MISSING, CheckState.DENIED
    assert code(ok) == code() == exits.OK
    assert code(CheckState.SLOW, denied, missing, CheckState.FAILED) == exits.BAD_CONFIG
    assert code(CheckState.SLOW, denied, CheckState.FAILED) == exits.FORBIDDEN
    assert code(CheckState.FAILED) == code(CheckState.SLOW) == exits.FAILED
    assert code(missing, optional=True) == exits.OK
    assert code(denied, optional=True) == exits.FORBIDDEN


def test_a_real_run(tmp_path: Path) -> None:
    squeue = program(tmp_path, "squeue", "echo 7")
    scontrol = program(
        tmp_path,
        "scontrol",
        'case "$*" in *config*) echo "SLURM_VERSION = 22.05";;'
        ' *update*) echo "Invalid node name specified" >&2; exit 1;; *) echo "NodeName=a";; esac',
    )
    keys = f"squeue_command: {squeue}, scontrol_command: {scontrol}, scancel_command: {tmp_path}/none"
    script = f", post_vm_provision_command: '{squeue} {{0}}'"
    file = config(tmp_path, f"  type: slurm\n  config: {{{keys}}}", script)
    result = run(str(file), "-o", "json")
    told = json.loads(result.stdout)
    assert result.exit_code == exits.BAD_CONFIG
    assert not told["ok"]
    assert [one["state"] for one in told["checks"]] == ["ok", "ok", "ok", "ok", "missing", "ok"]
    assert told["checks"][-1]["run"] is False
    shown = run(str(file))
    assert shown.exit_code == exits.BAD_CONFIG
    assert "missing" in shown.stdout
    assert "1 of them not as they should be" in shown.stdout


def test_a_cluster_without_commands(tmp_path: Path) -> None:
    result = run(str(config(tmp_path, "  type: simulated")))
    assert result.exit_code == exits.OK
    assert "no commands" in result.stdout


def test_a_bad_file_is_refused(tmp_path: Path) -> None:
    assert run(str(tmp_path / "none.yaml")).exit_code == exits.BAD_CONFIG


def test_a_type_that_nobody_can_try() -> None:
    with pytest.raises(BadConfigError, match="cannot be tried"):
        scheduler_checks("pbs", {})


@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_every_command_key_of_a_type_is_tried(kind: str, tmp_path: Path) -> None:
    settings = load(config(tmp_path, f"  type: {kind}")).settings
    checks = scheduler_checks(kind, settings.cluster.config.model_dump())
    keys = {key for key in type(settings.cluster.config).model_fields if re.fullmatch(r"(?!post_).*_command", key)}
    tried = {check.key for check in checks}
    assert {f"cluster.config.{key}" for key in keys} <= tried
    assert {key.removeprefix("cluster.config.") for key in tried} <= set(type(settings.cluster.config).model_fields)
    assert all(check.argv and check.proves for check in checks)
    assert all_checks(settings)[: len(checks)] == checks


def test_what_of_lsf_is_tried_depends_on_the_dialect(tmp_path: Path) -> None:
    def keys(dialect: str) -> set[str]:
        text = f"  type: lsf\n  config: {{dialect: {dialect}, bin_dir: /opt/lsf, command_prefix: sudo -n}}"
        checks = all_checks(load(config(tmp_path, text)).settings)
        assert {check.argv[:3] for check in checks} == {("sudo", "-n", "env")}
        return {check.key.removeprefix("cluster.config.") for check in checks}

    assert "lsadmin_command" not in keys("openlava")
    assert "lsaddhost_command" not in keys("lsf")
    assert {"lsadmin_command", "lsaddhost_command"} <= keys("auto")
