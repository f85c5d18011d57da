"""The kinds of value a configuration key can have. Each says in words what it expects."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo

from dynamiccluster.config.document import RawFloat, RawInt, plain
from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.runner import parse_template


class Section(BaseModel):
    """A part of the configuration with known keys; unknown ones are refused. Values never appear in errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Says:
    """What a value must be, in words: used in messages and in the reference."""

    phrase: str


def base_directory(info: ValidationInfo) -> pathlib.Path:
    """Where relative paths count from: the directory of the configuration file."""
    return pathlib.Path((info.context or {}).get("base", "/"))


def environment(info: ValidationInfo) -> Mapping[str, str]:
    found: Mapping[str, str] = (info.context or {}).get("env", os.environ)
    return found


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true or false is not a number")  # noqa: TRY004 - pydantic collects ValueError only
    return plain(value)


def _text(value: Any) -> Any:
    """Numbers are taken as they were written, so that a password ``0123`` stays one."""
    if isinstance(value, bool):
        raise ValueError("YAML reads this as true or false; put it in quotes")  # noqa: TRY004 - as above
    return value.raw if isinstance(value, RawInt | RawFloat) else value


def _span(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value, value]


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("the first of the two is the larger one")
    return value


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("has a line break or control character")
    return value


def matching(pattern: str, complaint: str) -> AfterValidator:
    """A check of the whole text, with words instead of the pattern in its message."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(complaint)
        return value

    return AfterValidator(check)


Flag = Annotated[bool, Says("true or false")]
Whole = Annotated[int, BeforeValidator(_number), Says("a whole number")]
Count = Annotated[int, BeforeValidator(_number), Field(ge=0), Says("a whole number, 0 or more")]
Positive = Annotated[int, BeforeValidator(_number), Field(ge=1), Says("a whole number, 1 or more")]
Port = Annotated[int, BeforeValidator(_number), Field(ge=1, le=65535), Says("a port number, 1 to 65535")]
Number = Annotated[float, BeforeValidator(_number), Field(ge=0), Says("a number, 0 or more")]
Fraction = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1), Says("a number from 0 to 1")]
Seconds = Annotated[float, BeforeValidator(_number), Field(ge=0), Says("seconds, 0 or more")]
Interval = Annotated[float, BeforeValidator(_number), Field(gt=0), Says("seconds, more than 0")]
Money = Annotated[float, BeforeValidator(_number), Field(ge=0), Says("an amount of money, 0 or more")]
Span = Annotated[
    tuple[Seconds, Seconds],
    BeforeValidator(_span),
    AfterValidator(_rising),
    Says("[least, most] seconds, or one number"),
]
Text = Annotated[str, BeforeValidator(_text), AfterValidator(_printable), Says("text")]


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is not an http or https URL")
    return value


Url = Annotated[Text, AfterValidator(_url), Says("an http or https URL")]

_PLAIN = "only letters, digits, `.`, `_`, `-`, and at most 64 of them"
Name = Annotated[str, BeforeValidator(_text), matching(r"[A-Za-z0-9._-]{1,64}", _PLAIN), Says("a plain name")]
"""What may become a word of a command line: see ``kit/runner.PLAIN``."""

SiteName = Annotated[
    str,
    BeforeValidator(_text),
    matching(r"@?[A-Za-z0-9._+-]{1,128}", "only letters, digits, `.`, `_`, `-`, `+`, and a leading `@`"),
    Says("a plain name"),
]
"""A queue, account or property of the scheduler; SGE's host groups begin with ``@``."""

ClusterId = Annotated[
    str,
    BeforeValidator(_text),
    matching(
        r"[A-Za-z0-9]([A-Za-z0-9_-]{0,46}[A-Za-z0-9])?",
        "only letters, digits, `_` and `-`, at most 48, beginning and ending with a letter or digit",
    ),
    Says("a plain name of at most 48 characters"),
]
"""Stands in host files, tags and hold marks, whose parts are separated by colons and dots."""

NamePrefix = Annotated[
    str,
    BeforeValidator(_text),
    matching(
        r"[A-Za-z][A-Za-z0-9_-]{0,53}",
        "begins a host name, so: a letter, then letters, digits and `-`, at most 54 together",
    ),
    Says("the start of a host name"),
]
"""54 characters, `-` and our eight make 63, the longest label of a host name (RFC 1123, section 2.1)."""

ClassPath = Annotated[
    str,
    BeforeValidator(_text),
    matching(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", "is not package.module.Class"),
    Says("a Python class as package.module.Class"),
]

PluginName = Annotated[
    str,
    BeforeValidator(_text),
    matching(r"[A-Za-z_]\w*([.-]\w+)*", "is neither package.module.Class nor the name of an installed plug-in"),
    Says("a Python class as package.module.Class, or the name of an installed plug-in"),
]

Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_more), Says("a list of texts")]
SiteNames = Annotated[tuple[SiteName, ...], BeforeValidator(_one_or_more), Says("a list of plain names")]

