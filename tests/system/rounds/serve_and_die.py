"""Runs the service like ``dynamiccluster serve -f -c FILE``, as tests want it: FILE STEP NTH [CLOCK].

At the NTH such STEP of the engine it kills its own process; with a file CLOCK its wall clock, and no other clock, is
off by as many seconds as stand there.
"""

from __future__ import annotations

import functools
import os
import pathlib
import signal
import sys
from contextlib import suppress

from dynamiccluster import app
from dynamiccluster.kit.clock import SystemClock


class ShiftedClock(SystemClock):
    """The machine's clock, set forward or back by somebody who writes to a file."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def now(self) -> float:
        with suppress(OSError, ValueError):
            return super().now() + float(self._path.read_text(encoding="ascii"))
        return super().now()


def main(path: str, step: str, nth: int, clock: str = "") -> int:
    """Ends by SIGKILL, which runs no clean-up, when the engine comes to ``step`` for the ``nth`` time."""
    seen = 0

    def probe(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    app.Engine = functools.partial(app.Engine, probe=probe)  # type: ignore[misc, assignment]  # a class in its place
    if clock:
        app.SystemClock = functools.partial(ShiftedClock, pathlib.Path(clock))  # type: ignore[misc, assignment]  # same
    return app.serve(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
