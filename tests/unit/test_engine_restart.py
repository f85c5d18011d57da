"""One engine after another on the same store: whatever was open is looked up, nothing is bought twice."""

from __future__ import annotations

from collections import Counter

import pytest
from engine_harness import Rig, TestStore, on_virtual_time, policy, resource

from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.worker_node import NodeState

S = NodeState


@pytest.mark.parametrize("reached", [True, False])
@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("launch r", ActionKind.LAUNCH),
        ("host-add", ActionKind.HOST_ADD),
        ("hold", ActionKind.HOLD),
        ("host-remove", ActionKind.HOST_REMOVE),
        ("terminate 1 machine(s)", ActionKind.TERMINATE),
    ],
)
@on_virtual_time
async def test_restart_with_an_open_action(call: str, kind: ActionKind, reached: bool) -> None:
    """The process dies while this call is out; the call may have reached anybody or not."""
    rig = Rig(policy(resource(min_nodes=0)))
    rig.bridge.hang |= {call, f"{call} r-abcd0001"}
    rig.bridge.takes_effect = reached
    rig.run()
    rig.submit(run_s=60.0)
    await rig.until(lambda: [one for one in rig.store.load().open_actions if one.kind is kind])
    await rig.sleep(1.0)
    await rig.kill()
    (open_action,) = rig.store.load().open_actions
    assert open_action.kind is kind
    await rig.sleep(30.0)
    rig.start_engine()
    async with rig:
        await rig.until(lambda: rig.ended() == 1)
        await rig.until(lambda: not rig.machines() and not rig.nodes)
        assert rig.built() == 1
        assert not rig.queue.hosts
        await rig.until(lambda: not rig.store.load().open_actions, within_s=10.0)
        assert any("1 action(s) without a recorded reply" in text for text in rig.store.texts())


@pytest.mark.parametrize(
    ("command", "call", "kind"),
    [
        (CommandKind.UNHOLD, "release", ActionKind.RELEASE),
        (CommandKind.VACATE, "vacate", ActionKind.VACATE),
    ],
)
@on_virtual_time
async def test_restart_with_an_open_command(command: CommandKind, call: str, kind: ActionKind) -> None:
    rig = Rig()
    rig.run()
    node = await rig.a_node()
    if command is CommandKind.UNHOLD:
        await rig.ask(CommandKind.HOLD, node.node_id)
        await rig.until(lambda: rig.queue.hosts[node.host_name].mark and not rig.store.load().open_actions)
    rig.bridge.hang.add(f"{call} {node.host_name}")
    await rig.ask(command, node.node_id)
    await rig.until(lambda: [one for one in rig.store.load().open_actions if one.kind is kind])
    await rig.kill()
    rig.start_engine()
    async with rig:
        if command is CommandKind.UNHOLD:
            await rig.until(lambda: rig.states() == [S.BUSY])
            assert not rig.queue.hosts[node.host_name].mark
        else:
            await rig.until(lambda: rig.scheduler.called("vacate") and S.HELD in rig.states())


@on_virtual_time
async def test_restart_with_the_shapes_not_yet_declared() -> None:
    rig = Rig(policy(declare_shapes=True))
    rig.bridge.hang.add("declare")
    rig.run()
    await rig.until(lambda: rig.store.load().open_actions)
    await rig.kill()
    assert not rig.scheduler.called("declare")
    rig.start_engine()
    async with rig:
        await rig.until(lambda: rig.scheduler.called("declare"))
        rig.submit()
        await rig.until(lambda: rig.ended() == 1)


@on_virtual_time
async def test_a_stopped_engine_goes_on_where_it_was() -> None:
    rig = Rig()
    async with rig:
        node = await rig.a_node()
        tick = rig.engine.readmodel.tick
    await rig.sleep(7200.0)
    rig.start_engine()
    async with rig:
        await rig.sleep(60.0)
        assert [(one.node_id, one.state) for one in rig.nodes] == [(node.node_id, S.BUSY)]
        assert rig.engine.readmodel.tick > tick
        assert rig.built() == 1
        assert rig.running() == 1


@on_virtual_time
async def test_store_lost_everything_of_ours_is_adopted_and_nothing_else() -> None:
    rig = Rig(policy(resource("r", "t", max_nodes=1), resource("s", "u", max_nodes=1)))
    async with rig:
        rig.submit(run_s=2000.0, count=2)
        await rig.until(lambda: Counter(rig.states())[S.BUSY] == 2)
        hosts = {one.host_name for one in rig.nodes}
    with rig.site.at(rig.clock):
        rig.site.tenancies["t"].add_stranger(8, 8192, 100_000.0)
    built = rig.built()
    rig.store = TestStore()
    rig.start_engine()
    async with rig:
        await rig.until(lambda: Counter(rig.states())[S.BUSY] == 2)
        assert {one.host_name for one in rig.nodes} == hosts
        assert all(one.adopted for one in rig.nodes)
        assert {one.resource for one in rig.nodes} == {"r", "s"}
        assert rig.built() == built
        await rig.until(lambda: rig.ended() == 2)
        await rig.until(lambda: rig.machines() == 1)  # the stranger's
        await rig.until(lambda: not rig.nodes)


@on_virtual_time
async def test_machines_that_went_while_nobody_looked_are_cleaned_up() -> None:
    rig = Rig()
    async with rig:
        await rig.a_node(run_s=500.0)
    with rig.site.at(rig.clock):
        for machine in rig.site.tenancies["t"].machines.values():
            rig.site.tenancies["t"].kill(machine.instance_id, told=True)
    await rig.sleep(600.0)
    rig.start_engine()
    async with rig:
        await rig.until(lambda: rig.ended() == 1)  # on another node
        await rig.until(lambda: not rig.nodes and not rig.queue.hosts)
        assert rig.built() == 2
