"""Verbs that read a configuration themselves take it in the same ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dynamiccluster.cli import common, exits
from dynamiccluster.cli.main import OF_A_FILE, main
from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.errors import AuthError, TransientError

CONFIG = """dynamic-cluster: {cluster_id: lab}
cluster: {type: simulated}
cloud:
  rack: {type: simulated, quantity: {min: 0, max: 1}, capacity: {cores: 1, memory_mib: 1}}
"""
XWO = """slurm:
  Xwo:
    PartitionName: xwo
    AvailabilityZone: us-east-1b
    Images: [{ImageId: ami-0123456789abcdef0, ImageName: worker}]
    DefaultImageName: worker
    InstanceTypes: [c5a]
    PoolSize: 10
"""
BOTH = [verb for verb in sorted(OF_A_FILE) if verb != "xwo-config"]


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dc.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.mark.parametrize("verb", BOTH)
def test_with_c_and_alone(verb: str, file: Path) -> None:
    named, alone = run(verb, "-c", file), run(verb, file)
    assert named.output == alone.output
    assert named.exit_code == alone.exit_code
    assert named.exit_code == (exits.BAD_CONFIG if verb == "slurm-config" else exits.OK)  # it is no Slurm


@pytest.mark.parametrize("verb", ["check-config", "check-cluster", "slurm-config", "xwo-config", "serve"])
def test_two_files_are_one_too_many(verb: str, file: Path) -> None:
    result = run(verb, "-c", file, file)
    assert result.exit_code == exits.USAGE
    assert "one" in result.stderr


def test_resources_after_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("check-cloud", file, "rack").exit_code == exits.OK
    assert run("check-cloud", "-c", file, "rack").exit_code == exits.OK
    result = run("check-cloud", file, "rock")
    assert (result.exit_code, "there is rack" in result.stderr) == (exits.NOT_FOUND, True)
    monkeypatch.chdir(file.parent)
    assert run("check-cloud", "dc.yaml", "rack").exit_code == exits.OK


@pytest.mark.parametrize("verb", sorted(OF_A_FILE))
def test_c_before_the_verb_is_told_where_to_go(verb: str, file: Path) -> None:
    result = run("-c", file, verb)
    assert result.exit_code == exits.USAGE
    assert f"dynamiccluster {verb} -c FILE" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (AuthError("Unable to locate credentials"), exits.FORBIDDEN, "Asking EC2 needs credentials"),
        (TransientError("Could not connect"), exits.FAILED, "Without EC2"),
    ],
)
def test_pools_without_ec2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
) -> None:
    def asked(calls: AwsCalls, service: str) -> object:
        raise error

    monkeypatch.setattr(AwsCalls, "client", asked)
    file = tmp_path / "xwo.yaml"
    file.write_text(XWO, encoding="utf-8")
    result = run("xwo-config", "-c", file)
    assert result.exit_code == code
    assert said in result.stderr
    assert "--types FILE" in result.stderr


@pytest.mark.parametrize("verb", [*BOTH, "serve"])
def test_without_a_file_it_is_said_how_to_name_one(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "DEFAULT_CONFIG", str(tmp_path / "none.yaml"))
    result = run(verb)
    assert result.exit_code == exits.BAD_CONFIG
    assert f"there is no {tmp_path / 'none.yaml'}: name yours with -c FILE" in result.stderr


@pytest.mark.parametrize(("word", "said"), [("noeds", "did you mean nodes?"), ("xyzzy", "`dynamiccluster --help`")])
def test_a_verb_that_there_is_not(word: str, said: str) -> None:
    result = run(word)
    assert (result.exit_code, said in result.stderr) == (exits.USAGE, True)
