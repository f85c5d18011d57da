"""The service as a process: it starts, answers, reloads, and ends without a trace."""

from __future__ import annotations

import copy
import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
from service_process import RESOURCE, Service, configuration

from dynamiccluster.cli import exits


def test_it_answers_on_socket_and_port_and_the_port_only_reads(tmp_path: Path) -> None:
    with Service(tmp_path, configuration(tmp_path, jobs_per_day=20_000)) as service:
        assert stat.S_IMODE((tmp_path / "api.sock").stat().st_mode) == 0o660
        for tcp in (False, True):
            assert service.get("/api/v1/status", tcp)[1]["cluster_id"] == "test"
        refused, document = service.ask("POST", "/api/v1/resources/fast/freeze", tcp=True)
        assert (refused, document["error"]["code"]) == (403, "read-only")
        service.until(lambda: any(node["state"] == "busy" for node in service.nodes()))
        code, document = service.ask("POST", "/api/v1/resources/fast/freeze")
        assert code == 200, document
        assert (tmp_path / "state" / "test.db").stat().st_mode & 0o077 == 0


def test_sigterm_ends_it_in_a_few_seconds_without_a_trace(tmp_path: Path) -> None:
    with Service(tmp_path, configuration(tmp_path, jobs_per_day=20_000)) as service:
        service.until(lambda: service.nodes())
        began = time.monotonic()
        service.signal(signal.SIGTERM)
        assert service.ends(within_s=10.0) == (0, "")
        assert time.monotonic() - began < 5.0
        assert not (tmp_path / "api.sock").exists()
        assert "stopped; worker nodes stay as they are" in service.log()
        assert "Traceback" not in service.log()


def test_ctrl_c_is_an_orderly_end_too(tmp_path: Path) -> None:
    with Service(tmp_path, configuration(tmp_path)) as service:
        service.signal(signal.SIGINT)
        assert service.ends(within_s=10.0)[0] == 0
        assert not (tmp_path / "api.sock").exists()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with Service(tmp_path, configuration(tmp_path, port)).start(ready=False) as service:
            code, said = service.ends()
    assert code == exits.BAD_CONFIG
    assert f"port {port} on 127.0.0.1 is taken" in said
    assert "Traceback" not in said
    assert not (tmp_path / "api.sock").exists()


