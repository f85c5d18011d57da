"""One call of a command of a stand-in: who calls, what was said, how long to wait."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from dynamiccluster.kit.clock import pause
from dynamiccluster.testing.stand_in.place import Place

_LOOK_AGAIN_S = 0.05


class Hangs(Exception):  # noqa: N818 - nothing went wrong: the command just does not end
    """A command that would never end, called within this process, where nobody can kill it."""


class Call:
    """What a command's function is given. It writes to ``say`` and ``complain`` and returns its exit code."""

    def __init__(
        self,
        place: Place,
        program: str,
        arguments: Sequence[str],
        *,
        user: str,
        stdin: str = "",
        cwd: str = "",
        env: Mapping[str, str] | None = None,
        may_wait: bool = True,
    ) -> None:
        self.place = place
        self.program = program
        self.arguments = list(arguments)
        self.user = user
        self.stdin = stdin
        self.cwd = cwd
        self.env = dict(env or {})
        self.out: list[str] = []
        self.err: list[str] = []
        self._may_wait = may_wait

    def say(self, *lines: str) -> None:
        self.out += [f"{line}\n" for line in lines]

    def complain(self, *lines: str) -> None:
        self.err += [f"{line}\n" for line in lines]

    def home(self) -> str:
        return self.env.get("HOME", "/")

    def wait(self, seconds: float) -> None:
        """Let the stand-in's time go on so long. No lock may be held. A time set by hand does not wait.

        :raises Hangs: it would be for ever, and nobody could end this process.
        """
        speed = self.place.speed()
        if speed > 0 and self._may_wait:
            pause(seconds / speed)

    def hang(self) -> None:
        """Never come back, until this process is killed."""
        if not self._may_wait:
            raise Hangs(f"{self.program} does not answer")
        self.flush()
        while True:
            pause(60.0)

    def look_again(self) -> None:
        """A moment until the state is worth another look, for commands that wait for something to happen.

        :raises Hangs: nothing will happen while this process is busy here.
        """
        if not self._may_wait:
            raise Hangs(f"{self.program} does not answer")
        self.flush()
        pause(_LOOK_AGAIN_S)

    def flush(self) -> None:
        """Print what was said so far: a command that hangs has printed it already."""
        if self._may_wait:
            os.write(1, "".join(self.out).encode())
            os.write(2, "".join(self.err).encode())
            self.out.clear()
            self.err.clear()
