"""Plug-ins, Graphite and hooks: they tell others, and harm nobody."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import BadConfigError, DynamicClusterError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.blocking import ThreadBridge
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.pace import PacedClock, PacedLoop
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.kit.secrets import HIDDEN, Redactor
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job, JobState, Shape
from dynamiccluster.model.memory import Learned, Memory
from dynamiccluster.model.plan import Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.model.worker_node import NodeState, WorkerNode
from dynamiccluster.plugins.graphite import GraphiteReporter, figures
from dynamiccluster.plugins.host import PluginHost
from dynamiccluster.plugins.loader import load_plugin
from dynamiccluster.plugins.scripts import Hooks
from dynamiccluster.testing.runner import FakeRunner

T = TypeVar("T")


def picture(**more: Any) -> ReadModel:
    resources = {
        "small": Resource("small", "simulated", "t", Capacity(4), max_nodes=9),
        "site.big one": Resource("site.big one", "simulated", "t", Capacity(16), max_nodes=9),
    }
    return ReadModel(at=1000.6, snapshot=Snapshot(1, Memory()), policy=Policy("lab", resources), **more)


def cluster() -> ReadModel:
    """One node in every state; the busy one has joined with fewer cores than configured."""
    nodes = {
        state.value: WorkerNode(state.value, "small", "t", "l", state, host_name=f"h-{state.value}")
        for state in NodeState
    }
    nodes["x"] = WorkerNode("x", "site.big one", "t", "l", NodeState.STARTING)
    nodes["y"] = WorkerNode("y", "removed from the file", "t", "l", NodeState.BUSY)
    jobs = (
        Job("1", JobState.PENDING, Shape(), tasks=5),
        Job("2", JobState.PENDING, Shape()),
        Job("3", JobState.RUNNING, Shape()),
    )
    hosts = (Host("h-busy", HostState.UP, Capacity(3)),)
    view = SchedulerView(1.0, 2.0, jobs, hosts)
    memory = Memory(learned={"site.big one": Learned(Capacity(16), Capacity(15))})
    return replace(picture(), snapshot=Snapshot(1, memory, nodes, scheduler=view))


def test_figures_have_the_names_of_the_original() -> None:
    found = dict(figures(cluster()))
    assert found == {
        "nodes.total": 18,
        "nodes.starting": 6,
        "nodes.deleting": 3,
        "nodes.busy": 2,
        "nodes.idle": 1,
        "nodes.vacating": 2,
        "nodes.error": 4,
        "cores.total": 15 * 4 + 3 + 15,
        "cores.starting": 5 * 4 + 15,
        "cores.deleting": 3 * 4,
        "cores.busy": 3,
        "cores.idle": 4,
        "cores.vacating": 8,
        "cores.error": 16,
        "resource.small.nodes": 16,
        "resource.small.cores": 15 * 4 + 3,
        "resource.site_big_one.nodes": 1,
        "resource.site_big_one.cores": 15,
        "resource.removed_from_the_file.nodes": 1,
        "resource.removed_from_the_file.cores": 0,
        "jobs.queued": 6,
    }


def test_an_unknown_queue_is_not_reported_as_empty() -> None:
    names = dict(figures(picture()))
    assert "jobs.queued" not in names
    assert names["nodes.total"] == 0
    assert names["resource.small.nodes"] == 0


def test_graphite_gets_lines() -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as lines:
                received.extend(lines)

        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        plugin = load_plugin(
            "graphite",
            "dynamiccluster.plugins.graphite.GraphiteReporter",
            {"hostname": "127.0.0.1", "port": port, "prefix": "head.dc", "interval": 30},
        )
        assert plugin.interval_s == 30
        plugin.observe(cluster())
        thread.join(10)
    plugin.close()
    assert b"head.dc.nodes.total 18 1001\n" in received
    assert b"head.dc.resource.site_big_one.cores 15 1001\n" in received
    assert len(received) == len(dict(figures(cluster())))
    with pytest.raises(TransientError, match=f"Graphite at 127.0.0.1:{port}: .*refused"):
        plugin.observe(cluster())


@pytest.mark.parametrize("arguments", [{"prefix": "a b"}, {"prefix": ""}, {"prefix": "a\nb"}, {"port": 0}])
def test_graphite_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadConfigError):
        GraphiteReporter(**arguments)


class Watcher:
    """A plug-in that does what the test says."""

    def __init__(self, interval_s: float = 60.0) -> None:
        self.interval_s = interval_s
        self.seen: list[float] = []
        self.behave: Callable[[], None] = lambda: None
        self.closed = 0

    def observe(self, readmodel: ReadModel) -> None:
        self.seen.append(readmodel.at)
        self.behave()

    def close(self) -> None:
        self.closed += 1


class DirectBridge:
    """Calls at once, on the loop."""

    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], T]) -> T:
        return function()


def virtual(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=lambda: PacedLoop(None)) as runner:
        runner.run(main)


def test_every_plugin_looks_at_its_own_pace() -> None:
    fast, slow = Watcher(10.0), Watcher(60.0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = PacedClock(loop, 1000.0)
        host = PluginHost({"fast": fast, "slow": slow}, DirectBridge(), clock)
        task = asyncio.create_task(host.run(lambda: replace(picture(), at=clock.now())))
        await asyncio.sleep(121)
        task.cancel()
        await asyncio.wait([task])
        assert [round(at) for at in fast.seen] == list(range(1000, 1121, 10))
        assert [round(at) for at in slow.seen] == [1000, 1060, 1120]
        assert [(each.name, each.failures, each.error) for each in host.status] == [("fast", 0, ""), ("slow", 0, "")]
        assert host.status[1].last_good_at == pytest.approx(1120)
        await host.close()
        assert (fast.closed, slow.closed) == (1, 1)

    virtual(main())


def test_what_a_plugin_says_is_shown_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    bad = Watcher(60.0)

    def crash() -> None:
        raise TransientError("https://ada:S3cret@example.org refused")

    bad.behave = crash

    async def main() -> None:
        clock, redactor = PacedClock(asyncio.get_running_loop(), 0.0), Redactor()
        redactor.add("S3cret")
        host = PluginHost({"bad": bad}, DirectBridge(), clock, redact=redactor.redact)
        task = asyncio.create_task(host.run(lambda: replace(picture(), at=clock.now())))
        await asyncio.sleep(30)
        assert host.status[0].error == f"https://ada:{HIDDEN}@example.org refused"
        task.cancel()
        await asyncio.wait([task])

    virtual(main())


def test_a_crashing_plugin_is_shown_retried_more_rarely_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = Watcher(60.0), Watcher(60.0)

    def crash() -> None:
        raise KeyError("colour")

    bad.behave = crash

    async def main() -> None:
        clock = PacedClock(asyncio.get_running_loop(), 0.0)
        host = PluginHost({"bad": bad, "good": good}, DirectBridge(), clock)
        task = asyncio.create_task(host.run(lambda: replace(picture(), at=clock.now())))
        await asyncio.sleep(3600)
        assert [round(at) for at in bad.seen] == [0, 60, 180, 420, 900, 1800, 2700]
        assert len(good.seen) == 60
        assert host.status[0].failures == 7
        assert host.status[0].error == "KeyError: 'colour'"
        assert host.status[0].last_good_at == 0
        assert host.status[1].error == ""
        bad.behave = lambda: None
        await asyncio.sleep(1000)
        assert (host.status[0].failures, host.status[0].error) == (0, "")
        task.cancel()
        await asyncio.wait([task])
        bad.close = crash  # type: ignore[method-assign]
        await host.close()
        assert good.closed == 1

    with caplog.at_level(logging.INFO):
        virtual(main())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]  # not one per failure


def test_a_hanging_plugin_is_left_to_itself() -> None:
    release = threading.Event()
    hung, good = Watcher(1.0), Watcher(1.0)
    looked = threading.Semaphore(0)

    def hang() -> None:
        release.wait(30)

    hung.behave, good.behave = hang, looked.release

    async def main() -> None:
        bridge = ThreadBridge({"plugin": 1})
        host = PluginHost({"hung": hung, "good": good}, bridge, SystemClock(), timeout_s=0.05)
        task = asyncio.create_task(host.run(picture))
        for _ in range(2):
            assert await asyncio.to_thread(looked.acquire, timeout=20)
        assert len(hung.seen) == 1  # never called again before it has returned
        assert host.status[0].failures >= 1
        while host.status[0].failures < 2:
            await asyncio.sleep(0.01)
        assert "did not answer within 0.05 s" in host.status[0].error  # not: no other look was begun
        assert [status.cut_off for status in host.status] == [True, False]
        assert host.status[1].failures == 0
        release.set()
        while host.status[0].cut_off:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        bridge.close()

    asyncio.run(main())


SITE = """
class NoInterval:
    def observe(self, readmodel): ...
    def close(self): ...

