"""Worker nodes: ``/workernode`` and ``/api/v1/nodes``."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from dynamiccluster.api import original_shapes, schemas, schemas_watch
from dynamiccluster.api.declare import Param, flag, number, one_of, operation, word, words
from dynamiccluster.api.handlers.base import AFTER, LIMIT, OFFSET, ApiHandler
from dynamiccluster.api.pictures import original, rows
from dynamiccluster.api.pictures.nodes import node_detail, node_list
from dynamiccluster.api.problems import ApiError, bad_field, not_found, of_error
from dynamiccluster.api.tokens import Role
from dynamiccluster.api.versions import Topic
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.event import EventQuery
from dynamiccluster.model.worker_node import ORIGINAL_NAME, NodeState, WorkerNode

ACTIONS = {"hold": CommandKind.HOLD, "unhold": CommandKind.UNHOLD, "vacate": CommandKind.VACATE}
STATE_WORDS = tuple(dict.fromkeys((*NodeState, *map(str.lower, ORIGINAL_NAME), *map(str, range(len(ORIGINAL_NAME))))))
"""Our states, then the original's names and numbers."""
_HISTORY = 50


def _number(text: str) -> int:
    """The original's empty ``state`` is none."""
    return number("state", 0, 0, len(ORIGINAL_NAME) - 1).read(text) if text else -1


NUMBER = Param(
    "state",
    _number,
    -1,
    f"a number from 0 to {len(ORIGINAL_NAME) - 1}",
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": len(ORIGINAL_NAME) - 1}, {"const": ""}]},
    "only nodes in this state",
)
STATE = words("state", STATE_WORDS, "only nodes in these states: ours, or the original's names or numbers")
RESOURCE = word("resource", "only nodes of this resource")
TEXT = word("q", "only with this text in id, name, address, machine or resource")
SORT = one_of(
    "sort", [sign + name for name in rows.NODE_SORTS for sign in ("", "-")], "a field, - before it: downwards"
)
FORCE = flag("force", "a working node is held now and removed once it is empty")


class _NodeHandler(ApiHandler):
    async def find(self, name: str) -> WorkerNode:
        """The node with this id or host name; else 404, which says where to read of one that has left."""
        node = self.model.node(name)
        if node is None:
            past = await self.within_limit(self.context.service.events(EventQuery(limit=1, node_id=name)))
            left = f"it has left, see `events --node {name[:100]}`"
            raise not_found("worker node", name, left if past.events else "`dynamiccluster nodes` lists them")
        return node


class WorkerNodes(ApiHandler):
    """The original's list, whole, sent in pieces."""

    @operation("all worker nodes", original_shapes.WORKER_NODES, takes=(NUMBER,), also=(400,))
    async def get(self) -> None:
        number = self.asked(NUMBER)
        nodes = original.worker_nodes(self.model, self.now, None if number < 0 else number)
        await self.stream_list(make() for make in nodes)


class WorkerNodeOne(_NodeHandler):
    @operation("one worker node", original_shapes.WORKER_NODE, also=(503, 504))
    async def get(self, name: str) -> None:
        node = await self.find(name)
        self.plain(original.worker_node(self.model, node, self.now, original.instances(self.model)))

    @operation("remove it; held, broken or starting nodes only: 400 says to hold it first", original_shapes.SUCCESS)
    async def delete(self, name: str) -> None:
        await self.carry_out(CommandKind.DELETE, (await self.find(name)).node_id)
        self.plain({"success": True})


class WorkerNodeAction(_NodeHandler):
    @operation("`hold`, `unhold` or `vacate` it", original_shapes.SUCCESS)
    async def put(self, name: str, action: str) -> None:
        node = await self.find(name)
        if action not in ACTIONS:
            raise ApiError(HTTPStatus.NOT_FOUND, "not-found", f"a node can be told: {', '.join(ACTIONS)}")
        await self.carry_out(ACTIONS[action], node.node_id)
        self.plain({"success": True})


