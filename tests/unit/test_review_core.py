"""Interleavings that once ended a running job, looped, or got stuck. Each was seen to fail before it was mended."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import (
    MARK,
    NOW,
    OBS,
    VIEW_AT,
    actions,
    after,
    cloud_view,
    draft,
    host,
    host_of,
    instance_of,
    job,
    launch_of,
    memory,
    node,
    picture,
    plan,
    policy,
    resource,
    running,
    scheduler_view,
    shape,
)

from dynamiccluster.decide import results
from dynamiccluster.decide.facts import deadline_s
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.action import Action, ActionKind, ActionResult, Outcome
from dynamiccluster.model.command import Command, CommandKind
from dynamiccluster.model.host import HostState
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.launch import Launch, LaunchState
from dynamiccluster.model.memory import Miss, Nomination, Override
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.resource import ResourceFlag
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S = NodeState
A = ActionKind
DRAINING = {"r": Override(ResourceFlag.DRAINING, 0, 0)}


def refused(action: Action, error: ErrorClass, at: float) -> ActionResult:
    return ActionResult(
        action.action_id, action.kind, Outcome.REFUSED, at, error, "said so", action.node_id, action.launch_id
    )


def round_trip(snapshot: Snapshot, decided: Plan, error: ErrorClass, **more: object) -> Snapshot:
    """Every action of the plan comes back refused, on the same views."""
    back = tuple(refused(action, error, NOW) for action in decided.actions)
    return after(snapshot, decided, **more) if not back else _with(after(snapshot, decided, **more), back)


def _with(snapshot: Snapshot, back: tuple[ActionResult, ...]) -> Snapshot:
    return replace(snapshot, results=back)


def test_a_host_that_only_the_job_list_shows_is_not_missing() -> None:
    n = node("n1", S.BUSY)
    tired = memory(misses={"host:n1": Miss(9, OBS - 900, VIEW_AT - 10)})
    decided = plan(picture([n], [running("1", n.host_name)], hosts=[], memory=tired))
    assert decided.nodes.get("n1", n).state is S.BUSY


@pytest.mark.parametrize("state", [S.CONFIGURING, S.JOINING])
def test_a_node_with_a_job_is_not_given_up_while_joining(state: NodeState) -> None:
    n = node("n1", state, state_since_obs=OBS - 5000)
    decided = plan(picture([n], [running("1", n.host_name)], hosts=[]))
    assert decided.nodes.get("n1", n).state is S.JOINING  # a node in CONFIGURING has just gone on


def test_a_failed_node_with_a_job_that_may_live_is_left_alone() -> None:
    n = node("n1", S.FAILED)
    decided = plan(picture([n], [running("1", n.host_name)], hosts=[]))
    assert decided.nodes.get("n1", n).state is S.FAILED
    assert not decided.actions


def test_draining_a_node_that_somebody_else_holds_asks_nothing() -> None:
    n = node()
    snapshot = picture([n], hosts=[host_of(n, held="maintenance")], memory=memory(overrides=DRAINING))
    assert not plan(snapshot).actions


def test_a_refused_hold_of_a_draining_node_waits_for_a_new_view() -> None:
    n = node()
    snapshot = picture([n], memory=memory(overrides=DRAINING))
    holds = 0
    for _ in range(5):
        decided = plan(snapshot)
        holds += len(actions(decided, A.HOLD))
        snapshot = round_trip(snapshot, decided, ErrorClass.BUSY)
    assert holds == 1


def test_jobs_that_cannot_be_moved_are_not_tried_all_the_time() -> None:
    n = node("n1", S.FAILED, dead=True)
    hosts = [host_of(n, state=HostState.DOWN, jobs=("7",))]
    snapshot = picture([n], hosts=hosts, instances=[])
    tries, told = 0, 0
    for turn in range(12):
        decided = plan(snapshot)
        tries += len(actions(decided, A.EVACUATE))
        told += sum("requeued" in event.text for event in decided.events)
        back = tuple(
            ActionResult(a.action_id, a.kind, Outcome.DONE, VIEW_AT + turn, node_id=a.node_id)
            if a.kind is A.EVACUATE
            else refused(a, ErrorClass.BUSY, VIEW_AT + turn)
            for a in decided.actions
        )
        view = scheduler_view(hosts=hosts, at=VIEW_AT + turn + 0.5)
        snapshot = _with(after(snapshot, decided, scheduler=view), back)
    assert tries <= 2
    assert told == 1


def test_a_late_machine_whose_host_runs_a_job_is_adopted_not_swept() -> None:
    over = Launch("L", "r", "t", ("n9",), LaunchState.ABANDONED, NOW - 900, NOW - 600)
    late = Instance("i-late", InstanceState.ACTIVE, "L", "n9", "r", "r-x", "r-x")
    snapshot = picture(
        jobs=[running("9", "r-x")],
        hosts=[host("r-x", used=1)],
        instances=[late],
        launches={"L": over},
        memory=memory(misses={"orphan:i-late": Miss(1, OBS - 40, VIEW_AT - 20)}),
    )
    decided = plan(snapshot)
    assert not actions(decided, A.TERMINATE)
    assert [n.instance_id for n in decided.nodes.values()] == ["i-late"]


@pytest.mark.parametrize("state", [S.DOWN, S.FAILED, S.QUARANTINED])
def test_delete_deletes_in_manual_mode(state: NodeState) -> None:
    n = node("n1", state)
    snapshot = picture([n], hosts=[host_of(n, state=HostState.DOWN)], commands=(delete(n.node_id),))
    decided = plan(snapshot, policy(auto_mode=False))
    assert decided.nodes["n1"].state is S.REMOVING


def test_what_an_operator_deletes_is_not_rescued() -> None:
    n = node("n1", S.FAILED, hold_why=HoldWhy.DELETE)
    assert plan(picture([n]), policy(auto_mode=False)).nodes["n1"].state is S.REMOVING


def delete(target: str) -> Command:
    return Command("c", CommandKind.DELETE, "ann", target)


def test_nodes_of_a_gang_that_waits_for_its_last_one_do_not_starve() -> None:
    gang = job("1", shape(4, chunks=2, distinct=True))
    up = node("n1", first_job_at=0.0, starved_obs=OBS - 9000, joined_obs=OBS - 9000)
    coming = node("n2", S.STARTING)
    decided = plan(picture([up, coming], [gang]))
    assert decided.nodes["n1"].state is S.IDLE
    assert decided.nodes["n1"].starved_obs is None


def test_nodes_of_a_gang_are_kept_while_a_failed_one_is_replaced() -> None:
    gang = job("1", shape(4, chunks=2, distinct=True))
    up = node("n1", idle_since_obs=OBS - 900)
    broken = node("n2", S.TERMINATING)
    kept = {"n1": Nomination(OBS - 400, "1"), "n2": Nomination(0.0, "1")}
    rules = policy(resource(max_nodes=2))
    decided = plan(picture([up, broken], [gang], memory=memory(nominations=kept)), rules)
    assert decided.nodes.get("n1", up).state is S.IDLE


@pytest.mark.parametrize(
    ("more", "marked"), [({}, "do not touch"), ({"hold_why": HoldWhy.OPERATOR}, f"{MARK}r-n1")], ids=["other", "ours"]
)
def test_a_down_node_that_a_person_holds_has_no_deadline(more: dict[str, HoldWhy], marked: str) -> None:
    n = node("n1", S.DOWN, **more)
    d = draft(picture([n], hosts=[host_of(n, state=HostState.DOWN, held=marked)]))
    assert deadline_s(d, n, d.hosts) is None


def test_a_down_node_that_became_unknown_has_no_deadline() -> None:
    n = node("n1", S.DOWN)
    d = draft(picture([n], hosts=[host_of(n, state=HostState.UNKNOWN)]))
    assert deadline_s(d, n, d.hosts) is None


def test_observing_repeats_no_launch() -> None:
    lost = node("n1", S.UNSETTLED, launch_id="L")
    snapshot = picture(
        [lost],
        launches={"L": launch_of(lost, state=LaunchState.OPEN)},
        instances=[],
        memory=memory(observe_only=True, step_retry_obs={"relaunch:L": OBS}),
    )
    assert not plan(snapshot, policy(idempotent_clouds=frozenset({"t"}))).actions


def test_a_repeat_asks_for_all_or_for_nothing() -> None:
    lost, bound = node("n1", S.UNSETTLED, launch_id="L"), node("n2", S.STARTING, launch_id="L")
    snapshot = picture(
        [lost, bound],
        launches={"L": launch_of(lost, bound, state=LaunchState.OPEN)},
        memory=memory(step_retry_obs={"relaunch:L": OBS}),
    )
    assert not actions(plan(snapshot, policy(idempotent_clouds=frozenset({"t"}))), A.LAUNCH)


@pytest.mark.parametrize("why", [HoldWhy.OPERATOR, HoldWhy.VACATE, HoldWhy.DELETE])
def test_a_hold_outlives_a_short_death(why: HoldWhy) -> None:
    n = node("n1", S.DOWN, hold_why=why)
    decided = plan(picture([n]))
    assert (decided.nodes["n1"].state, decided.nodes["n1"].hold_why) == (S.HOLDING, why)
    assert [action.kind for action in decided.actions] == [A.HOLD]


def test_restore_takes_back_a_drain() -> None:
    n = node("n1", S.HELD, hold_why=HoldWhy.DRAIN, hold_confirmed_at=VIEW_AT - 50)
    decided = plan(picture([n], hosts=[host_of(n, held=f"{MARK}r-n1")]))
    assert decided.nodes["n1"].state is S.IDLE
    assert [action.kind for action in decided.actions] == [A.RELEASE]


def test_manual_mode_keeps_nodes_of_a_resource_that_left_the_file() -> None:
    n = node(of="old")
    assert not plan(picture([n]), policy(resource("new"), auto_mode=False)).actions


def test_nodes_of_a_tenancy_without_a_view_are_not_drained() -> None:
    n = node(of="old", tenancy="gone")
    assert not plan(picture([n]), policy(resource("new"))).actions


def test_a_node_in_use_that_neither_answers_nor_works_counts_as_down_in_the_end() -> None:
    n = node("n1", S.BUSY)
    silent = memory(misses={"silent:n1": Miss(40, OBS - 500, VIEW_AT - 10)})
    decided = plan(picture([n], hosts=[host_of(n, state=HostState.UNKNOWN)], memory=silent))
    assert decided.nodes["n1"].state is S.DOWN
    fresh = plan(picture([n], hosts=[host_of(n, state=HostState.UNKNOWN)]))
    assert fresh.nodes.get("n1", n).state is S.BUSY


def test_jobs_are_moved_only_on_a_view_from_after_the_hold() -> None:
    n = node("n1", S.HOLDING, todo=(A.VACATE,), acted_at=VIEW_AT + 5, hold_why=HoldWhy.VACATE)
    d = draft(picture([n], [running("7", n.host_name)]))
    results.issue_steps(d)
    assert not d.actions


def test_a_machine_of_ours_is_swept_where_nobody_uses_it() -> None:
    over = Launch("L", "r", "t", ("n9",), LaunchState.ABANDONED, NOW - 900, NOW - 600)
    late = instance_of(node("n9", launch_id="L"))
    seen = memory(misses={f"orphan:{late.instance_id}": Miss(1, OBS - 40, VIEW_AT - 20)})
    decided = plan(picture(instances=[late], launches={"L": over}, memory=seen, clouds={"t": cloud_view([late])}))
    assert [action.instance_id for action in actions(decided, A.TERMINATE)] == [late.instance_id]


def test_idle_nodes_of_a_tenancy_without_a_view_stay() -> None:
    n = node(tenancy="silent", idle_since_obs=OBS - 5000)
    assert not plan(picture([n], instances=[])).actions


def test_a_step_that_can_never_succeed_counts_against_the_resource() -> None:
    n = node("n1", S.CONFIGURING, todo=(A.HOST_ADD,), action_id="a1")
    no = ActionResult("a1", A.HOST_ADD, Outcome.REFUSED, NOW, ErrorClass.BAD_CONFIG, "no such GPU", "n1")
    decided = plan(picture([n], results=(no,)))
    assert decided.memory.breakers["r"].failures == 1


def test_a_mark_of_ours_in_other_words_is_taken_over() -> None:
    n = node()
    snapshot = picture([n], hosts=[host_of(n, held=f"{MARK}an-older-name")])
    decided = plan(snapshot)
    assert [(action.kind, action.mark) for action in decided.actions] == [(A.HOLD, f"{MARK}an-older-name")]


def test_jobs_that_nothing_can_ever_hold_are_not_released_again() -> None:
    stuck = [job("1", shape(2), stuck=True), job("2", shape(999), stuck=True)]
    (action,) = actions(plan(picture(jobs=stuck)), A.UNSTICK)
    assert action.job_ids == ("1",)


def test_the_schedulers_word_stands_in_the_reason_of_a_failed_join() -> None:
    n = node("n1", S.JOINING, state_since_obs=OBS - 5000)
    decided = plan(picture([n], hosts=[host_of(n, state=HostState.DOWN, detail="Low RealMemory")]))
    assert "Low RealMemory" in decided.nodes["n1"].reason


def test_a_host_that_never_came_up_gives_no_hope() -> None:
    waiting = [job("1", shape(64))]
    decided = plan(picture(jobs=waiting, hosts=[host("ghost", 64, state=HostState.JOINING)]))
    assert decided.demand.reports[0].never


def test_nothing_is_launched_by_hand_before_the_cluster_was_seen() -> None:
    by_hand = Command("c", CommandKind.LAUNCH, "ann", "r")
    unseen = picture(scheduler=None, memory=memory(looked=False), commands=(by_hand,))
    decided = plan(unseen)
    assert not decided.actions
    assert "have been seen" in decided.replies[0].message


@pytest.mark.parametrize(
    ("auto", "says"), [(True, "the engine acts"), (False, "automatic mode is off")], ids=["auto", "manual"]
)
def test_observe_off_says_what_happens_now(auto: bool, says: str) -> None:
    off = Command("c", CommandKind.OBSERVE_OFF, "ann")
    decided = plan(picture(memory=memory(observe_only=True, auto_mode=auto), commands=(off,)))
    assert says in decided.replies[0].message


def test_a_launch_on_a_drained_resource_says_so() -> None:
    by_hand = Command("c", CommandKind.LAUNCH, "ann", "r")
    decided = plan(picture(memory=memory(overrides=DRAINING), commands=(by_hand,)))
    assert "restore it first" in decided.replies[0].message
