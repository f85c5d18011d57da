"""The unit file, and what systemd hears of a real service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from service_process import ROOT, configuration

UNIT = ROOT / "config" / "systemd" / "dynamiccluster.service"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_one(tmp_path: Path) -> None:
    """As shipped, but for the program and the manual page, which are not installed here."""
    lines = UNIT.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("Documentation=")]
    text = "\n".join("ExecStart=/bin/true" if line.startswith("ExecStart=") else line for line in kept)
    unit = tmp_path / "dynamiccluster.service"
    unit.write_text(text + "\n")
    command = [shutil.which("systemd-analyze") or "", "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    about_ours = [line for line in (done.stdout + done.stderr).splitlines() if "dynamiccluster" in line]
    assert (done.returncode, about_ours) == (0, [])  # it also reads, and judges, the machine's other units


def test_systemd_hears_that_it_is_ready_that_it_lives_and_that_it_stops(tmp_path: Path) -> None:
    config = tmp_path / "dc.yaml"
    config.write_text(yaml.safe_dump(configuration(tmp_path)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(30)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        command = [sys.executable, "-m", "dynamiccluster.cli.main", "serve", "-c", str(config)]
        service = subprocess.Popen(command, env=os.environ | told, stdin=subprocess.DEVNULL)
        try:
            assert listener.recv(1000).startswith(b"READY=1\n")
            assert [listener.recv(1000) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            service.terminate()
            last = b"WATCHDOG=1"
            while last == b"WATCHDOG=1":
                last = listener.recv(1000)
            assert last == b"STOPPING=1"
            assert service.wait(30) == 0
        finally:
            service.kill()
            service.wait()
