"""Grid Engine's programs, and the meaning of what they say when they fail.

The documented commands are templates of the site's; everything else goes through the words before them
(``/opt/sge/bin/lx-amd64/qmod``). Return codes alone say little: ``qmod -cj`` ends with 1 on success, ``qconf -dattr``
with 0 when it did nothing. So whoever changes something looks afterwards whether it is so.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.runner import Completed, Runner
from dynamiccluster.schedulers.sge.command_lines import CommandLines

_MEANINGS: tuple[tuple[str, type[DynamicClusterError]], ...] = (
    ("unable to send message to qmaster", TransientError),
    ("unable to contact qmaster", TransientError),
    ("Connection refused", TransientError),
    ("can't resolve host name", TransientError),
    ("unable to resolve host", TransientError),
    ("can't resolve hostname", TransientError),
    ("failed receiving gdi request", UnknownOutcomeError),
    ("got read error", UnknownOutcomeError),
    ("got send timeout", UnknownOutcomeError),
    ("got read timeout", UnknownOutcomeError),
    ("must be manager", AuthError),
    ("must be operator", AuthError),
    ("have no permission", AuthError),
    ("insufficient rights", AuthError),
    ("neither submit nor admin host", AuthError),
    ("not a submit or admin host", AuthError),
    ("does not exist", NotFoundError),
    ("is not an execution host", NotFoundError),
    ("invalid queue", NotFoundError),
    ("set the environment variable SGE_ROOT", BadConfigError),
    ("invalid option argument", BadConfigError),
    ("SGE_ROOT directory", BadConfigError),
    ("act_qmaster", BadConfigError),
    ("cell directory", BadConfigError),
    ("commlib error", TransientError),
)
"""Seen with 8.1.9 or in its message catalogues; the first that occurs in the complaint counts."""

_MOST_ARGUMENTS = 500
"""Job ids per command: a few kilobytes."""


def meaning(said: str) -> type[DynamicClusterError]:
    """The error class for a complaint of one of the programs."""
    return next((kind for words, kind in _MEANINGS if words in said), DynamicClusterError)


class SgeCommands:
    """Runs them."""

    def __init__(self, runner: Runner, lines: CommandLines, timeout_s: float) -> None:
        self._runner = runner
        self._lines = lines
        self._timeout_s = timeout_s

    # -- questions -------------------------------------------------------------------------------------------

    def ask_jobs(self, *, with_projects: bool) -> str:
        """The XML of ``qstat -r`` of all users' jobs."""
        return self._ask(self._lines.jobs(with_projects=with_projects))

    def ask_details(self, numbers: Sequence[str]) -> str:
        """The XML of ``qstat -j`` for these jobs; for ``*`` of all."""
        return self._ask(self._lines.details(numbers))

    def ask_hosts(self, attributes: Sequence[str]) -> str:
        """The XML of ``qhost -q -j`` with these attributes of each host."""
        return self._ask(self._lines.hosts(attributes))

    def ask_quotas(self) -> str:
        """The XML of ``qquota`` for all users."""
        return self._ask(self._lines.quotas())

    def ask_environments(self) -> str:
        return self._ask(self._lines.environments())

    def ask_environment(self, name: str) -> str:
        return self._ask(self._lines.parallel_environment(name))

    def ask(self, *arguments: str) -> str:
        """The output of ``qconf``, for questions."""
        return self._ask(self._lines.qconf(*arguments))

    # -- changes ---------------------------------------------------------------------------------------------

    def change_group(self, option: str, host_name: str, group: str) -> None:
        """``-aattr`` or ``-dattr`` a host to or from a host group. In it, or not, already: success."""
        self._tell(self._lines.change_group(option, host_name, group), ())

    def switch(self, option: str, host_name: str) -> None:
        """``-d`` or ``-e``: disable or enable all queues of a host.

        :raises NotFoundError: it has none.
        """
        self._tell(self._lines.switch(option, host_name), ())

    def set_slots(self, number: int, queue: str, host_name: str) -> None:
        self._tell(self._lines.set_slots(number, queue, host_name), ())

    def unset_slots(self, queue: str, host_name: str) -> None:
        self._tell(self._lines.unset_slots(queue, host_name), ("not found",))

    def remove_host(self, host_name: str, harmless: Sequence[str]) -> None:
        """Delete the execution host.

        :raises DynamicClusterError: it is referenced still.
        """
        self._tell(self._lines.remove_host(host_name), harmless)

    def delete_jobs(self, job_ids: Sequence[str]) -> None:
        """Delete jobs that wait. Gone already: success.

        A job that runs must be put back first: ``qdel -f`` of one whose host has just died, before qmaster has noticed,
        ends qmaster ("got NULL element for JB_type", seen with 8.1.9; ``get_rid_of_job_due_to_qdel`` in its source).
        """
        for job_id in job_ids:
            self._tell(self._lines.delete_job(job_id), ("does not exist", "already in deletion"))

    def reschedule(self, job_ids: Sequence[str], *, force: bool = False) -> None:
        """Put jobs back to the queue. Those that wait, are gone, are being deleted or may not be started again are left
        alone.

        ``force``: also those that may not be started again; and jobs that were being deleted are gone.
        """
        for at in range(0, len(job_ids), _MOST_ARGUMENTS):
            argv = self._lines.reschedule(job_ids[at : at + _MOST_ARGUMENTS], force=force)
            done = self._run(argv)
            for line in f"{done.stdout}\n{done.stderr}".splitlines():  # what is said of single jobs is seen afterwards
                kind = meaning(line)
                if kind not in (DynamicClusterError, NotFoundError):
                    raise kind(_said(argv, line.strip()))

    def tell(self, *arguments: str, harmless: Sequence[str] = ()) -> None:
        """Have ``qconf`` change something. Complaints with one of the ``harmless`` words are success."""
        self._tell(self._lines.qconf(*arguments), harmless)

    def tell_file(self, option: str, text: str, harmless: Sequence[str] = ()) -> None:
        """Have ``qconf`` take an object from a file, which it will not read from a pipe."""
        with _file(text) as path:
            self._tell(self._lines.qconf(option, path), harmless)

    def _ask(self, argv: Sequence[str]) -> str:
        try:
            done = self._run(argv)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error
        if done.returncode != 0:
            kind = meaning(done.complaint)
            raise (TransientError if kind is UnknownOutcomeError else kind)(_said(argv, done.complaint))
        return done.stdout

    def _tell(self, argv: Sequence[str], harmless: Sequence[str]) -> None:
        done = self._run(argv)
        if done.returncode == 0:
            return
        said = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        wrong = [line for line in said if not any(words in line for words in harmless)]
        if wrong or not said:
            complaint = " ".join(wrong)[:500] or f"return code {done.returncode}"
            raise meaning(complaint)(_said(argv, complaint))

    def _run(self, argv: Sequence[str]) -> Completed:
        return self._runner.run(argv, timeout_s=self._timeout_s, env=self._lines.environment)


def _said(argv: Sequence[str], complaint: str) -> str:
    return f"{' '.join(argv[:6])}: {complaint}"


@contextmanager
def _file(text: str) -> Iterator[str]:
    """A file with this text, readable by whomever the command is run as."""
    with tempfile.NamedTemporaryFile("w", prefix="dynamiccluster-", suffix=".conf", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
        file.flush()
        yield file.name
