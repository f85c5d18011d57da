"""The keys of the ``cluster:`` section for Torque."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from dynamiccluster.config.fields import (
    Command0,
    Command1,
    Command2,
    Command3,
    Command4,
    Count,
    Flag,
    Interval,
    NamePrefix,
    Section,
    Text,
    matching,
)
from dynamiccluster.config.schema_cluster_common import CommonCluster, lower


def _without_shell(value: str) -> str:
    """Our mark goes into this command, and it is not a word that a shell may be given."""
    if "|" in value or "`" in value:
        raise ValueError("may have no pipe and no back-quotes: the text of our holds is put into it")
    return value


class TorqueConfig(CommonCluster):
    """Torque with Maui, Moab or ``pbs_sched``; or OpenPBS. Adjust the paths; the options are what we rely on."""

    dialect: Annotated[Literal["torque", "openpbs"], BeforeValidator(lower)] = Field(
        "torque", description="`openpbs` for OpenPBS and PBS Pro (from their documentation, not tried)."
    )
    qstat_command: Command0 = Field(
        "/usr/bin/qstat -x -t",
        description="Lists the jobs, in XML, each task of an array by itself. `-x` and `-t` are added if missing.",
    )
    pbsnodes_command: Annotated[Command2, AfterValidator(_without_shell)] = Field(
        "/usr/bin/pbsnodes {0} {1}",
        description="Lists, holds and releases nodes: {0} is `-x`, `-o -N NOTE`, `-c` or `-N NOTE`, {1} the host name "
        "or nothing.",
    )
    add_node_command: Command1 = Field('/usr/bin/qmgr -c "create node {0}"', description="Adds the node {0}.")
    check_node_command: Command1 = Field(
        "/usr/bin/checknode {0}", description="Asks Maui about the node {0}, when a person asks; never in polls."
    )
    remove_node_command: Command1 = Field(
        '/usr/bin/qmgr -c "delete node {0}"',
        description="Removes the node {0}; never given for a node that lists jobs.",
    )
    set_node_command: Command4 = Field(
        '/usr/bin/qmgr -c "set node {0} {1} {2} {3}"',
        description="Sets an attribute of a node: {0} host name, {1} attribute, {2} operator (`=`, `+=`, `-=`), "
        "{3} value.",
    )
    diagnose_p_command: Command0 = Field(
        "/usr/bin/diagnose -p",
        description="Asks Maui for the jobs' priorities. If it is not installed, there is no Maui; if it fails, "
        "Torque's own priorities count.",
    )
    showres_command: Command1 = Field(
        "/usr/bin/showres -n",
        description="Lists reservations node by node. What follows a pipe is not used. A command with {0} is asked for "
        "the host {0} alone.",
    )
    setres_command: Command3 = Field(
        "/usr/bin/setres {0} {1} {2}",
        description="Reserves a node: {0} `-a` or `-q`, {1} the account or queue, {2} the host name, as a regular "
        "expression for this name alone.",
    )
    releaseres_command: Command2 = Field(
        "/usr/bin/releaseres",
        description="Ends the reservations whose ids are added to it. With placeholders it finds them itself: {0} host "
        "name, {1} account or queue. Of the guide's command with back-quotes only the first words are used.",
    )
    delete_job_command: Command1 = Field("/usr/bin/qdel -p {0}", description="Deletes the job {0}, come what may.")
    signal_job_command: Command2 = Field(
        "/usr/bin/qsig -s {0} {1}", description="Sends the signal {0} to the job {1}; see `vacate_signal`."
    )
    requeue_job_command: Command2 = Field(
        "/usr/bin/qrerun {0} {1}",
        description="Puts the job {1} back into the queue: {0} is `-f` on a dead node, else nothing.",
    )
    check_job_command: Command1 = Field("/usr/bin/checkjob {0}", description="Asks Maui why the job {0} does not run.")
    release_hold_command: Command1 = Field(
        "/usr/bin/releasehold -a {0}",
        description="Has Maui consider the job {0} again that it has deferred for lack of nodes.",
    )
    maui_timeout_s: Interval = Field(10.0, description="How long one command of Maui's may take.")
    exact_nodes: Flag = Field(
        True,
        description="Whether `nodes=2` means two hosts, as with `pbs_sched` and with Maui's `JOBNODEMATCHPOLICY "
        "EXACTNODE`. False: its pieces may share a host.",
    )
    vacate_signal: Annotated[Text, matching(r"[A-Za-z0-9]*", "is the name or number of a signal")] = Field(
        "",
        description="When a node is vacated its jobs are sent this signal and see to themselves. Empty: they are put "
        "back into the queue.",
        examples=["SIGUSR1"],
    )
    template_prefix: NamePrefix = Field(
        "dc-template",
        description="Names of the node records that make `qsub` accept jobs of a shape that no node has yet begin so. "
        "They get addresses in 127.0.0.0/8 through `names:`.",
    )
    template_limit: Count = Field(256, description="So many of them per shape at most. 0: none.")


class TorqueCluster(Section):
    """Torque."""

    type: Annotated[Literal["torque"], BeforeValidator(lower)] = Field(description="The type of the batch system.")
    config: TorqueConfig = Field(default_factory=TorqueConfig, description="Its keys.")


def torque_remarks(config: TorqueConfig) -> Iterator[tuple[str, str]]:
    """Keys whose commands do harm as they are written, or cannot do all that they are for, and what becomes of them."""
    qstat = config.qstat_command
    options = {letter for word in qstat.split() if re.fullmatch(r"-[A-Za-z]+", word) for letter in word[1:]}
    if config.dialect == "torque":
        missing = [f"-{letter}" for letter in "xt" if letter not in options]
        if missing and "|" not in qstat and "`" not in qstat:
            yield "qstat_command", f"has no {' and no '.join(missing)}, which we rely on; added"
    elif "qstat_command" in config.model_fields_set and "x" in options:
        yield "qstat_command", "has -x, which in OpenPBS lists the jobs of the last weeks; left out"
    if "|" in qstat or "`" in qstat:
        yield "qstat_command", "goes to a shell, so the queues' limits cannot be asked for with it and are not known"
    if "|" in config.showres_command:
        yield (
            "showres_command",
            "with `grep` a Maui that does not answer looks like a node without reservations, and node1 is found in "
            "node10; only what stands before the pipe is used",
        )
    if "`" in config.releaseres_command:
        yield (
            "releaseres_command",
            "would end the reservations of all nodes whose names begin alike; reservations are looked up by ourselves "
            "and their ids added to the first words of it",
        )
