"""What a scheduler's power-saving programs tell: which hosts it switches on or off now."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dynamiccluster.api import schemas
from dynamiccluster.api.declare import operation
from dynamiccluster.api.handlers.base import ApiHandler
from dynamiccluster.api.problems import bad_field
from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.hostlist import expand
from dynamiccluster.kit.hostname import require_host_name

SHOWN = 200
"""Characters of a host list that the history keeps."""


class PowerRequest(schemas.Request):
    """``hosts`` as the scheduler writes them: ``pc-[0001-0020],gpu-0003``."""

    wants: Literal["resume", "suspend"]
    hosts: str = Field(min_length=1, max_length=60_000)


class Power(ApiHandler):
    """A nudge with a note. The scheduler's own states say what is to be done, so nothing depends on this call."""

    @operation(
        "a scheduler's power saving says what it wants: a nudge that stands in the history",
        schemas.ChangeDoc,
        body=PowerRequest,
    )
    def post(self) -> None:
        told = self.body(PowerRequest)
        number = len(_names(told.hosts))
        shown = told.hosts if len(told.hosts) <= SHOWN else f"{told.hosts[:SHOWN]}..."
        note = f"the scheduler's power saving wants to {told.wants} {number} host(s): {shown}"
        self.context.service.nudge("scheduler", note=note, actor=self.caller.name)
        self.answer(schemas.ChangeDoc(message=f"the scheduler will be polled at once ({number} host(s))"))


def _names(hosts: str) -> tuple[str, ...]:
    try:
        names = expand(hosts)
        for name in names:
            require_host_name(name)
    except (ValueError, BadConfigError) as error:
        raise bad_field("hosts", f"a list of host names such as pc-[0001-0020]; {error}") from error
    return names
