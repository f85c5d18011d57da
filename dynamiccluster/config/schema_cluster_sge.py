"""The keys of the ``cluster:`` section for Grid Engine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from dynamiccluster.config.fields import (
    Argv,
    Command0,
    Command1,
    Command2,
    Command3,
    FilePath,
    Name,
    Says,
    Seconds,
    Section,
    SiteNames,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower

PROGRAM = re.compile(r"(?:[\w.+-]*/)+(?:qstat|qhost|qconf|qmod|qdel)(?![\w./-])")
"""A program of Grid Engine's with its path."""


def _needs(*numbers: int) -> AfterValidator:
    """Without one of these values the command would act on nothing, or on everything."""

    def check(value: str) -> str:
        missing = [f"{{{number}}}" for number in numbers if f"{{{number}}}" not in value]
        if missing:
            raise ValueError(f"has no {' and no '.join(missing)}")
        return value

    return AfterValidator(check)


def _groups(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not all(name.startswith("@") for name in value):
        raise ValueError("names of host groups begin with `@`, and there must be one at least")
    return value


HostGroups = Annotated[SiteNames, AfterValidator(_groups), Says("a list of host groups, such as @allhosts")]


class SgeConfig(CommonCluster):
    """Grid Engine. Adjust the paths; the options are what the service relies on.

    A program that is not where a command says is looked for in PATH, `sge_root` and the usual places.
    """

    qstat_command: Command0 = Field(
        "qstat -xml -r -u '*'",
        description="Lists the jobs, in XML, with their requests. `-xml`, `-r` and `-u '*'` (all users) are added if "
        "missing, and `-ext -pri` where projects matter.",
    )
    qhost_command: Command2 = Field(
        "qhost -q -j -xml {0} {1}",
        description="Lists the hosts with queues and jobs, in XML: {0} `-h` and {1} a host name, or nothing. All hosts "
        "are asked for always, and `-F` is added with the attributes that are read.",
    )
    hostgroup_command: Annotated[Command3, _needs(0, 1, 2)] = Field(
        "qconf {0} hostgroup hostlist {1} {2}",
        description="Changes a host group: {0} `-aattr` or `-dattr`, {1} host name, {2} group.",
    )
    qmod_command: Annotated[Command2, _needs(0, 1)] = Field(
        "qmod {0} *@{1}",
        description="Disables or enables a host's queues: {0} `-d` or `-e`, {1} host name. What stands before its "
        "options is used to put jobs back, too.",
    )
    remove_node_command: Annotated[Command1, _needs(0)] = Field("qconf -de {0}", description="Removes the host {0}.")
    set_slots_command: Annotated[Command3, _needs(0, 1, 2)] = Field(
        "qconf -rattr queue slots {0} {1}@{2}",
        description="Gives a host slots in a queue: {0} slots, {1} queue, {2} host name.",
    )
    unset_slots_command: Annotated[Command2, _needs(0, 1)] = Field(
        "qconf -purge queue slots {0}@{1}",
        description="Takes a host's slots out of a queue: {0} queue, {1} host name.",
    )
    qconf_spl_command: Command0 = Field("qconf -spl", description="Lists parallel environments.")
    qconf_sp_command: Annotated[Command1, _needs(0)] = Field(
        "qconf -sp {0}",
        description="Shows the parallel environment {0}, or prints its allocation rule alone.",
    )
    qdel_command: Annotated[Command1, _needs(0)] = Field(
        "qdel -f {0}",
        description="Deletes the job {0} of a dead host. The job is put back to the queue first, since `qdel -f` of a "
        "running job whose host cannot be reached ends sge_qmaster 8.1.9.",
    )
    qconf_command: Argv = Field(
        ("qconf",), description="Everything else that is asked and changed. Its user must be a manager of Grid Engine."
    )
    sge_root: FilePath = Field(
        "",
        description="SGE_ROOT of the commands. Empty: that of the service's environment, else what their paths tell, "
        "else their own default.",
        examples=["/opt/sge"],
    )
    sge_cell: Annotated[Name | Literal[""], Says("a plain name")] = Field(
        "", description="SGE_CELL of the commands. Empty: their default.", examples=["default"]
    )
    account_from: Annotated[Literal["project", "account"], BeforeValidator(lower)] = Field(
        "project",
        description="What a reservation for an account is compared with: the job's project (`qsub -P`), or its account "
        "(`qsub -A`), which only a much larger list of jobs tells; that list is asked for where a resource has such a "
        "reservation.",
    )
    hostgroups: HostGroups = Field(
        ("@allhosts",),
        description="Host groups that new nodes join. Nodes reserved for an account join the group of that name "
        "instead.",
        examples=[["@allhosts"]],
    )
    memory_attributes: SiteNames = Field(
        ("h_vmem", "mem_free", "virtual_free", "s_vmem", "h_rss", "mem_total", "virtual_total"),
        description="Attributes of `qsub -l` that are memory. Those that are consumables are given to new nodes.",
    )
    gpu_attributes: SiteNames = Field(
        ("gpu",),
        description="Attributes of `qsub -l` that are GPUs. The first that Grid Engine knows is given to new nodes.",
    )
    placeholder_host: Annotated[Name | Literal[""], Says("a host name")] = Field(
        "",
        description="The host, without slots, of queues that would have none, whose jobs `qsub -q` would refuse. "
        "Empty: that of sge_qmaster.",
    )
    silent_s: Seconds = Field(
        90.0,
        description="A node whose daemon sge_qmaster has not been able to reach (`u`) for so long counts as down; "
        "before that it is left alone. After a restart of sge_qmaster no daemon is reached for half a minute.",
        examples=[90],
    )


class SgeCluster(Section):
    """Grid Engine."""

    type: Annotated[Literal["sge"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: SgeConfig = Field(default_factory=SgeConfig, description="Its keys.")


def sge_remarks(config: SgeConfig) -> Iterator[tuple[str, str]]:
    """What is corrected, by key."""
    missing = [option for option in ("-xml", "-r") if not _has(config.qstat_command, option)]
    if not _has(config.qstat_command, "-u"):
        missing.append("-u '*'")
        text = "has no -u, with which it would show only the service's own jobs; "
        yield "qstat_command", f"{text}{' '.join(missing)} is added"
    elif missing:
        yield "qstat_command", f"has no {' '.join(missing)}, which is added"
    missing = [option for option in ("-q", "-j", "-xml") if not _has(config.qhost_command, option)]
    if missing:
        yield "qhost_command", f"has no {' '.join(missing)}, which is added"
    gone: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for key in type(config).model_fields:
        value = getattr(config, key)
        if key in config.model_fields_set and key.endswith("_command") and not key.startswith("post_"):
            for path in PROGRAM.findall(value if isinstance(value, str) else " ".join(value)):
                directory, name = os.path.split(path)
                if not os.access(path, os.X_OK):
                    first.setdefault(directory, key)
                    gone.setdefault(directory, []).append(name)
    for directory, names in gone.items():
        missing = sorted(set(names))
        text = f"{directory} has no {', '.join(missing)} on this machine; looked for in PATH, sge_root and elsewhere"
        yield first[directory], text


def _has(command: str, option: str) -> bool:
    return re.search(rf"(?<![\w-]){option}(?![\w-])", command) is not None
