"""From the words of ``cluster:`` to an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.runner import Runner
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler


def build_scheduler(
    kind: str, config: Mapping[str, Any], *, cluster_id: str, runner: Runner, clock: Clock
) -> Scheduler:
    """The adapter for ``type: kind`` with the keys of ``config:``.

    The embedded scheduler is not among them: it needs the embedded site, which whoever starts it has in hand.

    :raises BadConfigError: there is no such adapter.
    """
    match kind:
        case "slurm":
            return SlurmScheduler(
                runner,
                clock,
                cluster_id,
                squeue=config["squeue_command"],
                scontrol=config["scontrol_command"],
                scancel=config["scancel_command"],
                command_prefix=config["command_prefix"] or (),
                slurm_conf=config["slurm_conf"],
                timeout_s=config["command_timeout_s"],
                template_prefix=config["template_prefix"],
                template_limit=config["template_limit"],
                queue_feature_prefix=config["queue_feature_prefix"],
                reservation_lead_s=config["reservation_lead_s"],
            )
        case _:
            raise BadConfigError(f"cluster.type: there is no adapter for {kind!r} in this version")
