"""Checkers: ready, not ready yet, never ready."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.checkers.port import PortChecker
from dynamiccluster.checkers.registry import plugin_checker, port_checker
from dynamiccluster.checkers.salt import SaltChecker
from dynamiccluster.checkers.script import ScriptChecker
from dynamiccluster.errors import BadConfigError, DynamicClusterError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.testing.runner import FakeRunner


def test_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        checker = port_checker(number, 2.0)
        checker.check("no-such-name.invalid", "127.0.0.1", "vm")
        checker.check("localhost", "", "vm")
    with pytest.raises(TransientError, match=f"127.0.0.1 port {number}: .*refused"):
        checker.check("n1", "127.0.0.1", "vm")


def test_port_that_does_not_answer() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        number = listener.getsockname()[1]
        waiting = []
        try:
            for _ in range(4):  # fill the queue of connections that nobody accepts: the next one hangs
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", number))
                waiting.append(client)
            with pytest.raises(TransientError, match="timed out"):
                PortChecker(number, 0.1).check("n1", "127.0.0.1", "vm")
        finally:
            for client in waiting:
                client.close()


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a..b", "x" * 300, "a\0b"])
def test_port_of_an_impossible_host(host: str) -> None:
    with pytest.raises(TransientError):
        PortChecker(1, 1.0).check(host, "", "vm")


@pytest.mark.parametrize("number", [0, -1, 65536])
def test_no_such_port(number: int) -> None:
    with pytest.raises(BadConfigError, match="not a TCP port"):
        PortChecker(number)


def state(result: bool | None, comment: str = "") -> dict[str, Any]:
    return {"result": result, "comment": comment, "changes": {}}


def salt(answer: str, **more: Any) -> FakeRunner:
    runner = FakeRunner()
    runner.on(["salt"], answer, **more)
    return runner


def test_salt_asks_for_a_test_run_of_the_minion_called_like_the_instance() -> None:
    runner = salt(json.dumps({"vm-1": {"pkg_|-a": state(True), "file_|-b": state(True)}}))
    SaltChecker(runner=runner, timeout_s=15).check("n1", "10.0.0.1", "vm-1")
    assert runner.argvs == [
        ("salt", "--out=json", "--static", "-t", "15", "-L", "vm-1", "state.highstate", "test=True")
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"vm-1": {"a": state(True), "b": state(None, "would be changed")}}, "b is not yet applied. would be changed"),
        ({"vm-1": {"b": state(False, "no package x")}}, "b fails. no package x"),
        ({"vm-1": {"ret": {"b": state(None)}, "retcode": 0}}, "b is not yet applied"),
        ({"vm-1": ['The function "state.highstate" is running as PID 7']}, "running as PID 7"),
        ({"vm-1": "Minion did not return. [No response]"}, "did not return"),
        ({"vm-1": False}, "False"),
        ({"vm-1": []}, "answers nothing"),
        ({"vm-1": {}}, "no states yet"),
        ({"vm-1": {"a": "odd"}}, "a is not yet applied"),
        ({"vm-2": {"a": state(True)}}, "does not answer"),
        ({}, "does not answer"),
    ],
)
def test_salt_is_not_ready(answer: object, said: str) -> None:
    with pytest.raises(TransientError, match=said.replace("[", r"\[")):
        SaltChecker(runner=salt(json.dumps(answer))).check("n1", "", "vm-1")


@pytest.mark.parametrize("text", ["", "No minions matched the target.", "{broken", "[1]", "null"])
def test_salt_says_nothing_useful(text: str) -> None:
    with pytest.raises(TransientError, match="gave no answer"):
        SaltChecker(runner=salt(text, returncode=2)).check("n1", "", "vm-1")


def test_salt_that_hangs_is_asked_again_and_a_missing_one_is_configuration() -> None:
    runner = FakeRunner()
    runner.on(["salt"], UnknownOutcomeError("did not end"))
    with pytest.raises(TransientError, match="did not end"):
        SaltChecker(runner=runner).check("n1", "", "vm-1")
    with pytest.raises(BadConfigError, match="no program"):
        SaltChecker(runner=FakeRunner()).check("n1", "", "vm-1")


def test_salt_is_never_given_an_option_or_a_pattern() -> None:
    for name in ("--grains", "*", "a b", "a,b"):
        with pytest.raises(BadConfigError, match="cannot be a host name"):
            SaltChecker(runner=salt("{}")).check("n1", "", name)


def test_script() -> None:
    checker = ScriptChecker("/site/ready {0} {1} {2}", runner=SubprocessRunner())
    with pytest.raises(BadConfigError, match="/site/ready"):
        checker.check("n1", "10.0.0.1", "vm-1")
    runner = FakeRunner()
    checker = ScriptChecker("/site/ready {0} {1} {2}", runner=runner)
    runner.on(["/site/ready"], "")
    checker.check("n1", "", "vm-1")
    assert runner.argvs == [("/site/ready", "n1", "", "vm-1")]
    runner.on(["/site/ready"], "", returncode=255, stderr="ssh: no route")
    with pytest.raises(TransientError, match="n1 is not ready: ssh: no route"):
        checker.check("n1", "", "vm-1")
    runner.on(["/site/ready"], "", returncode=2, stderr="wrong image")
    with pytest.raises(DynamicClusterError, match="n1 will never be ready: wrong image") as caught:
        checker.check("n1", "", "vm-1")
    assert not isinstance(caught.value, TransientError)
    runner.on(["/site/ready"], UnknownOutcomeError("did not end"))
    with pytest.raises(TransientError, match="did not end"):
        checker.check("n1", "", "vm-1")


def test_script_template_is_checked_at_start() -> None:
    with pytest.raises(BadConfigError, match="no value for"):
        ScriptChecker("/site/ready {3}")


SITE = """
class Good:
    def __init__(self, zone, retries=1):
        self.zone = zone
    def check(self, host_name, address, instance_name):
        if host_name != self.zone:
            raise OSError("not here")

