"""What `scripts/clouds/ipmi` makes of a machine that does not answer over the network: no word that ends its jobs."""

from __future__ import annotations

import errno
import importlib.machinery
import importlib.util
import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLOUDS = Path(__file__).resolve().parents[2] / "scripts/clouds"
FOUND = {"mac": "02:00:00:00:00:07", "address": "10.0.0.7", "off_command": ["true"]}
NOBODY = OSError(errno.EHOSTUNREACH, "No route to host")
TROUBLES = [
    TimeoutError("timed out"),
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    OSError(errno.EMFILE, "Too many open files"),
    socket.gaierror(-3, "Temporary failure in name resolution"),
]
each_trouble = pytest.mark.parametrize("trouble", TROUBLES, ids=["late", "no network", "no files", "no name"])


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module, on a clock that does not wait."""
    monkeypatch.syspath_prepend(str(CLOUDS))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # no cache beside the shipped script
    loader = importlib.machinery.SourceFileLoader("ipmi_script", str(CLOUDS / "ipmi"))
    spec = importlib.util.spec_from_loader("ipmi_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ipmi_script", module)
    loader.exec_module(module)
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: None)
    return module


def answering(*answers: Exception | None) -> Callable[..., socket.socket]:
    """A network on which each try has the next of the ``answers``, and the last one for ever."""
    left = list(answers)

    def connect(*_args: object, **_options: object) -> socket.socket:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer is not None:
            raise answer
        return socket.socket()

    return connect


@each_trouble
def test_trouble_with_the_network_is_no_machine_that_is_off(
    script: Any, monkeypatch: pytest.MonkeyPatch, trouble: OSError
) -> None:
    monkeypatch.setattr(script.socket, "create_connection", answering(trouble))
    assert script._by_network("desk1", FOUND).state() == script.UNKNOWN


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ((NOBODY,), "off"),
        ((NOBODY, NOBODY, None), "on"),
        ((NOBODY, ConnectionRefusedError()), "on"),
        ((NOBODY, TimeoutError()), "unknown"),
        ((ConnectionResetError(),), "on"),
    ],
)
def test_off_is_who_is_not_found_several_times(
    script: Any, monkeypatch: pytest.MonkeyPatch, answers: tuple[Exception | None, ...], state: str
) -> None:
    monkeypatch.setattr(script.socket, "create_connection", answering(*answers))
    assert script._by_network("desk1", FOUND).state() == state


def room(place: Path, **more: Any) -> dict[str, Any]:
    """Settings, with one machine that runs since yesterday."""
    used = dict.fromkeys(("cluster_id", "launch_id", "node_id", "resource", "host_name"), "")
    (place / "machines.json").write_text(
        json.dumps({"desk1": {**used, "created_at": time.time() - 86400, "ended_at": 0, "gone_at": 0}})
    )
    return {"state_dir": str(place), "machine": [{"name": "desk1", "power": "wake-on-lan", **FOUND, **more}]}


@pytest.mark.parametrize("trouble", [*TROUBLES, NOBODY], ids=["late", "no network", "no files", "no name", "nobody"])
def test_a_machine_in_use_that_is_not_found_is_not_called_stopped(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: OSError
) -> None:
    """Its jobs would be ended: whether they run is the scheduler's word."""
    monkeypatch.setattr(script.socket, "create_connection", answering(trouble))
    (shown,) = script.listed(room(tmp_path), {})["instances"]
    assert (shown["state"], bool(shown["fault"])) == ("unknown", True)


@each_trouble
def test_a_machine_that_was_ended_is_not_gone_before_it_is_off(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trouble: OSError
) -> None:
    settings = room(tmp_path)
    path = tmp_path / "machines.json"
    used = json.loads(path.read_text())
    used["desk1"]["ended_at"] = time.time()
    path.write_text(json.dumps(used))
    monkeypatch.setattr(script.socket, "create_connection", answering(trouble))
    assert script.listed(settings, {})["instances"][0]["state"] == "terminating"
    monkeypatch.setattr(script.socket, "create_connection", answering(NOBODY))
    assert script.listed(settings, {})["instances"][0]["state"] == "gone"


@pytest.mark.parametrize(("says", "state"), [("on", "active"), ("off", "stopped"), ("who knows", "unknown")])
def test_a_status_command_knows_better_than_the_network(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, state: str
) -> None:
    monkeypatch.setattr(script.socket, "create_connection", answering(NOBODY))
    (shown,) = script.listed(room(tmp_path, status_command=["echo", says]), {})["instances"]
    assert shown["state"] == state


def test_a_packet_that_could_not_be_sent_wakes_nobody(script: Any, tmp_path: Path) -> None:
    """That is certain: the machine is free again."""
    settings = room(tmp_path, status_command=["echo", "off"], broadcast="::1")
    (tmp_path / "machines.json").unlink()
    nodes = [{"node_id": "n", "host_name": "h"}]
    wish = {"cluster_id": "c", "launch_id": "l", "resource": {"name": "r"}, "nodes": nodes}
    with pytest.raises(script.SiteError, match="cannot be sent"):
        script.launch(settings, wish)
    assert json.loads((tmp_path / "machines.json").read_text()) == {}


def blades(place: Path, **more: Any) -> dict[str, Any]:
    """Settings with two machines that nobody uses."""
    password = place / "password"
    password.write_text("hunter2")
    common = {"user": "admin", "password_file": str(password), "ipmitool": ["true"], **more}
    return {
        "state_dir": str(place),
        "defaults": common,
        "machine": [{"name": "a", "bmc": "10.0.0.1"}, {"name": "b", "bmc": "10.0.0.2"}],
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ipmitool": ["/nonexistent/ipmitool"]}, "no program /nonexistent/ipmitool"),
        ({"password_file": "/nonexistent/password"}, "/nonexistent/password is not there"),
        ({"power": "commands", "on": ["nosuch"], "off": ["true"], "status": ["true"]}, "no program nosuch"),
    ],
)
def test_a_list_that_could_ask_nobody_is_an_error(script: Any, tmp_path: Path, more: dict[str, Any], said: str) -> None:
    """Even before the first machine is in use: else all looks well until the first launch."""
    with pytest.raises(script.SiteError, match=said) as caught:
        script.listed(blades(tmp_path, **more), {})
    assert caught.value.kind == "bad-config"


def test_one_machine_that_cannot_be_asked_spoils_no_list(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = blades(tmp_path)
    settings["machine"][1]["password_file"] = "/nonexistent"
    assert script.listed(settings, {})["quota"]["max_instances"] == 2
    assert "b: /nonexistent is not there" in capsys.readouterr().err
