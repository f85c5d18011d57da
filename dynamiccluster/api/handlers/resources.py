"""Resources: ``/resource`` and ``/api/v1/resources``."""

from __future__ import annotations

from http import HTTPStatus

from dynamiccluster.api import schemas
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pictures import original
from dynamiccluster.api.pictures.resources import resource_doc
from dynamiccluster.api.problems import ApiError, not_found
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.resource import Resource

ACTIONS = {"freeze": CommandKind.FREEZE, "restore": CommandKind.RESTORE, "drain": CommandKind.DRAIN}
OUR_ACTIONS = {**ACTIONS, "reset": CommandKind.RESET}
_MOST = 100_000


class _ResourceHandler(ApiHandler):
    def find(self, name: str) -> Resource:
        resource = self.model.policy.resources.get(name)
        if resource is None:
            raise not_found("resource", name)
        return resource


class OriginalResources(ApiHandler):
    def get(self) -> None:
        model, now = self.model, self.now
        config, listed = self.context.service.config_document(), original.instances(model)
        resources = model.policy.resources.values()
        self.plain([original.resource(model, one, config, now, listed) for one in resources])


class OriginalResourceOne(_ResourceHandler):
    def get(self, name: str) -> None:
        resource, model = self.find(name), self.model
        config = self.context.service.config_document()
        self.plain(original.resource(model, resource, config, self.now, original.instances(model)))

    async def put(self, name: str) -> None:
        """Launch ``num`` nodes."""
        resource = self.find(name)
        await self.carry_out(CommandKind.LAUNCH, resource.name, count=self.number("num", 1, 1, _MOST))
        self.plain({"success": True})


class OriginalResourceAction(_ResourceHandler):
    async def put(self, name: str, action: str) -> None:
        resource = self.find(name)
        if action not in ACTIONS:
            raise ApiError(HTTPStatus.NOT_FOUND, "not-found", f"a resource can be told: {', '.join(ACTIONS)}")
        await self.carry_out(ACTIONS[action], resource.name)
        self.plain({"success": True})


class Resources(ApiHandler):
    def get(self) -> None:
        model = self.model
        docs = [resource_doc(model, resource) for resource in model.policy.resources.values()]
        docs.sort(key=lambda doc: (doc.priority, doc.name))
        self.answer(schemas.ResourceList(resources=docs))


class ResourceOne(_ResourceHandler):
    def get(self, name: str) -> None:
        self.answer(resource_doc(self.model, self.find(name)))


class ResourceLaunch(_ResourceHandler):
    async def post(self, name: str) -> None:
        resource = self.find(name)
        count = self.body(schemas.LaunchRequest).count
        self.changed(await self.carry_out(CommandKind.LAUNCH, resource.name, count=count))


class ResourceAction(_ResourceHandler):
    async def post(self, name: str, action: str) -> None:
        self.changed(await self.carry_out(OUR_ACTIONS[action], self.find(name).name))
