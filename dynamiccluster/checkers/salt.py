"""A machine is configured once Salt finds nothing left to do on it.

As in the original, the minion is called like the instance, and it is ready when a highstate in test mode reports
``true`` for every state: ``null`` means "would be changed", ``false`` "fails". Source: Salt documentation, "State
Testing" (states/testing.html), and the module ``salt.modules.state``: while another run is under way the answer is
a list with one sentence instead of a table. The ``salt`` command ends with code 0 also when a minion does not
answer (its issue 47235), so only its output counts. Seen with Salt 3008.3: ``tests/system/test_salt_checker.py``.
A ``cmd.run`` without ``unless``, ``onlyif`` or ``creates`` would be run again for ever, so that such a minion is never
ready.
"""

from __future__ import annotations

import json
from typing import Any

from dynamiccluster.errors import TransientError, UnknownOutcomeError
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.kit.runner import Completed, Runner, SubprocessRunner


class SaltChecker:
    """Implements :class:`~dynamiccluster.checkers.base.Checker`; runs beside the Salt master.

    ``command`` is the ``salt`` program. ``timeout_s`` is how long the minion has for its test run.
    """

    def __init__(self, command: str = "salt", timeout_s: float = 20.0, runner: Runner | None = None) -> None:
        self._command = command
        self._timeout_s = timeout_s
        self._runner: Runner = runner or SubprocessRunner()

    def check(self, host_name: str, address: str, instance_name: str) -> None:
        minion = require_host_name(instance_name or host_name)
        wait = str(max(1, round(self._timeout_s)))
        argv = [self._command, "--out=json", "--static", "-t", wait, "-L", minion, "state.highstate", "test=True"]
        try:
            done = self._runner.run(argv, timeout_s=self._timeout_s + 10.0)  # salt needs some seconds to start and end
        except UnknownOutcomeError as error:
            raise TransientError(f"minion {minion}: {error}") from error  # a test run changes nothing
        if left := unfinished(done, minion):
            raise TransientError(f"minion {minion}: {left}")


def unfinished(done: Completed, minion: str) -> str:
    """What still has to happen on the minion, one sentence; "" when it is configured."""
    start = done.stdout.find("{")
    try:
        answers: Any = json.JSONDecoder().raw_decode(done.stdout, start)[0] if start >= 0 else None
    except json.JSONDecodeError:
        answers = None
    if not isinstance(answers, dict):
        return f"salt gave no answer: {done.complaint}"
    if minion not in answers:
        return "it does not answer"
    states = answers[minion]
    if isinstance(states, dict) and set(states) >= {"ret", "retcode"}:  # some versions wrap the table
        states = states["ret"]
    if not isinstance(states, dict):
        said = " ".join(str(each) for each in states) if isinstance(states, list) else str(states)
        return said[:300] or "it answers nothing"
    if not states:
        return "it has no states yet"
    for name, state in states.items():
        result = state.get("result") if isinstance(state, dict) else None
        if result is not True:
            comment = str(state.get("comment", "")) if isinstance(state, dict) else ""
            verb = "fails" if result is False else "is not yet applied"
            return f"state {name[:100]} {verb}. {comment[:200]}".rstrip(". ") + "."
    return ""
