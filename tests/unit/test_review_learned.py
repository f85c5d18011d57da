"""One odd node must not decide for ever what its resource can give."""

from __future__ import annotations

import pytest
from builders import OBS, after, host, host_of, job, launches, memory, node, picture, plan, policy, resource, shape

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import Command, CommandKind
from dynamiccluster.model.memory import Learned
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.worker_node import NodeState

CONFIGURED = Capacity(4, 8192)
SMALL = Capacity(4, 4000)
WANTS_ALL = job("1", shape(1, 8000))


def knowing(learnt_obs: float = OBS, **more):
    return memory(learned={"r": Learned(CONFIGURED, SMALL, learnt_obs, **more)})


def test_what_was_learnt_says_nothing_about_another_configuration() -> None:
    decided = plan(
        picture(jobs=[job("1", shape(32, 8000))], memory=knowing()), policy(resource(cores=64, memory_mib=65536))
    )
    assert launches(decided) == {"r": 1}
    assert not decided.memory.learned


def test_an_operator_can_make_it_forget() -> None:
    reset = Command("c", CommandKind.RESET, "op", "r")
    decided = plan(picture(jobs=[WANTS_ALL], memory=knowing(), commands=(reset,)))
    assert launches(decided) == {"r": 1}
    assert not decided.memory.learned


def test_what_the_configured_size_would_hold_is_not_impossible() -> None:
    decided = plan(picture(jobs=[WANTS_ALL], memory=knowing()))
    (found,) = decided.demand.reports
    assert found.refusals == {"r": Refusal.MEMORY}
    assert not found.never
    larger = plan(picture(jobs=[job("1", shape(1, 9000))], memory=knowing()))
    assert larger.demand.reports[0].never


@pytest.mark.parametrize(
    ("age_s", "doubts", "asked"), [(1799, 0, {}), (1800, 0, {"r": 1}), (1800, 1, {}), (3600, 1, {"r": 1})]
)
def test_an_old_word_is_tried_again_when_jobs_wait_for_more(age_s, doubts, asked) -> None:
    decided = plan(picture(jobs=[WANTS_ALL], memory=knowing(OBS - age_s, doubts=doubts)))
    assert launches(decided) == asked
    if asked:
        assert decided.memory.learned["r"].doubts == doubts + 1
        assert any("planned as configured again" in event.text for event in decided.events)


def test_an_old_word_stands_while_nobody_needs_more() -> None:
    known = knowing(OBS - 9999)
    decided = plan(picture(jobs=[job("1", shape(1, 3000)), job("2", shape(8, 9000))], memory=known))
    assert decided.memory.learned == known.learned


def test_one_node_settles_the_doubt() -> None:
    first = picture(jobs=[WANTS_ALL], memory=knowing(OBS - 1800))
    asked = plan(first)
    assert not launches(plan(after(first, asked)))  # one is on its way
    n = node("n1", NodeState.JOINING)
    doubted = knowing(OBS - 1800, doubts=1, doubted=True)
    as_small = plan(picture([n], hosts=[host(n.host_name, 4, 4000)], memory=doubted))
    assert as_small.memory.learned == {"r": Learned(CONFIGURED, SMALL, OBS, 1)}
    as_configured = plan(picture([n], hosts=[host_of(n)], memory=doubted))
    assert not as_configured.memory.learned


def test_memory_of_resources_that_left_is_dropped() -> None:
    known = memory(learned={"gone": Learned(CONFIGURED, SMALL)})
    assert not plan(picture(memory=known)).memory.learned