Feature = Annotated[
    str,
    BeforeValidator(_text),
    matching(r"@?[A-Za-z0-9._+-]{1,128}(=[A-Za-z0-9._:/@+-]{1,256})?", "a plain name, or NAME=value"),
    Says("a plain name, or NAME=value"),
]
"""What a node offers; with a value it is an attribute of jobs as HTCondor has them (``VMType=Centos7``)."""

Features = Annotated[tuple[Feature, ...], BeforeValidator(_one_or_more), Says("a list of plain names or NAME=value")]


def _file(value: str, info: ValidationInfo) -> str:
    return str(base_directory(info) / value) if value else value


FilePath = Annotated[
    str,
    BeforeValidator(_text),
    AfterValidator(_printable),
    AfterValidator(_file),
    Says("a path; a relative one counts from the configuration file's directory"),
]


def _argv(value: Any) -> Any:
    value = _text(value)
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError:
            raise ValueError("quotes are not balanced") from None
    if isinstance(value, list | tuple):
        value = tuple(_text(word) for word in value)
        if not value or not value[0]:
            raise ValueError("an empty command")
        if any(isinstance(word, str) and "\0" in word for word in value):
            raise ValueError("a NUL byte cannot be passed to a program")
    return value


Argv = Annotated[
    tuple[str, ...], BeforeValidator(_argv), Says("a command: text that is split like a shell would, or a list")
]
"""A command without placeholders of its own, to which arguments are added."""

WORKER_PLACEHOLDERS = frozenset({"name", "address", "features", "cores", "memory_mib"})


def _worker_argv(value: tuple[str, ...]) -> tuple[str, ...]:
    for word in value:
        try:
            names = {name for _, name, _, _ in string.Formatter().parse(word) if name is not None}
        except ValueError:
            raise ValueError("braces are not balanced; write {{ and }} for braces") from None
        if names - WORKER_PLACEHOLDERS:
            raise ValueError(f"only {{{'}, {'.join(sorted(WORKER_PLACEHOLDERS))}}} are placeholders")
    return value


WorkerArgv = Annotated[
    tuple[str, ...],
    BeforeValidator(_argv),
    AfterValidator(_worker_argv),
    Says("a command with {name} {address} {features} {cores} {memory_mib} for values"),
]


def _template(highest: int) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        value = _text(value)
        if not isinstance(value, str):
            return value
        try:
            template = parse_template(value)
        except BadConfigError as error:  # its text quotes the command, which may hold a secret
            raise ValueError(_template_fault(str(error))) from None
        if template.highest > highest:
            known = "{0}" if highest == 0 else f"{{0}} to {{{highest}}}"
            raise ValueError(
                f"has {{{template.highest}}}, " + (f"knows {known}" if highest >= 0 else "takes no values")
            )
        return value

    return check


def _template_fault(said: str) -> str:
    if said == "an empty command":
        return said
    if "is not a placeholder" in said:
        return "has a placeholder that is not a number; write {{ and }} for braces"
    return "has quotes or braces that are not balanced"


def _command(highest: int) -> tuple[BeforeValidator, Says]:
    values = {-1: "", 0: " with {0}", 1: " with {0} and {1}"}.get(highest, f" with {{0}} to {{{highest}}}")
    return BeforeValidator(_template(highest)), Says("a command" + values)


Command0 = Annotated[str, *_command(-1)]
Command1 = Annotated[str, *_command(0)]
Command2 = Annotated[str, *_command(1)]
Command3 = Annotated[str, *_command(2)]
Command4 = Annotated[str, *_command(3)]
"""An operator's command template with values {0} ... (the number counts them); see ``kit/runner.parse_template``."""


def _octal(value: Any) -> Any:
    """``0660``, ``660`` and ``"0o660"`` all mean rw-rw----, whatever YAML makes of them."""
    text = str(_text(value)).lower().removeprefix("0o")
    if not re.fullmatch(r"[0-7]{1,4}", text):
        raise ValueError("is not an octal file mode")
    mode = int(text, 8)
    if mode & 0o007:
        raise ValueError("would let every user of this machine change the cluster; the last digit must be 0")
    return mode


FileMode = Annotated[int, BeforeValidator(_octal), Says("a file mode in octal digits")]


def secret_text(value: Any, info: ValidationInfo) -> Any:
    """The text of a secret that stands in the configuration, in the environment or in a file.

    :raises ValueError: it is not there, or cannot be read.
    """
    if not isinstance(value, dict):
        return _text(value)
    if len(value) != 1 or not isinstance(next(iter(value.values())), str):
        raise ValueError("give either from_env: NAME or from_file: PATH")
    (form, where) = next(iter(value.items()))
    if form == "from_env":
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", where):
            raise ValueError("from_env does not name an environment variable")
        if not environment(info).get(where):
            raise ValueError(f"the environment variable {where} is not set")
        return environment(info)[where]
    if form != "from_file":
        raise ValueError("give either from_env: NAME or from_file: PATH")
    try:
        text = (base_directory(info) / where).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not UTF-8 text"
        raise ValueError(f"the file of from_file cannot be read: {reason}") from None
    if not text:
        raise ValueError("the file of from_file is empty")
    return text


Secret = Annotated[
    SecretStr,
    BeforeValidator(secret_text),
    Says("a secret: text, or {from_env: NAME}, or {from_file: PATH}"),
]
