"""How each of Grid Engine's commands is tried without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from dynamiccluster.model.check import CommandCheck
from dynamiccluster.schedulers.sge.command_lines import CommandLines, Templates

_NOBODY = "dc-check-cluster"
"""No host, queue, host group or parallel environment has this name; the job of this number has not been submitted."""

_NO_JOB = "999999999"
_DENIED = ("must be manager", "must be operator", "have no permission", "neither submit nor admin host")


def checks(config: Mapping[str, Any]) -> tuple[CommandCheck, ...]:
    """A check for each command of ``cluster.config``.

    Whether this user is a manager is seen by changing what does not exist: qmaster looks at the user first.
    """
    lines = CommandLines(
        Templates(**{key.name: config[f"{key.name}_command"] for key in fields(Templates)}),
        config["qconf_command"],
        config["sge_root"],
        config["sge_cell"],
    )
    no_host = ("does not exist", f"can't resolve hostname \"{_NOBODY}", f'unable to resolve host "{_NOBODY}')
    trials: tuple[tuple[str, list[str], str, str, tuple[str, ...]], ...] = (
        (
            "qstat",
            lines.jobs(with_projects=False),
            "qmaster answers, and everybody's jobs can be listed",
            "job_info",
            (),
        ),
        ("qhost", lines.hosts(("slots",)), "hosts can be listed", "<qhost", ()),
        ("qconf_spl", lines.environments(), "parallel environments can be listed", "", ("no parallel environment",)),
        (
            "qconf_sp",
            lines.parallel_environment(_NOBODY),
            "they can be read: there only is none of that name",
            "",
            ("is not a parallel environment", "does not exist", "return code 1"),  # a pipe to grep says nothing at all
        ),
        ("qconf", lines.qconf("-sc"), "the table of complexes can be read", "h_rt", ()),
        (
            "hostgroup",
            lines.change_group("-dattr", _NOBODY, f"@{_NOBODY}"),
            "this user is a manager: there only is no host group of that name",
            "",
            no_host,
        ),
        ("set_slots", lines.set_slots(0, _NOBODY, _NOBODY), "slots can be changed: likewise", "", no_host),
        ("unset_slots", lines.unset_slots(_NOBODY, _NOBODY), "and taken away", "", (*no_host, "not found")),
        ("remove_node", lines.remove_host(_NOBODY), "hosts can be removed: likewise", "", no_host),
        ("qmod", lines.switch("-e", _NOBODY), "hosts can be disabled: likewise", "", ("invalid queue",)),
        ("qdel", lines.delete_job(_NO_JOB), "jobs can be deleted: likewise", "", ("does not exist",)),
    )
    return tuple(
        CommandCheck(
            f"cluster.config.{name}_command",
            tuple(argv),
            proves,
            lines.environment,
            harmless=harmless,
            denied=_DENIED,
            expects=expects,
        )
        for name, argv, proves, expects, harmless in trials
    )
