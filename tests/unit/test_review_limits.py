"""A limit on nodes that start at the same time must not keep a larger gang out for ever."""

from __future__ import annotations

import pytest
from builders import job, launches, memory, node, picture, plan, policy, resource, shape

from dynamiccluster.model.command import Command, CommandKind, ReplyCode
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.worker_node import NodeState

GANG = job("1", shape(4, chunks=4, distinct=True))
TWO_AT_ONCE = policy(resource(max_starting=2))


def test_a_gang_larger_than_max_starting_starts_when_nothing_else_does() -> None:
    assert launches(plan(picture(jobs=[GANG]), TWO_AT_ONCE)) == {"r": 4}


def test_only_one_of_them_at_a_time() -> None:
    other = job("2", shape(4, chunks=4, distinct=True, account="x"))
    decided = plan(picture(jobs=[GANG, other]), TWO_AT_ONCE)
    assert launches(decided) == {"r": 4}
    assert decided.demand.reports[1].refusals == {"r": Refusal.MAX_STARTING}


def test_while_another_node_starts_the_gang_waits() -> None:
    small = node("n1", NodeState.STARTING)
    decided = plan(picture([small], [GANG]), TWO_AT_ONCE)
    assert not launches(decided)
    assert decided.demand.reports[0].refusals == {"r": Refusal.MAX_STARTING}


@pytest.mark.parametrize("rules", [{"max_nodes": 3}, {"max_nodes": 10, "max_starting": 2}])
def test_other_limits_and_single_jobs_are_as_they_were(rules) -> None:
    queue = [job(str(i), shape(4)) for i in range(9)] if "max_starting" in rules else [GANG]
    assert launches(plan(picture(jobs=queue), policy(resource(**rules)))) == ({"r": 2} if len(queue) > 1 else {})


def test_a_minimum_is_no_gang() -> None:
    rules = policy(resource(min_nodes=5, max_starting=2))
    assert launches(plan(picture(), rules)) == {"r": 2}
    slow = policy(resource(min_nodes=5), limits=Limits(launches_per_minute=3))
    assert launches(plan(picture(), slow)) == {"r": 3}


def test_what_is_asked_for_by_hand_is_no_gang() -> None:
    asked = Command("c", CommandKind.LAUNCH, "op", "r", count=3)
    (reply,) = plan(picture(commands=(asked,), memory=memory()), TWO_AT_ONCE).replies
    assert reply.code is ReplyCode.NOT_ALLOWED
