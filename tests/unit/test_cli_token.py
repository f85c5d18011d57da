"""Tokens made, listed and revoked on the command line, as a running service sees them."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from live_api import live

from dynamiccluster.api.tokens import Role, TokenFile
from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main


def run(path: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["token", *words, "--file", str(path)], catch_exceptions=False)


def test_a_token_is_printed_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tokens"
    made = run(path, "add", "ada", "--role", "viewer")
    assert made.exit_code == 0
    secret = made.stdout.strip()
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = TokenFile(str(path)).find(secret)
    assert kept is not None
    assert (kept.name, kept.role) == ("ada", Role.VIEWER)
    assert json.loads(run(path, "list", "-o", "json").stdout) == {"tokens": [{"name": "ada", "role": "viewer"}]}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to groups")
def test_in_a_packages_folder_the_service_can_read_the_first_one(tmp_path: Path) -> None:
    """The folder is root's and the service's group's; a file of root's alone would keep the service from starting."""
    os.chown(tmp_path, 0, 4711)
    path = tmp_path / "tokens"
    assert run(path, "add", "ada").exit_code == 0
    for _ in range(2):
        info = path.stat()
        assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (0, 4711, 0o640)
        run(path, "add", "bob")
    TokenFile(str(path))


@pytest.mark.parametrize("name", ["tokens.new", "tokens.lock"])
def test_in_a_folder_of_others_no_link_leads_to_other_files(tmp_path: Path, name: str) -> None:
    """Root may be told to write where the service's user may write, too."""
    precious, path = tmp_path / "shadow", tmp_path / "etc" / "tokens"
    path.parent.mkdir()
    precious.write_text("kept")
    mode = precious.stat().st_mode
    (path.parent / name).symlink_to(precious)
    run(path, "add", "ada")
    assert precious.read_text() == "kept"
    assert precious.stat().st_mode == mode


def test_a_link_to_nowhere_is_not_followed_either(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    for name in ("tokens.new", "tokens.lock"):
        (tmp_path / name).symlink_to(tmp_path / f"made-by-{name}")
    run(path, "add", "ada")
    assert not list(tmp_path.glob("made-by-*"))


def test_a_file_that_a_crash_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    (tmp_path / "tokens.new").write_text("half")
    assert run(path, "add", "ada").exit_code == 0
    assert not (tmp_path / "tokens.new").exists()
    TokenFile(str(path))


def test_an_agent_s_token_is_made(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    secret = run(path, "add", "nodes", "--role", "agent").stdout.strip()
    kept = TokenFile(str(path)).find(secret)
    assert kept is not None
    assert kept.role is Role.AGENT


def test_a_running_service_knows_new_and_revoked_tokens_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    first = run(path, "add", "first").stdout.strip()
    with live(tmp_path, tokens_file=str(path)) as api:

        def status(secret: str) -> int:
            return api.ask("GET", "/job", headers={"Authorization": f"Bearer {secret}"}).status

        second = run(path, "add", "second").stdout.strip()
        assert (status(first), status(second)) == (200, 200)
        assert run(path, "revoke", "first").exit_code == 0
        assert (status(first), status(second)) == (401, 200)


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"# people of the lab\nold:sha256:{'0' * 64}\n")
    path.chmod(0o640)
    run(path, "add", "new", "--role", "admin")
    text = path.read_text()
    assert text.startswith("# people of the lab\nold:admin:sha256:")
    assert "new:admin:sha256:" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_mistakes_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    run(path, "add", "ada")
    before = path.read_text()
    assert run(path, "add", "ada").exit_code == exits.REFUSED
    assert run(path, "add", "two words").exit_code == exits.BAD_CONFIG
    assert run(path, "revoke", "ada", "nobody").exit_code == exits.NOT_FOUND
    assert path.read_text() == before
    path.write_text("nonsense\n")
    assert run(path, "add", "bob").exit_code == exits.BAD_CONFIG
    assert path.read_text() == "nonsense\n"


def test_where_there_is_none_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    none = run(path, "list")
    assert (none.exit_code, none.stdout) == (exits.OK, "")
    assert none.stderr == (
        f"{path} is not there, so there is no token; to make one: dynamiccluster token add NAME --file {path}\n"
    )
    assert json.loads(run(path, "list", "-o", "json").stdout) == {"tokens": []}
    run(path, "add", "ada")
    run(path, "revoke", "ada")
    assert "holds no token; to make one" in run(path, "list").stderr


def test_a_file_that_is_not_ours_is_a_matter_of_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokens"
    run(path, "add", "ada")

    def refused(*_args: object, **_options: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refused)
    for words in (("list",), ("add", "bob"), ("revoke", "ada")):
        result = run(path, *words)
        assert result.exit_code == exits.FORBIDDEN
        assert "usually root, or name another --file" in result.stderr


def test_whoever_made_a_token_is_told_the_next_command(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    first = run(path, "add", "ada")
    assert "dynamiccluster status --connect URL --token-file FILE" in first.stderr
    assert f"admin-server: tokens_file: {path}" in first.stderr
    assert "tokens_file" not in run(path, "add", "bob").stderr


def test_who_may_only_read_is_told_the_next_command(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        refused = CliRunner().invoke(main, ["auto", "off", "--connect", api.url])
    assert refused.exit_code == exits.FORBIDDEN
    assert "sudo dynamiccluster VERB" in refused.stderr
    assert "--token-file FILE" in refused.stderr
