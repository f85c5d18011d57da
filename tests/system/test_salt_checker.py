"""The Salt checker with a real Salt: a master and a minion on loopback, in directories of their own."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamiccluster.checkers.salt import SaltChecker
from dynamiccluster.errors import TransientError

RELEASE = "3008.3"
PLACE = Path(f"/var/lib/dynamiccluster/testbed-salt-{RELEASE}-py{sys.version_info.major}.{sys.version_info.minor}")
"""Kept, as packages of the other test beds are: some 240 MB, a minute or two to install."""

MINION = "vm-1"
MASTER = """\
root_dir: {place}/master
pki_dir: {place}/master/pki
interface: 127.0.0.1
publish_port: {publish}
ret_port: {reply}
auto_accept: True
worker_threads: 1
user: {user}
file_roots: {{base: [{place}/states]}}
"""
CLIENT = """\
root_dir: {place}/minion
pki_dir: {place}/minion/pki
master: 127.0.0.1
master_port: {reply}
publish_port: {publish}
id: {minion}
user: {user}
"""


class Salt:
    def __init__(self, place: Path) -> None:
        self.place = place
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        values = {"place": place, "minion": MINION, "user": getpass.getuser()}
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            values |= {"publish": one.getsockname()[1], "reply": two.getsockname()[1]}
        for name, text in (("master", MASTER), ("minion", CLIENT)):
            (place / "etc").mkdir(exist_ok=True)
            (place / "etc" / name).write_text(text.format(**values))
        (place / "states").mkdir()
        (place / "states" / "top.sls").write_text(f"base:\n  {MINION}: [node]\n")
        program = place / "salt"
        program.write_text(f'#!/bin/sh\nexec {PLACE}/bin/salt -c {place}/etc "$@"\n')
        program.chmod(0o755)
        self.checker = SaltChecker(str(program), timeout_s=15.0)

    def start(self, name: str) -> None:
        with (self.place / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [PLACE / f"bin/salt-{name}", "-c", self.place / "etc"], stdout=log, stderr=log, start_new_session=True
            )

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def state(self, text: str) -> None:
        (self.place / "states" / "node.sls").write_text(text)

    def apply(self) -> subprocess.Popen[bytes]:
        words = [self.place / "salt", "-t", "60", MINION, "state.highstate"]
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def said(self) -> str:
        """What is still to be done; "" if the checker lets the machine join."""
        try:
            self.checker.check("wn-1", "127.0.0.1", MINION)
        except TransientError as error:
            return str(error)
        return ""

    def until_it_says(self, words: str) -> None:
        heard = []
        for _ in range(20):
            heard.append(self.said())
            if (words in heard[-1]) if words else not heard[-1]:
                return
            time.sleep(0.5)
        raise AssertionError(heard)


def provide() -> str:
    """Why there is no Salt here; "" once there is."""
    if os.environ.get("DYNAMICCLUSTER_TESTBEDS") != "1":
        return "DYNAMICCLUSTER_TESTBEDS=1 is not set"
    if os.geteuid() != 0:
        return "needs root, for a place to keep Salt in"
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    with PLACE.with_name(f"{PLACE.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (PLACE / "complete").exists():
            return ""
        shutil.rmtree(PLACE, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", PLACE], check=True, capture_output=True)
        words = [PLACE / "bin/pip", "install", "--quiet", "--no-input", f"salt=={RELEASE}"]
        subprocess.run(words, check=True, capture_output=True)
        (PLACE / "complete").touch()
        return ""


@pytest.fixture(scope="module")
def site() -> Iterator[Salt]:
    if reason := provide():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="dcsalt-") as place:  # paths of sockets are short
        salt = Salt(Path(place))
        salt.state("")
        try:
            salt.start("master")
            yield salt
        finally:
            for name in list(salt.processes):
                salt.end(name)


@pytest.fixture
def salt(site: Salt) -> Salt:
    if "minion" not in site.processes:
        site.start("minion")
    return site


@pytest.mark.system
@pytest.mark.timeout(900)
def test_a_machine_is_ready_when_nothing_is_left_to_do_on_it(salt: Salt) -> None:
    made = salt.place / "made"
    salt.state(f"{made}:\n  file.managed:\n    - contents: ready\n")
    salt.until_it_says("is not yet applied")
    assert not made.exists()  # asking changes nothing
    assert salt.apply().wait(60) == 0
    assert made.exists()
    assert salt.said() == ""


@pytest.mark.system
@pytest.mark.timeout(900)
def test_a_machine_with_a_state_that_fails_is_not_ready(salt: Salt) -> None:
    salt.state("odd:\n  pkg.no_such_function: []\n")
    salt.until_it_says("state pkg_|-odd_|-odd_|-no_such_function fails. State 'pkg.no_such_function' was not found")
    salt.state("{% odd\n")
    salt.until_it_says("Rendering SLS 'base:node' failed")


@pytest.mark.system
@pytest.mark.timeout(900)
def test_a_highstate_under_way_is_waited_for(salt: Salt) -> None:
    made = salt.place / "later"
    salt.state(f"slow:\n  cmd.run:\n    - name: sleep 6\n    - unless: test -e {made}\n")
    run = salt.apply()
    salt.until_it_says("is running as PID")
    assert run.wait(60) == 0
    made.touch()
    salt.until_it_says("")


@pytest.mark.system
@pytest.mark.timeout(900)
def test_machines_that_do_not_answer_are_not_ready(salt: Salt) -> None:
    with pytest.raises(TransientError, match="minion vm-2: it does not answer"):
        salt.checker.check("wn-2", "", "vm-2")
    salt.end("minion")
    with pytest.raises(TransientError, match=r"it does not answer|did not end within"):
        salt.checker.check("wn-1", "", MINION)
