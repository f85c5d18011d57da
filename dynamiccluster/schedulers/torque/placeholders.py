"""Node records that stand for shapes: they make ``qsub`` accept jobs that no node fits yet.

Torque refuses a job at submission, and ``pbs_sched`` deletes a waiting one, if the *defined* nodes could never hold it;
nodes that are down or offline count. So for each shape there are as many records as its resources have nodes at most,
named ``PREFIX-SHAPE-0001``, with nothing behind them. Their names must resolve when they are created, so each gets an
address of its own in 127.0.0.0/8, where the server's calls are refused at once. They are held offline with our mark
as soon as the server lets them be (it does not for 10 to 12 s); until then, and without a MOM, they are down.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence

from dynamiccluster.errors import BadConfigError, DynamicClusterError, NotFoundError, TransientError
from dynamiccluster.schedulers.torque.calls import TorqueCalls, UnresolvedError
from dynamiccluster.schedulers.torque.dialects import Dialect, NodeAttributes, stands_for
from dynamiccluster.schedulers.torque.nodes_parse import Node, Nodes

log = logging.getLogger(__name__)

_AT_ONCE = 25
"""So many are held per call of :meth:`Placeholders.finish`, which is in the way of something else."""


class Placeholders:
    """``limit``: at most so many per shape, 0 for none. ``resolve``: makes a name known, with its address."""

    def __init__(
        self,
        calls: TorqueCalls,
        dialect: Dialect,
        read: Callable[[], Nodes],
        *,
        prefix: str,
        limit: int,
        mark: str,
        resolve: Callable[[str, str], None] | None,
    ) -> None:
        self._calls = calls
        self._dialect = dialect
        self._read = read
        self._prefix = prefix
        self._limit = limit
        self._mark = mark
        self._resolve = resolve
        self._open: set[str] = set()  # not held yet

    @property
    def wanted(self) -> bool:
        return self._dialect.picky and self._limit > 0

    def provide(self, shapes: Sequence[tuple[NodeAttributes, int]]) -> None:
        """Have at least so many of each shape.

        :raises BadConfigError: a shape is of no use, or names do not resolve; other shapes are provided all the same.
        """
        self._open.clear()
        numbers: dict[NodeAttributes, int] = {}
        problems: list[str] = []
        for attributes, number in shapes:
            if attributes.slots <= 0:
                problems.append("a resource without cores cannot be declared to Torque")
            elif number > 0:
                numbers[attributes] = max(numbers.get(attributes, 0), min(number, self._limit))
        nodes = self._read()
        there = {node.name: node for node in nodes.nodes if node.template}
        for attributes, number in numbers.items():
            try:
                for name in self._names(attributes, number):
                    self._make(name, attributes, there.get(name))
            except BadConfigError as error:
                problems.append(str(error))
        if problems:
            raise BadConfigError("; ".join(dict.fromkeys(problems)))

    def keep_shape(self, node: Node, nodes: Nodes, anybody_waits: Callable[[], bool]) -> None:
        """Before ``node`` goes: if nothing can stand for it, leave a record behind for the jobs that wait."""
        if not self.wanted or any(stands_for(other, node) for other in nodes.nodes) or not anybody_waits():
            return
        attributes = NodeAttributes(node.slots, node.gpus, frozenset(node.properties))
        (name,) = self._names(attributes, 1)
        self._make(name, attributes, nodes.named(name))

    def finish(self) -> None:
        """Hold those that could not be held when they were made. What fails now is tried again the next time."""
        for name in sorted(self._open)[:_AT_ONCE]:
            try:
                self._hold(name)
            except NotFoundError:
                self._open.discard(name)
            except DynamicClusterError as error:
                log.debug("placeholder %s: %s", name, error)
                return

    def _make(self, name: str, attributes: NodeAttributes, node: Node | None) -> None:
        if node is None:
            if self._resolve is not None:
                self._resolve(name, address_of(name))
            try:
                self._calls.create(name)
            except UnresolvedError as error:
                raise BadConfigError(
                    f"the placeholder {name} is refused: {error}; its name must resolve on the server's host (names: "
                    "of the configuration, or entries of the site's own), or set template_limit to 0"
                ) from error
            node = Node(name, frozenset({"MOM-list-not-sent"}), 1)
        for attribute, operator, value in self._dialect.changes(attributes, node):
            self._calls.set_node(name, attribute, operator, value)
        if node.offline:
            return
        if self._open:  # one of them was refused a moment ago: the others would be, too
            self._open.add(name)
            return
        try:
            self._hold(name)
        except TransientError:
            self._open.add(name)

    def _hold(self, name: str) -> None:
        for options in self._dialect.hold(self._mark):
            self._calls.mark_node(options, name)
        self._open.discard(name)

    def _names(self, attributes: NodeAttributes, number: int) -> list[str]:
        shape = hashlib.sha256(attributes.words().encode()).hexdigest()[:8]
        return [f"{self._prefix}-{shape}-{at:04d}" for at in range(1, number + 1)]


def address_of(name: str) -> str:
    """An address on this host's loopback that hardly any other placeholder has, and nobody listens on."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"127.{digest[0] % 254 + 1}.{digest[1]}.{digest[2] % 254 + 1}"
