"""Slurm's programs, and the meaning of what they say when they fail."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.runner import Completed, Runner

_ENVIRONMENT = {
    "SLURM_TIME_FORMAT": "%s",  # instants as epoch seconds: no time zone, no ambiguous hour
    "SLURM_BITSTR_LEN": "0",  # whole lists of array tasks, not their first 64 characters
    "TZ": "UTC",
}

_MISLEADING = ("SQUEUE_", "SLURM_CLUSTERS")
"""Variables in the service's own environment that would change what ``squeue`` lists; even empty ones do."""

_FULL = "node table is full"

_MEANINGS: tuple[tuple[str, type[DynamicClusterError]], ...] = (
    ("Unable to contact slurm controller", TransientError),
    ("Connection refused", TransientError),
    ("backup controller in standby mode", TransientError),
    ("temporarily unable", TransientError),
    ("Transport endpoint is not connected", TransientError),
    ("Resource temporarily unavailable", TransientError),
    ("Socket timed out", UnknownOutcomeError),
    ("Zero Bytes were transmitted", UnknownOutcomeError),
    ("Requested nodes are busy", BusyError),
    ("Invalid node name", NotFoundError),
    ("not found", NotFoundError),
    ("Invalid job id", NotFoundError),
    ("Access/permission denied", AuthError),
    ("Invalid user id", AuthError),
    ("authentication", AuthError),
    ("Munge", AuthError),
    ("unable to establish configuration source", BadConfigError),
    ("Could not establish a configuration source", BadConfigError),  # no slurm.conf, and no DNS record of its server
    ("Unable to process configuration file", BadConfigError),
    (_FULL, BadConfigError),
    ("already exists in the node table", TransientError),
)
"""Seen with 22.05.8 or 24.11.5, or in ``slurm_errno.c``; the first that occurs in the complaint counts."""


def meaning(said: str) -> type[DynamicClusterError]:
    """The error class for a complaint of one of Slurm's programs."""
    return next((kind for words, kind in _MEANINGS if words in said), DynamicClusterError)


class SlurmCalls:
    """Runs ``squeue``, ``scontrol`` and ``scancel``; ``prefix`` stands before each of them."""

    def __init__(
        self,
        runner: Runner,
        *,
        squeue: Sequence[str],
        scontrol: Sequence[str],
        scancel: Sequence[str],
        prefix: Sequence[str],
        slurm_conf: str,
        timeout_s: float,
    ) -> None:
        self._runner = runner
        misleading = [name for name in os.environ if name.startswith(_MISLEADING)]
        cleared = ("env", *(word for name in misleading for word in ("-u", name))) if misleading else ()
        self._squeue = (*prefix, *cleared, *squeue)
        self._scontrol = (*prefix, *scontrol)
        self._scancel = (*prefix, *scancel)
        self._slurm_conf = slurm_conf
        self._timeout_s = timeout_s

    def ask_jobs(self, *arguments: str) -> str:
        """The output of ``squeue``. A question that fails has changed nothing, so it is never of unknown outcome."""
        return self._ask((*self._squeue, *arguments))

    def ask(self, *arguments: str) -> str:
        """The output of ``scontrol``, for questions."""
        return self._ask((*self._scontrol, *arguments))

    def tell(self, *arguments: str) -> None:
        """Have ``scontrol`` change something."""
        completed = self._run((*self._scontrol, *arguments))
        if completed.returncode != 0:
            raise meaning(completed.complaint)(f"scontrol {arguments[0]}: {completed.complaint}")

    def create(self, names: Iterable[str], *attributes: str) -> None:
        """Create FUTURE nodes, as far as the node table has room: look afterwards, as 22.05.8 says nothing then.

        Never with a name that is there: 24.11.5 refuses that *and deletes the node that is there*, if it is free.

        :raises TransientError: there was one; it may be made now.
        """
        try:
            self.tell("create", f"nodename={','.join(sorted(names))}", "state=FUTURE", *attributes)
        except BadConfigError as error:
            if _FULL not in str(error):
                raise

    def tell_about_jobs(self, verb: Sequence[str], job_ids: Sequence[str], harmless: Sequence[str]) -> None:
        """Have ``scontrol`` do one thing to many jobs. Complaints with one of the ``harmless`` words are success."""
        completed = self._run((*self._scontrol, *verb[:-1], f"{verb[-1]}{','.join(job_ids)}"))
        self._check_lines(completed, f"scontrol {verb[0]}", harmless)

    def cancel(self, job_ids: Sequence[str], harmless: Sequence[str]) -> None:
        """Delete jobs."""
        self._check_lines(self._run((*self._scancel, *job_ids)), "scancel", harmless)

    def _check_lines(self, completed: Completed, what: str, harmless: Sequence[str]) -> None:
        if completed.returncode == 0:
            return
        for line in (completed.stderr or completed.stdout).splitlines():
            if line.strip() and not any(words in line for words in harmless):
                raise meaning(line)(f"{what}: {line.strip()[:500]}")

    def _ask(self, argv: Sequence[str]) -> str:
        try:
            completed = self._run(argv)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error
        if completed.returncode != 0:
            kind = meaning(completed.complaint)
            raise (TransientError if kind is UnknownOutcomeError else kind)(completed.complaint)
        return completed.stdout

    def _run(self, argv: Sequence[str]) -> Completed:
        environment = dict(_ENVIRONMENT)
        if self._slurm_conf:
            if not os.path.exists(self._slurm_conf):  # Slurm's programs would retry for a minute
                raise BadConfigError(f"there is no file {self._slurm_conf} (slurm_conf)")
            environment["SLURM_CONF"] = self._slurm_conf
        return self._runner.run(argv, timeout_s=self._timeout_s, env=environment)
