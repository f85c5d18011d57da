"""What the rounds of ``tests/system`` and ``scripts/soak`` need of a scheduler that runs beside them: its test bed.

The rounds (mixed jobs, races at scale-down, ``kill -9`` anywhere, faults of everything around the service) are written
once, for any scheduler. A scheduler brings a :class:`Bed` and no round of its own. What a bed says is *the truth* that
the service is judged by: it is read from the scheduler's own commands and logs, from the kernel and from files, never
from the service, and never through the adapter's parsers, whose mistakes it would share.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.runner import Runner, SubprocessRunner

SWITCH = "DYNAMICCLUSTER_TESTBEDS"
"""The environment variable that, as ``1``, lets real systems be installed and run on this machine."""

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts" / "testbeds"
LANES = tuple(f"lane{at}" for at in range(8))
"""Names that a bed must be able to keep apart: see :meth:`Bed.lane`."""

_UP_TIMEOUT_S = 1200.0  # with the installation of packages, and after waiting for another bed's
_DOWN_TIMEOUT_S = 60.0


class JobState(StrEnum):
    """All that a round wants to know."""

    WAITING = "waiting"
    RUNNING = "running"  # it has begun and is not over: prologue, epilogue and suspension included
    COMPLETED = "completed"  # its script ended by itself, with success
    OTHER = "other"  # it is over in any other way


@dataclass(frozen=True, slots=True)
class Order:
    """A job as a round wants it; the bed says it in the scheduler's words.

    ``cores`` and ``memory_mib`` are what each of ``nodes`` different hosts must give. ``memory_mib`` 0: no matter.
    ``array``: so many tasks, ``at_once`` of them at the same time; 0 is no array, or no limit. ``lane``: only on
    nodes of the resource that has :meth:`Bed.lane` of this name. ``held``: by its user. ``after``: id of a job that
    must have completed before.
    """

    script: str = "true"  # of /bin/sh
    name: str = "job"
    cores: int = 1
    nodes: int = 1
    memory_mib: int = 0
    array: int = 0
    at_once: int = 0
    lane: str = ""
    held: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What the scheduler says of one job, or of one task of an array; instants are epoch seconds, 0 = not yet."""

    job_id: str  # as submit() gave it: of a task that of its array
    task: str  # "" also for all the tasks of an array that still wait, where the scheduler counts them as one
    state: JobState
    word: str  # the scheduler's own, for messages
    submitted_at: float = 0.0
    started_at: float = 0.0  # the last time
    restarts: int = 0  # how often it was started again
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """What the scheduler says of one host."""

    name: str
    up: bool  # it could run a job now, if nobody held it and it had room
    held: bool  # somebody keeps new jobs away
    word: str


