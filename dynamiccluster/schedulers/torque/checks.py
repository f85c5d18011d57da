"""How each of Torque's and Maui's commands is tried without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from dynamiccluster.model.check import CommandCheck
from dynamiccluster.schedulers.torque.commands import (
    Commands,
    bulk_showres,
    filled,
    program,
    qstat_with,
    releaseres_program,
)
from dynamiccluster.schedulers.torque.dialects import dialect_named

_NOBODY = "dc-check-cluster-no-such-node"
_NO_JOB = "999999999"
_DENIED = ("Unauthorized Request", "insufficient permission", "not authorized")
_UNKNOWN = ("Unknown node",)


def checks(config: Mapping[str, Any]) -> tuple[CommandCheck, ...]:
    """A check for each command of ``cluster.config``.

    Whether this user may change nodes is seen by changing one that does not exist: the server looks at the user first.
    Maui may be missing.
    """
    commands = Commands(**{key.name: config[f"{key.name}_command"] for key in fields(Commands)})
    maui = _maui(commands) if config["dialect"] == "torque" else ()
    return (*_server(commands, config["dialect"]), *maui)


def _server(commands: Commands, dialect_name: str) -> tuple[CommandCheck, ...]:
    dialect = dialect_named(dialect_name)
    torque = dialect_name == "torque"
    qstat = program(commands.qstat)
    found = [
        _trial(
            "qstat",
            qstat_with(commands.qstat, dialect.job_options, dialect.job_options_refused),
            "the server answers, and jobs can be listed",
            expects=r"<Data|\A\s*\Z" if torque else "pbs_server",
        ),
        _trial(
            "pbsnodes",
            filled(commands.pbsnodes, dialect.node_options, ""),
            "nodes can be listed",
            expects="<Data|no node list|No nodes found" if torque else "pbs_server|no node list|No nodes found",
            harmless=("Server has no node list", "No nodes found"),
        ),
        _trial(
            "pbsnodes",
            filled(commands.pbsnodes, dialect.hold("dc-check-cluster")[0], _NOBODY),
            "this user may hold nodes: the complaint is only that there is none of that name",
            expects="nknown node",
            harmless=_UNKNOWN,
        ),
        _trial(
            "set_node",
            filled(commands.set_node, _NOBODY, "np", ("=",), "1"),
            "this user may change nodes: the complaint is only that there is none of that name",
            harmless=_UNKNOWN,
        ),
        _trial(
            "remove_node",
            filled(commands.remove_node, _NOBODY),
            "this user may remove nodes: the complaint is only that there is none of that name",
            harmless=_UNKNOWN,
        ),
        _look("add_node", filled(commands.add_node, _NOBODY)),
        _look("delete_job", filled(commands.delete_job, _NO_JOB)),
        _look("requeue_job", filled(commands.requeue_job, "", _NO_JOB)),
        _look("signal_job", filled(commands.signal_job, "0", _NO_JOB)),
    ]
    if qstat is not None:
        found.insert(1, _trial("qstat", [*qstat, "-Q", "-f"], "limits of the queues can be read", expects="Queue: "))
    return tuple(found)


def _maui(commands: Commands) -> tuple[CommandCheck, ...]:
    showres = bulk_showres(commands.showres) or filled(commands.showres, _NOBODY)
    releaseres = releaseres_program(commands.releaseres) or filled(commands.releaseres, _NOBODY, "none")
    return (
        _trial("diagnose_p", filled(commands.diagnose_p), "Maui tells priorities", expects="PRIORITY", optional=True),
        _trial("showres", showres, "Maui lists reservations", expects="(?i)reserv", optional=True),
        _trial(
            "check_node",
            filled(commands.check_node, _NOBODY),
            "Maui answers: it only does not know a node of that name",
            harmless=("cannot locate node",),
            optional=True,
        ),
        _trial(
            "check_job",
            filled(commands.check_job, _NO_JOB),
            "Maui answers: it only does not know a job of that number",
            harmless=("cannot locate job",),
            optional=True,
        ),
        _look("setres", filled(commands.setres, ("-a",), "none", (_NOBODY,)), optional=True),
        _look("releaseres", releaseres, optional=True),
        _look("release_hold", filled(commands.release_hold, _NO_JOB), optional=True),
    )


def _trial(
    name: str,
    argv: list[str],
    proves: str,
    *,
    expects: str = "",
    harmless: tuple[str, ...] = (),
    optional: bool = False,
) -> CommandCheck:
    return CommandCheck(
        f"cluster.config.{name}_command",
        tuple(argv),
        proves,
        harmless=harmless,
        denied=_DENIED,
        expects=expects,
        optional=optional,
    )


def _look(name: str, argv: list[str], *, optional: bool = False) -> CommandCheck:
    key = f"cluster.config.{name}_command"
    return CommandCheck(key, tuple(argv), "the program is there", look_only=True, optional=optional)