class Broken:
    def __init__(self):
        raise KeyError("colour")
    def check(self, host_name, address, instance_name): ...

class NoCheck: ...

function = 3
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "site_checkers_for_test"
    (tmp_path / f"{name}.py").write_text(SITE)
    (tmp_path / f"{name}_bad.py").write_text("import nothing_like_this\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in (name, f"{name}_bad"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    return name


def test_a_checker_of_the_site(site: str) -> None:
    checker = plugin_checker(f"{site}.Good", {"zone": "a"})
    checker.check("a", "", "")
    assert isinstance(plugin_checker("dynamiccluster.checkers.salt.SaltChecker", {"timeout_s": 5}), SaltChecker)


@pytest.mark.parametrize(
    ("path", "arguments", "said"),
    [
        ("Good", {"zone": "a"}, "not the dotted path"),
        ("site checkers.Good", {}, "not the dotted path"),
        ("no_such_module_at_all.Good", {}, "cannot be imported: ModuleNotFoundError"),
        ("{site}_bad.Good", {}, "cannot be imported: ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("{site}.Absent", {}, "has no class Absent"),
        ("{site}.function", {}, "has no class function"),
        ("{site}.NoCheck", {}, "no method check"),
        ("{site}.Good", {}, "missing a required argument: 'zone'"),
        ("{site}.Good", {"zone": "a", "pasword": "hunter2"}, "unexpected keyword argument 'pasword'"),
        ("{site}.Broken", {}, "cannot be made: KeyError: 'colour'"),
        ("dynamiccluster.checkers.port.PortChecker", {"number": 0}, "0 is not a TCP port"),
    ],
)
def test_a_checker_that_cannot_be_made(site: str, path: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadConfigError, match=said) as caught:
        plugin_checker(path.format(site=site), arguments)
    assert "hunter2" not in str(caught.value)
