"""The doubles misbehave exactly as they are told to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.site import Site
from dynamiccluster.errors import (
    CapacityError,
    NotFoundError,
    QuotaError,
    StoreError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.pace import PacedLoop
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.simulated import SimulatedScheduler
from dynamiccluster.store.memory import MemoryStore
from dynamiccluster.testing.bridge import InlineBridge
from dynamiccluster.testing.faults import Fault, FaultKind, Faults, parse_faults, random_schedule
from dynamiccluster.testing.flaky_cloud import FlakyCloud
from dynamiccluster.testing.flaky_scheduler import FlakyScheduler
from dynamiccluster.testing.flaky_store import FlakyStore

START = 1_800_000_000.0
SMALL = Resource("small", "simulated", "t", Capacity(4, 8000), max_nodes=10)


class Bad:
    """A site, adapters of the given bad day, and a clock moved by hand."""

    def __init__(self, *kinds: FaultKind, amount: float = 1.0) -> None:
        self.elapsed_s = 0.0
        self.waiting: list[tuple[float, Callable[[], None]]] = []
        schedule = [Fault(kind, "x", 0.0, 1000.0, amount) for kind in kinds]
        self.faults = Faults(schedule, random.Random(1), self.monotonic)
        self.site = Site(1, START)
        self.site.add_queue("c")
        self.site.add_tenancy("t")
        self.inner_cloud = SimulatedCloud(self.site, "t", self, "c")
        self.inner_scheduler = SimulatedScheduler(self.site, self, "c")
        self.cloud = FlakyCloud(self.inner_cloud, self.faults, "x", self.later)
        self.scheduler = FlakyScheduler(self.inner_scheduler, self.faults, "x", self.later)

    def now(self) -> float:
        return START + self.elapsed_s

    def monotonic(self) -> float:
        return self.elapsed_s

    def later(self, delay_s: float, function: Callable[[], None]) -> None:
        self.waiting.append((delay_s, function))

    def launch(self, *names: str) -> None:
        self.cloud.launch("l", SMALL, [NodeSpec(name, name) for name in names])

    @property
    def machines(self) -> int:
        return self.site.tenancies["t"].built

    def add_host(self, name: str) -> None:
        """A host that is up, behind the flaky adapter's back."""
        self.inner_cloud.launch(f"of-{name}", SMALL, [NodeSpec(name, name)])
        self.inner_scheduler.add(name, "", SMALL)
        self.elapsed_s += 120.0


def test_without_faults_wrappers_change_nothing() -> None:
    bad = Bad()
    bad.launch("a")
    bad.scheduler.declare([SMALL])
    bad.scheduler.add("a", "10.0.0.1", SMALL)
    bad.elapsed_s = 120.0
    assert bad.scheduler.poll().hosts == bad.inner_scheduler.poll().hosts
    assert bad.cloud.list_instances().instances == bad.inner_cloud.list_instances().instances
    bad.scheduler.hold("a", "m")
    bad.scheduler.release("a", "m")
    bad.scheduler.vacate("a", [])
    bad.scheduler.evacuate("a", [], delete_jobs=False)
    bad.scheduler.unstick([])
    bad.scheduler.remove("a")
    assert bad.scheduler.find("a") is None
    instance_id = bad.cloud.list_instances().instances[0].instance_id
    assert bad.cloud.console_tail(instance_id)
    bad.cloud.terminate([instance_id])
    assert bad.faults.struck == {}


@pytest.mark.parametrize(
    ("kind", "error"),
    [(FaultKind.POLL_FAILS, TransientError), (FaultKind.POLL_LOST, UnknownOutcomeError)],
)
def test_lists_that_cannot_be_had(kind: FaultKind, error: type[Exception]) -> None:
    bad = Bad(kind)
    with pytest.raises(error):
        bad.scheduler.poll()
    with pytest.raises(error):
        bad.cloud.list_instances()
    bad.elapsed_s = 1000.0
    assert bad.scheduler.poll().hosts == ()
    assert bad.faults.last_s("x") == 0.0


