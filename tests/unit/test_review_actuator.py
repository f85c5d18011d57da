"""Ending machines: one that cannot be ended must not keep the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from builders import NOW
from builders import resource as a_resource

from dynamiccluster.engine.actuator import Actuator, Hands
from dynamiccluster.engine.poller import Poller
from dynamiccluster.errors import AuthError, DynamicClusterError, ThrottledError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.blocking import ThreadBridge
from dynamiccluster.model.action import (
    Action,
    ActionKind,
    ActionResult,
    LaunchedInstance,
    NodeSpec,
    Outcome,
    PartialLaunch,
)
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView, SourceStatus

Errors = dict[str, DynamicClusterError]


class StillClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class DirectBridge:
    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], Any]) -> Any:
        return function()


class OddCloud:
    """Refuses every call that names one of ``odd``, and those that name nothing but one of ``alone``."""

    tenancy, idempotent = "t", False

    def __init__(self, odd: Errors, alone: Errors) -> None:
        self.odd, self.alone = odd, alone
        self.calls: list[tuple[str, ...]] = []

    def terminate(self, instance_ids: Sequence[str]) -> None:
        self.calls.append(tuple(instance_ids))
        errors = self.alone | self.odd if len(instance_ids) == 1 else self.odd
        for instance_id in instance_ids:
            if instance_id in errors:
                raise errors[instance_id]


def ended(odd: Errors, *ids: str, alone: Errors | None = None) -> tuple[list[tuple[str, ...]], dict[str, Outcome]]:
    """The calls that reached the cloud, and what was reported of each machine."""
    cloud, results = OddCloud(odd, alone or {}), list[ActionResult]()

    async def run() -> None:
        hands = Hands(None, {"t": cloud}, {})  # type: ignore[arg-type, dict-item]  # only the cloud is asked
        actuator = Actuator(hands, DirectBridge(), StillClock(), results.append, lambda step: None, str)
        actuator.carry_out(
            [Action(one, ActionKind.TERMINATE, "over", tenancy="t", node_id=one, instance_id=one) for one in ids]
        )
        while actuator.busy:
            await asyncio.sleep(0)

    asyncio.run(run())
    return cloud.calls, {result.node_id: result.outcome for result in results}


def test_a_batch_that_is_taken_is_one_call() -> None:
    calls, outcomes = ended({}, "a", "b")
    assert calls == [("a", "b")]
    assert set(outcomes.values()) == {Outcome.DONE}


def test_a_refused_batch_is_repeated_machine_by_machine() -> None:
    calls, outcomes = ended({"a": TransientError("a is locked")}, "a", "b", "c")
    assert calls == [("a", "b", "c"), ("a",), ("b",), ("c",)]
    assert outcomes == {"a": Outcome.REFUSED, "b": Outcome.DONE, "c": Outcome.DONE}


def test_a_single_machine_is_asked_for_once() -> None:
    assert ended({"a": TransientError("a is locked")}, "a") == ([("a",)], {"a": Outcome.REFUSED})


@pytest.mark.parametrize("error", [ThrottledError("slow down"), AuthError("who are you")])
def test_what_would_be_refused_for_each_of_them_is_not_repeated(error) -> None:
    calls, outcomes = ended({"a": error}, "a", "b")
    assert calls == [("a", "b")]
    assert set(outcomes.values()) == {Outcome.REFUSED}


def test_a_call_without_an_answer_ends_the_repetition() -> None:
    calls, outcomes = ended({"b": TransientError("odd")}, "a", "b", "c", alone={"a": UnknownOutcomeError("no answer")})
    assert calls == [("a", "b", "c"), ("a",)]
    assert outcomes == {"a": Outcome.UNKNOWN, "b": Outcome.REFUSED, "c": Outcome.REFUSED}


def test_a_launch_of_fewer_machines_than_asked_is_reported_with_the_error_that_met_the_rest() -> None:
    results = list[ActionResult]()

    class Short:
        def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
            return PartialLaunch.because(ThrottledError("slow down, key=s3cret"), [LaunchedInstance("i-1", "n1")])

    async def run() -> None:
        hands = Hands(None, {"t": Short()}, {"r": a_resource("r")})  # type: ignore[arg-type, dict-item]
        actuator = Actuator(
            hands,
            DirectBridge(),
            StillClock(),
            results.append,
            lambda step: None,
            lambda text: text.replace("s3cret", "***"),
        )
        specs = (NodeSpec("n1", "r-n1"), NodeSpec("n2", "r-n2"))
        actuator.carry_out([Action("a", ActionKind.LAUNCH, "jobs", resource="r", tenancy="t", specs=specs)])
        while actuator.busy:
            await asyncio.sleep(0)

    asyncio.run(run())
    (result,) = results
    assert (result.outcome, result.error_class, result.message) == (Outcome.DONE, "throttled", "slow down, key=***")
    assert [made.node_id for made in result.instances] == ["n1"]


def test_neither_lists_nor_the_end_of_machines_wait_behind_a_launch_that_takes_minutes() -> None:
    """One thread for each: the launch goes on until both were served."""
    listed, terminated, waited = threading.Event(), threading.Event(), list[bool]()

    class Slow:
        def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
            waited.extend((listed.wait(5.0), terminated.wait(5.0)))
            return ()

        def terminate(self, instance_ids: Sequence[str]) -> None:
            terminated.set()

        def list_instances(self) -> CloudView:
            listed.set()
            return CloudView("t", NOW, NOW)

    async def run() -> None:
        cloud, bridge = Slow(), ThreadBridge({"cloud": 1})
        hands = Hands(None, {"t": cloud}, {"r": a_resource("r")})  # type: ignore[arg-type, dict-item]
        actuator = Actuator(hands, bridge, StillClock(), lambda result: None, lambda step: None, str)
        poller = Poller(
            SourceStatus("cloud:t"),
            cloud.list_instances,
            20.0,
            bridge,
            StillClock(),
            lambda view: None,
            lambda note: None,
            str,
        )
        specs = (NodeSpec("n1", "r-n1"),)
        actuator.carry_out([Action("a", ActionKind.LAUNCH, "jobs", resource="r", tenancy="t", specs=specs)])
        await asyncio.sleep(0)
        actuator.carry_out([Action("b", ActionKind.TERMINATE, "over", tenancy="t", node_id="n2", instance_id="i-2")])
        await poller.once()
        while actuator.busy:
            await asyncio.sleep(0)
        bridge.close()

    asyncio.run(run())
    assert waited == [True, True]
