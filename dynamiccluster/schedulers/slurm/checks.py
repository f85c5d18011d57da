"""How each of Slurm's commands is tried without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamiccluster.model.check import CommandCheck

_NOBODY = "dc-check-cluster-no-such-node"
_DENIED = ("Access/permission denied", "Invalid user id", "Only root or SlurmUser")


def checks(config: Mapping[str, Any]) -> tuple[CommandCheck, ...]:
    """A check for each command of ``cluster.config``.

    Whether this user may change nodes is seen by changing one that does not exist: Slurm looks at the user first.
    """
    prefix = tuple(config["command_prefix"] or ())
    squeue, scontrol, scancel = (tuple(config[f"{name}_command"]) for name in ("squeue", "scontrol", "scancel"))
    environment = {"SLURM_CONF": config["slurm_conf"]} if config["slurm_conf"] else {}
    trials = (
        ("squeue", (*squeue, "-h", "-a", "-O", "JobID"), "slurmctld answers, and jobs can be listed", "", ()),
        ("scontrol", (*scontrol, "show", "config"), "the configuration can be read", "SLURM_VERSION", ()),
        ("scontrol", (*scontrol, "-o", "show", "node"), "nodes can be listed", "NodeName=|No nodes", ()),
        (
            "scontrol",
            (*scontrol, "update", f"nodename={_NOBODY}", "state=RESUME"),
            "this user may change nodes: Slurm's complaint is only that there is none of that name",
            "",
            ("Invalid node name",),
        ),
        ("scancel", (*scancel, "--version"), "jobs can be deleted", "slurm", ()),
    )
    return tuple(
        CommandCheck(
            f"cluster.config.{name}_command",
            (*prefix, *argv),
            proves,
            environment,
            harmless=harmless,
            denied=_DENIED,
            expects=expects,
        )
        for name, argv, proves, expects, harmless in trials
    )
