"""HTCondor's programs, and the meaning of what they say when they fail."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.runner import Completed, Runner
from dynamiccluster.schedulers.htcondor.ads_parse import quoted
from dynamiccluster.schedulers.htcondor.hosts_parse import HOLD

_MEANINGS: tuple[tuple[str, type[DynamicClusterError]], ...] = (
    ("Can't find address for schedd", TransientError),
    ("Couldn't contact the condor_collector", TransientError),
    ("communication error", TransientError),
    ("Failed to connect", TransientError),
    ("failed to connect", TransientError),
    ("Connection refused", TransientError),
    ("No route to host", TransientError),
    ("Can't connect", TransientError),
    ("timed out", UnknownOutcomeError),
    ("unknown host", NotFoundError),
    ("Can't find address for", NotFoundError),
    ("DENIED", AuthError),
    ("Permission denied", AuthError),
    ("Failed to authenticate", AuthError),
    ("not authorized", AuthError),
    ("failed to send classad", AuthError),  # nothing more is said when the collector refuses one
    ("Attempt to set configuration", BadConfigError),  # refused: the worker does not let this be set
    ("Can't send end of message", AuthError),  # the first words of a daemon that refuses condor_config_val
    ("Can't receive reply from", AuthError),
    ("Couldn't find/", NotFoundError),
    ("not found", NotFoundError),
)
"""Seen with 23.9.6; the first that occurs in the complaint counts."""

_FAILURES = ("ERROR", "Error:", "error:", "Can't ", "Failed to ", "failed to ", "Couldn't ", "unknown host")
"""Words on standard error that mean failure whatever the exit code: ``condor_off`` and ``condor_reconfig`` say
``Sent`` and exit with 0 when the daemon has refused the command."""

_SINFUL = re.compile(r"<[^<>\s]+>")

_PREPARED = "see docs/schedulers/htcondor.md for what its image must have"
"""Where a worker node may not be changed the reason is mostly its image."""


def meaning(said: str) -> type[DynamicClusterError]:
    """The error class for a complaint of one of HTCondor's programs."""
    return next((kind for words, kind in _MEANINGS if words in said), DynamicClusterError)


class CondorCalls:
    """Runs HTCondor's programs. ``bin_dir``: where they are, "" = looked up in PATH. ``prefix`` stands before each.

    ``pool``: the central manager; ``schedd``: the schedd; "" = those that HTCondor's own configuration names.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        bin_dir: str,
        prefix: Sequence[str],
        condor_config: str,
        pool: str,
        schedd: str,
        timeout_s: float,
    ) -> None:
        self._runner = runner
        self._bin_dir = bin_dir
        self._prefix = tuple(prefix)
        self._condor_config = condor_config
        self._pool = ("-pool", pool) if pool else ()
        self._schedd = (*self._pool, "-name", schedd) if schedd else self._pool
        self._timeout_s = timeout_s

    def ask_collector(self, *arguments: str) -> str:
        """The output of ``condor_status``. A question that fails has changed nothing: never of unknown outcome."""
        return self._ask("condor_status", *self._pool, *arguments)

    def ask_schedd(self, *arguments: str) -> str:
        """The output of ``condor_q`` about everybody's jobs."""
        return self._ask("condor_q", *self._schedd, "-allusers", *arguments)

    def advertise(self, command: str, ad: str) -> None:
        """Give the collector an ad, or have it forget some."""
        completed = self._run("condor_advertise", *self._pool, "-tcp", command, "-", stdin=ad)
        self._check(completed, f"condor_advertise {command}")

    def set_hold(self, daemon: str, mark: str) -> None:
        """Set :data:`~.hosts_parse.HOLD` of a startd, by its address, and have it take that in.

        Two commands: what the first sets lasts, and holds from the startd's next reconfiguration by whomever. By its
        name the startd is looked up in the collector, where an ad of a machine that had the name before may be found.

        :raises TransientError: there is no address in its ad: the commands would speak to a daemon of this machine.
        """
        if not _SINFUL.fullmatch(daemon):
            raise TransientError(f"{daemon[:60]!r} is not the address of a startd")
        words = ("-startd", "-address", daemon, "-set", f"{HOLD} = {quoted(mark)}")
        completed = self._run("condor_config_val", *self._pool, *words)
        self._check(completed, f"condor_config_val -set ({_PREPARED})")
        self._check(self._run("condor_reconfig", *self._pool, "-startd", "-addr", daemon), "condor_reconfig")

    def switch_off(self, machine: str) -> None:
        """Have all daemons of a machine end, its startd after the jobs that may still run there."""
        completed = self._run("condor_off", *self._pool, "-peaceful", "-name", machine, "-master")
        self._check(completed, f"condor_off -peaceful of {machine}")

    def tell_about_jobs(self, program: str, *arguments: str, harmless: Sequence[str]) -> None:
        """Have the schedd do something to jobs. Complaints with one of the ``harmless`` words are success."""
        completed = self._run(program, *self._schedd, *arguments)
        if completed.returncode == 0:
            return
        for line in (completed.stderr or completed.stdout or completed.complaint).splitlines():
            if line.strip() and not any(words in line for words in harmless):
                raise meaning(line)(f"{program}: {line.strip()[:500]}")

    def _check(self, completed: Completed, what: str) -> None:
        refused = completed.returncode != 0 or any(words in completed.stderr for words in _FAILURES)
        if refused:
            raise meaning(completed.complaint)(f"{what}: {completed.complaint}")

    def _ask(self, program: str, *arguments: str) -> str:
        try:
            completed = self._run(program, *arguments)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error
        if completed.returncode != 0:
            kind = meaning(completed.complaint)
            lasting = kind is AuthError or kind is BadConfigError
            raise (kind if lasting else TransientError)(f"{program}: {completed.complaint}")
        if not completed.stdout.strip() and completed.stderr.strip():
            raise TransientError(f"{program} printed nothing but: {completed.complaint}")
        return completed.stdout

    def _run(self, program: str, *arguments: str, stdin: str | None = None) -> Completed:
        environment: dict[str, str] = {}
        if self._condor_config:
            if not self._prefix and not os.path.exists(self._condor_config):
                raise BadConfigError(f"there is no file {self._condor_config} (condor_config)")
            environment["CONDOR_CONFIG"] = self._condor_config
        path = os.path.join(self._bin_dir, program) if self._bin_dir else program
        return self._runner.run(
            (*self._prefix, path, *arguments), timeout_s=self._timeout_s, stdin=stdin, env=environment
        )
