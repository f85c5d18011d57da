"""``token``: the file with the tokens of the REST API. Works on the file itself; a running service notices at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.common import add, emit, screen, table
from dynamiccluster.cli.text import clean

if TYPE_CHECKING:
    from dynamiccluster.api.tokens import Token

DEFAULT_FILE = "/etc/dynamiccluster/tokens"
_HEADER = "# Tokens of the REST API: NAME:ROLE:sha256:HEX. The service notices changes at once.\n"

_OURS = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC  # the folder may be another's, who would lead root elsewhere
_AS_ROOT = "run it as the file's owner, usually root, or name another --file"

_file = click.option(
    "--file",
    "path",
    default=DEFAULT_FILE,
    show_default=True,
    type=click.Path(dir_okay=False, readable=False),  # that it may not be read is no wrong usage
    help="The file that admin-server names as tokens_file.",
)


@click.group()
def token() -> None:
    """Make, list and revoke tokens of the REST API: for the dashboard, scripts, and verbs from other machines.

    Whoever may open the service's Unix socket needs none. A viewer looks; an operator also changes nodes and
    resources; an admin also changes how the service works. An agent, on a node, may only say that this node's machine
    is taken away.
    """


@token.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["agent", "viewer", "operator", "admin"]),
    default="operator",
    show_default=True,
    help="What its holder may do: `token --help` tells.",
)
@_file
def add_token(name: str, role: str, path: str) -> None:
    """Make a token called NAME and print it: it is stored nowhere and cannot be shown again.

    An agent's token is believed from the address of the node it speaks of; if NAME is a node's host name, it is
    believed from anywhere, for that node only.
    """
    from dynamiccluster.api.tokens import ROLES, make_token

    secret, made = make_token(name, ROLES[role])
    fresh = not Path(path).exists()
    with _changing(path) as tokens:
        if any(one.name == name for one in tokens):
            raise exits.Failure(f"there is a token {clean(name)} already: revoke it first", exits.REFUSED)
        tokens.append(made)
    click.echo(secret)
    click.echo(_how_to_use(clean(name), role), err=True)
    if fresh:
        click.echo(_how_to_begin(clean(Path(path).absolute())), err=True)


def _how_to_use(name: str, role: str) -> str:
    if role == "agent":
        return f"{name} is agent; docs/clouds/aws.md says how a node uses it"
    return (
        f"{name} is {role}. Keep the token in a file that only you can read, then:\n"
        "  dynamiccluster status --connect URL --token-file FILE\n"
        "In a browser, log in to the dashboard with it; over HTTP, send: Authorization: Bearer TOKEN"
    )


def _how_to_begin(path: str) -> str:
    return (
        f"{path} is new. The service believes its tokens once the configuration says\n"
        f"  admin-server: tokens_file: {path}\n"
        "and it was restarted; the user that it runs as must be able to read the file."
    )


@token.command("list")
@_file
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="For people or scripts.")
def list_tokens(path: str, output: str) -> None:
    """Names and roles; the tokens themselves are stored nowhere."""
    found = [{"name": one.name, "role": one.role.name.lower()} for one in _read(Path(path))]
    if not found:
        told = "holds no token" if Path(path).exists() else "is not there, so there is no token"
        click.echo(f"{clean(path)} {told}; to make one: dynamiccluster token add NAME --file {clean(path)}", err=True)
    if output == "json":
        emit({"tokens": found})
        return
    if not found:
        return
    rows = table("NAME", "ROLE")
    for one in found:
        add(rows, one["name"], one["role"])
    screen().print(rows)


@token.command("revoke")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_file
def revoke(names: tuple[str, ...], path: str) -> None:
    """Revoke tokens at once, for a running service too."""
    with _changing(path) as tokens:
        unknown = sorted(set(names) - {one.name for one in tokens})
        if unknown:
            raise exits.Failure(f"{clean(path)} has no token {clean(unknown[0])}", exits.NOT_FOUND)
        tokens[:] = [one for one in tokens if one.name not in names]
    click.echo(f"revoked: {clean(' '.join(names))}")


def _read(path: Path) -> list[Token]:
    from dynamiccluster.api.tokens import parse_tokens

    try:
        return parse_tokens(path.read_text("utf-8"), str(path))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise exits.Failure(f"{clean(path)} cannot be read: {_AS_ROOT}", exits.FORBIDDEN) from error


@contextmanager
def _changing(path: str) -> Iterator[list[Token]]:
    """The tokens to change; the file is replaced as a whole when the block has ended well. Comments are kept."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(f"{path}.lock", _OURS | os.O_CREAT, 0o600), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tokens = _read(target)
            yield tokens
            new = target.with_name(f"{target.name}.new")
            new.unlink(missing_ok=True)  # of a crash
            with open(os.open(new, _OURS | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write("".join([*_comments(target), *(f"{one.line()}\n" for one in tokens)]))
                if target.exists():  # the service may run as another user
                    info = target.stat()
                    os.fchown(file.fileno(), info.st_uid, info.st_gid)
                    os.fchmod(file.fileno(), info.st_mode & 0o755)
                elif os.geteuid() == 0 and (group := target.parent.stat().st_gid):
                    # a package gives its folder to the service's group, which is to read it
                    os.fchown(file.fileno(), -1, group)
                    os.fchmod(file.fileno(), 0o640)
                file.flush()
                os.fsync(file.fileno())
            new.replace(target)
    except OSError as error:
        text = f"{clean(path)} cannot be changed ({error.strerror}): {_AS_ROOT}"
        raise exits.Failure(text, exits.FORBIDDEN) from error


def _comments(path: Path) -> list[str]:
    if not path.exists():
        return [_HEADER]
    return [f"{line}\n" for line in path.read_text("utf-8").splitlines() if line.lstrip().startswith("#")]
