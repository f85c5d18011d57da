"""``check-config`` finds what the start would refuse beyond the file: plug-ins, the checker, tokens, certificates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dynamiccluster.api.tokens import Role, make_token
from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main
from dynamiccluster.kit.loading import ArgumentsError
from dynamiccluster.plugins.loader import load_plugin

CONFIG = """dynamic-cluster:
  cluster_id: lab
  admin-server:
    port: 8001
SERVER
GENERAL
cluster: {type: simulated}
cloud:
  a: {type: simulated, quantity: {min: 0, max: 1}, capacity: {cores: 1, memory_mib: 1}}
MORE
"""


def check(folder: Path, more: str = "", server: str = "", general: str = "") -> Result:
    file = folder / "dc.yaml"
    text = CONFIG.replace("SERVER", server).replace("GENERAL", general).replace("MORE", more)
    file.write_text(re.sub(r"\n\n+", "\n", text), encoding="utf-8")
    return CliRunner().invoke(main, ["check-config", "-c", str(file), "-o", "json"], catch_exceptions=False)


def only(folder: Path, result: Result) -> tuple[str, str, str]:
    """The only problem: the text of its line in the file, its key, and what it says."""
    assert result.exit_code == exits.BAD_CONFIG
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["file"] == str(folder / "dc.yaml")
    line = (folder / "dc.yaml").read_text("utf-8").splitlines()[problem["line"] - 1].strip()
    return line, problem["key"], problem["problem"]


@pytest.mark.parametrize(
    ("plugin", "line", "key", "said"),
    [
        ("class_name: nosuch", "class_name: nosuch", "class_name", "no installed package brings"),
        ("class_name: nosuch.module.Class", "class_name: nosuch.module.Class", "class_name", "cannot be imported"),
        ("class_name: json.JSONDecoder", "class_name: json.JSONDecoder", "class_name", "has no method observe"),
        ("class_name: notify", "class_name: notify", "arguments", "give at least one of webhook, mail and script"),
        (
            "class_name: notify\n    arguments:\n      script: [x]\n      least: high",
            "least: high",
            "arguments.least",
            "'high' is not one of",
        ),
        (
            "class_name: notify\n    arguments:\n      webhook:\n        url: ftp://x",
            "url: ftp://x",
            "arguments.webhook.url",
            "is not an address",
        ),
        (
            "class_name: graphite\n    arguments:\n      hostname: h\n      prot: 2003",
            "prot: 2003",
            "arguments.prot",
            "unexpected keyword argument 'prot'",
        ),
    ],
)
def test_plug_ins_that_cannot_be_made(tmp_path: Path, plugin: str, line: str, key: str, said: str) -> None:
    found_line, found_key, problem = only(tmp_path, check(tmp_path, f"plugins:\n  p:\n    {plugin}"))
    assert found_key == f"plugins.p.{key}"
    assert said in problem
    assert found_line in (line, "p:")  # a key that is not written has the line of its section


def test_every_problem_at_once(tmp_path: Path) -> None:
    server = "    tokens_file: /nonexistent/tokens\n    socket_group: nosuchgroup"
    more = "plugins:\n  p: {class_name: nosuch}\n  q: {class_name: notify}\nlogging: {log_location: /nonexistent/log}"
    problems = json.loads(check(tmp_path, more, server).stdout)["problems"]
    assert [one["key"] for one in problems] == [
        "dynamic-cluster.admin-server.tokens_file",
        "dynamic-cluster.admin-server.socket_group",
        "plugins.p.class_name",
        "plugins.q.arguments",
        "logging.log_location",
    ]
    assert all(one["line"] for one in problems)


def test_a_checker_that_cannot_be_made(tmp_path: Path) -> None:
    plugin = "{name: dynamiccluster.checkers.script.ScriptChecker, arguments: {command: x, timeout: 5}}"
    result = check(tmp_path, general=f"  config-checker:\n    plugin: {plugin}")
    _, key, problem = only(tmp_path, result)
    assert key == "dynamic-cluster.config-checker.plugin.arguments.timeout"
    assert "unexpected keyword argument 'timeout'" in problem


def tokens(folder: Path, text: str | None = None, mode: int = 0o600) -> str:
    path = folder / "tokens"
    path.write_text(make_token("ada", Role.ADMIN)[1].line() if text is None else text)
    path.chmod(mode)
    return f"    tokens_file: {path}"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"text": ""}, "holds no token"),
        ({"text": "ada:admin:secret"}, "line 1"),
        ({"mode": 0o666}, "can be written by others: chmod go-w"),
    ],
)
def test_tokens_that_cannot_be_used(tmp_path: Path, made: dict[str, Any], said: str) -> None:
    line, key, problem = only(tmp_path, check(tmp_path, server=tokens(tmp_path, **made)))
    assert (line.startswith("tokens_file:"), key) == (True, "dynamic-cluster.admin-server.tokens_file")
    assert said in problem


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.write_text("none")
    _, key, _ = only(tmp_path, check(tmp_path, server=f"    tls_certificate: {pem}\n    tls_key: {pem}"))
    assert key == "dynamic-cluster.admin-server.tls_certificate"


def test_all_is_well(tmp_path: Path) -> None:
    more = "plugins:\n  p: {class_name: notify, arguments: {script: [x]}}"
    result = check(tmp_path, more, tokens(tmp_path))
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (exits.OK, True)


class Telltale:
    """Says when it looks or is closed."""

    interval_s = 5.0

    def __init__(self, password: str) -> None:
        if password != "right":
            raise ValueError(f"{password} is wrong")

    def observe(self, readmodel: object) -> None:
        raise AssertionError("it looked")

    def close(self) -> None:
        raise AssertionError("it was closed")


def test_plug_ins_neither_look_nor_are_closed(tmp_path: Path) -> None:
    """The one in docs/plugins.md removes its file when it is closed: that of the running service."""
    plugin = f"plugins:\n  p: {{class_name: {__name__}.Telltale, arguments: {{password: PASSWORD}}}}"
    assert check(tmp_path, plugin.replace("PASSWORD", "right")).exit_code == exits.OK
    _, key, problem = only(tmp_path, check(tmp_path, plugin.replace("PASSWORD", "xyzzy-quux")))
    assert key == "plugins.p.arguments"
    assert "ValueError" in problem
    assert "xyzzy-quux" not in problem  # a constructor may quote a secret


def test_whose_fault_it_is() -> None:
    with pytest.raises(ArgumentsError, match="plug-in p: "):
        load_plugin("p", "notify", {})
