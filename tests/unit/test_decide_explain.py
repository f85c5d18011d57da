"""The sentence that every job gets."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOW, OBS, after, host, job, jobs, memory, node, picture, plan, policy, resource, running, shape

from dynamiccluster.decide.explain import ORDER, SENTENCES, ranks
from dynamiccluster.decide.tick import answer
from dynamiccluster.model.job import JobState, Wait
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState
from dynamiccluster.model.plan import MISFITS, Demand, JobAnswer, Refusal
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.worker_node import NodeState

S = NodeState


def told(snapshot, rules=None, of: str = "1") -> JobAnswer:
    rules = rules or policy()
    decided = plan(snapshot, rules)
    (wanted,) = [j for j in snapshot.scheduler.jobs if j.job_id == of]
    return answer(after(snapshot, decided), rules, NOW + 1, decided.demand, wanted)


def of(waiting: Any, *more: Any, rules=None, nodes=(), **fields: Any) -> JobAnswer:
    return told(picture(nodes, [waiting, *more], **fields), rules, waiting.job_id)


def test_every_refusal_has_a_sentence_and_misfits_come_first() -> None:
    assert set(SENTENCES) == set(Refusal)
    assert set(ORDER[: len(MISFITS)]) == MISFITS


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.STARTING, JobState.SUSPENDED, JobState.COMPLETING])
def test_a_running_job_says_where(state) -> None:
    found = of(job("1", state=state, wait=Wait.NO, hosts=("a", "b")))
    assert found.summary == f"{state} on a, b"
    assert found.nodes == ("a", "b")


def test_a_running_job_without_hosts_and_an_ended_one() -> None:
    assert of(running("1")).summary == "running on hosts not named"
    assert of(job("1", state=JobState.DONE)).summary == "the scheduler calls it done"


def test_a_job_that_waits_for_something_else() -> None:
    found = of(job("1", wait=Wait.NO, reason="Dependency"))
    assert "more nodes do not give: Dependency" in found.summary
    later = of(job("1", wait=Wait.NOT_YET, reason="BeginTime", eligible_at=NOW + 99))
    assert "cannot start yet (BeginTime)" in later.summary
    assert later.earliest_retry_at == NOW + 99


def test_an_array_that_its_own_throttle_holds_back() -> None:
    found = of(job("1", tasks=5, throttle=2, running_tasks=2))
    assert "throttle of 2 tasks" in found.summary
    assert found.wait == Wait.NOT_YET


def test_a_queue_that_is_not_monitored() -> None:
    found = of(job("1", shape(queues=("x", "y"))), rules=policy(queues=("q",)))
    assert found.summary == "its queue (x, y) is not monitored"
    assert "(none)" in of(job("1", shape(queues=())), rules=policy(queues=("q",))).summary


def test_nonsense_is_called_so() -> None:
    assert "make no sense" in of(job("1", shape(-1))).summary


def test_a_job_that_fits_is_told_on_what() -> None:
    assert "nodes that are up" in of(job("1"), nodes=[node()]).summary
    assert "on their way" in of(job("1"), nodes=[node("n1", S.STARTING)]).summary
    found = of(job("1"))
    assert found.summary == "nodes are being launched for it"
    (name,) = found.nodes
    assert name.startswith("r-abcd")


def test_jobs_of_one_shape_are_told_apart_by_their_rank() -> None:
    snapshot = picture([node("n1"), node("n2", S.STARTING)], jobs(13, shape(1)))
    rules = policy(resource(max_nodes=3))
    said = [told(snapshot, rules, str(i)).summary for i in (1, 4, 5, 8, 9, 12, 13)]
    assert ["up" in said[0], "up" in said[1]] == [True, True]
    assert ["on their way" in text for text in said[2:4]] == [True, True]
    assert ["launched" in text for text in said[4:6]] == [True, True]
    assert "because of a limit" in said[6]


def test_a_job_for_named_hosts() -> None:
    found = of(job("1", shape(hosts=("a", "b"))))
    assert "the very host(s) a, b" in found.summary


def test_a_job_that_can_never_run_says_why_not_on_each_resource() -> None:
    found = of(job("1", shape(64)), rules=policy(resource(), resource("s", queue="x")))
    assert "can never run here" in found.summary
    assert found.refusals == {"r": SENTENCES[Refusal.CORES], "s": SENTENCES[Refusal.QUEUE]}


def test_a_job_that_only_existing_hosts_could_take() -> None:
    found = told(picture(jobs=[job("1", shape(64))], hosts=[host("big", 64, used=60)]))
    assert "hosts that exist but are in use" in found.summary


def test_the_limit_that_binds_is_named_with_the_resources_it_binds() -> None:
    rules = policy(resource(max_nodes=1), resource("s", max_nodes=1), resource("small", 1))
    ending = [node("n1", S.TERMINATING), node("n2", S.TERMINATING, "s")]
    found = of(job("1", shape(4)), rules=rules, nodes=ending)
    assert found.limit == Refusal.MAX_NODES
    assert found.summary == f"waits because of a limit: r, s {SENTENCES[Refusal.MAX_NODES]}"
    assert found.refusals["small"] == SENTENCES[Refusal.CORES]
    assert found.earliest_retry_at == 0


def test_the_earliest_retry_of_several_resources_that_are_closed_for_now() -> None:
    known = memory(
        breakers={"r": Breaker(BreakerState.OPEN, 5, 1, OBS + 500, NOW + 500)},
        backoffs={"resource:s": Backoff(OBS + 90, NOW + 90)},
    )
    found = of(job("1"), rules=policy(resource(), resource("s")), memory=known)
    assert found.limit == Refusal.CLOSED
    assert found.earliest_retry_at == pytest.approx(NOW + 90, abs=2)
    assert found.refusals["s"] == SENTENCES[Refusal.SOLD_OUT]


def test_several_limits_the_nearest_to_the_resource_is_named() -> None:
    rules = policy(resource(max_nodes=0), resource("s"), limits=Limits(max_nodes=1))
    found = of(job("1", shape(4)), job("0", shape(4), priority=9.0), rules=rules)
    assert found.limit == Refusal.MAX_NODES
    assert found.refusals["s"] == SENTENCES[Refusal.CLUSTER_NODES]


def test_in_manual_mode_the_answer_says_so() -> None:
    found = of(job("1"), rules=policy(auto_mode=False))
    assert found.refusals == {"r": SENTENCES[Refusal.AUTO_OFF]}


def test_a_job_that_came_after_the_plan_has_no_report() -> None:
    assert ranks(Demand(), ("1",)) == {}
