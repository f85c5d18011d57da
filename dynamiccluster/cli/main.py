"""``dynamiccluster``: the table of verbs, each imported only when it is used."""

from __future__ import annotations

import difflib
import importlib
import keyword
import sys
from typing import Any

import click

from dynamiccluster import __version__
from dynamiccluster.cli import exits
from dynamiccluster.cli.places import DEFAULT_CONFIG

LOOK, CHANGE, RUN = "Look", "Change", "Run"
TITLES = {LOOK: "Look at a running service", CHANGE: "Change a running service", RUN: "Run, set up and check"}

VERBS: dict[str, tuple[str, str, str]] = {
    "status": (LOOK, "status", "The cluster at a glance; --watch keeps it on the screen."),
    "nodes": (LOOK, "show", "Worker nodes."),
    "node": (LOOK, "show", "One worker node, with its history."),
    "jobs": (LOOK, "show", "Jobs as the scheduler lists them."),
    "resources": (LOOK, "show", "Resources, their limits, and what keeps them from growing."),
    "events": (LOOK, "show", "What happened, and who asked for it."),
    "explain": (LOOK, "show", "Why a job waits, or where it runs."),
    "plan": (LOOK, "show", "What a decision would do now, without doing it."),
    "console": (LOOK, "show", "The last lines of a node's console."),
    "cloud-status": (LOOK, "cloud_scheduler", "Clouds and machines, as Cloud Scheduler's cloud_status shows them."),
    "hold": (CHANGE, "change", "Keep new jobs away from nodes."),
    "unhold": (CHANGE, "change", "Let jobs onto held nodes again."),
    "vacate": (CHANGE, "change", "Hold nodes and move their jobs away."),
    "delete": (CHANGE, "change", "Remove nodes that are held, starting or broken."),
    "launch": (CHANGE, "change", "Launch nodes of a resource."),
    "freeze": (CHANGE, "change", "Keep a resource at its present size."),
    "drain": (CHANGE, "change", "Let a resource's nodes leave as they empty."),
    "restore": (CHANGE, "change", "Undo freeze and drain."),
    "reset": (CHANGE, "change", "Forget a resource's failures and try it again."),
    "adopt": (CHANGE, "change", "Take a host in as a node of a resource."),
    "auto": (CHANGE, "change", "Automatic mode on or off: may it launch and remove by itself?"),
    "observe": (CHANGE, "change", "Observe-only on or off: may anything be done at all?"),
    "nudge": (CHANGE, "change", "Look at the queue at once (for submit hooks)."),
    "reload": (CHANGE, "change", "Read the configuration again."),
    "cloud-admin": (CHANGE, "cloud_scheduler", "Enable, disable and empty clouds, as Cloud Scheduler's cloud_admin."),
    "serve": (RUN, "serve", "Run the service."),
    "check-config": (RUN, "serve", "Every problem of a configuration, with its line."),
    "slurm-config": (RUN, "slurm", "Print the part of slurm.conf that a configuration needs."),
    "slurm-resume": (RUN, "slurm", "Slurm's ResumeProgram."),
    "slurm-suspend": (RUN, "slurm", "Slurm's SuspendProgram."),
    "xwo-config": (RUN, "xwo", "Group EC2's machine types into pools, from XWO's configuration."),
    "check-cluster": (RUN, "check_cluster", "Try the scheduler's commands once, look for scripts; change nothing."),
    "check-cloud": (RUN, "check_cloud", "See whether resources could be launched, without launching."),
    "token": (RUN, "token", "Make, list and revoke tokens of the REST API."),
    "import": (RUN, "importing", "Make a configuration from Cloud Scheduler's cloud_resources.conf."),
}
"""Verb -> section of the help, module, help line. The module calls it as here, with ``_`` for ``-``
and behind what is a word of Python."""

