"""Last words: the console of a node that never joined is kept, and its end never waits for it long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine_harness import Rig, on_virtual_time, policy, resource

from dynamiccluster.embedded.machines import Mishap, Window
from dynamiccluster.engine.actuator import Actuator, Hands
from dynamiccluster.engine.lastwords import CONSOLE_S, KEPT_BYTES, MOST_CONSOLES, last_line
from dynamiccluster.errors import TransientError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import Action, ActionKind, ActionResult, Outcome
from dynamiccluster.model.resource import Timers


class SlowBridge:
    """Consoles take so many seconds; everything else is answered at once."""

    def __init__(self, console_s: float) -> None:
        self.console_s = console_s

    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], Any]) -> Any:
        if group.endswith("/console"):
            await asyncio.sleep(self.console_s)
        return function()


class Talking:
    """A cloud whose machines said something before they ended, or cannot be asked."""

    def __init__(self, says: str | Exception = "kernel panic", odd: Mapping[str, Exception] | None = None) -> None:
        self.says, self.odd = says, odd or {}
        self.asked: list[str] = []
        self.ended: list[tuple[float, tuple[str, ...]]] = []

    def console_tail(self, instance_id: str) -> str:
        self.asked.append(instance_id)
        says = self.odd.get(instance_id, self.says)
        if isinstance(says, Exception):
            raise says
        return says

    def terminate(self, instance_ids: Sequence[str]) -> None:
        self.ended.append((asyncio.get_running_loop().time(), tuple(instance_ids)))


async def ended(cloud: Talking, wanted: Mapping[str, bool], console_s: float = 0.1) -> dict[str, ActionResult]:
    """The results of ending these machines; ``wanted``: whether the console of each is."""
    results = list[ActionResult]()
    hands = Hands(None, {"t": cloud}, {})  # type: ignore[arg-type, dict-item]  # only the cloud is asked
    actuator = Actuator(
        hands,
        SlowBridge(console_s),
        SystemClock(),
        results.append,
        lambda step: None,
        lambda text: text.replace("s3cret", "***"),
    )
    actuator.carry_out(
        Action(one, ActionKind.TERMINATE, "over", tenancy="t", node_id=one, instance_id=one, console=console)
        for one, console in wanted.items()
    )
    while actuator.busy:
        await asyncio.sleep(0.5)
    return {result.node_id: result for result in results}


@on_virtual_time
async def test_the_console_of_a_node_that_never_joined_stays_in_its_history() -> None:
    never = resource(timers=Timers(launch_s=300.0))
    async with Rig(policy(never)) as rig:
        tenancy = next(iter(rig.site.tenancies.values()))
        tenancy.windows = (Window(Mishap.NEVER_JOINS, "", 0.0, 1e9),)
        rig.submit()
        await rig.until(lambda: rig.nodes and rig.nodes[0].instance_id)
        node_id = rig.nodes[0].node_id
        await rig.until(lambda: node_id not in {node.node_id for node in rig.nodes})
        assert rig.cloud.called("console_tail")
        kept = [
            event for event in rig.store.history() if event.node_id == node_id and "simulated console" in event.text
        ]
        assert len(kept) == 1
        assert kept[0].kind == "node"


@on_virtual_time
async def test_nobody_asks_for_the_console_of_a_node_that_worked() -> None:
    async with Rig(policy(resource(timers=Timers(idle_s=60.0)))) as rig:
        rig.submit()
        await rig.until(lambda: rig.ended() and not rig.nodes)
        assert not rig.cloud.called("console_tail")


@on_virtual_time
async def test_what_it_said_comes_with_the_result_without_secrets() -> None:
    results = await ended(Talking("boot\nkey=s3cret\npanic"), {"a": True, "b": False})
    assert results["a"].console == "boot | key=*** | panic"
    assert results["b"].console == ""
    assert {result.outcome for result in results.values()} == {Outcome.DONE}


@on_virtual_time
async def test_a_slow_console_holds_up_the_end_of_its_machine_for_a_few_seconds_and_no_others() -> None:
    cloud, began = Talking(), asyncio.get_running_loop().time()
    results = await ended(cloud, {"a": True, "b": False, "c": True}, console_s=500.0)
    assert {ids: at - began for at, ids in cloud.ended} == {("b",): 0.0, ("a", "c"): CONSOLE_S}
    assert [result.console for result in results.values()] == ["", "", ""]


@on_virtual_time
async def test_a_console_that_cannot_be_read_is_done_without() -> None:
    for error in (TransientError("no console"), ValueError("odd")):
        cloud = Talking(odd={"a": error})
        results = await ended(cloud, {"a": True, "b": True})
        assert cloud.ended[0][1] == ("a", "b")
        assert (results["a"].console, results["b"].console) == ("", "kernel panic")


@on_virtual_time
async def test_of_many_machines_only_some_are_asked() -> None:
    cloud = Talking()
    results = await ended(cloud, {f"m{number}": True for number in range(50)})
    assert len(cloud.asked) == MOST_CONSOLES
    assert len(results) == 50


def test_the_end_is_kept_as_one_line_that_moves_no_cursor() -> None:
    assert last_line("one\r\n\x1b[2Jtwo\t\n\n  three \n") == "one | [2Jtwo | three"
    long = last_line("a\n" * 9000 + "the end")
    assert len(long.encode()) <= KEPT_BYTES
    assert long.endswith("a | the end")
    assert last_line("") == last_line("\n \n") == ""
