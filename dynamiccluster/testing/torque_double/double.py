"""A Torque double made for one test: in processes with a time that runs, or within the test with one set by hand."""

from __future__ import annotations

import os

from dynamiccluster.testing.stand_in.place import Place
from dynamiccluster.testing.stand_in.programs import install
from dynamiccluster.testing.stand_in.runner import InProcessRunner
from dynamiccluster.testing.torque_double import daemons, main
from dynamiccluster.testing.torque_double.cluster import SIX, new_cluster


class TorqueDouble:
    """A new cluster in ``directory``, without nodes. ``speed``: how fast its time runs; 0 is by hand.

    Its commands are in ``bin``. Names of nodes resolve by the file ``hosts``, once :meth:`resolve` was called.
    """

    def __init__(
        self, directory: str, *, now: float, speed: float = 0.0, version: str = SIX, scheduler: str = "maui"
    ) -> None:
        self.place = Place(directory)
        os.makedirs(self.place.file("nodes"), exist_ok=True)
        self.bin = install(self.place, main.__name__, main.NAMES)
        install(self.place, daemons.__name__, daemons.NAMES)
        self.place.set_clock(now, speed)
        self.place.write_state(new_cluster(now, version=version, scheduler=scheduler))

    def runner(self, user: str = "root") -> InProcessRunner:
        """The commands without processes, called by this user."""
        return InProcessRunner(self.place, main.dispatch, main.NAMES, user=user)

    def run(self, *argv: str, user: str = "root", stdin: str = "") -> str:
        """What a command prints. :raises RuntimeError: it failed."""
        done = self.runner(user).run(argv, timeout_s=10.0, stdin=stdin)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.returncode}: {done.complaint}")
        return done.stdout

    def pass_time(self, seconds: float) -> None:
        """Set the clock so much later. What happens meanwhile happens at the next command."""
        self.place.set_clock(self.place.now() + seconds)

    def resolve(self, name: str, address: str) -> None:
        """Make a name known to the head node; "" as address forgets it. From then on unknown names do not resolve."""
        self.place.resolve(name, address)

    def boot(self, name: str, cores: int = 2, memory_mib: int = 24105) -> None:
        """A machine with a pretended mom, which reports as soon as the server knows the node."""
        facts = {"ncpus": cores, "physmem": memory_mib * 1024, "availmem": memory_mib * 1024}
        with self.place.locked() as state:
            state["moms"][name] = {"since": self.place.now(), "facts": facts}

    def settings(self, **values: float) -> None:
        """``poll_s`` (RMPOLLINTERVAL, scheduler_iteration) and ``report_s`` (status_update_time), 10 s as recorded;
        ``unsent_s``, how long a new node is not trusted, which no real site can set."""
        with self.place.locked() as state:
            state.update(values)

    def crash(self, name: str) -> None:
        """Its mom falls silent, its jobs are gone."""
        with self.place.locked() as state:
            state["moms"][name]["silent_since"] = self.place.now()