class Bed(Protocol):
    """A running scheduler of our own. Every method may be called at any time, also while its daemons are away."""

    kind: str
    """Of the scheduler: ``slurm``, ``sge``, ... Part of names and messages."""

    facts: Mapping[str, Any]
    """What the test bed's ``up`` printed."""

    prefix: pathlib.Path
    """Directory of all of its files."""

    runner: Runner

    cannot: frozenset[str]
    """Fields of :class:`Order` that the scheduler has no notion of; rounds leave out the jobs that need one."""

    held_word: str
    """What the scheduler's own reason for a job held by its user contains, so that ``explain`` must pass it on."""

    hostile_name: str
    """The worst name that the scheduler lets users give to a job."""

    job_list: str
    """The program that lists jobs: faults put something in its place."""

    removal_limit_s: float
    """Within so many seconds after the last job an idle cluster must be empty, with the rounds' limits and polls."""

    def cluster_section(self, programs: Mapping[str, str]) -> dict[str, Any]:
        """``cluster:`` of a configuration. ``programs``: paths to use in place of the bed's own, by name."""
        ...

    def program(self, name: str) -> str:
        """The path of one of the scheduler's programs, as it works from outside the bed's namespaces."""
        ...

    def general_section(self) -> dict[str, Any]:
        """What the scheduler needs under ``dynamic-cluster:``, such as ``names:``."""
        ...

    def cloud_config(self) -> dict[str, Any]:
        """``config:`` of a local resource whose machines join this scheduler, ``state_dir`` apart."""
        ...

    def lane(self, name: str) -> dict[str, Any]:
        """Keys of a resource that jobs with ``Order.lane`` of this name run on, and no jobs of another lane.

        ``name`` is one of :data:`LANES`, or whatever the bed's own :meth:`special_resources` use.
        """
        ...

    def special_resources(self, plain: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The resources of the round of mixed jobs.

        ``plain``: ``small`` (4 cores, 4,000 MiB, at most 4) and ``big`` (8 cores, 16,000 MiB, at most 2), to which
        may be added whatever the jobs of :meth:`submit_special` need: other keys, or another resource.
        """
        ...

    def submit_special(self) -> dict[str, str]:
        """Submit jobs of shapes that only this scheduler has, and that those resources can run: names by id."""
        ...

    def impossible(self) -> AbstractContextManager[str]:
        """The id of a job that the scheduler keeps waiting and no resource can ever give; cancelled at the end."""
        ...

    def declared(self, resources: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether the scheduler accepts jobs of every shape of these resources (a section ``cloud:``) by now."""
        ...

    def submit(self, order: Order) -> str:
        """Submit a job that may be started again if its node dies. Its id.

        :raises DynamicClusterError: the scheduler refused it.
        """
        ...

    def cancel(self, *job_ids: str) -> None:
        """End them, waiting or running. Those that are over already are success."""
        ...

    def output_of(self, job_id: str) -> str:
        """What the job's script has printed by now: every time it was started, and all tasks, one after another."""
        ...

    def jobs(self) -> list[Job]:
        """Every job that the scheduler remembers, for two minutes after its end at least.

        :raises DynamicClusterError: the scheduler does not answer.
        """
        ...

    def hosts(self) -> dict[str, Host]:
        """Every host that is listed, those that only stand for a shape apart; also one that was never up.

        :raises DynamicClusterError: the scheduler does not answer.
        """
        ...

    def queue_text(self) -> str:
        """The queue as its users see it, for messages."""
        ...

    def forget_host(self, name: str) -> None:
        """Take a host out by force, after a test that failed: its machine is gone."""
        ...

    def leftovers(self) -> dict[str, object]:
        """What workers have left in the kernel: processes, namespaces, cables. Empty if nothing."""
        ...

    def daemons_of(self, host: str) -> list[int]:
        """Processes of a worker's daemon, and of what minds jobs in its name; the jobs themselves apart."""
        ...

    def stop_head(self) -> None:
        """End the scheduler's central daemons as an administrator does, state saved."""
        ...

    def kill_head(self) -> list[int]:
        """``kill -9`` of them, as soon as what they knew when this was called is on the disk. The killed processes."""
        ...

    def head_processes(self) -> list[int]:
        """The scheduler's central daemons, as they run now."""
        ...

    def start_head(self) -> None:
        """Start them again, where and as the bed had started them, and wait until they answer."""
        ...


def why_not(
    system: str, script: pathlib.Path, *, programs: Sequence[str] = (), installed_by_us: pathlib.Path | None = None
) -> str:
    """Why there can be no such real system here; "" if there can.

    ``programs`` that are there without ``installed_by_us``, the test bed's mark, are the site's own and left alone.
    """
    needs = f"needs a real {system}"
    if os.environ.get(SWITCH) != "1":
        return f"{needs}: set {SWITCH}=1 to let one be installed (root, Debian)"
    if os.geteuid() != 0:
        return f"{needs}: must be root"
    if not pathlib.Path("/etc/debian_version").exists():
        return f"{needs}: must be Debian"
    if any(map(shutil.which, programs)) and not (installed_by_us and installed_by_us.exists()):
        return f"{needs} of our own: this machine has one already, which is left alone"
    return "" if script.exists() else f"{needs}: {script} is not there"


@contextlib.contextmanager
def bed_of(script: pathlib.Path, *options: str) -> Iterator[dict[str, Any]]:
    """The facts of ``SCRIPT up --prefix DIRECTORY OPTIONS`` in a new directory; ``SCRIPT down`` at the end.

    :raises DynamicClusterError: it could not be started.
    """
    runner = SubprocessRunner()
    prefix = tempfile.mkdtemp(prefix="dcbed-", dir="/tmp")  # paths of sockets must be short
    call = (sys.executable, str(script))
    try:
        completed = runner.run((*call, "up", "--prefix", prefix, *options), timeout_s=_UP_TIMEOUT_S)
        if completed.returncode != 0:
            raise DynamicClusterError(f"the test bed did not start: {completed.complaint}")
        facts: dict[str, Any] = json.loads(completed.stdout)
        yield facts
    finally:
        runner.run((*call, "down", "--prefix", prefix), timeout_s=_DOWN_TIMEOUT_S)


def namespaces_of_workers(runner: Runner, namespace: str) -> list[str]:
    """Network namespaces of local instances whose bridge is in ``namespace``."""
    listed = runner.run(("ip", "netns", "list"), timeout_s=10).stdout.splitlines()
    return [line.split()[0] for line in listed if line.startswith(f"{namespace}-")]


def cables_of_workers(runner: Runner, namespace: str) -> list[str]:
    """Ports that local instances have on the bridge in ``namespace``."""
    shown = runner.run(("ip", "-n", namespace, "-o", "link"), timeout_s=10).stdout
    return re.findall(r"\d+: (dc[0-9a-f]{8})@", shown)


def processes_in(runner: Runner, namespace: str) -> list[int]:
    """Everything that runs in a network namespace."""
    shown = runner.run(("ip", "netns", "pids", namespace), timeout_s=10).stdout
    return [int(pid) for pid in shown.split()]


@dataclass(frozen=True, slots=True)
class Process:
    """One process, from ``/proc``."""

    pid: int
    name: str
    command: str  # its command line


def processes_with(text: str) -> list[Process]:
    """The processes that have this text (a bed's prefix) in their command line or environment, in any namespace."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it has just ended
            command = (entry / "cmdline").read_bytes()
            if text.encode() in command + b"\0" + (entry / "environ").read_bytes():
                shown = command.replace(b"\0", b" ").decode(errors="replace").strip()
                found.append(Process(int(entry.name), (entry / "comm").read_text().strip(), shown))
    return found


def number_in(path: pathlib.Path) -> int:
    """The first number in a file, as of a pid file; 0 if there is none."""
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