@pytest.mark.parametrize(
    ("kind", "error", "takes_effect"),
    [
        (FaultKind.ACT_FAILS, TransientError, False),
        (FaultKind.LOST_REQUEST, UnknownOutcomeError, False),
        (FaultKind.LOST_REPLY, UnknownOutcomeError, True),
        (FaultKind.CAPACITY, CapacityError, False),
        (FaultKind.QUOTA, QuotaError, False),
        (FaultKind.THROTTLE, ThrottledError, False),
    ],
)
def test_launches_that_fail(kind: FaultKind, error: type[Exception], takes_effect: bool) -> None:
    bad = Bad(kind)
    with pytest.raises(error):
        bad.launch("a")
    assert bad.machines == takes_effect


def test_a_late_launch_takes_effect_minutes_later_and_its_own_failure_is_unheard() -> None:
    bad = Bad(FaultKind.LATE_EFFECT)
    with pytest.raises(UnknownOutcomeError):
        bad.launch("a")
    assert bad.machines == 0
    ((delay_s, function),) = bad.waiting
    assert 5.0 <= delay_s <= 600.0
    function()
    assert bad.machines == 1
    with pytest.raises(UnknownOutcomeError):
        bad.scheduler.hold("no such host", "m")
    bad.waiting[-1][1]()


def test_partial_launches_bring_fewer_machines() -> None:
    bad = Bad(FaultKind.PARTIAL)
    bad.launch("a", "b", "c")
    assert 1 <= bad.machines <= 2
    bad.launch("d")


def test_terminate_can_be_throttled_and_lost() -> None:
    bad = Bad(FaultKind.THROTTLE)
    with pytest.raises(ThrottledError):
        bad.cloud.terminate(["x"])
    bad = Bad(FaultKind.LOST_REPLY)
    with pytest.raises(UnknownOutcomeError):
        bad.cloud.terminate(["x"])


def test_lagging_lists_hide_new_machines_for_two_polls_at_most() -> None:
    bad = Bad(FaultKind.LAG)
    bad.launch(*"abcdef")
    counts = [len(bad.cloud.list_instances().instances) for _ in range(3)]
    assert counts[0] < 6
    assert counts[2] == 6


def test_a_known_machine_is_never_hidden_often_enough_to_be_believed_gone() -> None:
    bad = Bad(FaultKind.LAG)
    bad.launch(*"abcdef")
    missed = dict.fromkeys("abcdef", 0)
    hidden = 0
    for _ in range(300):
        seen = {instance.host_name for instance in bad.cloud.list_instances().instances}
        for name in missed:
            missed[name] = 0 if name in seen else missed[name] + 1
        assert max(missed.values()) <= 2
        hidden += 6 - len(seen)
    assert hidden > 10


def test_ended_machines_linger_as_they_were() -> None:
    bad = Bad(FaultKind.LAG)
    lingered = 0
    for number in range(20):
        bad.elapsed_s += 100.0 if bad.elapsed_s < 800 else 0.0
        bad.inner_cloud.launch(f"l{number}", SMALL, [NodeSpec(f"n{number}", f"h{number}")])
        for _ in range(4):
            view = bad.cloud.list_instances()
        true = {instance.instance_id: instance.state for instance in bad.inner_cloud.list_instances().instances}
        bad.inner_cloud.terminate([instance.instance_id for instance in view.instances])
        bad.cloud.list_instances()
        bad.elapsed_s += 31.0 if bad.elapsed_s < 900 else 0.0
        shown = {instance.instance_id: instance.state for instance in bad.cloud.list_instances().instances}
        true = {instance.instance_id: instance.state for instance in bad.inner_cloud.list_instances().instances}
        lingered += sum(true[key] is InstanceState.GONE is not state for key, state in shown.items())
    assert lingered > 0


def test_unknown_words_are_unknown() -> None:
    bad = Bad(FaultKind.UNKNOWN_WORDS)
    for name in "abcdefgh":
        bad.add_host(name)
    assert HostState.UNKNOWN in {host.state for _ in range(20) for host in bad.scheduler.poll().hosts}
    assert InstanceState.UNKNOWN in {i.state for _ in range(20) for i in bad.cloud.list_instances().instances}


