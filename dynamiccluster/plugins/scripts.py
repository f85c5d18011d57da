"""The hook commands of the configuration: scripts of the site that are told of the steps in a node's life."""

from __future__ import annotations

from collections.abc import Mapping

from dynamiccluster.errors import BadConfigError, DynamicClusterError
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.kit.runner import Runner, parse_template, run_template
from dynamiccluster.model.action import HOOKS, ActionKind

TIMEOUT_S = 60.0
"""How long a hook may take if nothing else is configured."""


class Hooks:
    """The four hook commands (seed: ``post_vm_provision_command`` and its like).

    ``{0}`` host name, ``{1}`` address, ``{2}`` instance name, ``{3}`` resource. Split into words without a shell;
    a value that is empty keeps its place.
    """

    def __init__(self, runner: Runner, commands: Mapping[ActionKind, str], timeout_s: float = TIMEOUT_S) -> None:
        """:raises BadConfigError: a command is not one, or belongs to no hook."""
        for kind, command in commands.items():
            if kind not in HOOKS:
                raise BadConfigError(f"{kind} is not a hook")
            if command:
                parse_template(command).argv(["", "", "", ""])
        self._runner = runner
        self._commands = {kind: command for kind, command in commands.items() if command}
        self._timeout_s = timeout_s

    @property
    def kinds(self) -> frozenset[ActionKind]:
        """The hooks that have a command."""
        return frozenset(self._commands)

    def run(self, kind: ActionKind, host_name: str, address: str, instance_name: str, resource: str) -> None:
        """Run the command of ``kind``; without one, do nothing.

        :raises UnknownOutcomeError: it did not end in time and was killed.
        :raises BadConfigError: there is no such program, or a value is not plain.
        :raises DynamicClusterError: it ended with another code than 0.
        """
        command = self._commands.get(kind)
        if command is None:
            return
        name = require_host_name(host_name) if host_name else ""  # a machine may go before it has one
        values = [name, address, instance_name, resource]
        done = run_template(self._runner, command, values, timeout_s=self._timeout_s, keep_empty=True)
        if done.returncode != 0:
            raise DynamicClusterError(f"{kind} for {host_name or instance_name} failed: {done.complaint}")
