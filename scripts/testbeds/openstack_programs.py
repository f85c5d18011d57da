"""The programs of the private OpenStack: Debian's MariaDB and RabbitMQ, and the services in a virtual environment.

The environment is made once, in ``/var/lib/dynamiccluster/openstack``, and used by every bring-up after it. What is
put into it besides the pins of ``openstack_constraints.txt`` is in ``openstack_parts``: a mechanism driver that binds
ports without agents, and hypervisors whose builds are slow or fail as tests like.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import packages

HERE = pathlib.Path(__file__).resolve().parent
HOME = packages.HOME / "openstack"
VENV = HOME / "venv"
STAMP = VENV / "complete"
PINS = HERE / "openstack_constraints.txt"
PARTS = HERE / "openstack_parts"
DEBIAN = ("mariadb-server", "rabbitmq-server")
ENTRY_POINT = "[neutron.ml2.mechanism_drivers]\neveryport = every_port:EveryPort\n"
METADATA = "Metadata-Version: 2.1\nName: every-port\nVersion: 1\n"

SLOW_POLL, FAST_POLL = "time.sleep(0.5)", "time.sleep(0.01)"
"""oslo.messaging 17.1 looks for the reply to a call between services every half second, and a build is some 20 of
them: 12 to 19 s for each server, whatever the machine (measured November 2026)."""


class MissingError(Exception):
    """What the bed needs is not there, and was not to be, or could not be, installed."""


def provide(*, install: bool) -> None:
    """See that everything is there. Only one process at a time installs."""
    with packages.alone():
        missing = [name for name in DEBIAN if not packages.installed(name)]
        if missing and not install:
            raise MissingError(f"packages are missing: {' '.join(missing)} (--install installs them)")
        if missing and not packages.install(missing):
            raise MissingError(f"these packages could not be installed: {' '.join(missing)}")
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        wanted = _fingerprint()
        if STAMP.exists() and STAMP.read_text() == wanted:
            return
        if not install:
            raise MissingError(f"{VENV} is not there, or an older one (--install makes it)")
        _make()
        STAMP.write_text(wanted)


def _fingerprint() -> str:
    texts = [PINS.read_bytes(), *(path.read_bytes() for path in sorted(PARTS.glob("*.py")))]
    texts += [pathlib.Path(__file__).read_bytes(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


def _make() -> None:
    pins = hashlib.sha256(PINS.read_bytes() + sys.version.encode()).hexdigest()
    mark = VENV / "pins"
    if not (mark.exists() and mark.read_text() == pins):
        _run(sys.executable, "-m", "venv", "--clear", str(VENV))
        # the pins are the whole set, so that pip has nothing to work out
        pip = (str(VENV / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        _run(*pip, "-r", str(PINS))
        mark.write_text(pins)
    site = pathlib.Path(_run(str(VENV / "bin/python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"))
    shutil.copy(PARTS / "every_port.py", site)
    shutil.copy(PARTS / "bed_host.py", site / "nova" / "virt")
    described = site / "every_port-1.dist-info"
    described.mkdir(exist_ok=True)
    (described / "METADATA").write_text(METADATA)
    (described / "entry_points.txt").write_text(ENTRY_POINT)
    replies = site / "oslo_messaging" / "_drivers" / "amqpdriver.py"
    replies.write_text(replies.read_text().replace(SLOW_POLL, FAST_POLL))


def _run(*argv: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingError(f"{' '.join(argv)}: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()