class Nodes(ApiHandler):
    @operation(
        "worker nodes, page by page",
        schemas.NodeList,
        takes=(LIMIT, OFFSET, AFTER, STATE, RESOURCE, TEXT, SORT),
    )
    def get(self) -> None:
        model, now = self.model, self.now
        wanted = rows.Wanted(
            states=self.asked(STATE),
            resource=self.asked(RESOURCE),
            text=self.asked(TEXT).lower(),
            sort=self.asked(SORT),
        )
        if wanted.resource:
            known = {*model.policy.resources, *model.nodes_by_resource}
            if wanted.resource not in known:
                raise bad_field("resource", f"one of {', '.join(sorted(known))}")
        window = self.window(wanted)
        version = self.context.versions.tag(model, Topic.NODES)

        def make() -> schemas.NodeList:
            found = self.context.cache.order((version, wanted), lambda: rows.nodes(model, wanted))
            return node_list(model, now, rows.page(found, window, lambda node: node.node_id, rows.by_name), version)

        self.versioned(make, Topic.NODES)

    @operation(
        "`hold`, `unhold`, `vacate` or `delete` up to 200 nodes at once; each is answered for",
        schemas_watch.BulkDoc,
        body=schemas_watch.BulkRequest,
    )
    async def post(self) -> None:
        wish = self.body(schemas_watch.BulkRequest)
        kind = CommandKind.DELETE if wish.action == "delete" else ACTIONS[wish.action]
        done, refused, known = [], [], {}
        for name in dict.fromkeys(wish.nodes):
            node = self.model.node(name)
            if node is None:
                text = "there is no such worker node"
                refused.append(schemas_watch.RefusedDoc(node=name, code="not-found", message=text))
            else:
                known[node.node_id] = name
        replies = await asyncio.gather(
            *(self.carry_out(kind, node_id, force=wish.force and wish.action == "delete") for node_id in known),
            return_exceptions=True,
        )
        for (node_id, name), reply in zip(known.items(), replies, strict=True):
            if not isinstance(reply, BaseException):
                done.append(node_id)
            elif isinstance(reply, ApiError | DynamicClusterError):
                told = reply if isinstance(reply, ApiError) else of_error(reply)
                refused.append(schemas_watch.RefusedDoc(node=name, code=told.code, message=told.message))
            else:
                raise reply
        self.answer(schemas_watch.BulkDoc(done=done, refused=refused))


class NodeOne(_NodeHandler):
    @operation(
        "one worker node (id or host name), with its host, its machine, the action under way, its history",
        schemas.NodeDetail,
        also=(503, 504),
    )
    async def get(self, name: str) -> None:
        node = await self.find(name)
        model = self.model
        events = await self.within_limit(self.context.service.events(EventQuery(limit=_HISTORY, node_id=node.node_id)))
        self.answer(node_detail(model, node, events, self.now))

    @operation("remove it; a working node only with `force`", schemas.ChangeDoc, takes=(FORCE,))
    async def delete(self, name: str) -> None:
        force = self.asked(FORCE)
        node = await self.find(name)
        self.changed(await self.carry_out(CommandKind.DELETE, node.node_id, force=force))


class NodeAction(_NodeHandler):
    @operation("hold it, take the hold away, or empty and remove it", schemas.ChangeDoc)
    async def post(self, name: str, action: str) -> None:
        self.changed(await self.carry_out(ACTIONS[action], (await self.find(name)).node_id))


class NodeConsole(_NodeHandler):
    """For those who may change things, as logs can tell secrets."""

    @operation("the console's last lines, asked of the cloud now", schemas.ConsoleDoc)
    async def post(self, name: str) -> None:
        node = await self.find(name)
        text = await self.within_limit(self.context.service.console_tail(node.node_id))
        self.answer(schemas.ConsoleDoc(node_id=node.node_id, text=text))


class Adopt(ApiHandler):
    @operation("take a host in as a node", schemas.ChangeDoc, body=schemas.AdoptRequest, role=Role.ADMIN, also=(404,))
    async def post(self) -> None:
        wish = self.body(schemas.AdoptRequest)
        reply = await self.carry_out(CommandKind.ADOPT, wish.host, resource=wish.resource, instance_id=wish.instance_id)
        self.changed(reply)
