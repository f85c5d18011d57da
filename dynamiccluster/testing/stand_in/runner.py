"""The commands of a stand-in without processes, for tests with a time set by hand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from dynamiccluster.errors import BadConfigError, UnknownOutcomeError
from dynamiccluster.kit.runner import MAX_OUTPUT_BYTES, Completed
from dynamiccluster.testing.stand_in.call import Call, Hangs
from dynamiccluster.testing.stand_in.place import Place
from dynamiccluster.testing.stand_in.programs import Dispatch


class InProcessRunner:
    """A :class:`~dynamiccluster.kit.runner.Runner` that calls a stand-in's commands without starting processes.

    For tests with a time set by hand. A command that would hang ends as unknown, at once.
    """

    def __init__(self, place: Place, dispatch: Dispatch, names: Iterable[str], *, user: str = "root") -> None:
        self.place = place
        self.user = user
        self.calls: list[tuple[str, ...]] = []
        self._dispatch = dispatch
        self._names = frozenset(names)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> Completed:
        self.calls.append(tuple(argv))
        name = os.path.basename(argv[0])
        if name not in self._names:
            raise BadConfigError(f"there is no program {argv[0]!r}")
        call = Call(self.place, name, argv[1:], user=self.user, stdin=stdin or "", cwd="/home", env=env, may_wait=False)
        try:
            code = self._dispatch(call)
        except Hangs as error:
            raise UnknownOutcomeError(f"{' '.join(argv)} did not end within {timeout_s:g} s and was killed") from error
        if sum(map(len, call.out)) > max_output_bytes:
            raise UnknownOutcomeError(f"{argv[0]} printed more than {max_output_bytes} bytes")
        return Completed(tuple(argv), code, "".join(call.out), "".join(call.err), 0.0)