OF_A_FILE = frozenset({"check-config", "check-cluster", "check-cloud", "slurm-config", "xwo-config"})
"""Verbs that read a configuration themselves."""


class LazyGroup(click.Group):
    """A group that imports a verb's module only when the verb is used, so that help and verbs start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"dynamiccluster.cli.{VERBS[cmd_name][1]}")
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, f"{name}_" if keyword.iskeyword(name) else name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb. One that there is not is told with the nearest."""
        if args and args[0] not in VERBS and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0][:100], VERBS, 1)
            hint = f"did you mean {near[0]}?" if near else "`dynamiccluster --help` lists them"
            ctx.fail(f"there is no verb {args[0][:100]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for wanted, title in TITLES.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (section, _, line) in VERBS.items() if section == wanted])

    def invoke(self, ctx: click.Context) -> Any:
        """Turn everything that a verb may raise on purpose into a message and an exit code."""
        from dynamiccluster.cli.common import exit_code
        from dynamiccluster.cli.text import clean
        from dynamiccluster.client.problems import ClientError
        from dynamiccluster.errors import BadConfigError, DynamicClusterError

        try:
            return super().invoke(ctx)
        except ClientError as error:
            raise exits.Failure(clean(error), exit_code(error)) from error
        except BadConfigError as error:
            raise exits.Failure(str(error), exits.BAD_CONFIG) from error
        except DynamicClusterError as error:
            raise exits.Failure(str(error), exits.FAILED) from error
        except KeyboardInterrupt:
            ctx.exit(exits.INTERRUPTED)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exits.TEXT,
)
@click.option("-b", "background", is_flag=True, help="Run the service in the background.")
@click.option("-f", "foreground", is_flag=True, help="Run the service in the foreground.")
@click.option("-p", "pidfile", metavar="FILE", help="Its pid file.")
@click.option("-c", "config", metavar="FILE", help=f"Its configuration. [default: {DEFAULT_CONFIG}]")
@click.option("-v", "--verbose", count=True, help="Log more; may be repeated.")
@click.option("-q", "--quiet", count=True, help="Log less; may be repeated.")
@click.version_option(__version__, "-V", "--version", prog_name="Dynamic Cluster")
@click.pass_context
def main(
    ctx: click.Context,
    background: bool,
    foreground: bool,
    pidfile: str | None,
    config: str | None,
    verbose: int,
    quiet: int,
) -> None:
    """Grows and shrinks a batch cluster with its queue.

    `dynamiccluster VERB --help` explains a verb. To begin: `check-config -c FILE`, `serve -c FILE`, `status`.

    The options run the service, as in the original: `dynamiccluster -f -c FILE` is `dynamiccluster serve -c FILE`.
    """
    given = {
        "background": background,
        "foreground": foreground,
        "pidfile": pidfile,
        "config": config,
        "verbose": verbose,
        "quiet": quiet,
    }
    asked = {name: value for name, value in given.items() if value}
    if ctx.invoked_subcommand is None:
        if not asked:
            click.echo(ctx.get_help())
            return
        from dynamiccluster.cli.serve import serve

        ctx.invoke(serve, **asked)
    elif ctx.invoked_subcommand == "serve":
        ctx.default_map = {"serve": asked}
    elif asked:
        told = f"-b, -f, -p, -c, -v and -q run the service; before {ctx.invoked_subcommand} they mean nothing"
        behind = f"; put -c behind it: dynamiccluster {ctx.invoked_subcommand} -c FILE" if config else ""
        raise click.UsageError(told + (behind if ctx.invoked_subcommand in OF_A_FILE else ""))


def cloud_status() -> None:
    """The program ``cloud_status``."""
    main(["cloud-status", *sys.argv[1:]], prog_name="dynamiccluster")


def cloud_admin() -> None:
    """The program ``cloud_admin``."""
    main(["cloud-admin", *sys.argv[1:]], prog_name="dynamiccluster")


if __name__ == "__main__":
    main()
