"""``scripts/demo``: a scene, the service on it, and the live view in this terminal, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from dynamiccluster.api.tokens import Role, make_token
from dynamiccluster.client.problems import ClientError
from dynamiccluster.client.rest import Client, Document

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / ".demo"
WEB = ROOT / "scripts" / "web"
BUILT = ROOT / "dynamiccluster" / "api" / "static"
COMMAND = [sys.executable, "-m", "dynamiccluster.cli.main"]
LONGEST_SOCKET = 107  # bytes of a Unix socket's path: unix(7)
PR_SET_PDEATHSIG = 1  # prctl(2)
START_LIMIT_S = 60.0
STOP_LIMIT_S = 20.0
LOOK_S = 5.0  # between two lines when nobody sits at a terminal


class Scene(Protocol):
    """Where the service lives: what must be there before it starts, what goes on beside it, and what must go."""

    title: str
    fastest: float  # speed of time that it can stand

    def prepare(self, scratch: Path, port: int) -> Path:
        """Set the scene; the configuration to start the service with. ``SystemExit`` says why it cannot be."""
        ...

    def begin(self) -> None:
        """The service answers: let jobs come. Must return at once."""
        ...

    def end(self) -> None:
        """The service has stopped: end and remove everything that the scene has made. May be called at any time."""
        ...


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Dynamic Cluster at work, until Ctrl-C.")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast time runs in the simulation [1]")
    parser.add_argument("--slurm", action="store_true", help="on a real Slurm (root, Debian)")
    parser.add_argument("--sge", action="store_true", help="on a real Grid Engine (root, Debian)")
    parser.add_argument("--htcondor", action="store_true", help="on a real HTCondor (root, Debian)")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after so many seconds")
    parser.add_argument("--port", type=int, default=8001, help="of the REST API on loopback [8001]")
    options = parser.parse_args()
    if not options.speed > 0.0:
        parser.error("--speed must be above 0")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGINT is ignored in what a script starts with &
        signal.signal(number, signal.default_int_handler)
    scene: Scene = importlib.import_module(chosen(options)).Scene()
    speed: float = options.speed
    if speed > scene.fastest:
        parser.error(f"on {scene.title} time cannot run {speed:g} times as fast")
    require_port(options.port)
    try:
        with scratch_directory() as scratch:
            try:
                return play(scene, scratch, speed, options.port, options.seconds)
            finally:
                with undisturbed():
                    scene.end()
    except KeyboardInterrupt:
        return 130


def chosen(options: argparse.Namespace) -> str:
    """The module of the scene."""
    return next((name for name in ("slurm", "sge", "htcondor") if getattr(options, name)), "embedded")


def require_port(port: int) -> None:
    """Say so before anything is set up if the service could not listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as error:
            raise SystemExit(
                f"scripts/demo: port {port} is not free ({error.strerror}). Choose another, such as\n"
                f"    scripts/demo --port {port + 10 if port < 65000 else 8011}"
            ) from error


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """The only place that is written to; gone afterwards. One demo at a time."""
    short = len(os.fsencode(SCRATCH / "demo.sock")) <= LONGEST_SOCKET
    place = SCRATCH if short else Path(tempfile.gettempdir(), f"dynamiccluster-demo-{os.getuid()}")
    place.mkdir(mode=0o700, exist_ok=True)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SystemExit("scripts/demo: a demo is running already, in another terminal") from error
        for left_over in place.iterdir():
            if left_over.name != "lock":
                shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Further Ctrl-C are not heard while things are put away."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def with_token(config: Path) -> Path:
    """Let people log in to the dashboard: a token that ends with the demo. The file that holds it, theirs alone."""
    secret, token = make_token("demo", Role.ADMIN)
    tokens = config.with_name("tokens")
    tokens.touch(mode=0o600)
    tokens.write_text(token.line() + "\n", encoding="utf-8")
    text, count = re.subn(
        r"(?m)^(\s+)port:\s*\d+\s*$", rf"\g<0>\n\g<1>tokens_file: {tokens}", config.read_text(encoding="utf-8"), count=1
    )
    if not count:
        raise SystemExit(f"{config} has no port")
    config.write_text(text, encoding="utf-8")
    held = config.with_name("token")
    held.touch(mode=0o600)
    held.write_text(secret + "\n", encoding="utf-8")
    return held


