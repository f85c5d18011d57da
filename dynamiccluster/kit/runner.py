"""The one place where programs are started: argv lists, a time limit, a bounded output, and never a shell of our own.

Command templates that an operator wrote (the ``*_command`` keys of the configuration) are filled in here too. They
are split without a shell; only a template with a pipe or back-quotes goes to ``/bin/sh``, and every value that is
put into a placeholder must first match :data:`PLAIN`, so that no host name or job field can become syntax.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import selectors
import shlex
import signal
import string
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Protocol

from dynamiccluster.errors import BadConfigError, DynamicClusterError, TransientError, UnknownOutcomeError

MAX_OUTPUT_BYTES = 256 * 1024 * 1024
"""Default bound of a program's output: a million lines of ``squeue`` are about 150 MiB."""

MAX_ERROR_BYTES = 64 * 1024
"""How much of a program's error output is kept; the rest is read and thrown away."""

PLAIN = re.compile(r"[A-Za-z0-9._-]+")
"""What may be put into a placeholder of a command template."""

PLAIN_GROUP = re.compile(r"@?[A-Za-z0-9._-]+")
"""The same for groups of hosts, whose names begin with ``@`` in Grid Engine."""

PLAIN_JOB_ID = re.compile(r"[A-Za-z0-9._\[\]-]+")
"""The same for job ids, which may be those of arrays: ``12[3].head``."""

_POLL_S = 0.05  # how soon it is noticed that a program ended while a child of its own keeps the pipes open
_LINGER_S = 0.2  # how long the rest of the output is waited for in that case
_REAP_S = 2.0  # a killed program that does not end by then hangs in the kernel; it is left to init


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended by itself, with any return code (negative: ended by that signal)."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def complaint(self) -> str:
        """One line for an error message: what the program said went wrong, or its return code."""
        said = " ".join((self.stderr.strip() or self.stdout.strip()).split())
        return said[:500] or f"return code {self.returncode}"


