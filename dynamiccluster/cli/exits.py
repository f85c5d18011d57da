"""Exit codes. Scripts rely on them: they are added to, never renumbered."""

from __future__ import annotations

import click

OK = 0
REFUSED = 1  # not allowed in the present state, beyond a limit, or a wait that ran out
USAGE = 2  # the command line itself is wrong (click's own code)
UNREACHABLE = 3  # nobody answers, or the service has not seen the scheduler yet
NOT_FOUND = 4
BAD_CONFIG = 5
FORBIDDEN = 6
FAILED = 7  # the service could not do it, or it is not known whether it did
INTERRUPTED = 130  # Ctrl-C: 128 + SIGINT, as shells count

TEXT = (
    "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 service not reachable or not ready, 4 not found, "
    "5 bad configuration, 6 not permitted, 7 service failed or outcome unknown, 130 interrupted."
)


class Failure(click.ClickException):
    """Ends the command with a message on standard error and a code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click declares it per class, and reads it from the instance