def test_odd_records_come_besides_the_honest_ones() -> None:
    bad = Bad(FaultKind.ODD_RECORDS)
    bad.add_host("a")
    for _ in range(100):
        view = bad.scheduler.poll()
        assert len(view.jobs) == 1
        assert "a" in {host.name for host in view.hosts}
        assert len(view.hosts) == 2


def test_an_acknowledged_hold_may_not_show_at_once() -> None:
    bad = Bad(FaultKind.HOLD_UNSEEN)
    bad.add_host("a")
    bad.scheduler.hold("a", "dynamiccluster:c:a")
    shown = [bad.scheduler.poll().hosts[0].hold is not None for _ in range(3)]
    assert shown[0] is False
    assert shown[2] is True


def test_a_new_host_may_be_missing_once() -> None:
    bad = Bad(FaultKind.LAG)
    bad.scheduler.add("a", "", SMALL)
    assert [len(bad.scheduler.poll().hosts) for _ in range(2)] == [0, 1]


def test_errors_of_the_inner_adapter_come_through() -> None:
    with pytest.raises(NotFoundError):
        Bad().scheduler.hold("no such host", "m")


def test_a_store_that_cannot_be_written_stores_nothing() -> None:
    bad = Bad(FaultKind.COMMIT_FAILS)
    store = FlakyStore(MemoryStore(), bad.faults, "x")
    with pytest.raises(StoreError):
        store.commit(0, Plan(Memory()))
    assert store.load().fresh
    bad.elapsed_s = 1000.0
    assert store.commit(0, Plan(Memory())) == 1
    assert store.events().events == ()
    assert store.prune(0.0) == 0
    store.close()


def test_a_schedule_survives_being_written_down() -> None:
    schedule = random_schedule(random.Random(5), 86400.0, ["c1", "c2"], ["t1"], ["r1", "r2"])
    text = "\n".join(["# of seed 5", "", *map(str, schedule)])
    assert parse_faults(text.splitlines()) == schedule
    assert len(schedule) > 20
    assert all(fault.from_s < fault.until_s <= 86400.0 for fault in schedule)
    assert schedule == random_schedule(random.Random(5), 86400.0, ["c1", "c2"], ["t1"], ["r1", "r2"])


class TestInlineBridge:
    """Latency on virtual time; time limits before and after the effect; death."""

    done: int = 0

    def effect(self) -> str:
        self.done += 1
        return "answer"

    @staticmethod
    def run(coroutine: object) -> float:
        with asyncio.Runner(loop_factory=lambda: PacedLoop(None)) as runner:
            runner.run(coroutine)  # type: ignore[arg-type]
            return runner.get_loop().time()

    def test_results_and_errors_take_their_time(self) -> None:
        delivered: list[object] = []
        bridge = InlineBridge(random.Random(1), (2.0, 3.0), delivered=lambda name, result: delivered.append(result))

        def fail() -> None:
            raise NotFoundError("x")

        async def live() -> None:
            assert await bridge.call("store", "load", 1.0, self.effect) == "answer"
            assert await bridge.call("g", "ask", 10.0, self.effect) == "answer"
            with pytest.raises(NotFoundError):
                await bridge.call("g", "ask", 10.0, fail)

        assert 8.0 <= self.run(live()) <= 16.0
        assert delivered == ["answer"]

    def test_a_stalled_call_may_or_may_not_have_taken_effect(self) -> None:
        bridge = InlineBridge(random.Random(1), stalls=lambda group: group == "g")

        async def live() -> None:
            for _ in range(30):
                with pytest.raises(UnknownOutcomeError):
                    await bridge.call("g", "ask", 10.0, self.effect)
            assert await bridge.call("other", "ask", 10.0, self.effect) == "answer"

        self.run(live())
        assert 1 < self.done < 31

    @pytest.mark.parametrize("killed", [True, False])
    def test_what_is_under_way_when_the_process_dies_may_take_effect(self, killed: bool) -> None:
        bridge = InlineBridge(random.Random(1), (5.0, 5.0))

        async def live() -> None:
            calls = [asyncio.create_task(bridge.call("g", "ask", 60.0, self.effect)) for _ in range(40)]
            await asyncio.sleep(1.0)
            if killed:
                bridge.kill()
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)

        self.run(live())
        assert (0 < self.done < 40) if killed else self.done == 0
