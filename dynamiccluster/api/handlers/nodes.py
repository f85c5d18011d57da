"""Worker nodes: ``/workernode`` and ``/api/v1/nodes``."""

from __future__ import annotations

from http import HTTPStatus

from dynamiccluster.api import schemas
from dynamiccluster.api.handlers.base import MAX_PAGE, ApiHandler
from dynamiccluster.api.pictures import original
from dynamiccluster.api.pictures.nodes import node_detail, node_list
from dynamiccluster.api.problems import ApiError, bad_field, not_found
from dynamiccluster.api.tokens import Role
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.event import EventQuery
from dynamiccluster.model.worker_node import ORIGINAL_NAME, NodeState, WorkerNode

ACTIONS = {"hold": CommandKind.HOLD, "unhold": CommandKind.UNHOLD, "vacate": CommandKind.VACATE}
STATE_WORDS = tuple(dict.fromkeys((*NodeState, *map(str.lower, ORIGINAL_NAME), *map(str, range(len(ORIGINAL_NAME))))))
"""Our states, then the original's names and numbers."""
_HISTORY = 50


class _NodeHandler(ApiHandler):
    async def find(self, name: str) -> WorkerNode:
        """The node with this id or host name; else 404, which says where to read of one that has left."""
        node = self.model.node(name)
        if node is None:
            past = await self.within_limit(self.context.service.events(EventQuery(limit=1, node_id=name)))
            raise not_found(
                "worker node", name, f"it has left, see `events --node {name[:100]}`" if past.events else ""
            )
        return node


class WorkerNodes(ApiHandler):
    """The original's list, whole, sent in pieces."""

    async def get(self) -> None:
        text = self.word("state")
        if text and not (text.isascii() and text.isdigit() and int(text[:6]) < len(ORIGINAL_NAME)):
            raise bad_field("state", f"a number from 0 to {len(ORIGINAL_NAME) - 1}")
        nodes = original.worker_nodes(self.model, self.now, int(text) if text else None)
        await self.stream_list(make() for make in nodes)


class WorkerNodeOne(_NodeHandler):
    async def get(self, name: str) -> None:
        node = await self.find(name)
        self.plain(original.worker_node(self.model, node, self.now, original.instances(self.model)))

    async def delete(self, name: str) -> None:
        await self.carry_out(CommandKind.DELETE, (await self.find(name)).node_id)
        self.plain({"success": True})


class WorkerNodeAction(_NodeHandler):
    async def put(self, name: str, action: str) -> None:
        node = await self.find(name)
        if action not in ACTIONS:
            raise ApiError(HTTPStatus.NOT_FOUND, "not-found", f"a node can be told: {', '.join(ACTIONS)}")
        await self.carry_out(ACTIONS[action], node.node_id)
        self.plain({"success": True})


class Nodes(ApiHandler):
    takes = frozenset({"limit", "after", "state", "resource"})

    def get(self) -> None:
        limit = self.number("limit", 500, 1, MAX_PAGE)
        states, resource, after = self.words_of("state", STATE_WORDS), self.word("resource"), self.word("after")
        known = {*self.model.policy.resources, *(node.resource for node in self.model.snapshot.nodes.values())}
        if resource and resource not in known:
            raise bad_field("resource", f"one of {', '.join(sorted(known))}")
        self.answer(node_list(self.model, self.now, states, resource, limit, after))


class NodeOne(_NodeHandler):
    takes = frozenset({"force"})

    async def get(self, name: str) -> None:
        node = await self.find(name)
        model = self.model
        events = await self.within_limit(self.context.service.events(EventQuery(limit=_HISTORY, node_id=node.node_id)))
        self.answer(node_detail(model, node, events, self.now))

    async def delete(self, name: str) -> None:
        node = await self.find(name)
        self.changed(await self.carry_out(CommandKind.DELETE, node.node_id, force=self.flag("force")))


class NodeAction(_NodeHandler):
    async def post(self, name: str, action: str) -> None:
        self.changed(await self.carry_out(ACTIONS[action], (await self.find(name)).node_id))


class NodeConsole(_NodeHandler):
    """The console's last lines, asked of the cloud now: for those who may change things, as logs can tell secrets."""

    async def post(self, name: str) -> None:
        node = await self.find(name)
        text = await self.within_limit(self.context.service.console_tail(node.node_id))
        self.answer(schemas.ConsoleDoc(node_id=node.node_id, text=text))


class Adopt(ApiHandler):
    needs = Role.ADMIN

    async def post(self) -> None:
        wish = self.body(schemas.AdoptRequest)
        reply = await self.carry_out(CommandKind.ADOPT, wish.host, resource=wish.resource, instance_id=wish.instance_id)
        self.changed(reply)
