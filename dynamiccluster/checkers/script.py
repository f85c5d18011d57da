"""A machine is configured once a script of the site says so."""

from __future__ import annotations

from dynamiccluster.errors import DynamicClusterError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.kit.runner import Runner, SubprocessRunner, parse_template, run_template

NEVER = 2
"""Exit code for "this machine will never be ready". 0 is "ready", every other code is "not yet"."""


class ScriptChecker:
    """Implements :class:`~dynamiccluster.checkers.base.Checker`.

    ``command``: ``{0}`` host name, ``{1}`` address, ``{2}`` instance name.
    """

    def __init__(self, command: str, timeout_s: float = 20.0, runner: Runner | None = None) -> None:
        parse_template(command).argv(["", "", ""])  # a wrong template shows at start
        self._command = command
        self._timeout_s = timeout_s
        self._runner: Runner = runner or SubprocessRunner()

    def check(self, host_name: str, address: str, instance_name: str) -> None:
        values = [require_host_name(host_name), address, instance_name]
        try:
            done = run_template(self._runner, self._command, values, timeout_s=self._timeout_s, keep_empty=True)
        except UnknownOutcomeError as error:
            raise TransientError(str(error)) from error  # asking changes nothing
        if done.returncode == NEVER:
            raise DynamicClusterError(f"{host_name} will never be ready: {done.complaint}")
        if done.returncode != 0:
            raise TransientError(f"{host_name} is not ready: {done.complaint}")
