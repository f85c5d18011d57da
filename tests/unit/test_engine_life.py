"""The engine on a good day: a node's whole life, what people ask of it, reload, and the end."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
from engine_harness import Rig, on_virtual_time, policy, resource

from dynamiccluster.decide import tick
from dynamiccluster.engine import loop
from dynamiccluster.errors import NotFoundError, TransientError
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.command import Command, CommandKind, ReplyCode
from dynamiccluster.model.event import EventQuery
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.worker_node import NodeState

S = NodeState


@on_virtual_time
async def test_a_node_lives_from_launch_to_end() -> None:
    async with Rig() as rig:
        rig.submit(run_s=120.0)
        await rig.until(lambda: rig.ended() == 1)
        await rig.until(lambda: rig.built() and not rig.machines())
        await rig.until(lambda: not rig.nodes)
        assert not rig.queue.hosts
        moves = [(event.from_state, event.to_state) for event in rig.store.history() if event.to_state]
    seen = [to for _, to in moves]
    assert [state for state in seen if state in (S.STARTING, S.CONFIGURING, S.BUSY, S.HELD, S.REMOVING, S.GONE)] == [
        S.STARTING,
        S.CONFIGURING,
        S.BUSY,
        S.HELD,
        S.REMOVING,
        S.GONE,
    ]
    assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(moves) if later[0])
    kinds = [name for name, *_ in rig.scheduler.calls if name != "poll"]
    assert kinds == ["add", "hold", "remove"]
    assert [name for name, *_ in rig.cloud.calls if name != "list_instances"] == ["launch", "terminate"]
    assert not rig.engine.readmodel.open_actions
    assert rig.store.load().open_actions == ()


@on_virtual_time
async def test_every_intent_is_stored_before_its_call() -> None:
    async with Rig() as rig:
        known_at_launch: list[int] = []
        rig.cloud.before["launch"] = lambda: known_at_launch.append(len(rig.store.load().open_actions))
        await rig.a_node()
    assert known_at_launch == [1]


@on_virtual_time
async def test_a_command_is_answered_when_it_is_committed() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.bridge.store_s = 5.0
        version = rig.store.load().version
        asked = asyncio.ensure_future(rig.ask(CommandKind.FREEZE, "r"))
        await rig.sleep(4.0)
        assert not asked.done()
        reply = await asked
        assert reply.code is ReplyCode.OK
        stored = rig.store.load()
        assert stored.version > version
        assert "r" in stored.memory.overrides
        assert "r" in rig.engine.readmodel.snapshot.memory.overrides


@on_virtual_time
async def test_commands_that_come_during_a_commit_are_for_the_next_tick() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.bridge.store_s = 5.0
        first = asyncio.ensure_future(rig.ask(CommandKind.FREEZE, "r"))
        await rig.sleep(1.0)
        others = [asyncio.ensure_future(rig.ask(CommandKind.RESTORE, "r")) for _ in range(3)]
        await rig.sleep(1.0)
        assert not first.done()
        assert [(await one).code for one in (first, *others)] == [ReplyCode.OK] * 4
        together = [plan for plan in rig.store.plans if plan.replies]
        assert [len(plan.replies) for plan in together] == [1, 3]
        assert not rig.engine.readmodel.snapshot.memory.overrides


@on_virtual_time
async def test_whoever_gave_up_waiting_disturbs_nobody() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.bridge.store_s = 5.0
        gone = asyncio.ensure_future(rig.ask(CommandKind.FREEZE, "r"))
        stays = asyncio.ensure_future(rig.ask(CommandKind.FREEZE, "nothing"))
        await rig.sleep(1.0)
        gone.cancel()
        assert (await stays).code is ReplyCode.NOT_FOUND
        assert "r" in rig.engine.readmodel.snapshot.memory.overrides  # it was on its way already
        assert (await rig.ask(CommandKind.RESTORE, "r")).code is ReplyCode.OK


@on_virtual_time
async def test_a_command_without_an_answer_is_an_error_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(snapshot: Snapshot, rules: Any, now: float) -> Plan:
        return replace(tick.decide(snapshot, rules, now), replies=())

    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        monkeypatch.setattr(loop, "decide", forgetful)
        with pytest.raises(Exception, match="not answered"):
            await rig.ask(CommandKind.FREEZE, "r")
        monkeypatch.undo()
        assert (await rig.ask(CommandKind.RESTORE, "r")).code is ReplyCode.OK


@on_virtual_time
async def test_a_nudge_polls_at_once_and_a_storm_is_one() -> None:
    async with Rig(policy(scheduler_poll_s=600.0)) as rig:
        await rig.until(lambda: rig.scheduler.called("poll"))
        rig.submit()
        await rig.sleep(60.0)  # the scheduler has judged it
        rig.engine.nudge()
        await rig.sleep(1.0)
        assert len(rig.scheduler.called("poll")) == 2
        assert rig.cloud.called("launch")
        for _ in range(500):
            rig.engine.nudge()
            await rig.sleep(0.004)
        await rig.sleep(2.0)
        assert 3 <= len(rig.scheduler.called("poll")) <= 7
        with pytest.raises(NotFoundError, match="cloud:t, scheduler"):
            rig.engine.nudge("moon")


@on_virtual_time
async def test_explain_and_console() -> None:
    async with Rig() as rig:
        node = await rig.a_node()
        assert "simulated console" in await rig.engine.console_tail(node.node_id)
        assert await rig.engine.console_tail(node.host_name) == await rig.engine.console_tail(node.node_id)
        with pytest.raises(NotFoundError):
            await rig.engine.console_tail("nobody")
        rig.submit(cores=64)
        await rig.until(lambda: len(rig.engine.readmodel.jobs_by_id) == 2)
        running, waiting = sorted(rig.engine.readmodel.jobs_by_id)
        why = rig.engine.explain(waiting)
        assert why is not None
        assert why.refusals
        where = rig.engine.explain(running)
        assert where is not None
        assert where.nodes == (node.host_name,)
        assert rig.engine.explain("77") is None
        page = await rig.engine.events(EventQuery(limit=5, node_id=node.host_name))
        assert {event.node_id for _, event in page.events} == {node.node_id}


@on_virtual_time
async def test_a_dry_run_changes_nothing_and_holds_nothing_up() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.submit()
        with rig.store_fails():  # so that the jobs are in the picture and nothing is done about them
            await rig.sleep(60.0)
            before, stored = rig.engine.readmodel, rig.store.load()
            for _ in range(3):
                plan = await rig.engine.dry_run()
                assert [action.kind for action in plan.actions] == [ActionKind.LAUNCH]
            after = rig.engine.readmodel
            assert after.snapshot is before.snapshot
            assert (after.open_actions, after.demand, after.tick) == (before.open_actions, before.demand, before.tick)
            assert rig.store.load() == stored
            assert not rig.cloud.called("launch")
        assert ("dry-run", "dry run") in rig.bridge.asked  # beside the loop


@on_virtual_time
async def test_lookups_are_made_once_for_all_who_look() -> None:
    async with Rig() as rig:
        rig.submit(cores=64)
        await rig.until(lambda: rig.engine.readmodel.jobs_by_id)
        assert rig.engine.readmodel.jobs_by_id is rig.engine.readmodel.jobs_by_id
        assert rig.engine.readmodel.jobs_by_host is rig.engine.readmodel.jobs_by_host


# -- reload -------------------------------------------------------------------------------------------------


async def reconfigure(rig: Rig, rules: Any) -> None:
    for one in rules.resources.values():
        rig.add_tenancy(one.tenancy)
    wanted = {one.tenancy for one in rules.resources.values()}
    clouds: Any = {name: tap for name, tap in rig.clouds.items() if name in wanted}
    scheduler: Any = rig.scheduler
    await rig.engine.reconfigure(
        rules,
        scheduler,
        clouds,
        checker=None,
        names=None,
        hooks=None,
        hook_timeout_s=60.0,
        document={"new": True},
        actor="ada",
    )


@on_virtual_time
async def test_reload_keeps_nodes_and_changes_tenancies() -> None:
    async with Rig() as rig:
        node = await rig.a_node()
        good_at = rig.engine.readmodel.sources["scheduler"].last_good_at
        await reconfigure(rig, policy(resource(), resource("s", "u", cores=16)))
        assert rig.engine.readmodel.sources["scheduler"].last_good_at == good_at  # what was known stays known
        await rig.until(lambda: "u" in rig.engine.readmodel.snapshot.clouds)
        assert [one.node_id for one in rig.nodes] == [node.node_id]
        assert rig.engine.config_document() == {"new": True}
        rig.submit(cores=16, run_s=100_000.0)
        await rig.until(lambda: rig.running() == 2)
        assert ("configuration reloaded", "ada") in {(event.text, event.actor) for event in rig.store.history()}
        await reconfigure(rig, policy(resource("s", "u", cores=16)))
        await rig.sleep(300.0)
        assert set(rig.engine.readmodel.sources) == {"scheduler", "cloud:u"}
        assert set(rig.engine.readmodel.snapshot.clouds) == {"u"}
        assert rig.running() == 2  # a tenancy that is not looked at any more is left alone
        assert node.node_id in {one.node_id for one in rig.nodes}


@on_virtual_time
async def test_reloads_at_the_same_time_leave_one_poller_each() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        await asyncio.gather(*(reconfigure(rig, rig.rules) for _ in range(5)))
        await rig.sleep(5.0)
        before = len(rig.scheduler.called("poll"))
        await rig.sleep(100.0)
        assert len(rig.scheduler.called("poll")) - before <= 11
    before = len(rig.scheduler.called("poll"))
    await rig.sleep(100.0)
    assert len(rig.scheduler.called("poll")) == before


@on_virtual_time
async def test_a_reload_before_the_start_or_after_the_end_polls_nothing() -> None:
    rig = Rig()
    await reconfigure(rig, rig.rules)
    await rig.sleep(60.0)
    assert not rig.scheduler.calls
    async with rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
    before = len(rig.scheduler.calls)
    await reconfigure(rig, rig.rules)
    await rig.sleep(60.0)
    assert len(rig.scheduler.calls) == before


# -- the end ------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_stop_while_actions_are_under_way() -> None:
    async with Rig() as rig:
        rig.bridge.hang.add("launch r")
        rig.bridge.takes_effect = True
        rig.submit()
        await rig.until(lambda: rig.machines() == 1)
        began_s = asyncio.get_running_loop().time()
        rig.engine.stop()
        await rig.task
        assert asyncio.get_running_loop().time() - began_s < 6.0
        with pytest.raises(TransientError, match="stopping"):
            await rig.ask(CommandKind.FREEZE, "r")
    rig.start_engine()
    async with rig:
        await rig.until(lambda: rig.ended() == 1)
        assert rig.built() == 1


@on_virtual_time
async def test_stop_does_not_wait_for_a_store_that_hangs() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.bridge.hang.add("commit")
        waits = asyncio.ensure_future(rig.ask(CommandKind.FREEZE, "r"))
        await rig.sleep(1.0)
        began_s = asyncio.get_running_loop().time()
        rig.engine.stop()
        await rig.task
        assert asyncio.get_running_loop().time() - began_s < 10.0
        with pytest.raises(TransientError, match="stopping"):
            await waits


@on_virtual_time
async def test_nobody_waits_for_an_engine_that_has_ended_by_itself() -> None:
    rig = Rig()
    rig.run()
    early = asyncio.ensure_future(rig.engine.command(Command("1", CommandKind.AUTO_ON, "ada")))
    await rig.until(lambda: rig.engine.readmodel.tick > 3)
    assert (await early).code is ReplyCode.OK  # asked before the store was read
    rig.store._version += 7  # somebody else writes
    with pytest.raises(Exception, match="another controller"):
        await rig.ask(CommandKind.FREEZE, "r")
    with pytest.raises(Exception, match="another controller"):
        await rig.task
    with pytest.raises(TransientError, match="stopping"):
        await rig.ask(CommandKind.FREEZE, "r")
