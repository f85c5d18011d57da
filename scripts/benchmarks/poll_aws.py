"""One poll of EC2, and a hundred launches in one tick, against the stand-in that the tests have (moto on loopback).

Most of a poll's time is moto's own and the SDK's reading of XML; the adapter itself takes little.
``api_calls`` counts what a steady poll sends.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from ec2_rig import aws
from ec2_site import Ec2Site, ec2_site

from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource

ROWS = (("poll", 100), ("poll", 1_000), ("launch", 100))
"""What is measured, and with how many instances."""

RESOURCE = Resource("r", "aws", "t", Capacity(2, 3000), offering="t/any/c5.large/on-demand")
SECONDS = 3.0
"""A poll of a thousand instances takes at most so long."""


def rows() -> Iterator[dict[str, object]]:
    for what, number in ROWS:
        with ec2_site() as site:
            cloud = aws(site, SystemClock())
            cloud.list_instances()  # what is asked once: types, quota
            launching_s, launch_calls = _launched(cloud, site, number)
            poll_s, poll_calls = _polled(cloud, site, number)
        seconds, calls = (poll_s, poll_calls) if what == "poll" else (launching_s, launch_calls)
        yield {
            "name": f"{what}-aws",
            "jobs": 0,
            "nodes": number,
            "shapes": 1,
            "seconds": round(seconds, 2),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "api_calls": calls,
        }


def _launched(cloud: AwsCloud, site: Ec2Site, number: int) -> tuple[float, int]:
    site.calls.clear()
    began = time.perf_counter()
    machines = cloud.launch("bench", RESOURCE, [NodeSpec(f"n{at:07d}", f"r-n{at:07d}") for at in range(number)])
    if len(machines) != number:
        raise RuntimeError(f"{len(machines)} machines of {number}")
    return time.perf_counter() - began, sum(site.calls.values())


def _polled(cloud: AwsCloud, site: Ec2Site, number: int) -> tuple[float, int]:
    site.calls.clear()
    began = time.perf_counter()
    seen = len(cloud.list_instances().instances)
    seconds, calls = time.perf_counter() - began, sum(site.calls.values())
    most = math.ceil(number / 1000) + 2
    if seen != number or calls > most:
        raise RuntimeError(f"{seen} instances of {number}, {calls} calls where {most} are allowed")
    if seconds > SECONDS:
        raise RuntimeError(f"a poll of {number} instances takes {seconds:.1f} s, more than {SECONDS:g}")
    return seconds, calls