def dashboard() -> str:
    """Build the dashboard if it is not there and there is Node.js; what to say of it."""
    if (BUILT / "index.html").exists():
        return "live"
    if shutil.which("npm") is None:
        return "one plain page: the dashboard needs Node.js to be built; watch this terminal instead"
    print("building the dashboard (once) ...", flush=True)
    built = subprocess.run([WEB, "build"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    return "live" if built.returncode == 0 else "one plain page: the dashboard could not be built, see above"


def play(scene: Scene, scratch: Path, speed: float, port: int, seconds: float) -> int:
    until = time.monotonic() + seconds if seconds else None
    print(f"setting up {scene.title} ...", flush=True)
    config = scene.prepare(scratch, port)
    token = with_token(config)
    page = dashboard()
    log = scratch / "demo.log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "dynamiccluster.cli.main",
                "serve",
                "-f",
                "-c",
                str(config),
                "--speed",
                f"{speed:g}",
            ],
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we tell the service
            preexec_fn=end_with_us,
        )
    try:
        client = Client(str(scratch / "demo.sock"), timeout_s=10.0)
        if not wait_until_it_answers(client, service):
            print(f"the service did not start:\n{log.read_text(errors='replace')[-4000:].rstrip()}", file=sys.stderr)
            return 1
        scene.begin()
        print(
            f"running at {speed:g} times the speed of life; Ctrl-C ends it\n"
            f"  dashboard   http://127.0.0.1:{port}/dashboard   ({page})\n"
            f"  to change   log in there with {token.read_text(encoding='utf-8').strip()}\n"
            f"              which stands in {token}, too\n"
            f"  REST API    http://127.0.0.1:{port}/api/v1/status\n"
            f"  more verbs  .venv/bin/dynamiccluster explain JOB --connect {client.where}\n"
            f"  log         {log}",
            flush=True,
        )
        if sys.stdout.isatty():
            time.sleep(min(3.0, seconds or 3.0))  # long enough to read the lines above
            note = f"Dashboard: http://127.0.0.1:{port}/dashboard  To log in: cat {shown(token)}  Ctrl-C ends it"
            return watch(client, service, log, until, note)
        return follow(client, service, log, until)
    except KeyboardInterrupt:
        return 0
    finally:
        with undisturbed():
            stop(service)
            print("stopped; nothing is left behind", flush=True)


def end_with_us() -> None:
    """In the service's process, before it begins: should the demo be killed, the kernel asks it to end, too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_until_it_answers(client: Client, service: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + START_LIMIT_S
    while service.poll() is None and time.monotonic() < until:
        with contextlib.suppress(ClientError):
            client.get("api", "v1", "status")
            return True
        time.sleep(0.1)
    return False


def shown(path: Path) -> str:
    """As somebody in this directory would write it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def watch(client: Client, service: subprocess.Popen[bytes], log: Path, until: float | None, note: str) -> int:
    """The live view, as anybody would start it, with a line above: what was printed before is out of sight."""
    view = subprocess.Popen([*COMMAND, "status", "--watch", "--note", note, "--connect", client.where])
    try:
        while view.poll() is None and service.poll() is None and (until is None or time.monotonic() < until):
            time.sleep(0.2)
    finally:
        with undisturbed():
            if view.poll() is None:
                view.send_signal(signal.SIGINT)
            view.wait()
    return died(service, log)


def follow(client: Client, service: subprocess.Popen[bytes], log: Path, until: float | None) -> int:
    """A line now and then, and a whole picture at the end: for pipes and logs."""
    while service.poll() is None and (until is None or time.monotonic() < until):
        with contextlib.suppress(ClientError):
            print(line(client.get("api", "v1", "status")), flush=True)
        left_s = LOOK_S if until is None else min(LOOK_S, until - time.monotonic())
        time.sleep(max(left_s, 0.0))
    if service.poll() is None:
        subprocess.run([*COMMAND, "status", "--connect", client.where], check=False, timeout=60)
    return died(service, log)


def line(status: Document) -> str:
    demand, supply = status["demand"], status["supply"]
    nodes = ", ".join(f"{count} {state}" for state, count in sorted(status["nodes_by_state"].items())) or "none"
    return (
        f"{status['now'][11:19]}  {demand['waiting_tasks']} tasks wait for {demand['waiting_cores']} cores;"
        f" {supply['busy_cores']} cores busy, {supply['idle_cores']} idle, {supply['booting_cores']} coming;"
        f" nodes: {nodes}"
    )


def died(service: subprocess.Popen[bytes], log: Path) -> int:
    """1 with the log's end if the service has ended by itself."""
    if service.poll() is None:
        return 0
    print(f"the service ended by itself:\n{log.read_text(errors='replace')[-4000:].rstrip()}", file=sys.stderr)
    return 1


def stop(service: subprocess.Popen[bytes]) -> None:
    """Ask the service to end, then insist."""
    for number, patience_s in ((signal.SIGTERM, STOP_LIMIT_S), (signal.SIGKILL, 10.0)):
        if service.poll() is not None:
            return
        service.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.wait(patience_s)


if __name__ == "__main__":
    sys.exit(main())
