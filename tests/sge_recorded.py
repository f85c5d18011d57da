"""The recordings of Grid Engine, and the site that they were made on."""

from __future__ import annotations

from pathlib import Path

from dynamiccluster.schedulers.sge.site_parse import (
    Site,
    parse_complexes,
    parse_environment,
    parse_group_tree,
    parse_queues,
)

RECORDED = Path(__file__).parent / "recorded" / "sge"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def site() -> Site:
    """That of the test bed: queues main, long and physics."""
    names = ("smp", "fill", "rr", "per2", "per8")
    return Site(
        parse_complexes(recorded("ours_qconf-sc.txt")),
        parse_queues(recorded("ours_qconf-sq.txt")),
        {name: parse_environment(name, recorded(f"ours_qconf-sp_{name}.txt")) for name in names},
        {"@allhosts": parse_group_tree(recorded("ours_qconf-shgrp_tree.txt"))[0], "@physics": frozenset({"@physics"})},
    )


def older_site() -> Site:
    """That of the older recordings: a queue of an hour, another without a limit."""
    short = parse_queues(recorded("qconf-sq_short.txt"))
    long = parse_queues(recorded("qconf-sq_short.txt").replace("short.q", "long.q").replace("1:00:00", "INFINITY"))
    names = ("smp", "fill", "rr", "two")
    return Site(
        parse_complexes(recorded("qconf-sc.txt")),
        {**short, **long},
        {name: parse_environment(name, recorded(f"qconf-sp_{name}.txt")) for name in names},
    )