class BadInterval(NoInterval):
    interval_s = 0

class NoClose:
    interval_s = 60
    def observe(self, readmodel): ...
"""


@pytest.mark.parametrize(
    ("class_path", "said"),
    [
        ("site_plugins_for_test.NoInterval", "plug-in mine: .*no interval_s of at least 1 second, but None"),
        ("site_plugins_for_test.BadInterval", "but 0"),
        ("site_plugins_for_test.NoClose", "plug-in mine: .*no method close"),
        ("site_plugins_for_test.Nothing", "no class Nothing"),
        ("nowhere.Nothing", "cannot be imported"),
    ],
)
def test_a_plugin_that_cannot_be_made(
    class_path: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site_plugins_for_test.py").write_text(SITE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "site_plugins_for_test", raising=False)
    with pytest.raises(BadConfigError, match=said):
        load_plugin("mine", class_path, {})


def test_hooks_get_the_four_values() -> None:
    runner = FakeRunner()
    runner.on(["/site/up"], "")
    hooks = Hooks(
        runner, {ActionKind.HOOK_VM_PROVISIONED: "/site/up {0} {1} {2} {3}", ActionKind.HOOK_NODE_ADDED: ""}, 7.0
    )
    assert hooks.kinds == {ActionKind.HOOK_VM_PROVISIONED}
    hooks.run(ActionKind.HOOK_VM_PROVISIONED, "n1", "10.0.0.1", "vm-1", "small")
    hooks.run(ActionKind.HOOK_VM_PROVISIONED, "n1", "", "vm-1", "small")
    hooks.run(ActionKind.HOOK_NODE_ADDED, "n1", "", "vm-1", "small")
    assert runner.argvs == [("/site/up", "n1", "10.0.0.1", "vm-1", "small"), ("/site/up", "n1", "", "vm-1", "small")]
    assert runner.calls[0].timeout_s == 7.0


def test_hooks_that_fail() -> None:
    kind = ActionKind.HOOK_VM_DESTROYED
    hooks = Hooks(SubprocessRunner(), {kind: "sh -c 'echo no such ticket >&2; exit 4' {0}"})
    with pytest.raises(DynamicClusterError, match="hook-vm-destroyed for n1 failed: no such ticket"):
        hooks.run(kind, "n1", "", "", "")
    with pytest.raises(UnknownOutcomeError, match="was killed"):
        Hooks(SubprocessRunner(), {kind: "sleep 60"}, 0.1).run(kind, "n1", "", "", "")
    with pytest.raises(BadConfigError, match="no program '/nonexistent/hook'"):
        Hooks(SubprocessRunner(), {kind: "/nonexistent/hook"}).run(kind, "n1", "", "", "")
    for host_name, address in (("-x", ""), ("n1; id", ""), ("n1", "$(id)")):
        with pytest.raises(BadConfigError):
            hooks.run(kind, host_name, address, "", "")


def test_wrong_hooks_show_at_the_start() -> None:
    with pytest.raises(BadConfigError, match="no value for"):
        Hooks(FakeRunner(), {ActionKind.HOOK_NODE_ADDED: "/x {4}"})
    with pytest.raises(BadConfigError, match="launch is not a hook"):
        Hooks(FakeRunner(), {ActionKind.LAUNCH: "/x"})
