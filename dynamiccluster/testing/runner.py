"""A runner that starts nothing: it answers as told and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.runner import MAX_OUTPUT_BYTES, Completed

Answer = Callable[["Call"], "Completed | str"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request to run a program."""

    argv: tuple[str, ...]
    timeout_s: float
    stdin: str | None
    env: Mapping[str, str] | None


class FakeRunner:
    """Answers by rules, the newest first; a program that no rule knows is a missing program.

    ``runner.on(["squeue"], "1 R\\n")`` answers every command line that begins with ``squeue``. A rule may also be
    chosen by a function of the argv, and its answer may be text (standard output, return code 0), an exception
    to raise, or a function of the :class:`Call` that returns text or :class:`Completed`, or raises.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._rules: list[tuple[Callable[[tuple[str, ...]], bool], Answer]] = []

    def on(
        self,
        which: Sequence[str] | Callable[[tuple[str, ...]], bool],
        answer: str | Exception | Answer = "",
        *,
        returncode: int = 0,
        stderr: str = "",
    ) -> None:
        """Add a rule. ``returncode`` and ``stderr`` go with an answer that is plain text."""
        if callable(which):
            matches = which
        else:
            start = tuple(which)

            def matches(argv: tuple[str, ...]) -> bool:
                return argv[: len(start)] == start

        def give(call: Call) -> Completed | str:
            if isinstance(answer, Exception):
                raise answer
            if callable(answer):
                return answer(call)
            return Completed(call.argv, returncode, answer, stderr, 0.0)

        self._rules.insert(0, (matches, give))

    @property
    def argvs(self) -> list[tuple[str, ...]]:
        """Every command line so far, in order."""
        return [call.argv for call in self.calls]

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> Completed:
        call = Call(tuple(argv), timeout_s, stdin, env)
        self.calls.append(call)
        for matches, give in self._rules:
            if matches(call.argv):
                answer = give(call)
                return Completed(call.argv, 0, answer, "", 0.0) if isinstance(answer, str) else answer
        raise BadConfigError(f"there is no program {argv[0]!r}")
