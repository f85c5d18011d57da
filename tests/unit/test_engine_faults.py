"""The engine when something in it, or around it, is broken: decisions, adapters, replies, and the machine's clock."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest
from engine_harness import Rig, Tap, on_virtual_time, policy, resource

from dynamiccluster.decide import tick
from dynamiccluster.engine import loop, oddities
from dynamiccluster.errors import TransientError, UnknownOutcomeError
from dynamiccluster.model.action import ActionKind, ActionResult, LaunchedInstance, Outcome
from dynamiccluster.model.command import CommandKind, ReplyCode
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.resource import Timers
from dynamiccluster.model.worker_node import NodeState

S = NodeState


# -- decisions ------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_a_decision_that_raises_skips_its_tick(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Plan:
        raise ZeroDivisionError("nobody thought of this")

    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        monkeypatch.setattr(loop, "decide", broken)
        rig.submit()
        with pytest.raises(TransientError, match="ZeroDivisionError"):
            await rig.ask(CommandKind.FREEZE, "r")
        await rig.sleep(300.0)
        assert not rig.task.done()
        assert "nobody thought of this" in rig.engine.readmodel.decision_error
        assert not rig.cloud.called("launch")
        monkeypatch.undo()
        await rig.until(lambda: rig.ended() == 1)
        assert rig.engine.readmodel.decision_error == ""
    failed = [record for record in caplog.records if "decision failed" in record.message]
    assert len(failed) > 10
    assert [bool(record.exc_info) for record in failed[:3]] == [True, False, False]  # one traceback is enough


@on_virtual_time
async def test_a_long_decision_is_next_time_made_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(snapshot: Snapshot, rules: Any, now: float) -> Plan:
        rig.suspend(0.3)
        return tick.decide(snapshot, rules, now)

    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        assert ("decide", "decide") not in rig.bridge.asked
        monkeypatch.setattr(loop, "decide", slow)
        await rig.sleep(60.0)
        assert rig.bridge.asked.count(("decide", "decide")) > 3
        monkeypatch.undo()
        rig.submit()
        await rig.until(lambda: rig.ended() == 1)


@on_virtual_time
async def test_a_decision_that_only_had_to_wait_is_not_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def held_up(snapshot: Snapshot, rules: Any, now: float) -> Plan:
        rig.suspend(0.3)
        return tick.decide(snapshot, rules, now)

    async with Rig(computed=lambda: 7.0) as rig:
        monkeypatch.setattr(loop, "decide", held_up)
        await rig.sleep(60.0)
        assert rig.engine.readmodel.tick > 3
        assert ("decide", "decide") not in rig.bridge.asked


@on_virtual_time
async def test_decisions_leave_three_quarters_of_the_time_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[float] = []

    def slow(snapshot: Snapshot, rules: Any, now: float) -> Plan:
        began.append(rig.clock.monotonic())
        rig.suspend(0.04)
        return tick.decide(snapshot, rules, now)

    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        monkeypatch.setattr(loop, "decide", slow)
        for _ in range(20):
            await rig.ask(CommandKind.RESTORE, "r")
        assert len(began) >= 20
        assert min(later - earlier for earlier, later in itertools.pairwise(began)) >= 4 * 0.04
        monkeypatch.setattr(loop, "decide", tick.decide)
        await rig.ask(CommandKind.RESTORE, "r")
        at = rig.clock.monotonic()
        for _ in range(20):
            await rig.ask(CommandKind.RESTORE, "r")
        assert rig.clock.monotonic() - at < 20 * 0.1  # quick ones are not held up


@on_virtual_time
async def test_what_comes_while_a_decision_is_made_is_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(snapshot: Snapshot, rules: Any, now: float) -> Plan:
        rig.suspend(0.3)
        return tick.decide(snapshot, rules, now)

    monkeypatch.setattr(loop, "decide", slow)
    async with Rig() as rig:
        rig.submit(count=20, cores=1)
        await rig.until(lambda: rig.ended() == 20)
        replies = await asyncio.gather(*(rig.ask(CommandKind.RESTORE, "r") for _ in range(5)))
        assert {reply.code for reply in replies} == {ReplyCode.OK}
        await rig.until(lambda: not rig.nodes)
        assert rig.store.load().open_actions == ()


@on_virtual_time
async def test_an_odd_reply_drops_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Promise 5: a result at which the decision fails would otherwise fail every tick to come."""
    async with Rig() as rig:
        rig.cloud.says["launch"] = (LaunchedInstance(instance_id="i-1", node_id=["no", "text"]),)  # type: ignore[arg-type]  # odd
        rig.submit()
        await rig.until(lambda: rig.cloud.called("launch"))
        rig.cloud.says.clear()
        await rig.until(lambda: rig.ended() == 1)
        warnings = [event for event in rig.store.history() if event.kind is EventKind.WARNING]
        assert any("could not be used" in event.text for event in warnings)
    assert "ended without a result" not in caplog.text


