"""What verbs that talk to the service share: options, the client, output as JSON or as tables."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.places import DEFAULT_CONFIG
from dynamiccluster.cli.text import clean
from dynamiccluster.client.problems import (
    AnswerError,
    ClientError,
    ForbiddenError,
    NoSuchThingError,
    ServiceFailedError,
    UnreachableError,
)
from dynamiccluster.client.rest import DEFAULT_SOCKET, DEFAULT_URL, Client, find

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Verb = TypeVar("Verb", bound=Callable[..., Any])
WIDE = 1000  # columns when nobody looks: lines are for grep then, and are never folded


def exit_code(error: ClientError) -> int:
    """The exit code that stands for a client's error."""
    match error:
        case UnreachableError():
            return exits.UNREACHABLE
        case NoSuchThingError():
            return exits.NOT_FOUND
        case ForbiddenError():
            return exits.FORBIDDEN
        case AnswerError(code="not-ready"):
            return exits.UNREACHABLE
        case ServiceFailedError():
            return exits.FAILED
        case AnswerError(code="bad-value"):
            return exits.USAGE
        case AnswerError(code="bad-config"):
            return exits.BAD_CONFIG
        case _:
            return exits.REFUSED


def talks(verb: Verb) -> Verb:
    """Give a verb the options to find the service and to choose the output; it gets ``client`` and ``as_json``."""
    return _talking(verb, "-o", "--output")


def talks_without_o(verb: Verb) -> Verb:
    """As :func:`talks`, for a verb that has its own ``-o``."""
    return _talking(verb, "--output")


def _talking(verb: Verb, *output: str) -> Verb:

    @click.option(
        "--connect",
        metavar="WHERE",
        envvar="DYNAMICCLUSTER_CONNECT",
        show_envvar=True,
        help=f"URL or Unix socket of the service. [default: {DEFAULT_SOCKET} if you may open it, else {DEFAULT_URL}, "
        "which only reads]",
    )
    @click.option(
        "--token-file",
        type=click.Path(exists=True, dir_okay=False),
        envvar="DYNAMICCLUSTER_TOKEN_FILE",
        show_envvar=True,
        metavar="FILE",
        help="File that holds your token, to change things through a URL.",
    )
    @click.option(*output, type=click.Choice(["table", "json"]), default="table", help="For people or scripts.")
    @functools.wraps(verb)
    def wrapped(*args: Any, connect: str | None, token_file: str | None, output: str, **kwargs: Any) -> Any:
        return verb(*args, client=_client(connect, token_file), as_json=output == "json", **kwargs)

    return wrapped  # type: ignore[return-value]  # click reads the signature at run time


def _client(connect: str | None, token_file: str | None) -> Client:
    token = os.environ.get("DYNAMICCLUSTER_TOKEN", "")
    if token_file:
        try:
            token = Path(token_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"cannot read {token_file}", param_hint="--token-file") from error
    if not token.isascii() or not token.isprintable():
        raise click.BadParameter("a token is one word of ASCII letters", param_hint="--token-file")
    try:
        return Client(connect or find(), token)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--connect") from error


def of_file(verb: Verb) -> Verb:
    """Give a verb that reads a configuration the way to name it: ``-c FILE``, or FILE alone; it gets ``file``."""

    @click.argument("alone", metavar="[FILE]", type=click.Path(), required=False)
    @config_option()
    @functools.wraps(verb)
    def wrapped(*args: Any, alone: str | None, config: str | None, **kwargs: Any) -> Any:
        return verb(*args, file=one_file(alone, config), **kwargs)

    return wrapped  # type: ignore[return-value]  # click reads the signature at run time


def one_file(alone: str | None, config: str | None) -> str:
    """The configuration that is meant: named with ``-c``, without, or the usual one.

    :raises exits.Failure: it was not named, and there is no usual one.
    """
    if alone and config:
        raise click.UsageError(f"two files, {clean(config)} and {clean(alone)}: name one")
    if not (alone or config) and not Path(DEFAULT_CONFIG).exists():
        text = "name yours with -c FILE; config/dynamiccluster.yaml of the source is a sample"
        raise exits.Failure(f"there is no {DEFAULT_CONFIG}: {text}", exits.BAD_CONFIG)
    return alone or config or DEFAULT_CONFIG


def config_option() -> Callable[[Verb], Verb]:
    """``-c FILE``; ``None`` if it is not given."""
    told = f"Configuration; FILE alone means the same. [default: {DEFAULT_CONFIG}]"
    return click.option("-c", "--config", metavar="FILE", type=click.Path(), help=told)


def emit(document: object, *, lines: bool = False) -> None:
    """JSON on standard output, pure ASCII so that no hostile text can steer a terminal."""
    click.echo(json.dumps(document, indent=None if lines else 2))


def screen() -> Console:
    """Where tables are printed: as wide as the terminal, or without folding into a pipe."""
    from rich.console import Console

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    width = None if sys.stdout.isatty() else WIDE
    return Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def table(*columns: str, right: Iterable[str] = (), title: str = "") -> Table:
    """An empty table; columns named in ``right`` hold numbers, the last column may fold."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, title=Text(title) if title else None, title_justify="left")
    for name in columns:
        last = name == columns[-1]
        made.add_column(
            Text(name, style="bold"),
            justify="right" if name in set(right) else "left",
            no_wrap=not last,
            overflow="fold" if last else "ellipsis",
        )
    return made


def add(rows: Table, *cells: object, style: str = "") -> None:
    """A row of hostile values."""
    from rich.text import Text

    rows.add_row(*(Text(clean(cell)) for cell in cells), style=style or None)


def say(text: str) -> None:
    """One cleaned line on standard output."""
    click.echo(clean(text))
