"""What growing decides besides packing: reasons, minimum sizes, requests and nominations."""

from __future__ import annotations

from builders import (
    NOW,
    host,
    host_of,
    job,
    jobs,
    launches,
    memory,
    node,
    picture,
    plan,
    policy,
    resource,
    shape,
)

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.memory import Learned
from dynamiccluster.model.plan import Plan, Refusal, ShapeReport
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S = NodeState


def report(decided: Plan) -> ShapeReport:
    (only,) = decided.demand.reports
    return only


def placed(decided: Plan) -> tuple[int, int, int, int]:
    """Tasks on free nodes, on coming ones, on new ones, and without a place."""
    found = decided.demand.reports
    return (
        sum(r.on_free for r in found),
        sum(r.on_coming for r in found),
        sum(r.on_new for r in found),
        sum(r.unplaced for r in found),
    )


# -- no place -----------------------------------------------------------------------------------------


def test_jobs_that_name_their_hosts_get_no_node() -> None:
    decided = plan(picture([node()], [job("1", shape(hosts=("r-n9",)))]))
    assert not launches(decided)
    assert placed(decided) == (0, 0, 0, 1)


def test_a_misfit_says_why_and_that_it_is_for_ever() -> None:
    rules = policy(resource("small", 2), resource("other", queue="x"), resource("lean", 64, 100))
    found = report(plan(picture(jobs=[job("1", shape(64, 1024))]), rules))
    assert found.refusals == {"small": Refusal.CORES, "other": Refusal.QUEUE, "lean": Refusal.MEMORY}
    assert found.never
    assert found.unplaced == 1


def test_not_for_ever_if_a_host_that_exists_could_hold_it() -> None:
    found = report(plan(picture(jobs=[job("1", shape(64))], hosts=[host("large", 64, used=60), host("small")])))
    assert found.unplaced == 1
    assert not found.never
    elsewhere = host("large", 64, used=60, queues=frozenset({"x"}))
    assert report(plan(picture(jobs=[job("1", shape(64))], hosts=[elsewhere]))).never


def test_not_for_ever_if_a_limit_stands_in_the_way() -> None:
    found = report(plan(picture(jobs=[job("1", shape(4, chunks=50))])))
    assert found.unplaced == 1
    assert not found.never
    assert found.refusals == {"r": Refusal.MAX_NODES}


def test_for_ever_if_the_only_resource_may_have_no_nodes() -> None:
    found = report(plan(picture(jobs=[job("1")]), policy(resource(max_nodes=0))))
    assert found.never
    assert found.refusals == {"r": Refusal.MAX_NODES}


def test_without_automatic_mode_the_report_says_what_would_be_launched() -> None:
    decided = plan(picture(jobs=jobs(3)), policy(auto_mode=False))
    assert not launches(decided)
    assert report(decided).refusals == {"r": Refusal.AUTO_OFF}
    assert report(decided).on_new == 3


def test_limits_come_before_automatic_mode_in_the_report() -> None:
    decided = plan(picture(jobs=jobs(9)), policy(resource(max_nodes=1), auto_mode=False))
    assert report(decided).refusals == {"r": Refusal.MAX_NODES}


# -- minimum sizes and requests ----------------------------------------------------------------------


def test_minimum_sizes_are_kept_up() -> None:
    decided = plan(picture([node("n1")]), policy(resource(min_nodes=3)))
    assert launches(decided) == {"r": 2}
    assert decided.actions[0].reason == "minimum of 3 node(s)"


def test_nodes_bought_for_jobs_count_for_the_minimum() -> None:
    assert launches(plan(picture(jobs=jobs(8)), policy(resource(min_nodes=2)))) == {"r": 2}


def test_failing_nodes_do_not_count_for_the_minimum_held_ones_of_an_operator_do() -> None:
    held = node("n2", S.HELD, hold_why=HoldWhy.OPERATOR, hold_confirmed_at=NOW - 50)
    down = node("n3", S.DOWN)
    hosts = [host_of(held, held="dynamiccluster:c1:n2"), host_of(down, state=HostState.DOWN)]
    assert launches(plan(picture([held, down], hosts=hosts), policy(resource(min_nodes=2)))) == {"r": 1}


def test_the_minimum_respects_the_limits() -> None:
    rules = policy(resource("b", min_nodes=2), resource("a", min_nodes=2), limits=Limits(max_nodes=3))
    assert launches(plan(picture(), rules)) == {"a": 2, "b": 1}
    assert not launches(plan(picture(clouds={}), policy(resource(min_nodes=2))))


def test_requests_are_cut_into_batches_and_nodes_are_nominated() -> None:
    rules = policy(resource(), limits=Limits(launch_batch=2))
    decided = plan(picture(jobs=jobs(5, shape(4))), rules)
    assert [len(action.specs) for action in decided.actions] == [2, 2, 1]
    assert len({action.launch_id for action in decided.actions}) == 3
    assert {nomination.job_id for nomination in decided.memory.nominations.values()} == {"1"}
    assert set(decided.memory.nominations) == set(decided.nodes)
    assert set(decided.launches) == {action.launch_id for action in decided.actions}
    for made in decided.nodes.values():
        assert made.state is S.REQUESTED
        assert made.host_name == f"r-{made.node_id}"
        assert made.action_id in {action.action_id for action in decided.actions}


def test_the_reason_names_a_few_jobs_and_counts_the_rest() -> None:
    queue = [job(str(i), shape(4, walltime_s=i), priority=float(-i)) for i in range(5)]
    (action,) = plan(picture(jobs=queue)).actions
    assert action.reason == "for waiting job(s) 0, 1, 2 and 2 more"


def test_learned_capacity_is_planned_with() -> None:
    snapshot = picture(jobs=jobs(4), memory=memory(learned={"r": Learned(Capacity(4, 8192), Capacity(2, 8192))}))
    assert launches(plan(snapshot)) == {"r": 2}
