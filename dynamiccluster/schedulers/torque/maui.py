"""Maui's and Moab's programs: priorities, reservations, and jobs that they have given up on.

Nothing here is needed for Torque to be seen and kept alive: a Maui that does not answer is left alone for a minute,
its priorities are missed, and no more. Where its programs are not installed there is none. It never tells who is
alive: when pbs_server is down it goes on printing what it knew, with return code 0 (recorded).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from dynamiccluster.errors import BadConfigError, DynamicClusterError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.runner import Completed, Runner
from dynamiccluster.schedulers.torque.commands import (
    Commands,
    Value,
    bulk_showres,
    filled,
    is_shell,
    releaseres_program,
)
from dynamiccluster.schedulers.torque.maui_parse import (
    Reservation,
    Verdict,
    parse_created,
    parse_job,
    parse_priorities,
    parse_reservations,
)

log = logging.getLogger(__name__)

AGAIN_S = 60.0
"""How long it is not asked again in polls after it failed: its commands block for seconds when it is down."""


class Maui:
    """``timeout_s``: of one command."""

    def __init__(self, runner: Runner, clock: Clock, commands: Commands, *, timeout_s: float) -> None:
        self._runner = runner
        self._clock = clock
        self._commands = commands
        self._timeout_s = timeout_s
        self._bulk = bulk_showres(commands.showres)
        self._releaseres = releaseres_program(commands.releaseres)
        self._absent = False
        self._again_at = 0.0

    @property
    def present(self) -> bool:
        """Whether its programs are installed, as far as is known."""
        return not self._absent

    def look_again(self) -> None:
        """Forget that it was not there or did not answer."""
        self._absent, self._again_at = False, 0.0

    def priorities(self) -> dict[str, float] | None:
        """For polls: what it says of the jobs that it considers for starting; ``None`` if that is not known now."""
        if self._absent or self._clock.now() < self._again_at:
            return None
        try:
            return parse_priorities(self._ask(filled(self._commands.diagnose_p)))
        except BadConfigError as error:
            log.info("no Maui or Moab here: %s", error)
            self._absent = True
        except (DynamicClusterError, ValueError) as error:
            log.warning("Maui: %s; it is asked again in %.0f s", error, AGAIN_S)
            self._again_at = self._clock.now() + AGAIN_S
        return None

    # -- reservations --------------------------------------------------------------------------------------------

    def reservations(self) -> tuple[Reservation, ...]:
        """All of them, or those of one node where the configured command knows no other way.

        :raises TransientError: it does not answer.
        """
        if self._bulk is None:
            raise BadConfigError("showres_command cannot list the reservations of all nodes")
        return self._parsed(self._ask(self._bulk))

    def reservations_of(self, host_name: str) -> tuple[Reservation, ...]:
        if self._bulk is not None:
            found = self.reservations()
        else:
            found = self._parsed(self._ask(filled(self._commands.showres, host_name)))
        return tuple(each for each in found if each.node == host_name)

    def reserve(self, option: str, name: str, host_name: str) -> None:
        """Have only jobs of that account (``-a``) or queue (``-q``) run there.

        Its last argument is a regular expression that need not match the whole name (``MUREToList``), so the name is
        given with ``^`` and ``$``, and the answer is looked at.

        :raises TransientError: it does not know the node yet (it looks once per RMPOLLINTERVAL), or does not answer.
        """
        if any(each.name == name and each.by_people for each in self.reservations_of(host_name)):
            return
        where: Value = host_name if is_shell(self._commands.setres) else (f"^{re.escape(host_name)}$",)
        completed = self._run(filled(self._commands.setres, (option,), name, where))
        said = f"{completed.stdout}\n{completed.stderr}"
        try:
            reservation_id, nodes = parse_created(said)
        except ValueError as error:
            raise TransientError(f"setres {option} {name} {host_name}: {error}") from error
        if nodes - {host_name}:
            self.release([reservation_id], host_name, name)
            raise BadConfigError(f"setres {option} {name} {host_name} took other nodes too: {', '.join(sorted(nodes))}")

    def release(self, reservation_ids: Sequence[str], host_name: str, name: str = "") -> None:
        """End reservations. Those that are not there are success: it says so with return code 0."""
        if self._releaseres is not None:
            if reservation_ids:
                self._check(self._run([*self._releaseres, *reservation_ids]), "releaseres")
            return
        for reservation_id in reservation_ids:
            stem = name or reservation_id.rpartition(".")[0]
            self._check(self._run(filled(self._commands.releaseres, host_name, stem)), "releaseres")

    # -- single checks -------------------------------------------------------------------------------------------

    def node_state(self, host_name: str) -> str:
        """Its own word for the node's state."""
        found = re.search(r"^State:\s+(\S+)", self._ask(filled(self._commands.check_node, host_name)), re.MULTILINE)
        return found[1] if found else ""

    def verdict(self, maui_id: str) -> tuple[Verdict, str]:
        """Why a job does not run."""
        return parse_job(self._ask(filled(self._commands.check_job, maui_id)))

    def release_hold(self, maui_id: str) -> None:
        self._check(self._run(filled(self._commands.release_hold, maui_id)), "releasehold")

    # -- running -------------------------------------------------------------------------------------------------

    @staticmethod
    def _parsed(text: str) -> tuple[Reservation, ...]:
        try:
            return parse_reservations(text)
        except ValueError as error:
            raise TransientError(str(error)) from error

    @staticmethod
    def _check(completed: Completed, what: str) -> None:
        if completed.returncode != 0:
            raise TransientError(f"{what}: {completed.complaint}")

    def _ask(self, argv: Sequence[str]) -> str:
        completed = self._run(argv)
        self._check(completed, argv[0])
        return completed.stdout

    def _run(self, argv: Sequence[str]) -> Completed:
        try:
            return self._runner.run(argv, timeout_s=self._timeout_s)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error
