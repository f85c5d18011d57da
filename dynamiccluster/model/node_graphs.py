"""Under which names Graphite keeps what the collector on a worker node measures. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dynamiccluster.errors import BadConfigError

NodeGraphs = Mapping[str, tuple[str, ...]]
"""Name of a graph -> patterns of the series in it."""

HOST = "{host}"
"""Stands in a pattern for the node's host name, with ``_`` for each dot, as collectd and Diamond write it."""

COLLECTORS: Mapping[str, NodeGraphs] = {
    # collectd's write_graphite with Prefix "collectd." and its other settings as they come; plug-ins load, memory,
    # interface and disk. https://www.collectd.org/documentation/manpages/collectd.conf.html#plugin_write_graphite
    "collectd": {
        "load": ("collectd.{host}.load.load.*",),
        "memory": ("collectd.{host}.memory.memory-*",),
        "network": ("collectd.{host}.interface-*.if_octets.*",),
        "disk": ("collectd.{host}.disk-*.disk_octets.*",),
    },
    # Diamond with its path_prefix as it comes; collectors LoadAverage, Memory, Network and DiskUsage.
    # https://diamond.readthedocs.io/en/latest/Collectors/
    "diamond": {
        "load": ("servers.{host}.loadavg.01", "servers.{host}.loadavg.05", "servers.{host}.loadavg.15"),
        "memory": (
            "servers.{host}.memory.MemTotal",
            "servers.{host}.memory.MemFree",
            "servers.{host}.memory.Cached",
            "servers.{host}.memory.Buffers",
        ),
        "network": ("servers.{host}.network.*.rx_byte", "servers.{host}.network.*.tx_byte"),
        "disk": ("servers.{host}.iostat.*.read_byte_per_second", "servers.{host}.iostat.*.write_byte_per_second"),
    },
}
"""Patterns for collectors as they come. Memory in bytes, network and disk in bytes per second."""

MOST_GRAPHS = 12
MOST_PATTERNS = 20
LONGEST = 200

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}")
_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]+")
_HOST_PART = re.compile(r"[A-Za-z0-9_-]{1,253}")


def node_graphs(wanted: object) -> NodeGraphs:
    """The graphs that an argument asks for: the name of a collector, or a mapping of names to patterns.

    A pattern is a path of Graphite with ``{host}`` once as, or in, one of its parts; ``*`` and ``?`` stand for what
    varies. Functions of Graphite are refused.

    :raises BadConfigError: it is neither; the sentence says what is wrong.
    """
    if isinstance(wanted, str):
        if wanted not in COLLECTORS:
            raise BadConfigError(f"node_graphs: {wanted!r} is none of {', '.join(COLLECTORS)}, and no mapping")
        return COLLECTORS[wanted]
    if not isinstance(wanted, Mapping):
        raise BadConfigError(f"node_graphs: expected {' or '.join(COLLECTORS)}, or graphs with their patterns")
    if len(wanted) > MOST_GRAPHS:
        raise BadConfigError(f"node_graphs: at most {MOST_GRAPHS} graphs, not {len(wanted)}")
    return {_name(name): _patterns(name, given) for name, given in wanted.items()}


def targets(patterns: tuple[str, ...], host_name: str) -> tuple[str, ...]:
    """The patterns for one node; none if its name has anything in it that means something to Graphite."""
    part = host_name.replace(".", "_")
    if not _HOST_PART.fullmatch(part):
        return ()
    return tuple(pattern.replace(HOST, part) for pattern in patterns)


def _name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadConfigError(f"node_graphs: {name!r} is no name of a graph: letters, digits, blanks, _ and -")
    return name


def _patterns(name: object, given: object) -> tuple[str, ...]:
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list | tuple) or not 0 < len(found) <= MOST_PATTERNS:
        raise BadConfigError(f"node_graphs: {name}: expected 1 to {MOST_PATTERNS} patterns")
    for pattern in found:
        if not isinstance(pattern, str) or pattern.count(HOST) != 1:
            raise BadConfigError(f"node_graphs: {name}: {pattern!r} does not have {HOST} in it, once")
        plain = pattern.replace(HOST, "h")
        if len(pattern) > LONGEST or not _PATTERN.fullmatch(plain) or "" in plain.split("."):
            raise BadConfigError(f"node_graphs: {name}: {pattern!r} is not a path like collectd.{HOST}.load.load.*")
    return tuple(found)
