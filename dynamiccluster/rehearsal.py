"""What the start of the service would refuse beyond its configuration file: for ``check-config``.

Plug-ins and the checker are made, as the start does, and then left alone: they neither look nor are closed. Tokens and
certificates are read. Nothing is opened for others, written or asked of anybody.
"""

from __future__ import annotations

import grp
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from dynamiccluster.api.pam import authenticator
from dynamiccluster.api.tls import Certificate
from dynamiccluster.api.tokens import TokenFile
from dynamiccluster.checkers.registry import plugin_checker
from dynamiccluster.config.legacy import GENERAL
from dynamiccluster.config.load import Loaded
from dynamiccluster.config.problems import Path, Problem, dotted
from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.loading import ArgumentsError
from dynamiccluster.kit.secrets import Redactor
from dynamiccluster.plugins.loader import load_plugin

Finding = tuple[Path, str]
"""Where, and what is wrong."""

_SERVER: Path = (GENERAL, "admin-server")
_ODD_ARGUMENT = re.compile(r"unexpected keyword argument '(\w+)'|(?<=: )(\w+(?:\.\w+)*)(?=: )")
"""The name in Python's words, or in ours: ``webhook.url: is not ...``."""


def problems_of(loaded: Loaded) -> tuple[Problem, ...]:
    """Why the service would not start with this configuration, on this machine and as this user."""
    redactor = Redactor()
    redactor.add(*loaded.secrets())
    findings = [*_plugins(loaded), *_checker(loaded), *_server(loaded), *_log(loaded)]
    problems = [
        Problem(loaded.path, _line(loaded.lines, path), dotted(path), redactor.redact(text)) for path, text in findings
    ]
    return tuple(sorted(problems, key=lambda one: (one.line, one.key, one.problem)))


def _line(lines: Mapping[Path, int], path: Path) -> int:
    """That of the key, or of the nearest section around it."""
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), 0)


def _plugins(loaded: Loaded) -> Iterator[Finding]:
    for name, item in loaded.settings.plugins.items():
        make = partial(load_plugin, name, item.class_name, item.plain_arguments())
        for path, text in _made(loaded, ("plugins", name), "class_name", make):
            yield path, text.removeprefix(f"plug-in {name}: ")  # which the key says


def _checker(loaded: Loaded) -> Iterator[Finding]:
    wanted = loaded.settings.general.config_checker
    if wanted is not None and wanted.plugin is not None:
        plugin = wanted.plugin
        where: Path = (GENERAL, "config-checker", "plugin")
        yield from _made(loaded, where, "name", lambda: plugin_checker(plugin.name, plugin.plain_arguments()))


def _made(loaded: Loaded, where: Path, class_key: str, make: Callable[[], Any]) -> Iterator[Finding]:
    try:
        make()
    except ArgumentsError as error:
        yield _argument(loaded.lines, (*where, "arguments"), str(error)), str(error)
    except BadConfigError as error:
        yield (*where, class_key), str(error)


def _argument(lines: Mapping[Path, int], where: Path, text: str) -> Path:
    """The argument that an error speaks of, if it stands in the file; else all of them."""
    for python, ours in _ODD_ARGUMENT.findall(text):
        path = (*where, *(python or ours).split("."))
        if path in lines:
            return path
    return where


def _server(loaded: Loaded) -> Iterator[Finding]:
    server = loaded.settings.general.admin_server
    if server.tokens_file:
        yield from _refused("tokens_file", lambda: TokenFile(server.tokens_file))
    if server.tls_certificate and server.tls_key:
        yield from _refused("tls_certificate", lambda: Certificate(server.tls_certificate, server.tls_key))
    if server.socket and server.socket_group:
        try:
            grp.getgrnam(server.socket_group)
        except KeyError:
            yield (*_SERVER, "socket_group"), "there is no such group on this machine"
    if server.pam:
        yield from _refused("pam", authenticator)


def _refused(key: str, use: Callable[[], object]) -> Iterator[Finding]:
    try:
        use()
    except BadConfigError as error:
        yield (*_SERVER, key), str(error)


def _log(loaded: Loaded) -> Iterator[Finding]:
    location = loaded.settings.logging.log_location
    if location and FilePath(location).is_dir():
        yield ("logging", "log_location"), "is a directory"
    elif location and not FilePath(location).parent.is_dir():
        yield ("logging", "log_location"), f"there is no directory {FilePath(location).parent}"
