"""Verbs that need no running service: ``serve`` and ``check-config``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.common import config_option, emit, of_file, one_file
from dynamiccluster.cli.places import DEFAULT_PIDFILE
from dynamiccluster.cli.text import clean


@click.command(epilog=exits.TEXT)
@click.argument("file", metavar="[FILE]", type=click.Path(), required=False)
@click.option("-b", "--background", is_flag=True, help="Go into the background.")
@click.option("-f", "--foreground", is_flag=True, help="Stay in the foreground (the default).")
@click.option("-p", "--pidfile", metavar="FILE", help=f"Pid file. [default with -b: {DEFAULT_PIDFILE}]")
@config_option()
@click.option("-v", "--verbose", count=True, help="Log more; may be repeated.")
@click.option("-q", "--quiet", count=True, help="Log less; may be repeated.")
@click.option(
    "--speed", type=click.FloatRange(min=0.01, max=1000), default=1.0, help="Simulated clusters: time factor."
)
def serve(
    file: str | None = None,
    background: bool = False,
    foreground: bool = False,
    pidfile: str | None = None,
    config: str | None = None,
    verbose: int = 0,
    quiet: int = 0,
    speed: float = 1.0,
) -> None:
    """Run the service. A bad configuration is refused before anything starts.

    Ctrl-C or SIGTERM ends it; nodes and jobs stay as they are. SIGHUP reads the configuration again.
    """
    from dynamiccluster.cli.daemon import PidFile, detach
    from dynamiccluster.errors import DynamicClusterError

    if background and foreground:
        raise click.UsageError("-b and -f exclude each other")
    path = str(Path(one_file(file, config)).absolute())
    _require_good(path)
    if background:
        _require_log(path)
    where = pidfile or (DEFAULT_PIDFILE if background else "")
    with PidFile(str(Path(where).absolute())) if where else nullcontext() as held:
        tell = detach() if background else _nobody_waits
        if held is not None:
            held.write()
        from dynamiccluster import app

        try:
            code = app.serve(path, speed=speed, verbosity=verbose - quiet, started=lambda: tell(""))
        except DynamicClusterError as error:
            tell(str(error))
            raise
    click.get_current_context().exit(code)


def _nobody_waits(reason: str) -> None:
    """In the foreground who started the service sees what becomes of it."""


def _require_good(path: str) -> None:
    from dynamiccluster.config.check import check, render

    problems, _notices = check(path)
    if problems:
        raise exits.Failure("\n".join(clean(line) for line in render(problems)), exits.BAD_CONFIG)


def _require_log(path: str) -> None:
    """In the background nobody hears what is not in a file."""
    from dynamiccluster.config.load import load

    if not load(path).settings.logging.log_location:
        raise exits.Failure("logging: log_location: in the background a log file is needed", exits.BAD_CONFIG)


@click.command("check-config", epilog=exits.TEXT)
@of_file
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="For people or scripts.")
def check_config(file: str, output: str) -> None:
    """Check the configuration in FILE and print every problem at once, with its line. Nothing is started or changed.

    Plug-ins are loaded, tokens and certificates read, as at the start: run it as the user that the service will have.
    """
    from dynamiccluster.config.adapters import CLOUDS, SCHEDULERS
    from dynamiccluster.config.check import check, render
    from dynamiccluster.config.load import load
    from dynamiccluster.rehearsal import problems_of

    problems, notices = check(file, schedulers=SCHEDULERS, clouds=CLOUDS)
    whole = not problems
    problems = problems or problems_of(load(file))
    if output == "json":
        emit(
            {
                "ok": not problems,
                "problems": [
                    {
                        "file": one.file,
                        "line": one.line,
                        "key": one.key,
                        "problem": one.problem,
                        "expected": one.expected,
                        "nearest": one.nearest,
                    }
                    for one in problems
                ],
                "notices": [{"file": one.file, "line": one.line, "key": one.key, "text": one.text} for one in notices],
            }
        )
    else:
        for line in render(problems, notices):
            click.echo(clean(line), err=bool(problems))
        if not problems:
            click.echo(f"{clean(file)} is good")
        elif not whole:
            click.echo("plug-ins, tokens and certificates are looked at once these are mended", err=True)
    if problems:
        click.get_current_context().exit(exits.BAD_CONFIG)
