"""The one node by which a resource that kept failing shows that it works again (promise 6)."""

from __future__ import annotations

from builders import job, launches, memory, picture, plan, policy, resource, shape

from dynamiccluster.model.memory import Breaker, BreakerState

HALF_OPEN = memory(breakers={"r": Breaker(BreakerState.HALF_OPEN, failures=5, opened_count=1)})


def test_a_resource_on_trial_gets_one_node_however_many_jobs_wait() -> None:
    waiting = [job(str(i), shape(4)) for i in range(5)]
    assert launches(plan(picture(jobs=waiting, memory=HALF_OPEN))) == {"r": 1}


def test_a_gang_brings_one_trial_node_too() -> None:
    decided = plan(picture(jobs=[job("1", shape(4, chunks=3, distinct=True))], memory=HALF_OPEN))
    assert launches(decided) == {"r": 1}
    assert decided.memory.breakers["r"].trial_node in decided.nodes


def test_no_second_trial_while_one_is_under_way() -> None:
    first = plan(picture(jobs=[job("1", shape(4, chunks=3, distinct=True))], memory=HALF_OPEN))
    again = plan(
        picture(list(first.nodes.values()), [job("1", shape(4, chunks=3, distinct=True))], memory=first.memory)
    )
    assert not launches(again)


def test_nobody_waiting_means_no_trial() -> None:
    assert not launches(plan(picture(memory=HALF_OPEN), policy(resource())))
