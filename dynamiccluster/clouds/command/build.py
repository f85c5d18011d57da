"""From the keys of ``type: command`` to the adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamiccluster.clouds.agreement import agreed
from dynamiccluster.clouds.command.adapter import CommandCloud, Parameters, Scripts
from dynamiccluster.clouds.userdata import user_data
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.runner import Runner

_SCRIPTS = ("list_command", "launch_command", "terminate_command", "offers_command", "console_command")
_SHARED = (*_SCRIPTS, "idempotent", "command_timeout_s", "launch_timeout_s")


def build(
    tenancy: str, configs: Mapping[str, Mapping[str, Any]], cluster_id: str, runner: Runner, clock: Clock
) -> CommandCloud:
    """:raises BadConfigError: resources of one tenancy disagree."""
    shared = agreed(tenancy, _SHARED, configs)
    return CommandCloud(
        runner,
        clock,
        cluster_id,
        tenancy,
        Scripts(*(shared[name] or () for name in _SCRIPTS)),
        {name: Parameters(config["parameters"], user_data(config, cluster_id)) for name, config in configs.items()},
        idempotent=shared["idempotent"],
        timeout_s=shared["command_timeout_s"],
        launch_timeout_s=shared["launch_timeout_s"],
    )
