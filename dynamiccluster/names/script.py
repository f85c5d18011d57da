"""Names that commands of the site make known and forget (a dynamic DNS update, an IPA host)."""

from __future__ import annotations

from collections.abc import Sequence

from dynamiccluster.errors import TransientError
from dynamiccluster.kit.hostname import require_address, require_host_name
from dynamiccluster.kit.runner import Runner, parse_template, run_template


class ScriptNames:
    """Implements :class:`~dynamiccluster.names.base.Names`. ``{0}`` is the host name, ``{1}`` the address (empty
    on removal); both commands must succeed when repeated."""

    def __init__(self, runner: Runner, add_command: str, remove_command: str, timeout_s: float) -> None:
        for command in (add_command, remove_command):
            parse_template(command).argv(["", ""])  # a wrong template shows at start
        self._runner = runner
        self._add = add_command
        self._remove = remove_command
        self._timeout_s = timeout_s

    def add(self, host_name: str, address: str) -> None:
        self._run(self._add, [require_host_name(host_name), require_address(address)])

    def remove(self, host_name: str) -> None:
        self._run(self._remove, [require_host_name(host_name), ""])

    def _run(self, command: str, values: Sequence[str]) -> None:
        done = run_template(self._runner, command, values, timeout_s=self._timeout_s, keep_empty=True)
        if done.returncode != 0:
            raise TransientError(f"{done.argv[0]} for {values[0]}: {done.complaint}")
