"""What can go wrong with a site's scripts, call by call: the rows ``command`` of ``cloud_faults``, with scripts whose
launches may be repeated and with those whose launches may not."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from cloud_faults import LAUNCH, LIST, TERMINATE, Row, cells, go_through, named, rows
from cloud_rig import CloudRig
from engine_harness import Tap, on_virtual_time, resource

from dynamiccluster.clouds.command.adapter import CommandCloud, Parameters, Scripts
from dynamiccluster.errors import UnknownOutcomeError
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.action import NodeSpec


class ScriptSite:
    """A runner whose scripts keep machines in memory. ``fault``: what goes wrong, and with which script."""

    def __init__(self, *, repeatable: bool) -> None:
        self.repeatable = repeatable
        self.machines: dict[str, dict[str, Any]] = {}
        self.fault = ("", "")
        self.before: list[dict[str, Any]] = []  # what a stale list shows

    def living(self) -> set[str]:
        return {name for name, one in self.machines.items() if one["state"] != "gone"}

    def strike(self, row: Row, phase: str) -> None:
        self.fault = (row.how, LIST if row.lists_only else phase)
        self.before = [dict(one) for one in self.machines.values()]

    def calm(self) -> None:
        self.fault = ("", "")

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        max_output_bytes: int = 0,
    ) -> Completed:
        verb = argv[0]
        word = self.fault[0] if self.fault[1] == verb else ""
        asked = json.loads(stdin or "")
        if word in REFUSALS:
            return _done(argv, json.dumps({"error": {"class": word, "message": "sorry"}}), 1)
        if word == "5xx":
            return _done(argv, "<html>502 Bad Gateway</html>", 22)
        answer = {LAUNCH: self._launch, LIST: self._list, TERMINATE: self._terminate}[verb](asked)
        if word == "lost":
            return _done(argv, "", -9)
        if word == "hang":
            raise UnknownOutcomeError(f"{verb} did not end within {timeout_s:g} s and was killed")
        if word == "half":
            answer["instances"] = [*answer["instances"][:1], {"state": "active"}]
        if word == "tomorrow":
            answer = json.loads(json.dumps(answer).replace('"created_at": 1.0', f'"created_at": {time.time() + 86400}'))
        if word == "stale":
            answer["instances"] = self.before
        return _done(argv, json.dumps(answer), 0)

    def _launch(self, asked: dict[str, Any]) -> dict[str, Any]:
        first = [one for one in self.machines.values() if one["launch_id"] == asked["launch_id"]]
        if self.repeatable and first:
            return {"instances": first}
        new = [
            {
                "id": f"m{len(self.machines) + number}",
                "state": "active",
                "cluster_id": asked["cluster_id"],
                "launch_id": asked["launch_id"],
                "resource": asked["resource"]["name"],
                "created_at": 1.0,
                **{key: node[key] for key in ("node_id", "host_name")},
            }
            for number, node in enumerate(asked["nodes"])
        ]
        self.machines |= {one["id"]: one for one in new}
        return {"instances": new}

    def _list(self, _asked: dict[str, Any]) -> dict[str, Any]:
        return {"instances": list(self.machines.values())}

    def _terminate(self, asked: dict[str, Any]) -> dict[str, Any]:
        for name in asked["instance_ids"]:
            self.machines[name]["state"] = "gone"
        return {}


def _done(argv: Sequence[str], text: str, code: int) -> Completed:
    return Completed(tuple(argv), code, text, "", 0.1)


REFUSALS = ("capacity", "quota", "throttled", "auth")
both = pytest.mark.parametrize("repeatable", [True, False], ids=["repeatable", "not repeatable"])


def scripted(site: ScriptSite, clock: Clock) -> CommandCloud:
    scripts = Scripts((LIST,), (LAUNCH,), (TERMINATE,))
    return CommandCloud(site, clock, "c1", "t", scripts, {"r": Parameters()}, idempotent=site.repeatable)


class ScriptRig(CloudRig):
    """An engine on virtual time with this cloud."""

    def __init__(self, site: ScriptSite) -> None:
        super().__init__(site)
        self.cloud = Tap(scripted(site, self.clock))


@pytest.mark.parametrize("cell", cells("command"), ids=named)
def test_what_the_adapter_raises(cell: tuple[str, str]) -> None:
    name, phase = cell
    row, site = rows("command")[name], ScriptSite(repeatable=False)
    cloud = scripted(site, SystemClock())
    (machine,) = cloud.launch("before", resource("r"), [NodeSpec("n0", "r-0")])
    site.strike(row, phase)
    act = {
        LAUNCH: lambda: cloud.launch("l", resource("r"), [NodeSpec("n1", "r-1")]),
        LIST: cloud.list_instances,
        TERMINATE: lambda: cloud.terminate([machine.instance_id]),
    }[phase]
    expected = row.raised(phase)
    if expected is None:
        act()
        return
    with pytest.raises(expected) as raised:
        act()
    assert type(raised.value) is expected
    if phase == LAUNCH and expected is not UnknownOutcomeError:
        assert site.living() == {machine.instance_id}  # a refusal is one


@both
@pytest.mark.parametrize("name", list(rows("command")))
@on_virtual_time
async def test_promises_hold(name: str, repeatable: bool) -> None:
    row, site = rows("command")[name], ScriptSite(repeatable=repeatable)
    await go_through(ScriptRig(site), row, lambda phase: site.strike(row, phase), site.calm)
