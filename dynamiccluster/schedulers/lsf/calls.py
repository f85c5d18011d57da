"""LSF's programs, and the meaning of what they say when they fail.

``bjobs`` and ``bhosts`` wait for ever while a daemon is away (seen), so every call has its time limit. A question that
finds nothing ends with 255 and a sentence (seen), which is an answer and no failure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

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

PROGRAMS = (
    "lsid",
    "lsinfo",
    "lshosts",
    "lsload",
    "bhosts",
    "bjobs",
    "bqueues",
    "badmin",
    "brequeue",
    "bkill",
    "lsaddhost",
    "lsrmhost",
    "lsadmin",
)

_ENVIRONMENT = {"TZ": "UTC", "LC_ALL": "C"}  # instants without a time zone, words that are not localised

_MISLEADING = (
    "LSB_BJOBS_FORMAT",
    "LSB_BHOSTS_FORMAT",
    "LSB_BJOBS_PENDREASON_LEVEL",
    "LSB_DISPLAY_YEAR",
    "LSB_SHORT_HOSTLIST",
    "LSF_LOGDIR",
)
"""Variables in the service's own environment that change what the programs print."""

_NONE_FOUND = re.compile(r"\bNo (?:unfinished |matching |pending |running )?job(?:s)? found|\bNo job found in ")

_NO_RECORDS = re.compile(r'"RECORDS"\s*:\s*\[\s*\]\s*\}\s*\Z')

_MEANINGS: tuple[tuple[str, type[DynamicClusterError]], ...] = (
    ("not responding", TransientError),  # seen: it goes on trying
    ("LIM is down", TransientError),  # seen
    ("LSF is down", TransientError),
    ("Cannot connect to LSF", TransientError),
    ("Connection refused by server", TransientError),
    ("Batch daemon cannot fork", TransientError),
    ("Unable to contact execution host", TransientError),
    ("Operation is in progress", TransientError),
    ("Job has not started yet", TransientError),
    ("Batch service not registered", TransientError),
    ("Failed in sending/receiving a message", UnknownOutcomeError),
    ("Communication timeout", UnknownOutcomeError),
    ("Communication time out", UnknownOutcomeError),
    ("Timeout on connect call to server", TransientError),
    ("Failed in an LSF library call", TransientError),
    ("User permission denied", AuthError),  # seen
    ("Request from non-LSF host rejected", AuthError),
    ("Unknown user", AuthError),
    ("Bad host name", NotFoundError),  # seen
    ("is not found", NotFoundError),  # seen
    ("No matching job found", NotFoundError),
    ("invalid hostname", NotFoundError),  # seen: it cannot be resolved on this machine
    ("host is in use", BusyError),
    ("LSF_ENVDIR", BadConfigError),
    ("lsf.conf", BadConfigError),
)
"""Seen with OpenLava 4.0, or in ``lsb.err.c`` and ``lib.err.c``; the first that occurs in the complaint counts."""

_NO_SUCH_OPTION = re.compile(
    r"(?:invalid|illegal|unrecognized|unknown) option|[Uu]sage:|is not a valid field name|Illegal (?:field|option)"
    r"|Unknown command|[Ii]nvalid command|No such command"
)
_BAD_FIELD = re.compile(r"<?(\w+)>? is not a valid field name")


def meaning(said: str) -> type[DynamicClusterError]:
    """The error class for a complaint of one of LSF's programs."""
    return next((kind for words, kind in _MEANINGS if words in said), DynamicClusterError)


class UnsupportedError(BadConfigError):
    """This version has no such option, field or command. Nothing was changed."""

    def __init__(self, complaint: str) -> None:
        super().__init__(complaint)
        found = _BAD_FIELD.search(complaint)
        self.field = found[1].lower() if found else ""


