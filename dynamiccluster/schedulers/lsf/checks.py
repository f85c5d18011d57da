"""How each of LSF's commands is tried without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamiccluster.model.check import CommandCheck
from dynamiccluster.schedulers.lsf.calls import PROGRAMS, CommandLines

_TRIALS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "lsid": ((), r"\bLSF\b|[Ll]ava\b", "the LIM answers, and says whose LSF it is"),
    "lsinfo": (("-r",), "RESOURCE_NAME", "resources can be listed"),
    "lshosts": (("-w",), "HOST_NAME", "hosts can be listed with what they have"),
    "lsload": (("-l",), "HOST_NAME", "hosts can be listed with whether they are alive"),
    "bhosts": (("-l",), r"HOST  |^$", "mbatchd answers"),
    "bjobs": (("-u", "all", "-w"), "", "jobs of all users can be listed"),
    "bqueues": (("-l",), "QUEUE:", "queues can be listed"),
    "badmin": (("ckconfig",), "", "this user may administer LSF: its configuration is checked by it, and good"),
    "brequeue": (("-V",), "", "it can be run (it sends jobs back to their queue)"),
    "bkill": (("-V",), "", "it can be run (it deletes jobs)"),
    "lsaddhost": (("-V",), "", "it can be run (it adds hosts to OpenLava)"),
    "lsrmhost": (("-V",), "", "it can be run (it removes hosts from OpenLava)"),
    "lsadmin": (("-V",), "", "it can be run (it makes hosts of LSF expire)"),
}
"""Arguments, what the answer must contain, and what that proves. ``-V`` tells the version and does nothing else."""

_ONLY_IN = {"lsaddhost": "openlava", "lsrmhost": "openlava", "lsadmin": "lsf"}


def checks(config: Mapping[str, Any]) -> tuple[CommandCheck, ...]:
    """A check for each command of ``cluster.config`` that this dialect uses; of both dialects if it is not told."""
    lines = CommandLines(
        {name: config[f"{name}_command"] for name in PROGRAMS},
        bin_dir=config["bin_dir"],
        envdir=config["envdir"],
        prefix=config["command_prefix"] or (),
    )
    told = config["dialect"]
    wanted = [name for name in PROGRAMS if told == "auto" or _ONLY_IN.get(name, told) == told]
    return tuple(
        CommandCheck(
            f"cluster.config.{name}_command",
            lines.argv(name, *_TRIALS[name][0]),
            _TRIALS[name][2],
            lines.environment,
            harmless=("No unfinished job found",),
            denied=("User permission denied", "not an LSF administrator"),
            expects=_TRIALS[name][1],
            optional=name in _ONLY_IN and told == "auto",
        )
        for name in wanted
    )
