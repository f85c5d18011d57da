"""What an agent on a machine says of it: ``/api/v1/nodes/NODE/notice``."""

from __future__ import annotations

from dynamiccluster.api import schemas
from dynamiccluster.api.declare import operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.model.command import CommandKind

KINDS = {"reclaim": CommandKind.RECLAIM, "rebalance": CommandKind.REBALANCE}


class NodeNotice(ApiHandler):
    @operation(
        "say that its cloud will, or may, take the machine away; a notice that is repeated counts once",
        schemas.ChangeDoc,
        body=schemas.NoticeRequest,
        also=(404,),
    )
    async def post(self, name: str) -> None:
        wish = self.body(schemas.NoticeRequest)
        self.changed(await self.carry_out(KINDS[wish.kind], name))
