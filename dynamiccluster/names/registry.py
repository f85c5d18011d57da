"""From the words of ``names:`` to an adapter."""

from __future__ import annotations

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.runner import Runner
from dynamiccluster.names.already import AlreadyNames
from dynamiccluster.names.base import Names
from dynamiccluster.names.hosts_file import HostsFileNames
from dynamiccluster.names.script import ScriptNames


def build_names(
    method: str,
    *,
    cluster_id: str,
    runner: Runner,
    hosts_file: str = "/etc/hosts",
    add_command: str = "",
    remove_command: str = "",
    timeout_s: float = 30.0,
) -> Names:
    """The adapter called ``already``, ``hosts_file`` or ``script``.

    :raises BadConfigError: there is no such method, or it cannot work with what is given.
    """
    match method:
        case "already":
            return AlreadyNames()
        case "hosts_file":
            return HostsFileNames(hosts_file, cluster_id)
        case "script":
            return ScriptNames(runner, add_command, remove_command, timeout_s)
        case _:
            raise BadConfigError(f"names: there is no method {method!r}; there are already, hosts_file and script")
