"""From the texts of ``lsid``, ``lsinfo -r`` and ``bqueues -l`` to what the adapter keeps of the site. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dynamiccluster.schedulers.lsf.resreq_parse import ANYTHING, Clauses, parse_resreq


class Dialect(StrEnum):
    """Whose LSF it is."""

    LSF = "lsf"  # IBM's, and Platform's before
    OPENLAVA = "openlava"  # and what descends from it


@dataclass(frozen=True, slots=True)
class QueueRule:
    """Which hosts a queue uses."""

    words: Clauses = ANYTHING  # its RES_REQ
    hosts: frozenset[str] | None = None  # None = all, or groups whose members are not known here


@dataclass(frozen=True, slots=True)
class Queues:
    """What ``bqueues -l`` says."""

    rules: Mapping[str, QueueRule] = field(default_factory=dict)

    def of_host(self, name: str, words: frozenset[str]) -> frozenset[str]:
        """The queues that a host serves; empty if it serves all of them."""
        served = frozenset(
            queue
            for queue, rule in self.rules.items()
            if (rule.hosts is None or name in rule.hosts) and all(clause & words for clause in rule.words)
        )
        return frozenset() if len(served) == len(self.rules) else served

    def by_word(self, prefix: str) -> frozenset[str]:
        """Queues that choose their hosts by a resource of their own, named PREFIX and the queue."""
        return frozenset(
            queue for queue, rule in self.rules.items() if any(f"{prefix}{queue}" in clause for clause in rule.words)
        )


_QUEUE = re.compile(r"(?:\A|\n)QUEUE: +(\S+)")
_RES_REQ = re.compile(r"\nRES_REQ: *([^\n]*)")
_HOSTS = re.compile(r"\nHOSTS: *([^\n]*)")
_PREFERENCE = re.compile(r"[+~].*$")
_ALL = frozenset({"all", "others", "none"})


def parse_dialect(text: str) -> Dialect:
    """Whose ``lsid`` it was.

    :raises ValueError: it was nobody's.
    """
    first = next((line for line in text.splitlines() if re.search(r"\bLSF\b|[Ll]ava\b", line)), "")
    if re.search(r"[Ll]ava\b", first):
        return Dialect.OPENLAVA
    if first:
        return Dialect.LSF
    raise ValueError(f"lsid tells neither LSF nor OpenLava: {text.strip()[:80]!r}")


def parse_booleans(text: str) -> frozenset[str]:
    """The Boolean resources of ``lsinfo -r``.

    :raises ValueError: it is no list of resources.
    """
    lines = text.splitlines()
    if not any(line.startswith("RESOURCE_NAME") for line in lines):
        raise ValueError(f"lsinfo: there is no list of resources in it: {text.strip()[:80]!r}")
    return frozenset(words[0] for line in lines if len(words := line.split()) > 1 and words[1] == "Boolean")


def parse_queues(text: str) -> Queues:
    """The queues of ``bqueues -l``. What a queue wants of its hosts, if it cannot be read, is taken for nothing."""
    starts = list(_QUEUE.finditer(text))
    ends = [found.start() for found in starts[1:]] + [len(text)]
    rules = {}
    for found, end in zip(starts, ends, strict=True):
        block = text[found.end() : end]
        wanted, hosts = _RES_REQ.search(block), _HOSTS.search(block)
        rules[found[1]] = QueueRule(_words(wanted[1]) if wanted else ANYTHING, _names(hosts[1]) if hosts else None)
    return Queues(rules)


def _words(text: str) -> Clauses:
    try:
        return parse_resreq(text).words
    except ValueError:
        return ANYTHING


def _names(text: str) -> frozenset[str] | None:
    """Hosts by name; a group ends with a slash, and "all hosts used by ..." are all."""
    names = [_PREFERENCE.sub("", word) for word in text.split()]
    if not names or any(name in _ALL or name.endswith("/") for name in names):
        return None
    return frozenset(names)