class CommandLines:
    """How the programs are called.

    ``commands``: by the names of :data:`PROGRAMS`. ``bin_dir`` goes before those without a directory of their own,
    ``prefix`` (``sudo -n -u lsfadmin``) before all.
    """

    def __init__(
        self, commands: Mapping[str, Sequence[str]], *, bin_dir: str = "", envdir: str = "", prefix: Sequence[str] = ()
    ) -> None:
        self.envdir = envdir
        self.environment: Mapping[str, str] = dict(_ENVIRONMENT) | ({"LSF_ENVDIR": envdir} if envdir else {})
        self._front = tuple(prefix)
        misleading = [name for name in _MISLEADING if name in os.environ]
        if prefix or misleading:  # what stands in front (sudo) may not pass an environment on
            unset = tuple(word for name in misleading for word in ("-u", name))
            self._front = (*prefix, "env", *unset, *(f"{name}={value}" for name, value in self.environment.items()))
        self._commands = {name: _placed(commands.get(name, (name,)), bin_dir) for name in PROGRAMS}

    def argv(self, program: str, *arguments: str) -> tuple[str, ...]:
        return (*self._front, *self._commands[program], *arguments)


class LsfCalls:
    """Runs LSF's programs, each for ``timeout_s`` at most."""

    def __init__(self, runner: Runner, lines: CommandLines, timeout_s: float) -> None:
        self._runner = runner
        self._lines = lines
        self._timeout_s = timeout_s

    def ask(self, program: str, *arguments: str) -> str:
        """What a question prints. One that fails has changed nothing, so it is never of unknown outcome.

        :raises UnsupportedError: this version does not understand the question.
        """
        try:
            completed = self._run(program, arguments)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error
        if (completed.returncode == 0 and completed.stdout.strip()) or found_nothing(completed):
            return completed.stdout
        if completed.returncode == 0:  # each of them always has something to say
            raise TransientError(f"{program} printed nothing")
        said = _said(completed)
        kind = meaning(said)
        if kind is UnknownOutcomeError:
            kind = TransientError
        if kind is DynamicClusterError and _NO_SUCH_OPTION.search(f"{completed.stderr} {completed.stdout}"):
            raise UnsupportedError(f"{program}: {said}")
        raise kind(f"{program}: {said}")

    def tell(self, program: str, *arguments: str, harmless: Sequence[str] = ()) -> str:
        """Have something changed; what was said. A complaint with one of the ``harmless`` words is success.

        :raises UnsupportedError: this version does not understand it, and nothing was changed.
        """
        completed = self._run(program, arguments)
        said = _said(completed)
        if completed.returncode == 0 or any(words in said for words in harmless):
            return f"{completed.stdout}\n{completed.stderr}"
        kind = meaning(said)
        if kind is DynamicClusterError and _NO_SUCH_OPTION.search(f"{completed.stderr} {completed.stdout}"):
            raise UnsupportedError(f"{program}: {said}")
        raise kind(f"{program}: {said}")

    def tell_about_jobs(self, program: str, job_ids: Sequence[str], harmless: Sequence[str], *options: str) -> None:
        """Have one thing done to several jobs. Each is answered by a line of its own."""
        completed = self._run(program, (*options, *job_ids))
        if completed.returncode == 0:
            return
        for line in (completed.stderr.strip() or completed.complaint).splitlines():
            if line.strip() and not any(words in line for words in (*harmless, "is being ")):
                kind = UnsupportedError if _NO_SUCH_OPTION.search(line) else meaning(line)
                raise kind(f"{program}: {line.strip()[:500]}")

    def _run(self, program: str, arguments: Sequence[str]) -> Completed:
        lines = self._lines
        if lines.envdir and not os.path.isdir(lines.envdir):  # the programs would wait for a daemon for ever
            raise BadConfigError(f"there is no directory {lines.envdir} (envdir)")
        return self._runner.run(lines.argv(program, *arguments), timeout_s=self._timeout_s, env=lines.environment)


def found_nothing(completed: Completed) -> bool:
    """Whether the answer is that there are none: 255 with its sentence and no output, or with an empty list."""
    if completed.stdout.strip():
        return bool(_NO_RECORDS.search(completed.stdout))
    return bool(_NONE_FOUND.search(completed.stderr))


def _said(completed: Completed) -> str:
    """What went wrong, without the text of a usage."""
    text = completed.stderr.strip() or completed.stdout.strip()
    first = " ".join(text.split("Usage:", 1)[0].split()) or " ".join(text.split())
    return first[:500] or f"return code {completed.returncode}"


def _placed(command: Sequence[str], bin_dir: str) -> tuple[str, ...]:
    if bin_dir and "/" not in command[0]:
        return (os.path.join(bin_dir, command[0]), *command[1:])
    return tuple(command)
