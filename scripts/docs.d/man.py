"""The manual page, from the commands themselves (man(7) macros; groff_man(7) for the style)."""

from __future__ import annotations

import click

from dynamiccluster import __version__
from dynamiccluster.cli import exits
from dynamiccluster.cli.main import CHANGE, LOOK, RUN, VERBS, main
from dynamiccluster.cli.places import DEFAULT_CONFIG

FILES = (
    (DEFAULT_CONFIG, "the configuration; every key stands in the configuration reference"),
    ("/etc/default/dynamiccluster", "settings of the init script"),
    ("/run/dynamiccluster/api.sock", "the socket through which changes are made"),
    ("/var/lib/dynamiccluster", "the service's memory"),
    ("/var/log/dynamiccluster", "its log"),
)
SECTIONS = {LOOK: "LOOKING", CHANGE: "CHANGING", RUN: "RUNNING AND CHECKING"}


def page() -> str:
    """``dynamiccluster(8)``."""
    context = click.Context(main, info_name="dynamiccluster")
    lines = [
        f'.TH DYNAMICCLUSTER 8 "" "Dynamic Cluster {_plain(__version__)}" "System Administration"',
        ".SH NAME",
        r"dynamiccluster \- grows and shrinks a batch cluster with its queue",
        ".SH SYNOPSIS",
        ".B dynamiccluster",
        r"[\fB\-b\fR|\fB\-f\fR] [\fB\-p\fR \fIFILE\fR] [\fB\-c\fR \fIFILE\fR] [\fB\-v\fR] [\fB\-q\fR]",
        ".br",
        ".B dynamiccluster",
        r"\fIVERB\fR [\fIOPTION\fR...] [\fIARGUMENT\fR...]",
        ".SH DESCRIPTION",
        *_paragraphs(main.help or ""),
        ".SH OPTIONS",
        *_options(main, context),
    ]
    for section, title in SECTIONS.items():
        lines.append(f".SH {title}")
        for name, (where, _, summary) in VERBS.items():
            if where == section:
                lines += _verb(name, summary, context)
    lines += [".SH EXIT STATUS", *_paragraphs(exits.TEXT), ".SH FILES"]
    for path, text in FILES:
        lines += [".TP", f".I {_text(path)}", _text(text)]
    lines += [".SH SEE ALSO", r"The documentation in /usr/share/doc/dynamiccluster, its \fIindex.md\fR first."]
    return "\n".join(lines) + "\n"


def _verb(name: str, summary: str, parent: click.Context) -> list[str]:
    command = main.get_command(parent, name)
    if command is None:
        raise SystemExit(f"there is no verb {name}")
    context = click.Context(command, info_name=name, parent=parent)
    pieces = " ".join(_text(piece) for piece in command.collect_usage_pieces(context))
    lines = [f".SS {_text(name)} {pieces}".rstrip(), _text(summary)]
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            lines += [".TP", rf"\fB{_text(f'{name} {sub}')}\fR", _text(found.get_short_help_str(200) if found else "")]
        return lines
    more = _paragraphs(command.help or "")
    return [*lines, *([".PP", *more] if more and more != [_text(summary)] else []), *_options(command, context)]


def _options(command: click.Command, context: click.Context) -> list[str]:
    records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    told = [record for record in records if record[1]]  # what an argument is, the text above says
    return [line for record in told for line in (".TP", rf"\fB{_text(record[0])}\fR", _text(record[1]))]


def _paragraphs(text: str) -> list[str]:
    """Blocks with ``\\b`` before them keep their lines."""
    lines: list[str] = []
    for block in text.strip().split("\n\n"):
        kept = block.lstrip().startswith("\b")
        rows = [_text(row.strip()) for row in block.replace("\b", "").strip().splitlines()]
        lines += [".PP"] if lines else []
        lines += [".nf", *rows, ".fi"] if kept else [" ".join(rows)]
    return [line for line in lines if line]


def _text(text: str) -> str:
    """Escaped for roff: backslashes, hyphens as they are typed, and no line that looks like a request."""
    escaped = _plain(text).replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _plain(text: str) -> str:
    return " ".join(text.split())
