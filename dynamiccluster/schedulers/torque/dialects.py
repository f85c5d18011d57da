"""What Torque and OpenPBS say in different words: options, attributes of nodes, formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.torque import jobs_parse, nodes_parse, openpbs_parse
from dynamiccluster.schedulers.torque.jobs_parse import Asked, Queue
from dynamiccluster.schedulers.torque.nodes_parse import Node, Nodes

Change = tuple[str, str, str]
"""Attribute, operator and value for ``qmgr``."""


@dataclass(frozen=True, slots=True)
class NodeAttributes:
    """What the server is told of a node."""

    slots: int
    gpus: int = 0
    properties: frozenset[str] = frozenset()

    @staticmethod
    def of(resource: Resource) -> NodeAttributes:
        reserved = resource.reservation.property
        words = resource.features | ({reserved} if reserved else set())
        return NodeAttributes(resource.capacity.cores, resource.capacity.gpus, frozenset(words))

    def words(self) -> str:
        return f"np={self.slots} gpus={self.gpus} properties={','.join(sorted(self.properties))}"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One family of servers. ``comments``: its scheduler writes its reasons into the jobs' comments. ``picky``: it
    refuses jobs that no known node fits."""

    job_options: tuple[tuple[str, ...], ...]
    job_options_refused: tuple[str, ...]
    node_options: tuple[str, ...]
    one_node_options: tuple[str, ...]
    parse_jobs: Callable[[str, Asked], Queue]
    parse_nodes: Callable[[str, str], Nodes]
    changes: Callable[[NodeAttributes, Node], list[Change]]
    hold: Callable[[str], list[tuple[str, ...]]]
    release: Callable[[str], list[tuple[str, ...]]]
    comments: bool
    picky: bool


def _torque_changes(wanted: NodeAttributes, node: Node) -> list[Change]:
    """Words of a list are set one by one: ``=`` the first, ``+=`` the others (recorded)."""
    found: list[Change] = []
    if node.slots != wanted.slots:
        found.append(("np", "=", str(wanted.slots)))
    if wanted.gpus and node.gpus != wanted.gpus:
        found.append(("gpus", "=", str(wanted.gpus)))
    if frozenset(node.properties) != wanted.properties:
        words = sorted(wanted.properties)
        found += [("properties", "+=" if at else "=", word) for at, word in enumerate(words)]
        if not words:
            found += [("properties", "-=", word) for word in node.properties]
    return found


def _openpbs_changes(wanted: NodeAttributes, node: Node) -> list[Change]:
    """Properties are boolean resources of the site's, which it has defined."""
    found: list[Change] = []
    if node.slots != wanted.slots:
        found.append(("resources_available.ncpus", "=", str(wanted.slots)))
    if wanted.gpus and node.gpus != wanted.gpus:
        found.append(("resources_available.ngpus", "=", str(wanted.gpus)))
    for word in sorted(wanted.properties - set(node.properties)):
        key, equals, value = word.partition("=")
        found.append((f"resources_available.{key}", "=", value if equals else "True"))
    gone = sorted(set(node.properties) - wanted.properties)
    return found + [(f"resources_available.{word}", "=", "False") for word in gone if "=" not in word]


TORQUE = Dialect(
    job_options=(("-x",), ("-t",)),
    job_options_refused=(),
    node_options=("-x",),
    one_node_options=("-x",),
    parse_jobs=jobs_parse.parse_jobs,
    parse_nodes=nodes_parse.parse_nodes,
    changes=_torque_changes,
    hold=lambda note: [("-o", "-N", note)],
    release=lambda note: [("-c",), ("-N", note)],  # -c leaves the note (recorded)
    comments=False,
    picky=True,
)
OPENPBS = Dialect(
    job_options=(("-f",), ("-t",), ("-F", "json")),
    job_options_refused=("-x",),  # there it means: with the jobs of the last weeks
    node_options=("-av", "-F", "json"),
    one_node_options=("-v", "-F", "json"),
    parse_jobs=openpbs_parse.parse_jobs,
    parse_nodes=openpbs_parse.parse_nodes,
    changes=_openpbs_changes,
    hold=lambda note: [("-o", "-C", note)],
    release=lambda note: [("-r", "-C", note)],
    comments=True,
    picky=False,
)
DIALECTS = {"torque": TORQUE, "openpbs": OPENPBS}


def dialect_named(name: str) -> Dialect:
    """:raises BadConfigError: there is none of that name."""
    found = DIALECTS.get(name)
    if found is None:
        raise BadConfigError(f"dialect: {name!r} is not one of {', '.join(sorted(DIALECTS))}")
    return found


def stands_for(template: Node, node: Node) -> bool:
    """Whether every job that fits the node fits the template."""
    has, needs = Capacity(template.slots, 0, template.gpus), Capacity(node.slots, 0, node.gpus)
    return template.template and has.holds(needs) and set(node.properties) <= set(template.properties)
