"""Resources: ``/resource`` and ``/api/v1/resources``."""

from __future__ import annotations

from http import HTTPStatus

from dynamiccluster.api import original_shapes, schemas
from dynamiccluster.api.declare import number, operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.pictures import original
from dynamiccluster.api.pictures.resources import resource_doc
from dynamiccluster.api.problems import ApiError
from dynamiccluster.api.versions import Topic
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.wording import unknown

ACTIONS = {"freeze": CommandKind.FREEZE, "restore": CommandKind.RESTORE, "drain": CommandKind.DRAIN}
OUR_ACTIONS = {**ACTIONS, "reset": CommandKind.RESET}
NUM = number("num", 1, 1, 100_000, "how many")


class _ResourceHandler(ApiHandler):
    def find(self, name: str) -> Resource:
        resource = self.model.policy.resources.get(name)
        if resource is None:
            text = unknown("resource", name[:100], self.model.policy.resources)
            raise ApiError(HTTPStatus.NOT_FOUND, "not-found", text)
        return resource


class OriginalResources(ApiHandler):
    @operation("resources with their worker nodes", original_shapes.RESOURCES)
    def get(self) -> None:
        model, now = self.model, self.now
        config, listed = self.context.service.config_document(), original.instances(model)
        resources = model.policy.resources.values()
        self.plain([original.resource(model, one, config, now, listed) for one in resources])


class OriginalResourceOne(_ResourceHandler):
    @operation("one resource with its worker nodes", original_shapes.RESOURCE)
    def get(self, name: str) -> None:
        resource, model = self.find(name), self.model
        config = self.context.service.config_document()
        self.plain(original.resource(model, resource, config, self.now, original.instances(model)))

    @operation("launch `num` nodes; 400 beyond the maximum", original_shapes.SUCCESS, takes=(NUM,))
    async def put(self, name: str) -> None:
        resource = self.find(name)
        await self.carry_out(CommandKind.LAUNCH, resource.name, count=self.asked(NUM))
        self.plain({"success": True})


class OriginalResourceAction(_ResourceHandler):
    @operation("`freeze`, `restore` or `drain` it", original_shapes.SUCCESS)
    async def put(self, name: str, action: str) -> None:
        resource = self.find(name)
        if action not in ACTIONS:
            raise ApiError(HTTPStatus.NOT_FOUND, "not-found", f"a resource can be told: {', '.join(ACTIONS)}")
        await self.carry_out(ACTIONS[action], resource.name)
        self.plain({"success": True})


class Resources(ApiHandler):
    @operation("limits, flag, breaker, back-offs, quota, offers, cost of every resource", schemas.ResourceList)
    def get(self) -> None:
        model = self.model

        def make() -> schemas.ResourceList:
            docs = [resource_doc(model, resource) for resource in model.policy.resources.values()]
            docs.sort(key=lambda doc: (doc.priority, doc.name))
            return schemas.ResourceList(resources=docs)

        self.versioned(make, Topic.RESOURCES)


class ResourceOne(_ResourceHandler):
    @operation("one resource", schemas.ResourceDoc)
    def get(self, name: str) -> None:
        self.answer(resource_doc(self.model, self.find(name)))


class ResourceLaunch(_ResourceHandler):
    @operation("launch so many nodes", schemas.ChangeDoc, body=schemas.LaunchRequest)
    async def post(self, name: str) -> None:
        resource = self.find(name)
        count = self.body(schemas.LaunchRequest).count
        self.changed(await self.carry_out(CommandKind.LAUNCH, resource.name, count=count))


class ResourceAction(_ResourceHandler):
    @operation("keep it as it is, undo that, empty it, or forget its failures", schemas.ChangeDoc)
    async def post(self, name: str, action: str) -> None:
        self.changed(await self.carry_out(OUR_ACTIONS[action], self.find(name).name))