def test_a_result_that_is_beyond_help_is_dropped() -> None:
    async def quick() -> Snapshot:
        async with Rig() as rig:
            await rig.a_node()
            return rig.engine.readmodel.snapshot

    found: list[Snapshot] = []

    @on_virtual_time
    async def live() -> None:
        found.append(await quick())

    live()
    (snapshot,) = found
    rules = policy()
    node_id = next(iter(snapshot.nodes))
    good = ActionResult("x", ActionKind.HOLD, Outcome.DONE, 1.0, node_id=node_id)
    odd = replace(good, node_id=[])  # type: ignore[arg-type]  # odd
    pictured = replace(snapshot, results=(good, odd, good))
    assert oddities.digestible(pictured, rules, 1.0) == {1: None}
    hopeless = replace(pictured, nodes={"n": None})  # type: ignore[dict-item]  # not the results' fault
    assert oddities.digestible(hopeless, rules, 1.0) == {}


# -- adapters ---------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_a_failed_poll_changes_nothing_but_its_own_age() -> None:
    async with Rig() as rig:
        node = await rig.a_node()
        before = rig.engine.readmodel
        for tap, verb in ((rig.scheduler, "poll"), (rig.cloud, "list_instances")):
            tap.fails[verb] = TransientError("connection refused")
        await rig.sleep(3600.0)
        after = rig.engine.readmodel
        assert after.snapshot.scheduler == before.snapshot.scheduler
        assert after.snapshot.nodes == before.snapshot.nodes
        status = after.sources["scheduler"]
        assert (status.ok, status.error) == (False, "connection refused")
        assert status.last_good_at <= before.at < status.last_try_at
        assert 60 < status.failures < 80  # at least once a minute, after a few quick tries
        rig.scheduler.fails.clear()
        rig.cloud.fails.clear()
        await rig.until(lambda: rig.engine.readmodel.sources["scheduler"].ok, within_s=61.0)
        await rig.sleep(30.0)
        texts = rig.store.texts()
        assert texts.count("scheduler does not answer: connection refused") == 1
        assert [text for text in texts if text.startswith("scheduler answers again after")]
        assert [one.node_id for one in rig.nodes] == [node.node_id]
        assert rig.running() == 1


@pytest.mark.parametrize("odd", [None, "a page of HTML", 7])
@on_virtual_time
async def test_a_poller_survives_whatever_an_adapter_returns(odd: object) -> None:
    async with Rig() as rig:
        await rig.a_node()
        rig.scheduler.says["poll"] = odd
        rig.cloud.says["list_instances"] = odd
        await rig.sleep(600.0)
        assert rig.engine.readmodel.sources["scheduler"].failures > 5
        assert rig.engine.readmodel.sources["cloud:t"].failures > 5
        rig.scheduler.says.clear()
        rig.cloud.says.clear()
        await rig.sleep(100.0)
        assert rig.engine.readmodel.sources["scheduler"].ok
        assert rig.engine.readmodel.sources["cloud:t"].ok


@pytest.mark.parametrize("odd", [7, {"i-1": "running"}, ["i-1"], [None]])
@on_virtual_time
async def test_a_launch_reply_of_the_wrong_type_is_an_unknown_outcome(odd: object) -> None:
    """The machine exists, and is found by its launch id."""
    async with Rig() as rig:
        inner = rig.cloud.inner
        rig.clouds["t"].inner = OddReplies(inner, odd)
        rig.submit()
        await rig.until(lambda: rig.ended() == 1)
        assert rig.built() == 1
        assert rig.engine.readmodel.decision_error == ""


class OddReplies:
    """A cloud whose launches work and are answered with nonsense."""

    def __init__(self, inner: Any, odd: object) -> None:
        self.inner = inner
        self.odd = odd

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def launch(self, *arguments: Any) -> object:
        self.inner.launch(*arguments)
        return self.odd


@on_virtual_time
async def test_an_adapter_that_raises_anything_delays_only_its_step(caplog: pytest.LogCaptureFixture) -> None:
    async with Rig() as rig:
        rig.scheduler.fails["add"] = KeyError("somebody's mistake")
        rig.submit()
        await rig.until(lambda: len(rig.scheduler.called("add")) == 3)
        rig.scheduler.fails.clear()
        await rig.until(lambda: rig.ended() == 1)
    assert "host-add" in caplog.text


