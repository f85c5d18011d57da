"""The command line against a live server over the service double."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from live_api import Live, live

from dynamiccluster.api.tokens import Role, make_token
from dynamiccluster.cli import change, exits, show
from dynamiccluster.cli.main import VERBS, main
from dynamiccluster.client.rest import Client
from dynamiccluster.errors import StoreError
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.event import Event, EventKind
from dynamiccluster.testing.service_example import HOSTILE


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with live(tmp_path) as running:
        monkeypatch.setenv("DYNAMICCLUSTER_CONNECT", running.settings.socket_path)
        yield running


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, catch_exceptions=False)


def document(*words: str) -> dict:
    result = run(*words, "-o", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


LOOKING = [
    ("status",),
    ("status", "--watch"),
    ("nodes",),
    ("node", "n1"),
    ("jobs",),
    ("resources",),
    ("events",),
    ("explain", "101"),
    ("explain", "100"),
    ("plan",),
    ("console", "n1"),
]


@pytest.mark.parametrize("words", LOOKING)
def test_looking_prints_something_that_steers_no_terminal(api: Live, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.strip()
    assert all(line.isprintable() for line in result.stdout.split("\n"))


@pytest.mark.parametrize("words", LOOKING)
def test_looking_gives_json_in_pure_ascii(api: Live, words: tuple[str, ...]) -> None:
    result = run(*words, "--output", "json")
    assert result.exit_code == 0
    assert result.stdout.isascii()
    assert isinstance(json.loads(result.stdout), dict)
    assert "\x1b" not in result.stdout


def test_markup_and_escapes_of_users_are_shown_as_text(api: Live) -> None:
    line = next(line for line in run("jobs").stdout.splitlines() if line.startswith("101"))
    assert "[red]evil[/red]\\x1b" in line
    assert "[red]evil[/red]\\x1b[2J<script>" in run("events").stdout
    assert document("jobs", "-u", "bob")["jobs"][0]["name"] == HOSTILE.encode("utf-8", "replace").decode()


def test_nodes_are_filtered(api: Live) -> None:
    assert [node["node_id"] for node in document("nodes", "-s", "idle,busy")["nodes"]] == ["n1", "n2"]
    assert len(document("nodes", "-n", "3")["nodes"]) == 3
    assert len(run("nodes", "-r", "fast").stdout.splitlines()) == 8


@pytest.mark.parametrize(
    ("words", "kind", "target"),
    [
        (("hold", "n1"), CommandKind.HOLD, "n1"),
        (("unhold", "dc-fast-00000003"), CommandKind.UNHOLD, "n3"),
        (("vacate", "n2"), CommandKind.VACATE, "n2"),
        (("delete", "n3"), CommandKind.DELETE, "n3"),
        (("delete", "--force", "n3"), CommandKind.DELETE, "n3"),
        (("launch", "fast"), CommandKind.LAUNCH, "fast"),
        (("launch", "fast", "2"), CommandKind.LAUNCH, "fast"),
        (("freeze", "fast"), CommandKind.FREEZE, "fast"),
        (("drain", "fast"), CommandKind.DRAIN, "fast"),
        (("restore", "fast"), CommandKind.RESTORE, "fast"),
        (("reset", "slow"), CommandKind.RESET, "slow"),
        (("auto", "on"), CommandKind.AUTO_ON, ""),
        (("auto", "off"), CommandKind.AUTO_OFF, ""),
        (("observe", "on"), CommandKind.OBSERVE_ON, ""),
        (("observe", "off"), CommandKind.OBSERVE_OFF, ""),
        (("adopt", "oldnode", "--resource", "slow", "--instance-id", "i-1"), CommandKind.ADOPT, "oldnode"),
    ],
)
def test_changing_reaches_the_engine(api: Live, words: tuple[str, ...], kind: CommandKind, target: str) -> None:
    assert run(*words).exit_code == 0
    command = api.service.commands[0]
    assert (command.kind, command.target, command.force) == (kind, target, "--force" in words)
    assert command.count == (2 if "2" in words else 1)


def test_nudge_and_reload(api: Live) -> None:
    assert run("nudge").exit_code == 0
    assert run("reload").exit_code == 0
    assert (api.service.nudges, len(api.service.reloads)) == (["scheduler"], 1)
    api.service.reload_problems = ["line 3: unknown key"]
    result = run("reload")
    assert result.exit_code == exits.BAD_CONFIG
    assert "line 3: unknown key" in result.stderr


def test_several_nodes_are_all_tried_and_the_first_failure_counts(api: Live) -> None:
    result = run("hold", "n4", "nothere", "n1", "-o", "json")
    assert result.exit_code == exits.REFUSED
    assert [(one["target"], one["ok"], one["code"]) for one in json.loads(result.stdout)["results"]] == [
        ("n4", False, "not-allowed"),
        ("nothere", False, "not-found"),
        ("n1", True, "ok"),
    ]
    assert run("hold", "nothere", "n4").exit_code == exits.NOT_FOUND


@pytest.mark.parametrize("verb", ["freeze", "drain", "restore", "reset"])
def test_unknown_resource_is_not_found(api: Live, verb: str) -> None:
    result = run(verb, "nothere\x1b[2J")
    assert result.exit_code == exits.NOT_FOUND
    assert "\x1b" not in result.stderr


def test_exit_codes(api: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run("launch", "fast", "9").exit_code == exits.REFUSED
    assert run("launch", "fast", "0").exit_code == exits.USAGE
    assert run("dance").exit_code == exits.USAGE
    assert run("explain", "999").exit_code == exits.NOT_FOUND
    assert run("auto", "on", "--connect", api.url).exit_code == exits.FORBIDDEN
    assert run("nodes", "--connect", "ftp://x").exit_code == exits.USAGE
    api.service.failure = StoreError("disk full")
    failed = run("auto", "on")
    assert (failed.exit_code, "disk full" in failed.stderr) == (exits.FAILED, True)
    gone = run("nodes", "--connect", str(tmp_path / "none.sock"))
    assert gone.exit_code == exits.UNREACHABLE
    assert "start it with: dynamiccluster serve" in gone.stderr


def test_token_makes_changes_over_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token, kept = make_token("ops", Role.OPERATOR)
    (tmp_path / "tokens").write_text(kept.line())
    (tmp_path / "tokens").chmod(0o600)
    (tmp_path / "mine").write_text(token + "\n")
    with live(tmp_path, tokens_file=str(tmp_path / "tokens")) as api:
        assert run("hold", "n1", "--connect", api.url, "--token-file", str(tmp_path / "mine")).exit_code == 0
        monkeypatch.setenv("DYNAMICCLUSTER_TOKEN", "wrong")
        assert run("nodes", "--connect", api.url).exit_code == exits.FORBIDDEN
        monkeypatch.setenv("DYNAMICCLUSTER_TOKEN", "two\nlines")
        assert run("nodes", "--connect", api.url).exit_code == exits.USAGE


def test_follow_prints_each_event_once(api: Live, capsys: pytest.CaptureFixture[str]) -> None:
    turns = 0

    def wait(_seconds: float) -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            raise KeyboardInterrupt
        api.service.history.append(Event(api.clock.at, EventKind.SERVICE, f"turn {turns}"))
        model = api.service.readmodel  # what is added to the history is added with a commit
        committed = replace(model.snapshot, version=model.snapshot.version + 1)
        api.service.readmodel = replace(model, snapshot=committed)

    show.follow_events(Client(api.settings.socket_path), {}, 2, True, wait)
    told = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    assert [text for text in told if text.startswith("turn")] == ["turn 1", "turn 2"]
    assert len(told) == 4


def test_launch_waits_until_nodes_are_usable(api: Live) -> None:
    client = Client(api.settings.socket_path)

    def join(_seconds: float) -> None:
        nodes = api.service.readmodel.snapshot.nodes
        api.service.put(type(nodes["n4"])("n4", "fast", "lab", "l1", nodes["n1"].state))

    assert change.wait_until_usable(client, ["n4"], 10, join) == ["n4"]
    with pytest.raises(exits.Failure, match="dc-fast-00000005 is down"):
        change.wait_until_usable(client, ["n5"], 10, join)
    with pytest.raises(exits.Failure, match="gone"):
        change.wait_until_usable(client, ["nothere"], 10, join)


def test_a_launch_that_was_waited_for_is_one_document(api: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change, "pause", lambda _seconds: None)
    result = run("launch", "fast", "1", "--wait", "3", "-o", "json")
    told = json.loads(result.stdout)
    assert (result.exit_code, len(told["node_ids"]), told["host_names"]) == (exits.REFUSED, 1, [])
    assert "not usable after 3 s, and left alone" in result.stderr


def test_that_there_is_none_is_not_for_scripts(api: Live) -> None:
    none = run("nodes", "--resource", "slow")
    assert (none.exit_code, none.stdout.count("\n")) == (exits.OK, 1)
    assert none.stderr == "there is no such node\n"
    assert run("events", "--node", "nosuch").stderr == "there is no such event\n"


def test_launch_wait_runs_out(api: Live) -> None:
    waited: list[float] = []
    with pytest.raises(exits.Failure, match="not usable after 5 s"):
        change.wait_until_usable(Client(api.settings.socket_path), ["n4"], 5, waited.append)
    assert sum(waited) >= 5


@pytest.mark.parametrize(
    "words", ["nodes --state foo", "nodes --resource nosuch", "jobs --state foo", "events --kind foo"]
)
def test_words_that_the_service_does_not_know_are_wrong_usage(api: Live, words: str) -> None:
    result = run(*words.split())
    assert (result.exit_code, "expected" in result.stderr) == (exits.USAGE, True)


def test_names_are_not_said_twice(api: Live) -> None:
    result = run("freeze", "nosuch")
    assert result.stderr == "there is no resource 'nosuch'; there are fast, slow\n"
    assert run("nudge", "nosuch").exit_code == exits.NOT_FOUND


def test_explain_of_an_unseen_scheduler_is_not_ready(api: Live) -> None:
    model = api.service.readmodel
    api.service.readmodel = replace(model, snapshot=replace(model.snapshot, scheduler=None))
    result = run("explain", "1")
    assert (result.exit_code, "has not been seen" in result.stderr) == (exits.UNREACHABLE, True)


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_has_help(verb: str) -> None:
    result = run(verb, "--help")
    assert (result.exit_code, "Usage:" in result.stdout) == (0, True)


def test_help_names_every_verb_and_exit_code() -> None:
    text = run("--help").stdout
    assert all(f"  {verb}" in text for verb in VERBS)
    assert "3 service not" in text
    assert run("-V").stdout.startswith("Dynamic Cluster")
    assert run().stdout == text


def test_client_verbs_import_no_heavy_packages() -> None:
    """What makes a verb slow to start is what it imports, which a busy test machine cannot blur."""
    code = (
        "import sys; import dynamiccluster.cli.change, dynamiccluster.cli.main, dynamiccluster.cli.status; "
        "print([m for m in ('pydantic', 'rich', 'tornado', 'sqlalchemy', 'numpy', 'boto3', 'jinja2') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
