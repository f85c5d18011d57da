"""An LSF double made for one test: in processes with a time that runs, or within the test with one set by hand."""

from __future__ import annotations

import os

from dynamiccluster.testing.lsf_double import main
from dynamiccluster.testing.lsf_double.cluster import OPENLAVA, new_cluster
from dynamiccluster.testing.stand_in.place import Place
from dynamiccluster.testing.stand_in.programs import install
from dynamiccluster.testing.stand_in.runner import InProcessRunner


class LsfDouble:
    """A new cluster in ``directory``: a master, no workers. ``speed``: how fast its time runs; 0 is by hand.

    Its commands are in ``bin``. ``shared``: boolean resources of the site.
    """

    def __init__(
        self,
        directory: str,
        *,
        now: float,
        speed: float = 0.0,
        dialect: str = OPENLAVA,
        shared: tuple[str, ...] = (),
    ) -> None:
        self.place = Place(directory)
        os.makedirs(self.place.file("nodes"), exist_ok=True)
        self.bin = install(self.place, main.__name__, (*main.NAMES, *main.DAEMONS))
        self.place.set_clock(now, speed)
        self.place.write_state(new_cluster(now, dialect=dialect, shared=shared))

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
        """Make a name known to the master; "" as address forgets it. From then on unknown names do not resolve."""
        self.place.resolve(name, address)

    def boot(self, name: str, cores: int = 2, memory_mib: int = 24105, resources: tuple[str, ...] = ()) -> None:
        """A machine whose pretended daemons start now; LIM takes its time."""
        facts = {"since": self.place.now(), "ncpus": cores, "maxmem": memory_mib, "resources": list(resources)}
        with self.place.locked() as state:
            state["daemons"][name] = facts

    def crash(self, name: str) -> None:
        """Its daemons fall silent, its jobs are gone."""
        with self.place.locked() as state:
            state["daemons"][name]["silent_since"] = self.place.now()

    def settings(self, **values: float) -> None:
        """``cycle_s``, ``refresh_s``, ``lim_start_s``, ``sbd_dead_s``, ``lim_dead_s``, ``clean_s``, ``default_max``."""
        with self.place.locked() as state:
            state.update(values)

    def queue(self, name: str, priority: int = 30, *, default: bool = False) -> None:
        with self.place.locked() as state:
            state["queues"][name] = {"priority": priority, "description": name}
            if default:
                state["default_queue"] = name