def test_a_bad_configuration_never_starts(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    config["cloud"]["fast"]["quantity"] = {"min": 5, "maximum": 2}
    config["cluster"]["type"] = "slrum"
    with Service(tmp_path, config).start(ready=False) as service:
        code, said = service.ends()
    assert code == exits.BAD_CONFIG
    assert "maximum" in said
    assert "did you mean slurm?" in said
    assert not (tmp_path / "state").exists()


def test_reload(tmp_path: Path) -> None:
    with Service(tmp_path, configuration(tmp_path)) as service:
        good = copy.deepcopy(service.config)
        bad = copy.deepcopy(good)
        bad["cloud"]["fast"]["quantity"]["max"] = -3
        service.write(bad)
        service.signal(signal.SIGHUP)
        service.until(lambda: "the old configuration stays in force" in service.log())
        assert service.get("/api/v1/resources/fast")[1]["max_nodes"] == 4
        code, document = service.ask("POST", "/api/v1/reload")
        assert (code, document["error"]["code"]) == (400, "bad-config")

        better = copy.deepcopy(good)
        better["cloud"]["slow"] = copy.deepcopy(RESOURCE) | {"tenancy": "other"}
        better["logging"]["log_level"] = 3
        service.write(better)
        service.signal(signal.SIGHUP)
        service.until(lambda: service.get("/api/v1/resources/slow")[0] == 200)
        service.until(lambda: service.get("/readyz")[0] == 200)
        service.until(
            lambda: any(one["source"] == "cloud:other" for one in service.get("/api/v1/sources")[1]["sources"])
        )
        code, _ = service.ask("POST", "/api/v1/resources/slow/launch", {"count": 1})
        assert code == 200
        service.until(lambda: [node["state"] for node in service.nodes()] == ["idle"])
        assert " - DEBUG - " in service.log()

        service.write(good)  # without the tenancy in which the node is
        code, document = service.ask("POST", "/api/v1/reload")
        assert code == 400
        assert "tenancy other is not there any more, but 1 node(s) are there" in document["error"]["message"]

        fixed = copy.deepcopy(better)
        fixed["dynamic-cluster"]["cluster_id"] = "another"
        fixed["dynamic-cluster"]["admin-server"]["port"] += 1
        service.write(fixed)
        code, document = service.ask("POST", "/api/v1/reload")
        service.write(better)
        assert code == 400
        assert "cluster_id changes only with a restart" in document["error"]["message"]
        assert "admin-server changes only with a restart" in document["error"]["message"]


PLUGIN = """
class Witness:
    interval_s = 1.0

    def __init__(self, path, word):
        self.path, self.word = path, word
        self.say("made")

    def observe(self, model):
        self.say(f"sees {len(model.policy.resources)}")
        if self.word == "leaver":
            raise SystemExit(3)

    def close(self):
        self.say("closed")

    def say(self, text):
        with open(self.path, "a") as file:
            print(self.word, text, file=file)
"""


def test_plugins_come_change_and_go_with_a_reload(tmp_path: Path) -> None:
    (tmp_path / "witness.py").write_text(PLUGIN)
    said = tmp_path / "said.txt"
    said.write_text("")
    with Service(tmp_path, configuration(tmp_path)) as service:
        for word in ("leaver", "stayer"):
            config = copy.deepcopy(service.config)
            arguments = {"path": str(said), "word": word}
            config["plugins"] = {"site": {"class_name": "witness.Witness", "arguments": arguments}}
            service.write(config)
            assert service.ask("POST", "/api/v1/reload")[0] == 200
            service.until(lambda word=word: f"{word} sees 1" in said.read_text())
        assert "leaver closed" in said.read_text()
        config = copy.deepcopy(config)
        config["plugins"]["site"]["class_name"] = "witness.Nobody"
        service.write(config)
        code, document = service.ask("POST", "/api/v1/reload")
        assert code == 400
        assert "witness.Nobody" in document["error"]["message"]
        assert "stayer closed" not in said.read_text()
        del config["plugins"]
        service.write(config)
        assert service.ask("POST", "/api/v1/reload")[0] == 200
        assert "stayer closed" in said.read_text()
        assert service.get("/readyz")[0] == 200
        assert "raised SystemExit" in service.log()


def test_background(tmp_path: Path) -> None:
    """It detaches, writes its pid and its log, and cleans up behind itself."""
    pid_file = tmp_path / "service.pid"
    service = Service(tmp_path, configuration(tmp_path), "-b", "-p", str(pid_file))
    done = subprocess.run(
        service.command, check=False, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert service.get("/healthz")[0] == 200  # it listens when the command returns
    last = time.monotonic() + 30.0
    while service.get("/readyz")[0] != 200:
        assert time.monotonic() < last, service.log()
        time.sleep(0.1)
    pid = int(pid_file.read_text())
    try:
        assert os.getsid(pid) != os.getsid(0)
        second = subprocess.run(service.command, check=False, capture_output=True, text=True, timeout=30)
        assert second.returncode == exits.BAD_CONFIG
        assert f"running already, as process {pid}" in second.stderr
        os.kill(pid, signal.SIGTERM)
        while pid_file.exists():
            assert time.monotonic() < last + 10.0
            time.sleep(0.05)
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pid = 0
    assert pid == 0 or not (tmp_path / "api.sock").exists()
    assert "stopped; worker nodes stay as they are" in service.log()


def test_background_says_why_it_did_not_start(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    service = Service(tmp_path, config, "-b", "-p", str(tmp_path / "service.pid"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", config["dynamic-cluster"]["admin-server"]["port"]))
        other.listen()
        done = subprocess.run(
            service.command, check=False, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
        )
    assert done.returncode == exits.REFUSED
    assert "is taken" in done.stderr
    assert "is taken" in service.log()


@pytest.mark.parametrize("options", [("-b",), ("-b", "-f")])
def test_background_needs_a_log_file(tmp_path: Path, options: tuple[str, ...]) -> None:
    config = configuration(tmp_path)
    del config["logging"]["log_location"]
    service = Service(tmp_path, config, *options, "-p", str(tmp_path / "x.pid"))
    done = subprocess.run(service.command, check=False, capture_output=True, text=True, timeout=30)
    if "-f" in options:
        assert done.returncode == exits.USAGE
        assert "exclude each other" in done.stderr
    else:
        assert done.returncode == exits.BAD_CONFIG
        assert "log_location" in done.stderr
