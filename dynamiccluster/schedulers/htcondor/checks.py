"""How each of HTCondor's programs is tried without changing anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dynamiccluster.model.check import CommandCheck

_DENIED = ("DENIED", "Failed to authenticate", "Permission denied", "ermission denied")
_NOBODY = "999999999.0"


def checks(config: Mapping[str, Any]) -> tuple[CommandCheck, ...]:
    """A check for each program that is needed.

    Whether this user may administer the pool is asked with ``condor_ping``, which does nothing else.
    """
    pool = ("-pool", config["pool"]) if config["pool"] else ()
    schedd = (*pool, "-name", config["schedd"]) if config["schedd"] else pool
    collector = ("-pool", config["pool"], "-type", "collector") if config["pool"] else ("-type", "collector")
    gone = ("Couldn't find/", "not found", "No attributes were set", "Failed to set attribute")
    trials: tuple[tuple[str, tuple[str, ...], str, str, tuple[str, ...]], ...] = (
        ("condor_status", (*pool, "-any", "-json", "-attributes", "MyType"), "the collector answers", "MyType", ()),
        ("condor_q", (*schedd, "-allusers", "-json", "-limit", "1"), "the schedd answers: jobs can be listed", "", ()),
        ("condor_ping", (*collector, "ADMINISTRATOR"), "this user may administer the pool", "succeeded", ()),
        ("condor_ping", (*collector, "DAEMON"), "this user may announce and withdraw machines", "succeeded", ()),
        ("condor_rm", (*schedd, _NOBODY), "jobs can be deleted: there only is none of that number", "", gone),
        ("condor_vacate_job", (*schedd, _NOBODY), "jobs can be sent back: likewise", "", gone),
        ("condor_qedit", (*schedd, _NOBODY, "DynamicClusterLost", "undefined"), "jobs can be marked", "", gone),
    )
    looks = ("condor_config_val", "condor_reconfig", "condor_off", "condor_advertise")
    return (
        *(
            _check(config, program, argv, proves, expects, harmless)
            for program, argv, proves, expects, harmless in trials
        ),
        *(_check(config, program, (), "the program is there", look_only=True) for program in looks),
    )


def _check(
    config: Mapping[str, Any],
    program: str,
    arguments: tuple[str, ...],
    proves: str,
    expects: str = "",
    harmless: tuple[str, ...] = (),
    *,
    look_only: bool = False,
) -> CommandCheck:
    path = os.path.join(config["bin_dir"], program) if config["bin_dir"] else program
    environment = {"CONDOR_CONFIG": config["condor_config"]} if config["condor_config"] else {}
    return CommandCheck(
        "cluster.config.bin_dir",
        (*(config["command_prefix"] or ()), path, *arguments),
        proves,
        environment,
        harmless=harmless,
        denied=_DENIED,
        expects=expects,
        look_only=look_only,
    )
