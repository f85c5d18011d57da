"""What an agent on a machine says of it: ``/api/v1/nodes/NODE/notice``."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from http import HTTPStatus

from dynamiccluster.api import schemas
from dynamiccluster.api.declare import operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.problems import ApiError
from dynamiccluster.api.tokens import Role
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.worker_node import WorkerNode

KINDS = {"reclaim": CommandKind.RECLAIM, "rebalance": CommandKind.REBALANCE}

RESOLVING_S = 5.0
"""How long the names of a node may take to look up: the agent asks again, and its curl waits 20 s."""


class NodeNotice(ApiHandler):
    @operation(
        "say that its cloud will, or may, take the machine away; a notice that is repeated counts once",
        schemas.ChangeDoc,
        body=schemas.NoticeRequest,
        agents=True,
        also=(404,),
    )
    async def post(self, name: str) -> None:
        wish = self.body(schemas.NoticeRequest)
        if self.caller.role < Role.OPERATOR:
            name = (await self._own_node(name)).node_id
        self.changed(await self.carry_out(KINDS[wish.kind], name))

    async def _own_node(self, name: str) -> WorkerNode:
        """The node that an agent speaks of, if it is its own: users of a node may get hold of what stands there.

        :raises ApiError: 403, whether or not there is such a node.
        """
        node = self.model.node(name)
        if node is None or not (self._token_is_of(node) or await self._runs_on(node)):
            text = f"an agent may speak for its own node only, and {self.request.remote_ip} is not known as that one's"
            raise ApiError(HTTPStatus.FORBIDDEN, "not-this-node", text)
        return node

    def _token_is_of(self, node: WorkerNode) -> bool:
        return self.caller.token is not None and self.caller.token.name in {node.host_name, node.node_id}

    async def _runs_on(self, node: WorkerNode) -> bool:
        """Whether the request came from the node's address, which its cloud told; if none is known, from its name's."""
        peer = _address(str(self.request.remote_ip))
        known = _address(node.address)
        if known is not None:
            return peer == known
        return peer is not None and peer in await _resolved(node.address or node.host_name)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """``None`` if it is none. IPv4 in the form of IPv6 is IPv4."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


async def _resolved(name: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address | None]:
    """The addresses of a name; none if that is not known in time."""
    if not name:
        return set()
    asking = asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    try:
        answers = await asyncio.wait_for(asking, RESOLVING_S)
    except (OSError, UnicodeError):  # a time-out is an OSError
        return set()
    return {_address(str(answer[4][0])) for answer in answers} - {None}
