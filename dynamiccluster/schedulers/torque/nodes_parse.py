"""From the XML of ``pbsnodes -x`` to nodes and hosts. Pure.

``state`` is a list of words; ``note`` is free text of which ours is the first word; ``jobs`` is ``0-1/2.head`` in 6.x
(slots before the job) and ``0/2.head,1/2.head`` in 4.2, older versions with blanks after the commas; ``status`` is what
the MOM said last: a list with ``=`` and blanks in its values, which stays when the MOM dies and is missing until it
has reported once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.schedulers.torque.records_parse import fields, plain, records
from dynamiccluster.schedulers.torque.states import NODE_STATES, OTHER_HOLDS, WORST_FIRST

MARK_START = "dynamiccluster:"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
_MEMORY = re.compile(r"(?:^|,)physmem=(\d+)kb(?:,|$)")
_SLOTS = re.compile(r"\d+(?:-\d+)?")
_MOST_SLOTS = 1 << 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Node:
    """One node record, in the scheduler's own words."""

    name: str
    words: frozenset[str]  # of its state
    slots: int
    properties: tuple[str, ...] = ()
    jobs: Mapping[str, int] = field(default_factory=dict)  # id -> slots
    note: str = ""
    reported: bool = False  # whether its MOM ever has
    memory_mib: int = 0
    gpus: int = 0
    asleep: bool = False
    template: bool = False
    taken: Capacity | None = None  # where the list tells it otherwise than by the jobs' slots

    @property
    def unsent(self) -> bool:
        """The server has not told the MOMs of it yet: until then it counts as offline by itself."""
        return "MOM-list-not-sent" in self.words

    @property
    def offline(self) -> bool:
        """Somebody holds it."""
        return "offline" in self.words and (not self.unsent or bool(self.note))

    @property
    def mark(self) -> str:
        """The text of its hold: ours without what follows it, another's as it stands."""
        return self.note.split()[0] if self.note.startswith(MARK_START) else self.note

    @property
    def state(self) -> HostState:
        found = {NODE_STATES.get(word, HostState.UNKNOWN) for word in self.words} or {HostState.UNKNOWN}
        state = next(state for state in WORST_FIRST if state in found)
        if state is HostState.DOWN and not self.reported:
            return HostState.JOINING
        return HostState.UNKNOWN if self.asleep and state is HostState.UP else state

    def host(self, is_ours: Callable[[str], bool]) -> Host:
        """What the engine is told of it."""
        return Host(
            self.name,
            self.state,
            Capacity(self.slots, self.memory_mib, self.gpus),
            self.taken or Capacity(sum(self.jobs.values())),
            tuple(self.jobs),
            bool(self.jobs),
            frozenset(self.properties),
            hold=self._hold(is_ours),
            detail=",".join(sorted(self.words)) + (f": {self.note}" if self.note else ""),
            template=self.template,
        )

    def _hold(self, is_ours: Callable[[str], bool]) -> Hold | None:
        if self.offline:
            return Hold(self.mark, is_ours(self.mark))
        return next((Hold(OTHER_HOLDS[word], False) for word in sorted(self.words) if word in OTHER_HOLDS), None)


@dataclass(frozen=True, slots=True)
class Nodes:
    """What one text of ``pbsnodes`` says."""

    nodes: tuple[Node, ...]
    dropped: tuple[str, ...] = ()

    def named(self, name: str) -> Node | None:
        return next((node for node in self.nodes if node.name == name), None)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(node.name for node in self.nodes)

    def templates(self, prefix: str) -> dict[str, frozenset[str]]:
        """Names of the placeholders by their shape: ``PREFIX-SHAPE-0007``."""
        found: dict[str, set[str]] = {}
        for node in self.nodes:
            if node.template:
                found.setdefault(template_shape(node.name, prefix), set()).add(node.name)
        return {shape: frozenset(names) for shape, names in found.items()}


def template_shape(name: str, prefix: str) -> str:
    return name[len(prefix) :].strip("-").partition("-")[0]


def parse_nodes(text: str, template_prefix: str) -> Nodes:
    """The nodes in the output of ``pbsnodes -x``.

    :raises ValueError: the text was cut off, or none of its records can be read.
    """
    return read_nodes((fields(record) for record in records(text, "Node")), template_prefix, _node)


def read_nodes(items: Iterable[_T], template_prefix: str, read: Callable[[_T, str], Node]) -> Nodes:
    """Each record as a node; one that cannot be read drops only itself.

    :raises ValueError: not one of them can be read.
    """
    nodes: list[Node] = []
    dropped: list[str] = []
    for item in items:
        try:
            nodes.append(read(item, template_prefix))
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
            dropped.append(f"a node was left out: {error!r}; its record begins {str(item)[:80]!r}")
    if dropped and not nodes:
        raise ValueError(f"none of {len(dropped)} nodes can be read: {dropped[0]}")
    return Nodes(tuple(nodes), tuple(dropped))


def _node(values: Mapping[str, str], template_prefix: str) -> Node:
    name = require_name(plain(values["name"]))
    status = values.get("status", "")
    memory = _MEMORY.search(status)
    return Node(
        name,
        frozenset(word.strip() for word in values["state"].split(",") if word.strip()),
        int(values["np"]),
        tuple(word.strip() for word in plain(values.get("properties", "")).split(",") if word.strip()),
        slots_by_job(plain(values.get("jobs", ""))),
        plain(values.get("note", "")).strip(),
        bool(status),
        int(memory[1]) // 1024 if memory else 0,
        int(values.get("gpus") or 0),
        values.get("power_state", "Running") != "Running",
        name.startswith(f"{template_prefix}-"),
    )


def require_name(name: str) -> str:
    """:raises ValueError: no host has such a name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:60]!r} is not the name of a host")
    return name


def slots_by_job(text: str) -> dict[str, int]:
    """``0-1,3/2.head,4/5.head`` or ``0/2.head, 1/2.head`` as slots of each job.

    :raises ValueError: it is no such list.
    """
    found: dict[str, int] = {}
    pending = 0
    for part in text.split(","):
        part = part.strip()
        if not part:
            continue
        slots, slash, job_id = part.partition("/")
        pending += slot_count(slots)
        if slash:
            found[job_id] = found.get(job_id, 0) + pending
            pending = 0
    if pending:
        raise ValueError(f"{text[:60]!r} ends without a job")
    return found


def slot_count(text: str) -> int:
    """``3`` is one, ``0-3`` four.

    :raises ValueError: neither, or absurd.
    """
    if not _SLOTS.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is not a range of slots")
    low, dash, high = text.partition("-")
    count = int(high) - int(low) + 1 if dash else 1
    if not 0 < count <= _MOST_SLOTS:
        raise ValueError(f"{text[:60]!r} is not a range of slots")
    return count