@on_virtual_time
async def test_secrets_in_what_adapters_say_are_hidden() -> None:
    """Promise 8: the history and the sources are there for everybody to read."""
    async with Rig(redact=lambda text: text.replace("hunter2", "***")) as rig:
        await rig.a_node()
        for verb in ("hold", "poll"):
            rig.scheduler.fails[verb] = TransientError("wrong password hunter2")
        rig.cloud.fails["launch"] = ValueError("hunter2 is odd")
        rig.cloud.says["console_tail"] = "user-data: hunter2"
        rig.submit()
        rig.engine.nudge()
        await rig.ask(CommandKind.LAUNCH, "r")
        await rig.ask(CommandKind.HOLD, rig.nodes[0].node_id)
        await rig.sleep(100.0)
        assert rig.engine.readmodel.sources["scheduler"].error == "wrong password ***"
        assert await rig.engine.console_tail(rig.nodes[0].node_id) == "user-data: ***"
    texts = " ".join(rig.store.texts())
    assert "wrong password ***" in texts
    assert "hunter2" not in texts + repr(rig.store.load())


@on_virtual_time
async def test_an_action_without_a_result_is_shouted_about(caplog: pytest.LogCaptureFixture) -> None:
    def probe(step: str) -> None:
        if step == "after-call:host-add":
            raise RuntimeError("a bug of ours")

    async with Rig(probe=probe) as rig:
        rig.submit()
        await rig.until(lambda: rig.scheduler.called("add"))
        await rig.sleep(10.0)
        assert not rig.task.done()
    assert any("without a result" in record.message and record.exc_info for record in caplog.records)


@on_virtual_time
async def test_cancelling_a_poller_that_is_being_nudged_ends_it() -> None:
    """``asyncio.wait_for`` of Python 3.11 loses a cancellation that comes together with the event."""
    async with Rig() as rig:
        await rig.until(lambda: rig.engine.readmodel.tick > 3)
        for _ in range(20):
            rig.engine.nudge()
            await asyncio.sleep(0)
            async with asyncio.timeout(50.0):
                await rig.engine._sources.stop()
            rig.engine._start_polling()
            await rig.sleep(3.0)


# -- time -------------------------------------------------------------------------------------------------------

TIMERS = Timers(idle_s=300.0, first_job_s=900.0, launch_s=600.0, down_s=200.0)


def patient() -> Rig:
    return Rig(policy(resource(timers=TIMERS)))


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 90_000.0])
@on_virtual_time
async def test_setting_the_clock_ages_nothing_in_one_leap(jump_s: float) -> None:
    async with patient() as rig:
        rig.submit(run_s=30.0)
        await rig.until(lambda: S.IDLE in rig.states())
        rig.clock.jump(jump_s)
        began_s = asyncio.get_running_loop().time()
        await rig.until(lambda: S.IDLE not in rig.states())
        idle_s = asyncio.get_running_loop().time() - began_s
        assert 250.0 < idle_s < 700.0
        await rig.until(lambda: not rig.machines())
        rig.submit(run_s=30.0)  # and life goes on
        await rig.until(lambda: rig.ended() == 2, within_s=1200.0)


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
@on_virtual_time
async def test_setting_the_clock_while_a_node_starts(jump_s: float) -> None:
    async with patient() as rig:
        rig.submit()
        await rig.until(lambda: rig.cloud.called("launch"))
        rig.clock.jump(jump_s)
        await rig.until(lambda: rig.ended() == 1, within_s=900.0)
        assert rig.built() == 1


@on_virtual_time
async def test_ten_minutes_of_sleep_age_nothing_in_one_leap() -> None:
    async with patient() as rig:
        rig.submit(run_s=30.0)
        await rig.until(lambda: S.IDLE in rig.states())
        await rig.sleep(60.0)
        rig.suspend(600.0)
        await rig.sleep(100.0)
        assert rig.states() == [S.IDLE]
        await rig.until(lambda: not rig.machines(), within_s=600.0)


@on_virtual_time
async def test_ten_minutes_of_sleep_while_a_node_starts() -> None:
    async with patient() as rig:
        rig.submit()
        await rig.until(lambda: rig.cloud.called("launch"))
        rig.cloud.fails["list_instances"] = UnknownOutcomeError("no answer")
        rig.suspend(660.0)
        rig.cloud.fails.clear()
        await rig.until(lambda: rig.ended() == 1, within_s=600.0)
        assert rig.built() == 1


def test_taps_really_fail() -> None:
    tap = Tap([1])
    tap.fails["pop"] = KeyError("x")
    with pytest.raises(KeyError):
        tap.pop()
    assert tap.called("pop") == [()]
