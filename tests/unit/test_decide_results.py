"""What came of each kind of action, by outcome; and the next steps."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOW, OBS, VIEW_AT, draft, host_of, launch_of, memory, node, picture, plan, policy, resource

from dynamiccluster.decide import results
from dynamiccluster.decide.draft import Draft
from dynamiccluster.decide.lifecycle import LEAVING_THE_SCHEDULER
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.action import HOOKS, ActionKind, ActionResult, LaunchedInstance, Outcome
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.host import HostState
from dynamiccluster.model.launch import LaunchState
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState, Miss
from dynamiccluster.model.policy import DeadJobs
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S, A, X = NodeState, ActionKind, ErrorClass
DONE, REFUSED, UNKNOWN = Outcome.DONE, Outcome.REFUSED, Outcome.UNKNOWN
ENDED = NOW - 1.0


def result(kind: ActionKind, outcome: Outcome, error: str = "", **more: Any) -> ActionResult:
    fields = {"node_id": "n1", "message": "said so", **more}
    return ActionResult("a1", kind, outcome, ENDED, error, **fields)


def took(n, came: ActionResult, rules=None, **more) -> Draft:
    d = draft(picture([n], **more), rules)
    results.take_in(d, came)
    return d


# -- steps of one node --------------------------------------------------------------------------------

STEPS = [
    (S.CONFIGURING, A.NAME_ADD),
    (S.CONFIGURING, A.CHECK),
    (S.CONFIGURING, A.HOST_ADD),
    (S.HOLDING, A.HOLD),
    (S.IDLE, A.RELEASE),
    (S.HOLDING, A.VACATE),
    (S.EVACUATING, A.EVACUATE),
    (S.REMOVING, A.HOST_REMOVE),
    (S.TERMINATING, A.TERMINATE),
    (S.FORGETTING, A.NAME_REMOVE),
]
RETRIED = [X.TRANSIENT, X.THROTTLED, X.BUG]


@pytest.mark.parametrize(("state", "kind"), STEPS)
def test_a_step_that_is_done_makes_way_for_the_next(state, kind) -> None:
    n = node("n1", state, todo=(kind, A.HOOK_NODE_ADDED), action_id="a1", attempts=2, retry_obs=OBS + 9)
    d = took(n, result(kind, DONE))
    found = d.nodes["n1"]
    tries = 2 if state in LEAVING_THE_SCHEDULER else 0  # these count over the whole round
    assert (found.todo, found.action_id, found.attempts, found.retry_obs) == ((A.HOOK_NODE_ADDED,), "", tries, 0.0)
    assert found.state is state
    assert found.acted_at == (ENDED if kind in results.SCHEDULER_ACTIONS else 0.0)
    assert d.closed_actions == ["a1"]


def test_a_confirmed_hold_is_dated() -> None:
    n = node("n1", S.HOLDING, todo=(A.HOLD,), action_id="a1")
    assert took(n, result(A.HOLD, DONE)).nodes["n1"].hold_confirmed_at == ENDED
    recalled = node("n1", S.IDLE, todo=(A.RELEASE,), action_id="a1")
    assert took(recalled, result(A.HOLD, DONE)).nodes["n1"].hold_confirmed_at == 0.0
    assert took(recalled, result(A.HOLD, DONE)).nodes["n1"].todo == (A.RELEASE,)


@pytest.mark.parametrize(("state", "kind"), STEPS)
@pytest.mark.parametrize("outcome", [REFUSED, UNKNOWN])
@pytest.mark.parametrize("error", RETRIED)
def test_a_step_that_failed_for_the_moment_is_tried_again_later(state, kind, outcome, error) -> None:
    n = node("n1", state, todo=(kind,), action_id="a1")
    d = took(n, result(kind, outcome, error))
    found = d.nodes["n1"]
    pause_s = 5 if kind is A.CHECK and error is X.TRANSIENT else 10
    assert (found.state, found.todo, found.action_id) == (state, (kind,), "")
    assert (found.attempts, found.retry_obs) == (1, OBS + pause_s)
    assert d.wakes == [NOW + pause_s]


@pytest.mark.parametrize(
    ("attempts", "pause_s", "said"), [(0, 10, 1), (1, 20, 0), (4, 160, 1), (5, 300, 0), (19, 300, 1)]
)
def test_pauses_double_and_a_step_that_goes_on_failing_is_told_now_and_then(attempts, pause_s, said) -> None:
    n = node("n1", S.REMOVING, todo=(A.HOST_REMOVE,), action_id="a1", attempts=attempts)
    d = took(n, result(A.HOST_REMOVE, REFUSED, X.TRANSIENT))
    assert d.nodes["n1"].retry_obs == OBS + pause_s
    assert len(d.events) == said
    if said:
        assert d.events[0].kind is (EventKind.WARNING if attempts else EventKind.ACTION)


def test_a_checker_that_says_not_yet_is_no_news() -> None:
    n = node("n1", S.CONFIGURING, todo=(A.CHECK,), action_id="a1")
    assert not took(n, result(A.CHECK, REFUSED, X.TRANSIENT)).events


@pytest.mark.parametrize(("state", "kind"), [step for step in STEPS if step[1] in results.GONE_IS_DONE])
def test_not_found_is_done_where_the_thing_was_to_go(state, kind) -> None:
    n = node("n1", state, todo=(kind,), action_id="a1")
    assert took(n, result(kind, REFUSED, X.NOT_FOUND)).nodes["n1"].todo == ()


@pytest.mark.parametrize("error", [X.BUSY, X.NOT_FOUND])
def test_a_refused_hold_leaves_the_node_working(error) -> None:
    n = node("n1", S.HOLDING, todo=(A.HOLD,), action_id="a1", hold_why=HoldWhy.SCALE_DOWN)
    found = took(n, result(A.HOLD, REFUSED, error)).nodes["n1"]
    assert (found.state, found.todo, found.hold_why) == (S.IDLE, (), HoldWhy.NONE)


@pytest.mark.parametrize(("state", "kind"), [(S.IDLE, A.RELEASE), (S.HOLDING, A.VACATE)])
def test_busy_ends_a_release_or_vacate(state, kind) -> None:
    n = node("n1", state, todo=(kind,), action_id="a1")
    assert took(n, result(kind, REFUSED, X.BUSY)).nodes["n1"].todo == ()


@pytest.mark.parametrize("kind", [A.HOST_ADD, A.CHECK, A.NAME_ADD])
@pytest.mark.parametrize("error", [X.BAD_CONFIG, X.AUTH])
def test_a_wrong_configuration_fails_the_node(kind, error) -> None:
    n = node("n1", S.CONFIGURING, todo=(kind,), action_id="a1")
    found = took(n, result(kind, REFUSED, error)).nodes["n1"]
    assert found.state is S.FAILED
    assert "said so" in found.reason


@pytest.mark.parametrize(
    ("of_node", "host_state", "then"),
    [
        ({"hold_why": HoldWhy.SCALE_DOWN, "hold_confirmed_at": 1.0}, HostState.UP, S.HOLDING),
        ({}, HostState.UP, S.BUSY),
        ({"dead": True}, HostState.UP, S.FAILED),
        ({}, HostState.DOWN, S.FAILED),
    ],
)
def test_jobs_found_at_removal_stop_it(of_node, host_state, then) -> None:
    n = node("n1", S.REMOVING, todo=(A.HOST_REMOVE,), action_id="a1", **of_node)
    d = took(n, result(A.HOST_REMOVE, REFUSED, X.BUSY), hosts=[host_of(n, state=host_state, jobs=("7",))])
    assert d.nodes["n1"].state is then
    assert d.nodes["n1"].todo == ()


@pytest.mark.parametrize("kind", sorted(HOOKS))
@pytest.mark.parametrize("outcome", [REFUSED, UNKNOWN])
def test_a_failing_hook_is_told_and_never_in_the_way(kind, outcome) -> None:
    n = node("n1", S.CONFIGURING, todo=(kind, A.HOST_ADD), action_id="a1")
    d = took(n, result(kind, outcome, X.BUG))
    assert d.nodes["n1"].todo == (A.HOST_ADD,)
    assert d.events[0].kind is EventKind.WARNING


@pytest.mark.parametrize("outcome", [DONE, REFUSED, UNKNOWN])
def test_the_result_of_a_step_that_is_no_longer_wanted_changes_no_steps(outcome) -> None:
    n = node("n1", S.HOLDING, todo=(A.HOLD,), action_id="a1")
    found = took(n, result(A.RELEASE, outcome, X.TRANSIENT)).nodes["n1"]
    assert (found.todo, found.attempts, found.action_id, found.acted_at) == ((A.HOLD,), 0, "", ENDED)


def test_results_of_other_actions_or_unknown_nodes_are_closed_and_change_nothing() -> None:
    n = node("n1", S.HOLDING, todo=(A.HOLD,), action_id="another")
    d = took(n, result(A.HOLD, DONE))
    assert d.nodes["n1"] is n
    assert d.closed_actions == ["a1"]
    assert took(n, result(A.HOLD, DONE, node_id="n9")).closed_actions == ["a1"]


# -- launches -----------------------------------------------------------------------------------------


def launched(came: ActionResult, rules=None, state=S.REQUESTED, count=2, **more) -> Draft:
    nodes = [node(f"n{i}", state, launch_id="L", action_id="a1") for i in range(1, count + 1)]
    d = draft(picture(nodes, launches={"L": launch_of(*nodes, state=LaunchState.OPEN)}, **more), rules)
    d.open_actions["a1"] = A.LAUNCH
    results.take_in(d, came)
    return d


def reply(outcome=DONE, error="", **more) -> ActionResult:
    return result(A.LAUNCH, outcome, error, node_id="", launch_id="L", **more)


def test_machines_are_bound_by_their_tag_or_in_order() -> None:
    tagged = (LaunchedInstance("x2", "n2", "vm2", "10.0.0.2", "wn2"), LaunchedInstance("x1", "n1"))
    d = launched(reply(instances=tagged))
    assert [(n.instance_id, n.state, n.action_id) for n in d.nodes.values()] == [
        ("x1", S.STARTING, ""),
        ("x2", S.STARTING, ""),
    ]
    assert (d.nodes["n2"].instance_name, d.nodes["n2"].address, d.nodes["n2"].host_name) == ("vm2", "10.0.0.2", "wn2")
    assert d.nodes["n1"].host_name == "r-n1"
    assert d.nodes["n1"].billed_from_at == NOW
    in_order = launched(reply(instances=(LaunchedInstance("x1"), LaunchedInstance("x2"))))
    assert [n.instance_id for n in in_order.nodes.values()] == ["x1", "x2"]
    assert d.launches["L"].state is LaunchState.SETTLED
    assert (d.open_actions, d.closed_actions) == ({}, ["a1"])


def test_an_accepted_launch_ends_the_back_off() -> None:
    known = memory(backoffs={"resource:r": Backoff(OBS, NOW)})
    assert not launched(reply(instances=(LaunchedInstance("x1"), LaunchedInstance("x2"))), memory=known).backoffs


def test_fewer_machines_than_asked_is_a_lack_of_capacity() -> None:
    d = launched(reply(instances=(LaunchedInstance("x1"),)))
    assert set(d.nodes) == {"n1"}
    assert d.forgotten_nodes == ["n2"]
    assert d.backoffs["resource:r"].error_class == X.CAPACITY


def test_more_machines_than_asked_or_for_unknown_nodes_are_left_to_the_list() -> None:
    many = tuple(LaunchedInstance(f"x{i}") for i in range(5))
    assert [n.instance_id for n in launched(reply(instances=many)).nodes.values()] == ["x0", "x1"]
    strange = (LaunchedInstance("x9", "n9"), LaunchedInstance("x1", "n1"), LaunchedInstance("x2", "n2"))
    assert [n.instance_id for n in launched(reply(instances=strange)).nodes.values()] == ["x1", "x2"]


def test_a_node_that_the_list_has_bound_before_the_reply_keeps_its_machine() -> None:
    d = launched(reply(instances=(LaunchedInstance("x1", "n1"), LaunchedInstance("x2", "n2"))), state=S.STARTING)
    assert [n.instance_id for n in d.nodes.values()] == ["i-n1", "i-n2"]


@pytest.mark.parametrize(
    ("error", "backoffs", "failures"),
    [
        (X.CAPACITY, {"resource:r"}, 0),
        (X.QUOTA, {"resource:r"}, 0),
        (X.THROTTLED, {"tenancy:t"}, 0),
        (X.TRANSIENT, {"launch:r"}, 1),
        (X.AUTH, set(), 1),
        (X.BUG, {"launch:r"}, 1),
    ],
)
def test_a_refused_launch_drops_its_nodes_and_is_remembered_by_class(error, backoffs, failures) -> None:
    d = launched(reply(REFUSED, error))
    assert not d.nodes
    assert d.forgotten_nodes == ["n1", "n2"]
    assert d.launches["L"].state is LaunchState.SETTLED
    assert set(d.backoffs) == backoffs
    assert d.breakers.get("r", Breaker()).failures == failures


def test_a_refused_trial_is_over() -> None:
    known = memory(breakers={"r": Breaker(BreakerState.HALF_OPEN, 5, 1, trial_node="n1")})
    assert launched(reply(REFUSED, X.CAPACITY), memory=known).breakers["r"].trial_node == ""


def test_a_lost_reply_leaves_the_nodes_unsettled_and_the_launch_open() -> None:
    known = memory(misses={"settle:L": Miss(2, OBS)})
    d = launched(reply(UNKNOWN, X.UNKNOWN_OUTCOME), memory=known)
    assert {n.state for n in d.nodes.values()} == {S.UNSETTLED}
    assert d.launches["L"].state is LaunchState.OPEN
    assert not d.misses
    assert not d.step_retry_obs


def test_where_repeating_is_safe_a_lost_launch_is_repeated_after_a_pause() -> None:
    d = launched(reply(UNKNOWN), policy(idempotent_clouds=frozenset({"t"})))
    assert d.step_retry_obs == {"relaunch:L": OBS + 10}


def test_the_reply_to_a_repeated_launch_settles_it() -> None:
    d = launched(reply(instances=(LaunchedInstance("x1"), LaunchedInstance("x2"))), state=S.UNSETTLED)
    assert {n.state for n in d.nodes.values()} == {S.STARTING}


def test_a_refused_repeat_says_nothing_about_the_first_try() -> None:
    d = launched(reply(REFUSED, X.CAPACITY), state=S.UNSETTLED)
    assert {n.state for n in d.nodes.values()} == {S.UNSETTLED}
    assert d.launches["L"].state is LaunchState.OPEN


def test_the_result_of_a_launch_that_is_forgotten_is_only_closed() -> None:
    d = launched(result(A.LAUNCH, DONE, launch_id="unheard of"))
    assert d.closed_actions == ["a1"]
    assert {n.state for n in d.nodes.values()} == {S.REQUESTED}


def test_another_actions_id_on_a_node_is_not_cleared() -> None:
    n = node("n1", S.STARTING, launch_id="L", action_id="other")
    d = draft(picture([n], launches={"L": launch_of(n, state=LaunchState.OPEN)}))
    results.take_in(d, reply())
    assert d.nodes["n1"].action_id == "other"
    assert not d.backoffs


# -- actions of no single node ------------------------------------------------------------------------


def test_declared_shapes_are_remembered_when_the_scheduler_has_taken_them() -> None:
    known = memory(declared="asked:f00", step_retry_obs={"declare": 1.0}, open_actions={"a1": "declare"})
    d = took(node(), result(A.DECLARE, DONE, node_id=""), memory=known)
    assert (d.memory.declared, d.step_retry_obs, d.open_actions) == ("f00", {}, {})


@pytest.mark.parametrize(("kind", "declared"), [(A.DECLARE, ""), (A.UNSTICK, "asked:f00")])
@pytest.mark.parametrize("outcome", [REFUSED, UNKNOWN])
def test_a_failing_service_action_waits_and_is_told(kind, declared, outcome) -> None:
    d = took(node(), result(kind, outcome, X.BUG, node_id=""), memory=memory(declared="asked:f00"))
    assert d.memory.declared == declared
    assert d.step_retry_obs == {str(kind): OBS + 300}
    assert d.events[0].kind is EventKind.WARNING


def test_unsticking_that_is_done_needs_nothing_more() -> None:
    d = took(node(), result(A.UNSTICK, DONE, node_id=""), memory=memory(declared="asked:f00"))
    assert d.memory.declared == "asked:f00"


# -- next steps ---------------------------------------------------------------------------------------


def issued(n, rules=None, **more) -> Draft:
    d = draft(picture([n], **more), rules)
    results.issue_steps(d)
    return d


@pytest.mark.parametrize(("state", "kind"), [step for step in STEPS if step[1] is not A.EVACUATE])
def test_the_next_step_is_issued_once(state, kind) -> None:
    d = issued(node("n1", state, todo=(kind, A.HOOK_NODE_ADDED)))
    (action,) = d.actions
    assert (action.kind, action.node_id, action.host_name, action.instance_id) == (kind, "n1", "r-n1", "i-n1")
    assert action.mark == "dynamiccluster:c1:r-n1"
    assert d.nodes["n1"].action_id == action.action_id
    assert not issued(d.nodes["n1"]).actions


def test_nothing_is_issued_before_the_pause_is_over() -> None:
    d = issued(node("n1", S.REMOVING, todo=(A.HOST_REMOVE,), retry_obs=OBS + 7))
    assert not d.actions
    assert d.wakes == [NOW + 7]


@pytest.mark.parametrize(
    ("state", "then", "kind"),
    [
        (S.CONFIGURING, S.JOINING, None),
        (S.EVACUATING, S.REMOVING, A.HOST_REMOVE),
        (S.REMOVING, S.TERMINATING, A.TERMINATE),
    ],
)
def test_a_state_whose_steps_are_done_is_left(state, then, kind) -> None:
    d = issued(node("n1", state))
    assert d.nodes["n1"].state is then
    assert [action.kind for action in d.actions] == ([kind] if kind else [])


def test_a_node_that_is_cleaned_up_is_forgotten() -> None:
    assert issued(node("n1", S.FORGETTING)).forgotten_nodes == ["n1"]


def test_a_machine_that_was_never_bound_needs_no_terminate() -> None:
    d = issued(node("n1", S.TERMINATING, todo=(A.TERMINATE,), instance_id=""))
    assert d.nodes["n1"].state is S.FORGETTING
    assert not d.actions


@pytest.mark.parametrize(
    ("how", "delete", "said"), [(DeadJobs.REQUEUE, False, "requeued"), (DeadJobs.DELETE, True, "deleted")]
)
def test_the_jobs_of_a_dead_node_are_requeued_or_deleted_as_configured_never_silently(how, delete, said) -> None:
    n = node("n1", S.EVACUATING, todo=(A.EVACUATE,), reason="gone")
    d = issued(n, policy(dead_jobs=how), hosts=[host_of(n, jobs=("7", "8"))])
    (action,) = d.actions
    assert (action.kind, action.job_ids, action.delete_jobs) == (A.EVACUATE, ("7", "8"), delete)
    assert [(e.kind, e.job_id) for e in d.events] == [(EventKind.JOB, "7"), (EventKind.JOB, "8")]
    assert all(e.text.startswith(said) for e in d.events)


def test_a_dead_node_without_jobs_is_not_evacuated() -> None:
    d = issued(node("n1", S.EVACUATING, todo=(A.EVACUATE,)))
    assert not d.actions
    assert d.nodes["n1"].todo == ()


def test_vacate_names_the_jobs() -> None:
    n = node("n1", S.HOLDING, todo=(A.VACATE,))
    assert issued(n, hosts=[host_of(n, jobs=("7",))]).actions[0].job_ids == ("7",)


# -- all of a life ------------------------------------------------------------------------------------


def test_a_result_is_taken_in_before_the_view_speaks() -> None:
    """The view is older than the end of the hold: it cannot show that the held node is empty."""
    n = node("n1", S.HOLDING, todo=(A.HOLD,), action_id="a1", hold_why=HoldWhy.OPERATOR)
    held = host_of(n, held="dynamiccluster:c1:n1")
    early = picture([n], hosts=[held], results=(result(A.HOLD, DONE),))
    assert plan(early).nodes["n1"].state is S.HOLDING
    in_time = ActionResult("a1", A.HOLD, DONE, VIEW_AT - 1, node_id="n1")
    assert plan(picture([n], hosts=[held], results=(in_time,))).nodes["n1"].state is S.HELD


def test_results_of_resources_that_left_the_configuration_do_no_harm() -> None:
    d = launched(reply(REFUSED, X.CAPACITY), policy(resource("other")))
    assert not d.nodes
