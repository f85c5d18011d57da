"""Verbs for Slurm's power saving: what stands in ``slurm.conf``, and the programs that slurmctld starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dynamiccluster.cli import exits, slurm_hook
from dynamiccluster.cli.common import of_file
from dynamiccluster.cli.text import clean

if TYPE_CHECKING:
    from dynamiccluster.schedulers.slurm.conf_text import Programs

PROGRAMS = ("dynamiccluster-slurm-resume", "dynamiccluster-slurm-suspend")

_connect = click.option(
    "--connect", metavar="SOCKET", default="", help=f"The service's Unix socket. [default: {slurm_hook.DEFAULT_SOCKET}]"
)


@click.command("slurm-resume")
@click.argument("hosts", metavar="HOSTLIST", nargs=-1)
@_connect
def slurm_resume(hosts: tuple[str, ...], connect: str) -> None:
    """Slurm's ResumeProgram: tell the service that Slurm wants nodes, without waiting. Ends with 0 always."""
    slurm_hook.run("resume", list(hosts), connect)


@click.command("slurm-suspend")
@click.argument("hosts", metavar="HOSTLIST", nargs=-1)
@_connect
def slurm_suspend(hosts: tuple[str, ...], connect: str) -> None:
    """Slurm's SuspendProgram and ResumeFailProgram: tell the service that nodes are not wanted. Ends with 0 always."""
    slurm_hook.run("suspend", list(hosts), connect)


@click.command("slurm-config", epilog=exits.TEXT)
@of_file
@click.option(
    "--check",
    "existing",
    metavar="SLURM_CONF",
    help="Compare with this file instead, and say what is missing or wrong.",
)
@click.option("--programs", "directory", metavar="DIR", help="Where slurm-resume and slurm-suspend are to be.")
def slurm_config(file: str, existing: str | None, directory: str | None) -> None:
    """Print the part of slurm.conf that a configuration needs. Nothing is changed."""
    from dynamiccluster.config.load import load
    from dynamiccluster.config.schema_cluster_slurm import SlurmCluster
    from dynamiccluster.schedulers.slurm.conf_check import problems_in
    from dynamiccluster.schedulers.slurm.conf_text import slurm_conf

    found = load(file)
    cluster = found.settings.cluster
    if not isinstance(cluster, SlurmCluster):
        raise exits.Failure(f"{clean(file)}: cluster.type is {cluster.type}, not slurm", exits.BAD_CONFIG)
    text = slurm_conf(
        found.policy,
        _programs(directory, found.settings.general.admin_server.socket or ""),
        queue_feature_prefix=cluster.config.queue_feature_prefix,
        template_limit=cluster.config.template_limit,
    )
    if existing is None:
        click.echo(text, nl=False)
        return
    try:
        there = Path(existing).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise exits.Failure(f"{existing}: {error.strerror}", exits.NOT_FOUND) from error
    problems = problems_in(there, found.policy)
    for problem in problems:
        click.echo(clean(f"{existing}: {problem}"))
    if problems:
        raise exits.Failure(f"{len(problems)} problem(s); `dynamiccluster slurm-config` prints what is needed", 1)
    click.echo(f"{existing}: has all that is needed")


def _programs(directory: str | None, socket: str) -> Programs:
    """slurmctld can give its programs no option, so another socket than the usual one needs a script around them."""
    from dynamiccluster.schedulers.slurm.conf_text import Programs

    own = Path(sys.executable).parent
    if directory is None and socket in ("", slurm_hook.DEFAULT_SOCKET):
        resume, suspend = (str(own / name) for name in PROGRAMS)
        missing = "" if (own / PROGRAMS[0]).exists() else f"\nThey are not in {own} (yet): install the package there."
        return Programs(resume, suspend, f"Slurm's user must be allowed to open the service's socket.{missing}")
    where = directory or "/usr/local/sbin"
    scripts = "\n".join(
        f"  {where}/slurm-{verb}:  #!/bin/sh\n"
        f'  {" " * len(where)}                  exec {own}/dynamiccluster slurm-{verb} --connect {socket} "$@"'
        for verb in ("resume", "suspend")
    )
    note = (
        "Slurm passes its programs no options, so these are scripts of two lines (mode 0755), for the service's own\n"
        f"socket {socket}, which Slurm's user must be allowed to open:\n{scripts}"
    )
    return Programs(f"{where}/slurm-resume", f"{where}/slurm-suspend", note)
