"""The processes of the private OpenStack: each in a session of its own, so that all of it is found again."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from openstack_files import ZONES, Site
from openstack_programs import VENV

UWSGI = (
    *("--http-chunked-input", "--master", "--die-on-term", "--need-app", "--threads", "1", "--enable-threads"),
    *("--lazy-apps", "--thunder-lock", "--buffer-size", "65535", "--add-header", "Connection: close"),
    "--disable-logging",
)
APPLICATIONS = {
    "keystone": ("keystone.wsgi.api", 2),
    "glance": ("glance.wsgi.api", 1),
    "placement": ("placement.wsgi.api", 2),
    "neutron": ("neutron.wsgi.api", 2),
    "nova": ("nova.wsgi.osapi_compute", 2),
}
"""Module and number of processes of everything that answers over HTTP."""

COMPUTES = tuple(f"compute-{zone}" for zone in ZONES)
DAEMONS = ("conductor", "scheduler", *COMPUTES)


@dataclass(frozen=True)
class Command:
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    port: str = ""  # the name of the port that it opens, if any


class Services:
    """Start, stop, freeze. What was started is in ``PREFIX/pids``: process id and start time, by name."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.prefix = site.prefix
        self.pids = site.prefix / "pids"

    def commands(self) -> dict[str, Command]:
        site, prefix = self.site, self.prefix
        known = {
            "mariadb": Command(
                (
                    *("/usr/sbin/mariadbd", "--no-defaults", "--user=root", f"--datadir={prefix}/mysql"),
                    *(f"--socket={prefix}/mysql.sock", f"--pid-file={prefix}/mysql.pid", "--bind-address=127.0.0.1"),
                    *(f"--port={site.port('mariadb')}", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"),
                    *("--innodb-buffer-pool-size=256M", "--max-connections=600", "--skip-name-resolve"),
                    *("--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"),
                ),
                port="mariadb",
            ),
            "epmd": Command(("/usr/bin/epmd", "-address", "127.0.0.1", "-port", str(site.port("epmd"))), port="epmd"),
            "rabbitmq": Command(
                (str(pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server").resolve()),), self._rabbitmq(), "rabbitmq"
            ),
        }
        for name, (module, processes) in APPLICATIONS.items():
            words = ("--http-socket", f"127.0.0.1:{site.port(name)}", "--processes", str(processes))
            directory = f"OS_{name.upper()}_CONFIG_DIR"
            files = {f"OS_{name.upper()}_CONFIG_FILES": f"{name}.conf"} if name in ("keystone", "neutron") else {}
            known[name] = Command(
                (str(VENV / "bin/uwsgi"), *words, *UWSGI, "--module", f"{module}:application"),
                {directory: str(prefix / "etc" / name), **files},
                name,
            )
        for name in DAEMONS:
            known[name] = self._daemon(name)
        return known

    def _daemon(self, name: str) -> Command:
        kind, _, zone = name.partition("-")
        files = ["--config-file", f"{self.prefix}/etc/nova/nova.conf"]
        env: dict[str, str] = {}
        if zone:
            host = ZONES[zone]
            files += ["--config-file", f"{self.prefix}/etc/nova/{zone}.conf"]
            env = {"BED_KNOBS": str(self.prefix / "knobs")}
            env |= {"BED_VCPUS": str(host["vcpus"]), "BED_MEMORY_MB": str(host["memory_mb"])}
        return Command((str(VENV / f"bin/nova-{kind}"), *files, "--log-file", f"{self.prefix}/log/{name}.log"), env)

    def _rabbitmq(self) -> dict[str, str]:
        home, site = self.prefix / "rabbitmq", self.site
        first = site.port("erlang")
        erlang = "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none"
        return {
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"bed{first}@localhost",
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.prefix / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_DIST_PORT": str(first),
            "ERL_EPMD_PORT": str(site.port("epmd")),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": erlang,
        }

    def start(self, *names: str) -> None:
        """Start those that do not run, without waiting until they answer."""
        known = self.commands()
        for name in names:
            if self.processes(name):
                continue
            command = known[name]
            inherited = {key: os.environ[key] for key in ("PATH", "TERM") if key in os.environ}
            env = inherited | {"LANG": "C.UTF-8", "HOME": "/root", "PYTHONWARNINGS": "ignore"} | dict(command.env)
            with (self.prefix / "log" / f"{name}.out").open("ab") as output:
                process = subprocess.Popen(
                    command.argv,
                    env=env,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            seen = _stat(process.pid)
            record = {"pid": process.pid, "began": seen[1] if seen else 0}
            (self.pids / name).write_text(json.dumps(record))

    def wait(self, *names: str, limit_s: float) -> None:
        """Wait until they answer, or have opened their ports where they speak no HTTP.

        :raises TimeoutError: one has not, or has died.
        """
        known = self.commands()
        end = time.monotonic() + limit_s
        for name in names:
            while known[name].port and not (self.answers(name) if name in APPLICATIONS else self.open(name)):
                if not self.processes(name):
                    raise TimeoutError(f"{name} has died; see {self.prefix}/log")
                if time.monotonic() > end:
                    raise TimeoutError(f"{name} does not answer; see {self.prefix}/log")
                time.sleep(0.1)

    def answers(self, name: str) -> bool:
        """uwsgi opens its port first and then loads what answers."""
        try:
            with urllib.request.urlopen(self.site.url(name), timeout=30):  # noqa: S310 - the bed's own
                return True
        except urllib.error.HTTPError:
            return True  # "300 Multiple Choices", or "401 Unauthorized"
        except OSError:
            return False

    def open(self, port: str) -> bool:
        """Whether somebody listens there."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.site.port(port)), 1):
            return True
        return False

    def signal(self, number: signal.Signals, *names: str) -> None:
        for name in names:
            for pid in self.processes(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def stop(self, *names: str) -> None:
        """``kill -9``: tests want them dead, and nothing of theirs is to be kept."""
        for _ in range(100):
            self.signal(signal.SIGKILL, *names)
            if not any(self.processes(name) for name in names):
                break
            time.sleep(0.05)
        for name in names:
            (self.pids / name).unlink(missing_ok=True)

    def started(self) -> list[str]:
        return sorted(path.name for path in self.pids.iterdir()) if self.pids.is_dir() else []

    def processes(self, name: str) -> list[int]:
        """All living processes of a service: those of the session that it was started in."""
        try:
            record = json.loads((self.pids / name).read_text())
        except (OSError, ValueError):
            return []
        leader = _stat(record["pid"])
        if leader and leader[1] != record["began"]:
            return []  # the number belongs to somebody else by now
        return [pid for pid, (session, _) in _sessions() if session == record["pid"]]


def _sessions() -> Iterable[tuple[int, tuple[int, int]]]:
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and (seen := _stat(int(entry.name))):
            yield int(entry.name), seen


def _stat(pid: int) -> tuple[int, int] | None:
    """Session and start time of a process; None if it has ended."""
    try:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else (int(words[3]), int(words[19]))
