"""Tenancies that nodes still use must not be taken away or moved under them, and if they are it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import node
from config_files import loaded
from engine_harness import Rig, on_virtual_time, policy, resource
from test_engine_life import reconfigure

from dynamiccluster.config.tenancies import lost
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.plan import Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.worker_node import NodeState

GENERAL = "dynamic-cluster: {cluster_id: c}\ncluster: {type: simulated}\ncloud:\n"
LOCAL = "    capacity: {cores: 1, memory_mib: 900}\n    config: {worker_command: [slurmd]"
SIMULATED = "    capacity: {cores: 1}\n"


def settings(directory: Path, *sections: str):
    return loaded(directory, GENERAL + "".join(sections)).settings


def entry(name: str, kind: str, rest: str, maximum: int = 2) -> str:
    return f"  {name}:\n    type: {kind}\n    quantity: {{max: {maximum}}}\n{rest}"


def test_a_tenancy_in_use_may_not_leave(tmp_path: Path) -> None:
    both = settings(tmp_path, entry("a", "simulated", SIMULATED), entry("b", "local", LOCAL + "}\n"))
    one = settings(tmp_path, entry("a", "simulated", SIMULATED))
    assert lost(both, one, {"local": 3, "simulated": 1}) == {"local": "is not there any more"}
    assert not lost(both, one, {"simulated": 1})
    assert not lost(one, both, {"local": 3})  # it was not configured before either


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ("", None),
        (", max_instances: 3", None),
        (", instance_name_prefix: other", None),
        (", state_dir: /elsewhere", "has another state_dir"),
        (", network: 10.99.0.0/24, network_namespace: n", "has another network, network_namespace"),
    ],
)
def test_a_tenancy_in_use_may_not_point_elsewhere(tmp_path: Path, more: str, wrong: str | None) -> None:
    old = settings(tmp_path, entry("a", "local", LOCAL + "}\n"))
    new = settings(tmp_path, entry("a", "local", LOCAL + more + "}\n", maximum=9))
    assert lost(old, new, ["local"]) == ({"local": wrong} if wrong else {})
    assert not lost(old, new, [])


def test_another_type_of_the_same_name_is_elsewhere(tmp_path: Path) -> None:
    old = settings(tmp_path, entry("a", "simulated", "    tenancy: x\n" + SIMULATED))
    new = settings(tmp_path, entry("a", "local", "    tenancy: x\n" + LOCAL + "}\n"))
    assert lost(old, new, ["x"]) == {"x": "has another type"}


def test_who_needs_a_tenancy() -> None:
    nodes = [
        node("n1", NodeState.REQUESTED),
        node("n2", NodeState.TERMINATING, tenancy="u"),
        node("n3", NodeState.FORGETTING, tenancy="v"),
    ]
    model = ReadModel(0.0, Snapshot(1, Memory(), {one.node_id: one for one in nodes}), Policy("c", {}))
    assert model.nodes_by_tenancy == {"t": 1, "u": 1}


@on_virtual_time
async def test_a_start_without_a_tenancy_that_nodes_use_warns_of_them() -> None:
    rig = Rig(policy(resource(), resource("s", "u", cores=16)))
    rig.run()
    made = await rig.a_node()
    assert made.tenancy == "t"
    await rig.kill()
    rig.rules = policy(resource("s", "u", cores=16))
    del rig.clouds["t"]
    rig.start_engine()
    async with rig:
        await rig.sleep(60.0)
        warnings = [event.text for event in rig.store.history() if event.kind is EventKind.WARNING]
    assert warnings == [f"tenancy 't' is not configured: its node(s) {made.host_name} can neither be seen nor ended"]


@on_virtual_time
async def test_a_reload_that_does_it_all_the_same_warns_too() -> None:
    async with Rig() as rig:
        await rig.a_node()
        await reconfigure(rig, policy(resource("s", "u")))
        await rig.sleep(60.0)
        assert any("tenancy 't' is not configured" in text for text in rig.store.texts())
