"""User data: the script that a new machine runs when it starts, made from the site's template.

A tool of all clouds that hand one over. Templates are Jinja2 in its sandbox: whoever may write one could give the
machines any script, but it must not become a way into the service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, StrictUndefined, TemplateError, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.resource import Resource

OF_ONE_NODE = frozenset({"minion_id", "host_name", "node_id"})
"""Variables that differ from node to node of one launch. ``minion_id`` is the original's word for the host name."""

LONGEST = 256 * 1024
"""Characters of a template; clouds take 16 KiB (EC2) or 64 KiB (Nova) of the result."""


_SCRIPT = re.compile(r"[a-z][a-z0-9_-]*")


class UserData:
    """One template. ``values``: the site's own variables (secrets such as a key to join with), as ``values.NAME``.

    The file is read at each launch, so that a new version needs no restart.
    """

    def __init__(self, path: str, cluster_id: str, values: Mapping[str, str] | None = None) -> None:
        self._path = path
        self._cluster_id = cluster_id
        self._values = dict(values or {})
        self._environment = ImmutableSandboxedEnvironment(
            loader=DictLoader({}), undefined=StrictUndefined, keep_trailing_newline=True
        )

    def prepare(self) -> Prepared:
        """The template as it is now.

        :raises BadConfigError: it cannot be read, or is no template; with file and line.
        """
        try:
            text = Path(self._path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadConfigError(f"userdata_file {self._path}: cannot be read as text") from error
        if len(text) > LONGEST:
            raise BadConfigError(f"userdata_file {self._path}: longer than {LONGEST} characters")
        try:
            used = meta.find_undeclared_variables(self._environment.parse(text))
        except TemplateSyntaxError as error:
            raise BadConfigError(f"userdata_file {self._path}:{error.lineno}: {error.message}") from error
        return Prepared(self._path, text, bool(used & OF_ONE_NODE), self._environment, self._cluster_id, self._values)


def user_data(config: Mapping[str, Any], cluster_id: str) -> UserData | None:
    """From the keys ``userdata_file`` and ``userdata_values`` of a resource; ``None`` without a file."""
    if not config["userdata_file"]:
        return None
    values = {name: secret.get_secret_value() for name, secret in config["userdata_values"].items()}
    return UserData(config["userdata_file"], cluster_id, values)


@dataclass(frozen=True)
class Prepared:
    """``per_node``: it says something else to each node, so that each needs a request of its own."""

    path: str
    text: str
    per_node: bool
    environment: ImmutableSandboxedEnvironment
    cluster_id: str
    values: Mapping[str, str]

    def render(self, launch_id: str, resource: Resource, spec: NodeSpec | None) -> str:
        """The script for one node, or for all of a launch (``spec=None``), which :attr:`per_node` forbids.

        :raises BadConfigError: the template asks for something that is not there, or more than the sandbox allows.
        """
        given: dict[str, Any] = {
            "cluster_id": self.cluster_id,
            "launch_id": launch_id,
            "resource": {
                "name": resource.name,
                "cores": resource.capacity.cores,
                "memory_mib": resource.capacity.memory_mib,
                "gpus": resource.capacity.gpus,
                "features": sorted(resource.features),
                "queues": sorted(resource.queues),
                "reservation": {
                    "queue": resource.reservation.queue,
                    "account": resource.reservation.account,
                    "property": resource.reservation.property,
                },
            },
            "values": self.values,
            "join_script": self._join_script,
        }
        if spec is not None:
            given |= {"minion_id": spec.host_name, "host_name": spec.host_name, "node_id": spec.node_id}
        try:
            return self.environment.from_string(self.text).render(given)
        except TemplateError as error:
            raise BadConfigError(f"userdata_file {self.path}: {error.message}") from error
        except BadConfigError:
            raise
        except Exception as error:  # whatever an expression of the template runs into
            raise BadConfigError(f"userdata_file {self.path}: {type(error).__name__} in an expression") from error

    def _join_script(self, name: str) -> str:
        """The text of a shipped join script, as it is: ``join/NAME`` beside the template, and no other file.

        :raises BadConfigError: there is none of that name.
        """
        if not isinstance(name, str) or not _SCRIPT.fullmatch(name):
            raise BadConfigError(f"userdata_file {self.path}: {str(name)[:50]!r} is not the name of a join script")
        file = Path(self.path).parent / "join" / name
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadConfigError(f"userdata_file {self.path}: the join script {file} cannot be read as text") from error
