"""The engine and a store on a bad day: nothing is done that is not stored, nothing is lost, and it heals by itself."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from engine_harness import START_AT, Rig, on_virtual_time, policy

from dynamiccluster.engine import inbox, keeper
from dynamiccluster.errors import StoreError, TransientError, UnknownOutcomeError, VersionConflictError
from dynamiccluster.model.command import CommandKind, ReplyCode
from dynamiccluster.model.event import Event, EventKind
from dynamiccluster.model.worker_node import NodeState


@on_virtual_time
async def test_nothing_is_done_that_cannot_be_stored() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        with rig.store_fails():
            rig.submit()
            with pytest.raises(StoreError, match="disk is full"):
                await rig.ask(CommandKind.FREEZE, "r")
            await rig.sleep(1800.0)
            assert not rig.cloud.called("launch")
            assert "disk is full" in rig.engine.readmodel.store_error
            assert rig.engine.readmodel.sources["scheduler"].ok  # looking goes on
        await rig.until(lambda: rig.ended() == 1)
        assert rig.engine.readmodel.store_error == ""
        assert not rig.engine.readmodel.snapshot.memory.overrides  # the refused command was not kept for later


@on_virtual_time
async def test_a_failing_store_is_left_alone_for_longer_and_longer() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        with rig.store_fails():
            rig.submit()
            rig.store.tries.clear()
            await rig.sleep(600.0)
        gaps = [later - earlier for earlier, later in itertools.pairwise(rig.store.tries)]
        assert [round(gap) for gap in gaps[:4]] == [2, 4, 8, 16]
        assert all(58.0 < gap < 63.0 for gap in gaps[6:])


@on_virtual_time
async def test_a_command_tries_a_failing_store_at_once() -> None:
    """The operator who has just made room on the disk does not wait for the end of the pause."""
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        with rig.store_fails():
            rig.submit()
            await rig.sleep(600.0)
            began_s = asyncio.get_running_loop().time()
            with pytest.raises(StoreError):
                await rig.ask(CommandKind.FREEZE, "r")
            assert asyncio.get_running_loop().time() - began_s < 1.0
        assert (await rig.ask(CommandKind.FREEZE, "r")).code is ReplyCode.OK
        assert asyncio.get_running_loop().time() - began_s < 2.0


@on_virtual_time
async def test_works_again_is_only_said_when_it_was_seen() -> None:
    """A refused command leaves a tick with nothing to store: that proves nothing about the store."""
    async with Rig(policy(scheduler_poll_s=5.0)) as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 10)
        with rig.store_fails():
            with pytest.raises(StoreError):
                await rig.ask(CommandKind.FREEZE, "r")
            for _ in range(40):
                await rig.sleep(3.0)
                assert "disk is full" in rig.engine.readmodel.store_error
        await rig.until(lambda: not rig.engine.readmodel.store_error, within_s=61.0)


@on_virtual_time
async def test_results_that_come_while_the_store_fails_are_kept() -> None:
    async with Rig() as rig:
        rig.bridge.store_s = 0.0
        rig.cloud.before["launch"] = lambda: setattr(rig.store, "failure", StoreError("no space left"))
        rig.submit()
        await rig.until(lambda: rig.cloud.called("launch"))
        await rig.sleep(900.0)
        assert rig.states() == [NodeState.REQUESTED]
        del rig.cloud.before["launch"]
        rig.store.failure = None
        await rig.until(lambda: rig.ended() == 1)
        assert rig.built() == 1
        assert not [text for text in rig.store.texts() if "lost" in text]


@on_virtual_time
async def test_notes_and_commands_do_not_pile_up_while_the_store_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    box = inbox.Inbox()
    for number in range(5000):
        box.put_note(Event(START_AT, EventKind.SOURCE, str(number)))
    assert len(box.notes) == inbox.MOST_NOTES
    assert box.notes[0].text == "0"  # what is being stored now stays in front
    monkeypatch.setattr(inbox, "MOST_COMMANDS", 3)
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.bridge.store_s = 30.0
        asked = [asyncio.ensure_future(rig.ask(CommandKind.FREEZE, "r")) for _ in range(4)]
        await rig.sleep(1.0)
        with pytest.raises(TransientError, match="wait already"):
            asked[3].result()
        assert [(await one).code for one in asked[:3]] == [ReplyCode.OK] * 3


# -- commits that do not come back ------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [True, False])
@on_virtual_time
async def test_a_commit_that_hangs_is_settled_before_anything_else(stored: bool) -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.bridge.hang |= {"commit", "load the store"}
        rig.bridge.takes_effect = stored
        rig.submit()
        waits = asyncio.ensure_future(rig.ask(CommandKind.FREEZE, "r"))
        await rig.sleep(1200.0)
        assert not rig.cloud.called("launch")
        assert "did not answer" in rig.engine.readmodel.store_error
        with pytest.raises(StoreError, match="did not answer"):  # at once, not when the store is back
            await rig.ask(CommandKind.RESTORE, "r")
        assert not waits.done()
        rig.bridge.hang.clear()
        if stored:
            assert (await waits).code is ReplyCode.OK
            assert (await rig.ask(CommandKind.RESTORE, "r")).code is ReplyCode.OK
        else:
            with pytest.raises(StoreError, match="not stored"):
                await waits
        await rig.until(lambda: rig.ended() == 1)
        assert rig.built() == 1


@on_virtual_time
async def test_a_launch_whose_commit_hung_is_made_once() -> None:
    """The plan in doubt holds the launch itself."""
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.submit()
        await rig.sleep(3.0)
        rig.bridge.takes_effect = True
        rig.bridge.hang.add("commit")
        await rig.until(lambda: rig.store.load().open_actions)
        await rig.sleep(50.0)
        assert not rig.cloud.called("launch")
        rig.bridge.hang.clear()
        await rig.until(lambda: rig.ended() == 1)
        assert rig.built() == 1


@on_virtual_time
async def test_a_store_written_by_another_after_a_commit_that_hung() -> None:
    rig = Rig()
    rig.run()
    await rig.until(lambda: rig.engine.readmodel.tick > 3)
    rig.bridge.hang.add("commit")
    rig.submit()
    await rig.sleep(30.0)
    rig.store._version += 1
    with pytest.raises(VersionConflictError, match="another controller"):
        await rig.task


@on_virtual_time
async def test_stop_while_a_commit_is_in_doubt() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        rig.bridge.hang |= {"commit"}
        waits = asyncio.ensure_future(rig.ask(CommandKind.FREEZE, "r"))
        await rig.sleep(61.0)
        rig.engine.stop()
        await rig.task
        with pytest.raises(UnknownOutcomeError, match="not known"):
            await waits


@on_virtual_time
async def test_the_store_may_raise_anything() -> None:
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        for error in (ValueError("surrogates not allowed"), TransientError("all workers are stuck")):
            with rig.store_fails(error), pytest.raises(StoreError, match=str(error)):
                await rig.ask(CommandKind.FREEZE, "r")
        assert (await rig.ask(CommandKind.FREEZE, "r")).code is ReplyCode.OK


# -- others ----------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_another_controller_on_the_store_ends_the_run() -> None:
    rig = Rig()
    rig.run()
    node = await rig.a_node()
    rig.store._version += 1
    with pytest.raises(VersionConflictError, match="another controller has written it"):
        await rig.task
    assert not rig.engine._sources._tasks
    assert rig.running() == 1
    assert node.host_name in rig.queue.hosts


@on_virtual_time
async def test_a_store_that_cannot_be_read_ends_the_start() -> None:
    rig = Rig()

    def unreadable() -> None:
        raise StoreError("it is damaged")

    rig.store.load = unreadable  # type: ignore[method-assign,assignment]  # one store, one call
    with pytest.raises(StoreError, match="damaged"):
        await rig.run()
    assert not rig.scheduler.calls


@on_virtual_time
async def test_old_history_is_dropped_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "HISTORY_S", 2 * 86400.0)
    async with Rig(policy(scheduler_poll_s=300.0, cloud_poll_s=300.0, provision_interval_s=900.0)) as rig:
        rig.submit()
        await rig.until(lambda: rig.ended() == 1 and not rig.nodes, within_s=20_000.0)
        assert "started" in rig.store.texts()[0]
        await rig.sleep(4 * 86400.0)
        assert not [text for text in rig.store.texts() if "started" in text]
        assert rig.bridge.asked.count(("store", "prune the history")) in (4, 5)
        rig.bridge.hang.add("prune the history")
        await rig.sleep(2 * 86400.0)
        assert (await rig.ask(CommandKind.FREEZE, "r")).code is ReplyCode.OK
