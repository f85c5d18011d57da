"""docs/plugins.md: its example runs, and its names are those that are installed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import yaml

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.blocking import ThreadBridge
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.plan import Demand, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.plugins.graphite import GraphiteReporter
from dynamiccluster.plugins.host import PluginHost
from dynamiccluster.plugins.loader import load_plugin
from dynamiccluster.plugins.notify import Notifier

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plugins.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = blocks("python")
    (tmp_path / "site_plugins.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    section = yaml.safe_load(blocks("yaml")[1])["plugins"]["motd"]
    target = tmp_path / "cluster"
    plugin = load_plugin("motd", section["class_name"], section["arguments"] | {"path": str(target)})
    model = ReadModel(1.0, Snapshot(1, Memory()), Policy("lab", {}), demand=Demand(waiting_tasks=7))
    bridge = ThreadBridge()

    async def life() -> str:
        host = PluginHost({"motd": plugin}, bridge, SystemClock())
        task = asyncio.ensure_future(host.run(lambda: model))
        while not host.status[0].last_good_at:
            assert not host.status[0].error
            await asyncio.sleep(0.01)
        text = target.read_text()
        task.cancel()
        await host.close()
        return text

    try:
        assert asyncio.run(life()) == "0 node(s); 7 job(s) wait for more\n"
    finally:
        bridge.close()
    assert not target.exists()
    with pytest.raises(BadConfigError, match=r"plug-in motd: .*these arguments do not fit"):
        load_plugin("motd", section["class_name"], {"file": "x"})


def test_installed_plug_ins_have_names() -> None:
    assert isinstance(load_plugin("a", "graphite", {}), GraphiteReporter)
    section = yaml.safe_load(blocks("yaml")[0])["plugins"]["people"]
    assert isinstance(load_plugin("b", section["class_name"], section["arguments"]), Notifier)
    with pytest.raises(BadConfigError, match=r"no installed package brings .* 'grafite'; there is .*graphite"):
        load_plugin("c", "grafite", {})
