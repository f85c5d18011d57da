"""``cloud_status`` and ``cloud_admin`` against a live server over the service double."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from live_api import Live, live

from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main
from dynamiccluster.model.command import CommandKind


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with live(tmp_path) as running:
        monkeypatch.setenv("DYNAMICCLUSTER_CONNECT", running.settings.socket_path)
        yield running


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, catch_exceptions=False)


def asked(api: Live) -> list[tuple[CommandKind, str]]:
    return [(command.kind, command.target) for command in api.service.commands]


def resources() -> list[dict]:
    return json.loads(run("resources", "-o", "json").stdout)["resources"]


def test_the_pool_names_every_cloud_once(api: Live) -> None:
    result = run("cloud-status")
    lines = result.stdout.splitlines()
    assert lines[0] == "Resource pool Default:"
    assert lines[1].split() == ["NAME", "CLOUD", "TYPE", "NETWORK", "ADDRESS", "ENABLED"]
    tenancies = {one["tenancy"] for one in resources()}
    assert {line.split()[0] for line in lines[2:]} == tenancies
    assert all(line.endswith(("True", "False")) for line in lines[2:])


def test_a_cloud_in_detail_and_all_of_them(api: Live) -> None:
    name = resources()[0]["tenancy"]
    one = run("cloud-status", "-c", name).stdout
    assert one.startswith(f"Cluster: {name}\n")
    assert one in run("cloud-status", "-a").stdout
    missing = run("cloud-status", "-c", "nowhere")
    assert missing.exit_code == exits.NOT_FOUND
    assert name in missing.stderr


def test_machines_and_one_of_them(api: Live) -> None:
    lines = run("cloud-status", "-m").stdout.splitlines()
    assert lines[0].split() == ["ID", "HOSTNAME", "VMTYPE", "USER", "STATUS", "CLUSTER"]
    first = lines[1].split()[0]
    assert len(run("cloud-status", "-n", first).stdout.splitlines()) == 2
    assert run("cloud-status", "-n", "nobody").exit_code == exits.NOT_FOUND


@pytest.mark.parametrize("words", [(), ("-a",), ("-m",), ("-q", "all"), ("-q", "held")])
def test_everything_comes_as_json_too_and_steers_no_terminal(api: Live, words: tuple[str, ...]) -> None:
    plain = run("cloud-status", *words)
    assert plain.exit_code == 0
    assert all(line.isprintable() for line in plain.stdout.splitlines())
    assert json.loads(run("cloud-status", *words, "-j").stdout)


def test_disabling_drains_and_enabling_restores_every_resource_of_the_cloud(api: Live) -> None:
    tenancy = resources()[0]["tenancy"]
    members = [one["name"] for one in resources() if one["tenancy"] == tenancy]
    assert run("cloud-admin", "-d", tenancy).exit_code == 0
    assert asked(api) == [(CommandKind.DRAIN, name) for name in members]
    api.service.commands.clear()
    assert run("cloud-admin", "-e", tenancy).exit_code == 0
    assert asked(api) == [(CommandKind.RESTORE, name) for name in members]


def test_killing_all_machines_of_a_cloud_sends_their_jobs_back_first(api: Live) -> None:
    nodes = json.loads(run("nodes", "-o", "json").stdout)["nodes"]
    tenancy = next(node["tenancy"] for node in nodes if node["jobs"])
    here = [node for node in nodes if node["tenancy"] == tenancy]
    run("cloud-admin", "-c", tenancy, "-a", "-k")
    wanted = []
    for node in here:
        wanted += [(CommandKind.VACATE, node["node_id"])] if node["jobs"] else []
        wanted += [(CommandKind.DELETE, node["node_id"])]
    assert asked(api) == wanted
    assert all(command.force for command in api.service.commands if command.kind is CommandKind.DELETE)


def test_retiring_leaves_the_jobs_alone_and_takes_so_many(api: Live) -> None:
    nodes = json.loads(run("nodes", "-o", "json").stdout)["nodes"]
    tenancy = nodes[0]["tenancy"]
    run("cloud-admin", "-c", tenancy, "-b", "1", "-o")
    assert [kind for kind, _ in asked(api)] == [CommandKind.DELETE]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-k",),
        ("-k", "-c", "x"),
        ("-k", "-c", "x", "-a", "-b", "2"),
        ("-k", "-o", "-c", "x", "-a"),
        ("-a",),
        ("-v", "3", "-c", "x"),
        ("-q",),
        ("-m",),
        ("-k", "-a", "-c", "x", "-r"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(api: Live, words: tuple[str, ...]) -> None:
    assert run("cloud-admin", *words).exit_code == exits.USAGE
    assert not asked(api)
