"""Hosts and jobs with absurd figures drop only themselves."""

from __future__ import annotations

import pytest
from builders import VIEW_AT, host, job, jobs, launches, node, picture, plan, running, scheduler_view, shape

from dynamiccluster.model.worker_node import NodeState

HUGE = 2**64 - 1


@pytest.mark.parametrize(
    "more",
    [
        {"memory_mib": HUGE},
        {"cores": HUGE},
        {"gpus": HUGE},
        {"cores": -HUGE},
        {"used_mib": -HUGE},
        {"used": HUGE, "used_mib": HUGE},
        {"used_gpus": -HUGE},
    ],
)
def test_one_absurd_host_stops_no_decision(more) -> None:
    decided = plan(picture(jobs=jobs(1, shape(4)), hosts=[host("odd", **more)]))
    assert launches(decided) in ({"r": 1}, {})
    assert decided.demand.reports[0].unplaced == 0


def test_nothing_is_placed_on_more_than_can_be_meant() -> None:
    decided = plan(picture(jobs=jobs(3, shape(4, 4096)), hosts=[host("odd", HUGE, HUGE)]))
    assert decided.demand.reports[0].on_free == 0
    assert launches(decided) == {"r": 3}


def test_an_absurd_host_of_ours_still_stands_and_its_job_is_seen() -> None:
    n = node("n1", NodeState.BUSY)
    odd = host(n.host_name, memory_mib=HUGE)
    decided = plan(picture([n], [running("7", n.host_name)], hosts=[odd]))
    assert not decided.nodes
    assert scheduler_view([running("7", n.host_name)], [odd], VIEW_AT).index.busy(odd)


@pytest.mark.parametrize(
    "priority",
    [float("inf"), float("-inf"), float("nan"), 10**400, -(10**400)],
    ids=["inf", "-inf", "nan", "huge", "-huge"],
)
def test_a_priority_beyond_all_numbers_is_still_served(priority) -> None:
    queue = [job("odd", shape(4), priority=priority), *jobs(2, shape(4))]
    decided = plan(picture(jobs=queue))
    assert launches(decided) == {"r": 3}
    assert decided.demand.waiting_tasks == 3