class Runner(Protocol):
    """Starts programs. :class:`dynamiccluster.testing.runner.FakeRunner` is its double."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> Completed:
        """Run one program to its end.

        ``env`` is added to the service's own environment, in which ``LC_ALL=C`` is set so that nothing is
        localised. Output is decoded as UTF-8, odd bytes become U+FFFD.

        :raises UnknownOutcomeError: it was still running after ``timeout_s`` and was killed with all its children,
            or it printed more than ``max_output_bytes`` (a cut-off answer must never be taken for a whole one).
        :raises BadConfigError: there is no such program, it may not be run, or an argument holds a NUL byte.
        :raises TransientError: the machine cannot start a process now; nothing happened.
        """
        ...


class SubprocessRunner:
    """The real thing."""

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> Completed:
        began = time.monotonic()
        process = _start(argv, stdin is not None, env)
        try:
            stdout, stderr = _converse(process, (stdin or "").encode(), began + timeout_s, max_output_bytes)
            returncode = process.wait(max(0.0, began + timeout_s - time.monotonic()))
        except (subprocess.TimeoutExpired, TimeoutError) as error:
            _kill(process)
            raise UnknownOutcomeError(f"{_shown(argv)} did not end within {timeout_s:g} s and was killed") from error
        except OverflowError as error:
            _kill(process)
            raise UnknownOutcomeError(f"{_shown(argv)} printed more than {max_output_bytes} bytes") from error
        except BaseException:
            _kill(process)
            raise
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None and not pipe.closed:
                    _close(pipe)
        return Completed(
            tuple(argv),
            returncode,
            stdout.decode(errors="replace"),
            stderr.decode(errors="replace"),
            time.monotonic() - began,
        )


def _start(argv: Sequence[str], with_stdin: bool, env: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    if not argv or not argv[0]:
        raise BadConfigError("an empty command")
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
            start_new_session=True,  # a group of its own, so that its children can be killed with it
            bufsize=0,
        )
    except FileNotFoundError as error:
        raise BadConfigError(f"there is no program {argv[0]!r}") from error
    except PermissionError as error:
        raise BadConfigError(f"{argv[0]!r} may not be run: {error.strerror}") from error
    except ValueError as error:  # a NUL byte
        raise BadConfigError(f"the arguments of {argv[0]!r} cannot be passed to a program: {error}") from error
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY):
            raise TransientError(f"{argv[0]!r} cannot be started now: {error.strerror}") from error
        if error.errno == errno.E2BIG:
            raise DynamicClusterError(f"{argv[0]!r} was given more arguments than the system takes") from error
        raise BadConfigError(f"{argv[0]!r} cannot be run: {error.strerror}") from error


def _converse(
    process: subprocess.Popen[bytes], given: bytes, deadline: float, bound: int
) -> tuple[bytearray, bytearray]:
    """Feed standard input and collect both outputs until they are closed, or the program has ended.

    :raises TimeoutError: at the deadline.
    :raises OverflowError: more than ``bound`` bytes of output.
    """
    assert process.stdout is not None  # noqa: S101 - for the type checker: pipes were asked for
    assert process.stderr is not None  # noqa: S101 - likewise
    stdout, stderr = bytearray(), bytearray()
    ended_at = 0.0
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            if not ended_at and process.poll() is not None:
                ended_at = now
            ready = selector.select(min(_POLL_S, deadline - now))
            if not ready and ended_at and now > ended_at + _LINGER_S:
                break  # somebody it left behind in the background still holds a pipe
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    given = _feed(selector, process.stdin, given)
                elif key.fileobj is process.stdout:
                    _collect(selector, process.stdout, stdout)
                    if len(stdout) > bound:
                        raise OverflowError
                else:
                    _collect(selector, process.stderr, stderr)
                    del stderr[MAX_ERROR_BYTES:]
    return stdout, stderr


def _feed(selector: selectors.BaseSelector, pipe: IO[bytes], given: bytes) -> bytes:
    """Write some of ``given``; what is left of it. Closes the pipe at the end, or when nobody reads."""
    try:
        given = given[os.write(pipe.fileno(), given[:65536]) :] if given else b""
    except BlockingIOError:
        return given
    except OSError:
        given = b""  # it closed its standard input: its right
    if not given:
        selector.unregister(pipe)
        _close(pipe)
    return given


def _collect(selector: selectors.BaseSelector, pipe: IO[bytes], into: bytearray) -> None:
    try:
        chunk = os.read(pipe.fileno(), 1 << 20)
    except BlockingIOError:
        return
    if chunk:
        into += chunk
    else:
        selector.unregister(pipe)


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):  # the other end is gone
        pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the program and everything it started that did not leave its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()  # the group is gone, or has changed its user
    with contextlib.suppress(subprocess.TimeoutExpired):  # waits in the kernel (a dead file server): nothing helps
        process.wait(_REAP_S)


def _shown(argv: Sequence[str]) -> str:
    text = shlex.join(argv)
    return text if len(text) <= 200 else text[:197] + "..."


@dataclass(frozen=True, slots=True)
class CommandTemplate:
    """A command that an operator wrote, with ``{0}``, ``{1}`` ... for values and ``{{``, ``}}`` for braces."""

    text: str
    shell: bool  # has a pipe or back-quotes
    highest: int  # number of the highest placeholder; -1 = none

    def argv(
        self,
        values: Sequence[str],
        *,
        job_ids: Collection[int] = (),
        groups: Collection[int] = (),
        keep_empty: bool = False,
    ) -> list[str]:
        """The command with ``values`` put in. ``job_ids``: which of them may also hold square brackets; ``groups``:
        which may begin with ``@``.

        A word that is empty once filled in is left out (``{0} {1}`` for an optional ``-h HOST``), unless
        ``keep_empty``, where each word keeps its place.

        :raises BadConfigError: a value that is not plain, by its number; or more placeholders than values.
        """
        if self.highest >= len(values):
            raise BadConfigError(f"{self.text!r}: there is no value for {{{self.highest}}}, only {len(values)} given")
        for number, value in enumerate(values):
            allowed = PLAIN_JOB_ID if number in job_ids else PLAIN_GROUP if number in groups else PLAIN
            if value and not allowed.fullmatch(value):
                raise BadConfigError(
                    f"{self.text!r}: the value for {{{number}}}, {value[:100]!r}, has characters that are not allowed"
                )
        if self.shell:
            return ["/bin/sh", "-c", self.text.format(*values)]
        words = [word.format(*values) for word in shlex.split(self.text)]
        return [word for word in words if word or keep_empty]


def parse_template(text: str) -> CommandTemplate:
    """A checked command template, for use at configuration time too.

    :raises BadConfigError: unbalanced quotes or braces, a placeholder that is not a number, an empty command.
    """
    shell = "|" in text or "`" in text
    highest = -1
    try:
        words = [text] if shell else shlex.split(text)
        for word in words:
            for _, name, layout, conversion in string.Formatter().parse(word):
                if name is None:
                    continue
                if not (name.isascii() and name.isdigit()) or layout or conversion:
                    raise BadConfigError(f"{text!r}: {{{name}}} is not a placeholder; they are {{0}}, {{1}} ...")
                highest = max(highest, int(name))
    except ValueError as error:
        raise BadConfigError(f"{text!r} is not a command: {error}") from error
    if not words or not words[0].strip():
        raise BadConfigError("an empty command")
    return CommandTemplate(text, shell, highest)


def run_template(
    runner: Runner,
    template: str,
    values: Sequence[str],
    *,
    timeout_s: float,
    job_ids: Collection[int] = (),
    keep_empty: bool = False,
) -> Completed:
    """Fill in an operator's command and run it; errors as :meth:`CommandTemplate.argv` and :meth:`Runner.run`."""
    argv = parse_template(template).argv(values, job_ids=job_ids, keep_empty=keep_empty)
    return runner.run(argv, timeout_s=timeout_s)
