"""From the words of ``cluster:`` to an adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.runner import Runner
from dynamiccluster.model.check import CommandCheck
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.htcondor.adapter import HtcondorScheduler
from dynamiccluster.schedulers.htcondor.checks import checks as htcondor_checks
from dynamiccluster.schedulers.lsf.adapter import LsfScheduler, LsfSettings
from dynamiccluster.schedulers.lsf.calls import PROGRAMS as LSF_PROGRAMS
from dynamiccluster.schedulers.lsf.checks import checks as lsf_checks
from dynamiccluster.schedulers.sge.adapter import SgeScheduler
from dynamiccluster.schedulers.sge.checks import checks as sge_checks
from dynamiccluster.schedulers.sge.command_lines import Templates as SgeTemplates
from dynamiccluster.schedulers.sge.descriptions import SgeSettings
from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler
from dynamiccluster.schedulers.slurm.checks import checks as slurm_checks
from dynamiccluster.schedulers.torque.adapter import TorqueScheduler
from dynamiccluster.schedulers.torque.checks import checks as torque_checks
from dynamiccluster.schedulers.torque.commands import Commands as TorqueCommands


def build_scheduler(
    kind: str,
    config: Mapping[str, Any],
    *,
    cluster_id: str,
    runner: Runner,
    clock: Clock,
    resolve: Callable[[str, str], None] | None = None,
) -> Scheduler:
    """The adapter for ``type: kind`` with the keys of ``config:``.

    ``resolve``: makes a name known with an address, for schedulers that look up what only stands for a shape.

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
                comments=config["reason_in_admin_comment"],
            )
        case "lsf":
            return LsfScheduler(
                runner,
                clock,
                cluster_id,
                commands={name: config[f"{name}_command"] for name in LSF_PROGRAMS},
                bin_dir=config["bin_dir"],
                envdir=config["envdir"],
                command_prefix=config["command_prefix"] or (),
                timeout_s=config["command_timeout_s"],
                settings=LsfSettings(**{key.name: config[key.name] for key in fields(LsfSettings)}),
                resolve=resolve,
            )
        case "htcondor":
            return HtcondorScheduler(
                runner,
                clock,
                cluster_id,
                bin_dir=config["bin_dir"],
                command_prefix=config["command_prefix"] or (),
                condor_config=config["condor_config"],
                pool=config["pool"],
                schedd=config["schedd"],
                timeout_s=config["command_timeout_s"],
                queue_attribute=config["queue_attribute"],
                feature_attributes=config["feature_attributes"],
                machine_attributes=config["machine_attributes"],
                silent_s=config["silent_s"],
                settle_s=config["settle_s"],
                serve_unknown=config["serve_unknown"],
            )
        case "sge":
            return SgeScheduler(
                runner,
                clock,
                cluster_id,
                templates=SgeTemplates(**{key.name: config[f"{key.name}_command"] for key in fields(SgeTemplates)}),
                qconf=config["qconf_command"],
                sge_root=config["sge_root"],
                sge_cell=config["sge_cell"],
                timeout_s=config["command_timeout_s"],
                settings=SgeSettings(**{key.name: config[key.name] for key in fields(SgeSettings)}),
            )
        case "torque":
            return TorqueScheduler(
                runner,
                clock,
                cluster_id,
                commands=TorqueCommands(**{key.name: config[f"{key.name}_command"] for key in fields(TorqueCommands)}),
                dialect=config["dialect"],
                timeout_s=config["command_timeout_s"],
                maui_timeout_s=config["maui_timeout_s"],
                exact_nodes=config["exact_nodes"],
                vacate_signal=config["vacate_signal"],
                template_prefix=config["template_prefix"],
                template_limit=config["template_limit"],
                resolve=resolve,
            )
        case _:
            raise BadConfigError(f"cluster.type: there is no adapter for {kind!r} in this version")


CHECKS: dict[str, Callable[[Mapping[str, Any]], tuple[CommandCheck, ...]]] = {
    "htcondor": htcondor_checks,
    "lsf": lsf_checks,
    "sge": sge_checks,
    "simulated": lambda config: (),  # has no commands
    "slurm": slurm_checks,
    "torque": torque_checks,
}
"""For each type, what ``check-cluster`` tries."""


def scheduler_checks(kind: str, config: Mapping[str, Any]) -> tuple[CommandCheck, ...]:
    """How the commands of ``type: kind`` with the keys of ``config:`` are tried without changing anything.

    :raises BadConfigError: nobody knows how.
    """
    found = CHECKS.get(kind)
    if found is None:
        raise BadConfigError(f"cluster.type: the commands of {kind!r} cannot be tried in this version")
    return found(config)
