"""Debian's packages for test beds: one installation at a time, whichever beds ask for one, and no service is started.

A test bed whose script stands beside this file imports it: ``with packages.alone(): ...`` around everything from the
look at what is there to the end of apt, and ``packages.install(missing)`` inside.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import subprocess
from collections.abc import Iterator, Sequence

HOME = pathlib.Path("/var/lib/dynamiccluster")
LOCK = HOME / "testbeds.lock"
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
APT = ("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300")


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other test bed looks at the packages or installs any."""
    HOME.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed
        yield


def install(names: Sequence[str]) -> bool:
    """Whether apt could install them; what it recommends is left out."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with services_kept_down():
        # that the lists cannot be brought up to date is no reason not to try with those that are there
        subprocess.run((*APT, "update"), env=environment, stdout=subprocess.DEVNULL, check=False)
        command = (*APT, "install", "-y", "--no-install-recommends", *names)
        return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0


@contextlib.contextmanager
def services_kept_down() -> Iterator[None]:
    """Debian's packages start their services unless this file says no."""
    made = not POLICY.exists()
    if made:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if made:
            POLICY.unlink()


def installed(name: str) -> bool:
    """Whether this machine has the package."""
    command = ("dpkg-query", "-W", "-f", "${Status}", name)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout == "install ok installed"
