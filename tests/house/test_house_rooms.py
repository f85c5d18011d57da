"""Adapters never import each other. What rooms may import at all stands in ``.importlinter``."""

from __future__ import annotations

import pytest
from sources import Module, imported, module, package

ADAPTER_ROOMS = ("schedulers", "clouds", "checkers", "names")
SHARED = {"base", "registry", "netns", "userdata", "agreement", "unreached"}
"""Modules of these rooms that are no adapters: contracts, the table of adapters, and tools of several clouds."""


def adapter(name: str) -> str:
    """The adapter that a module of this name, or its folder, belongs to: ``local_worker`` is part of ``local``; "" for
    shared modules."""
    return "" if name in SHARED else name.partition("_")[0]


def foreign_adapters(one: Module) -> list[str]:
    """Other adapters that this adapter's module imports."""
    own = adapter(one.where.split("/")[1].removesuffix(".py")) if "/" in one.where else ""
    if one.room not in ADAPTER_ROOMS or one.where in {f"{one.room}/registry.py", f"{one.room}/__init__.py"}:
        return []
    found = []
    for _, name in imported(one.tree):
        parts = name.split(".")
        if parts[0] != "dynamiccluster" or len(parts) < 3 or parts[1] not in ADAPTER_ROOMS:
            continue
        other = adapter(parts[2])
        if parts[1] != one.room or parts[2] == "registry" or (other and other != own):
            found.append(name)
    return found


def test_adapters_do_not_know_each_other() -> None:
    assert not {one.where: foreign_adapters(one) for one in package() if foreign_adapters(one)}


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("schedulers/sge/adapter.py", "from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler"),
        ("schedulers/slurm/registry.py", "from dynamiccluster.schedulers.sge.adapter import SgeScheduler"),
        ("schedulers/slurm/nodes_parse.py", "from dynamiccluster.schedulers.torque.jobs_parse import mib"),
        ("schedulers/base.py", "from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler"),
        ("clouds/aws.py", "from dynamiccluster.schedulers.base import Scheduler"),
        ("clouds/local.py", "def f():\n    from dynamiccluster.clouds.registry import build_cloud"),
        ("names/script.py", "from dynamiccluster.checkers import script"),
    ],
)
def test_the_rule_can_fail(where: str, text: str) -> None:
    assert foreign_adapters(module(where, text))


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("schedulers/slurm/adapter.py", "from dynamiccluster.schedulers.slurm.nodes_parse import parse"),
        ("clouds/local.py", "from dynamiccluster.clouds.netns import BridgeNetwork"),
        ("clouds/aws.py", "from dynamiccluster.clouds.base import Cloud"),
        ("clouds/registry.py", "from dynamiccluster.clouds.local import LocalCloud"),
    ],
)
def test_parts_of_one_adapter_may_know_each_other(where: str, text: str) -> None:
    assert not foreign_adapters(module(where, text))
