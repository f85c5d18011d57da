"""The demo's way in: a token that only its starter can read, and a line that does not scroll away."""

from __future__ import annotations

import importlib.util
import io
import stat
from pathlib import Path
from typing import Any

import pytest
from live_api import live
from rich.console import Console

from dynamiccluster.api.tokens import Role, TokenFile
from dynamiccluster.cli import status
from dynamiccluster.client.rest import Client

RUN = Path(__file__).resolve().parents[2] / "scripts" / "demo.d" / "run.py"


@pytest.fixture
def demo() -> Any:
    spec = importlib.util.spec_from_file_location("demo_run", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_token_stands_in_a_file_of_its_own(demo: Any, tmp_path: Path) -> None:
    config = tmp_path / "demo.yaml"
    config.write_text("admin-server:\n  port: 8001\n", encoding="utf-8")
    held = demo.with_token(config)
    assert stat.S_IMODE(held.stat().st_mode) == 0o600
    found = TokenFile(str(tmp_path / "tokens")).find(held.read_text().strip())
    assert found is not None
    assert found.role is Role.ADMIN
    assert f"tokens_file: {tmp_path / 'tokens'}" in config.read_text()


def test_paths_are_shown_as_one_would_write_them(demo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo.shown(tmp_path / ".demo" / "token") == ".demo/token"
    assert demo.shown(Path("/elsewhere/token")) == "/elsewhere/token"


def test_the_live_view_keeps_the_line_in_sight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, height=24)
    monkeypatch.setattr(status, "screen", lambda: terminal)

    def enough(_seconds: float) -> None:
        raise KeyboardInterrupt

    with live(tmp_path) as api:
        status._live(Client(api.url), 1.0, enough, "To log in: cat .demo/token")
    written = terminal.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert "To log in: cat .demo/token" in written
    assert written.count("\n") <= 24
