"""Runs the service like ``dynamiccluster serve -f -c FILE`` and kills its own process at a step: FILE STEP NTH."""

from __future__ import annotations

import functools
import os
import signal
import sys

from dynamiccluster import app


def main(path: str, step: str, nth: int) -> int:
    """Ends by SIGKILL, which runs no clean-up, when the engine comes to ``step`` for the ``nth`` time."""
    seen = 0

    def probe(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    app.Engine = functools.partial(app.Engine, probe=probe)  # type: ignore[misc, assignment]  # a class in its place
    return app.serve(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
