"""What cloud, scheduler and clock say of a node, and what is not believed at once."""

from __future__ import annotations

import builders as b
import pytest
from builders import (
    MARK,
    NOW,
    OBS,
    VIEW_AT,
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
    policy,
    resource,
    running,
    scheduler_view,
)

from dynamiccluster.decide import facts
from dynamiccluster.decide.draft import Draft
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.job import JobState
from dynamiccluster.model.memory import Breaker, BreakerState, Learned, Miss, Nomination
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S, H = NodeState, HostState
Cloud = InstanceState
BEFORE = VIEW_AT - 20.0


def heard(*nodes, rules=None, **more) -> Draft:
    d = draft(picture(nodes, **more), rules)
    facts.take_in(d)
    return d


def after(n, rules=None, **more):
    """The node after both sources have spoken."""
    return heard(n, rules=rules, **more).nodes.get(n.node_id)


# -- the cloud ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "says", "then"),
    [
        (S.REQUESTED, Cloud.PENDING, S.STARTING),
        (S.REQUESTED, Cloud.ACTIVE, S.CONFIGURING),
        (S.UNSETTLED, Cloud.PENDING, S.STARTING),
        (S.UNSETTLED, Cloud.ACTIVE, S.CONFIGURING),
        (S.UNSETTLED, Cloud.ERROR, S.FAILED),
        (S.STARTING, Cloud.PENDING, S.STARTING),
        (S.STARTING, Cloud.ACTIVE, S.CONFIGURING),
        (S.STARTING, Cloud.ERROR, S.FAILED),
        (S.STARTING, Cloud.UNKNOWN, S.STARTING),
        (S.STARTING, Cloud.TERMINATING, S.STARTING),
        (S.CONFIGURING, Cloud.GONE, S.FAILED),
        (S.JOINING, Cloud.STOPPED, S.FAILED),
        (S.IDLE, Cloud.ACTIVE, S.IDLE),
        (S.IDLE, Cloud.ERROR, S.IDLE),
        (S.BUSY, Cloud.STOPPED, S.BUSY),  # at the first list; see test_review_clouds
        (S.DOWN, Cloud.STOPPED, S.FAILED),
        (S.BUSY, Cloud.UNKNOWN, S.BUSY),
        (S.HELD, Cloud.GONE, S.FAILED),
        (S.DOWN, Cloud.ERROR, S.FAILED),
        (S.TERMINATING, Cloud.GONE, S.FORGETTING),
        (S.TERMINATING, Cloud.ACTIVE, S.TERMINATING),
        (S.FAILED, Cloud.GONE, S.FAILED),
        (S.REMOVING, Cloud.GONE, S.REMOVING),
        (S.QUARANTINED, Cloud.GONE, S.FAILED),
    ],
)
def test_what_the_cloud_says(state, says, then) -> None:
    n = node("n1", state)
    assert after(n, instances=[instance_of(n, says)], scheduler=None).state is then


@pytest.mark.parametrize(
    ("state", "says", "dead"),
    [
        (S.BUSY, Cloud.GONE, True),
        (S.DOWN, Cloud.STOPPED, True),
        (S.DOWN, Cloud.ERROR, False),
        (S.STARTING, Cloud.ERROR, False),
    ],
)
def test_gone_and_stopped_machines_are_dead_those_in_error_may_still_run(state, says, dead) -> None:
    n = node("n1", state)
    found = after(n, instances=[instance_of(n, says, fault="no disk")], scheduler=None)
    assert found.state is S.FAILED
    assert found.dead is dead
    assert "no disk" in found.reason


@pytest.mark.parametrize("told", ["capacity", "quota"])
def test_machines_for_which_there_was_no_room_after_all_are_a_refused_launch(told) -> None:
    """Nova accepts and says so later. A wave of them pauses the resource once, and does not close it."""
    nodes = [node(f"n{number}", S.STARTING) for number in range(4)]
    d = heard(
        *nodes,
        instances=[instance_of(n, Cloud.ERROR, fault="No valid host", fault_class=told) for n in nodes],
        scheduler=None,
    )
    assert {n.state for n in d.nodes.values()} == {S.FAILED}
    assert [(known.error_class, known.count) for known in d.backoffs.values()] == [(told, 1)]
    assert not d.breakers


@pytest.mark.parametrize(("state", "failures"), [(S.STARTING, 1), (S.BUSY, 0)])
def test_a_machine_lost_on_its_way_counts_against_its_resource_one_lost_later_does_not(state, failures) -> None:
    n = node("n1", state)
    d = heard(n, instances=[instance_of(n, Cloud.GONE)], scheduler=None)
    assert d.breakers.get("r", Breaker()).failures == failures


def test_a_machine_found_in_the_list_is_bound_with_all_that_the_list_says() -> None:
    n = node("n1", S.UNSETTLED)
    seen = instance_of(n, address="10.0.0.9", name="vm", host_name="wn-9")
    found = after(n, instances=[seen])
    assert (found.instance_id, found.address, found.instance_name, found.host_name) == (
        "i-n1",
        "10.0.0.9",
        "vm",
        "wn-9",
    )
    assert found.billed_from_at == NOW


def test_an_address_that_comes_later_is_taken_over_on_the_way_only() -> None:
    coming, up = node("n1", S.STARTING, address="old"), node("n2", S.BUSY, address="old")
    d = heard(coming, up, instances=[instance_of(n, address="new") for n in (coming, up)])
    assert [n.address for n in d.nodes.values()] == ["new", "old"]


def test_machines_without_a_tag_of_their_own_are_bound_to_nodes_of_their_launch_that_wait() -> None:
    nodes = [node(f"n{i}", S.UNSETTLED, launch_id="L") for i in (1, 2)]
    nodes.append(node("n3", S.IDLE, launch_id="L"))
    seen = [Instance(f"x{i}", Cloud.ACTIVE, launch_id="L") for i in range(4)]
    d = heard(*nodes, instances=[instance_of(nodes[2]), *seen], launches={"L": launch_of(*nodes)})
    assert [n.instance_id for n in d.nodes.values()] == ["x0", "x1", "i-n3"]


def test_a_machine_tagged_for_a_node_that_has_another_is_not_bound_to_it() -> None:
    n = node("n1")
    d = heard(n, instances=[instance_of(n), Instance("other", Cloud.GONE, node_id="n1")])
    assert d.nodes["n1"] is n


def test_machines_of_unknown_launches_bind_to_nothing() -> None:
    n = node("n1", S.UNSETTLED)
    d = heard(n, instances=[Instance("x", Cloud.ACTIVE, launch_id="unheard of")])
    assert d.nodes["n1"].instance_id == ""


# -- missing from the cloud's list ---------------------------------------------------------------------


def missed(count, since_s=200.0, key="instance:n1"):
    return memory(misses={key: Miss(count, OBS - since_s, BEFORE)})


@pytest.mark.parametrize(
    ("count", "since_s", "then"),
    [(0, 0, S.STARTING), (1, 200, S.STARTING), (2, 100, S.STARTING), (2, 200, S.FAILED), (9, 119, S.STARTING)],
)
def test_missing_is_believed_after_enough_lists_and_long_enough(count, since_s, then) -> None:
    n = node("n1", S.STARTING)
    known = missed(count, since_s) if count else memory()
    d = heard(n, instances=[], memory=known)
    assert d.nodes["n1"].state is then
    assert d.misses["instance:n1"].count == count + 1


def test_the_same_list_counts_once_and_a_reappearance_starts_anew() -> None:
    n = node("n1", S.STARTING)
    same = memory(misses={"instance:n1": Miss(2, OBS - 200, VIEW_AT)})
    assert heard(n, instances=[], memory=same).misses["instance:n1"].count == 2
    assert not heard(n, memory=missed(2)).misses


def test_a_list_from_before_the_node_came_into_its_state_says_nothing() -> None:
    n = node("n1", S.STARTING, state_since_at=VIEW_AT)
    d = heard(n, instances=[], memory=missed(9))
    assert d.nodes["n1"].state is S.STARTING


def test_nothing_is_missed_without_a_view_or_before_it_was_bound() -> None:
    assert not heard(node("n1", S.STARTING), clouds={}).misses
    assert not heard(node("n1", S.UNSETTLED)).misses


@pytest.mark.parametrize(
    ("state", "host_state", "then"),
    [
        (S.BUSY, H.UP, S.BUSY),
        (S.HELD, H.UP, S.HELD),
        (S.IDLE, H.UNKNOWN, S.FAILED),
        (S.DOWN, H.DOWN, S.FAILED),
        (S.JOINING, H.UP, S.FAILED),
    ],
)
def test_the_scheduler_is_the_second_witness(state, host_state, then) -> None:
    n = node("n1", state, acted_at=VIEW_AT)  # what the scheduler says is no event here, only a denial
    d = heard(n, hosts=[host_of(n, state=host_state)], instances=[], memory=missed(5))
    assert d.nodes["n1"].state is then


def test_a_machine_that_is_being_ended_is_gone_when_missing_often_enough() -> None:
    n = node("n1", S.TERMINATING)
    assert after(n, instances=[], memory=missed(1)).state is S.TERMINATING
    assert after(n, instances=[], memory=missed(2)).state is S.FORGETTING
    assert after(n, instances=[], memory=missed(3, 10)).state is S.TERMINATING
    assert after(n, instances=[], memory=missed(5, 10)).state is S.FORGETTING


# -- the scheduler ------------------------------------------------------------------------------------

HELD = {"held": f"{MARK}n1"}
SETTLED_HOLD = {"hold_why": HoldWhy.SCALE_DOWN, "hold_confirmed_at": VIEW_AT - 9}


@pytest.mark.parametrize(
    ("state", "of_node", "of_host", "then"),
    [
        (S.JOINING, {}, {}, S.IDLE),
        (S.JOINING, {}, {"used": 1}, S.BUSY),
        (S.JOINING, {}, {"state": H.JOINING}, S.JOINING),
        (S.JOINING, {}, {"state": H.DOWN}, S.JOINING),
        (S.JOINING, {}, {"held": "mine"}, S.IDLE),
        (S.JOINING, {"adopted": True}, HELD, S.HOLDING),
        (S.JOINING, {"adopted": True}, {**HELD, "used": 1}, S.HOLDING),
        (S.IDLE, {}, {"used": 1}, S.BUSY),
        (S.IDLE, {}, {"jobs": ("7",)}, S.BUSY),
        (S.IDLE, {}, {"busy": True}, S.BUSY),
        (S.IDLE, {}, {"state": H.DOWN}, S.DOWN),
        (S.IDLE, {}, {"state": H.UNKNOWN}, S.IDLE),
        (S.IDLE, {}, {"held": "mine"}, S.IDLE),
        (S.IDLE, {}, {"held": "mine", "used": 1}, S.BUSY),
        (S.IDLE, {}, HELD, S.HOLDING),
        (S.IDLE, {"todo": (ActionKind.RELEASE,)}, HELD, S.IDLE),
        (S.BUSY, {}, {}, S.IDLE),
        (S.BUSY, {}, {"state": H.DOWN, "used": 1}, S.DOWN),
        (S.HOLDING, {"hold_why": HoldWhy.SCALE_DOWN}, HELD, S.HOLDING),
        (S.HOLDING, SETTLED_HOLD, HELD, S.HELD),
        (S.HOLDING, {**SETTLED_HOLD, "acted_at": VIEW_AT}, HELD, S.HOLDING),
        (S.HOLDING, {**SETTLED_HOLD, "action_id": "a"}, HELD, S.HOLDING),
        (S.HOLDING, SETTLED_HOLD, {**HELD, "used": 1}, S.HOLDING),
        (S.HOLDING, SETTLED_HOLD, {"held": "mine"}, S.HOLDING),
        (S.HOLDING, SETTLED_HOLD, {"state": H.DOWN}, S.DOWN),
        (S.HELD, SETTLED_HOLD, {**HELD, "used": 1}, S.HOLDING),
        (S.HELD, SETTLED_HOLD, HELD, S.HELD),
        (S.DOWN, {}, {}, S.IDLE),
        (S.DOWN, {}, {"used": 2}, S.BUSY),
        (S.DOWN, {}, {"held": "mine"}, S.IDLE),
        (S.DOWN, {}, HELD, S.HOLDING),
        (S.DOWN, {}, {"state": H.DOWN}, S.DOWN),
        (S.FAILED, {}, {}, S.IDLE),
        (S.FAILED, {"dead": True}, {}, S.FAILED),
        (S.EVACUATING, {}, {"used": 1}, S.BUSY),
        (S.TERMINATING, {}, {}, S.TERMINATING),
    ],
)
def test_what_the_scheduler_says(state, of_node, of_host, then) -> None:
    n = node("n1", state, **of_node)
    assert after(n, hosts=[host_of(n, **of_host)]).state is then


def test_the_job_list_alone_makes_a_host_busy() -> None:
    n = node("n1")
    assert after(n, jobs=[running("7", n.host_name)]).state is S.BUSY
    for state in (JobState.STARTING, JobState.COMPLETING, JobState.SUSPENDED, JobState.UNKNOWN):
        assert after(n, jobs=[job("7", state=state, hosts=(n.host_name,))]).state is S.BUSY
    assert after(n, jobs=[running("7", "another-host")]).state is S.IDLE


def test_a_view_from_before_our_last_command_says_nothing() -> None:
    n = node("n1", acted_at=VIEW_AT)
    assert after(n, hosts=[host_of(n, used=4)]) is n
    assert after(n, scheduler=scheduler_view([], [host_of(n, used=4)], VIEW_AT + 1)).state is S.BUSY


def test_without_a_view_the_scheduler_says_nothing() -> None:
    n = node("n1")
    assert after(n, scheduler=None) is n


@pytest.mark.parametrize(
    ("state", "then"),
    [(S.IDLE, S.CONFIGURING), (S.BUSY, S.CONFIGURING), (S.JOINING, S.CONFIGURING), (S.HELD, S.DOWN), (S.DOWN, S.DOWN)],
)
def test_a_host_missing_from_two_lists_is_believed_missing(state, then) -> None:
    n = node("n1", state)
    assert after(n, hosts=[]).state is state
    d = heard(n, hosts=[], memory=missed(1, key="host:n1"))
    assert d.nodes["n1"].state is then
    assert not d.misses


@pytest.mark.parametrize("more", [{"action_id": "a"}, {"todo": (ActionKind.HOLD,)}])
def test_a_host_is_not_missed_while_a_command_on_it_is_under_way(more) -> None:
    assert not heard(node("n1", **more), hosts=[]).misses


def test_a_failed_node_is_not_missed_in_the_scheduler() -> None:
    assert not heard(node("n1", S.FAILED), hosts=[], scheduler=scheduler_view()).misses


def test_a_host_that_is_back_is_no_longer_missed() -> None:
    assert not heard(node("n1"), memory=missed(1, key="host:n1")).misses


def test_somebody_released_a_held_host_is_believed_at_the_second_view() -> None:
    n = node("n1", S.HELD, **SETTLED_HOLD)
    first = heard(n, hosts=[host_of(n)])
    assert first.nodes["n1"].state is S.HELD
    again = heard(n, hosts=[host_of(n)], memory=missed(1, key="unheld:n1"))
    assert again.nodes["n1"].state is S.IDLE
    assert not again.misses
    assert not heard(n, hosts=[host_of(n, **HELD)], memory=missed(1, key="unheld:n1")).misses


@pytest.mark.parametrize("more", [{"action_id": "a"}, {"hold_confirmed_at": 0.0}])
def test_an_unconfirmed_hold_is_not_called_undone(more) -> None:
    n = node("n1", S.HOLDING, **{**SETTLED_HOLD, **more})
    d = heard(n, hosts=[host_of(n)], memory=missed(9, key="unheld:n1"))
    assert d.nodes["n1"].state is S.HOLDING


def test_adding_that_was_never_acknowledged_is_done_when_the_host_is_listed() -> None:
    n = node("n1", S.CONFIGURING, todo=(ActionKind.HOST_ADD,), attempts=1, retry_obs=OBS + 90)
    assert after(n, hosts=[host_of(n)]).todo == ()
    assert after(n, hosts=[]).todo == n.todo
    first_try = node("n1", S.CONFIGURING, todo=(ActionKind.HOST_ADD,))
    assert after(first_try, hosts=[host_of(first_try)]).todo == n.todo


# -- joining ------------------------------------------------------------------------------------------


def test_joining_closes_the_breaker_starts_the_nomination_and_is_told() -> None:
    n = node("n1", S.JOINING)
    known = memory(
        breakers={"r": Breaker(BreakerState.HALF_OPEN, 5, 1, trial_node="n1")},
        nominations={"n1": Nomination(0.0, "7")},
    )
    d = heard(n, hosts=[host_of(n)], memory=known)
    joined = d.nodes["n1"]
    assert (joined.joined_at, joined.joined_obs) == (NOW, OBS)
    assert d.breakers == {}
    assert d.nominations["n1"] == Nomination(OBS + 300, "7")
    assert "joined 5000 s after its launch was decided" in [e.text for e in d.events]


def test_joining_again_is_not_the_first_time() -> None:
    n = node("n1", S.JOINING, joined_at=NOW - 900, joined_obs=OBS - 900)
    d = heard(n, hosts=[host_of(n)], memory=memory(nominations={"n1": Nomination(OBS + 5, "7")}))
    assert (d.nodes["n1"].joined_at, d.nodes["n1"].joined_obs) == (NOW - 900, OBS - 900)
    assert d.nominations["n1"].until_obs == OBS + 5


def test_the_first_job_ends_the_nomination() -> None:
    n = node("n1", first_job_at=0.0, starved_obs=OBS - 5)
    d = heard(n, hosts=[host_of(n, used=1)], memory=memory(nominations={"n1": Nomination(OBS + 5, "7")}))
    assert (d.nodes["n1"].first_job_at, d.nodes["n1"].starved_obs) == (NOW, None)
    assert not d.nominations


@pytest.mark.parametrize(
    ("real", "learned"),
    [
        ((4, 7000), {"r": Capacity(4, 7000)}),
        ((2, 8192), {"r": Capacity(2, 8192)}),
        ((4, 8192), {}),
        ((8, 16384), {}),
        ((0, 8192), {}),
        ((4, 0), {}),
    ],
)
def test_what_a_node_really_has_is_learnt_where_it_is_less(real, learned) -> None:
    n = node("n1", S.JOINING)
    d = heard(n, hosts=[host(n.host_name, *real)])
    assert d.memory.learned == {name: Learned(Capacity(4, 8192), known, OBS) for name, known in learned.items()}


def test_a_better_node_corrects_what_was_learnt() -> None:
    n = node("n1", S.JOINING)
    known = {"r": Learned(Capacity(4, 8192), Capacity(2, 100))}
    d = heard(n, hosts=[host_of(n)], memory=memory(learned=known))
    assert d.memory.learned == {}
    same = heard(n, hosts=[host(n.host_name, 2, 100)], memory=memory(learned=known))
    assert not [e for e in same.events if "less than" in e.text]


def test_nothing_is_learnt_of_a_resource_that_is_no_longer_configured() -> None:
    n = node("n1", S.JOINING, "old")
    assert heard(n, hosts=[host(n.host_name, 1, 1)]).memory.learned == {}


# -- the clock ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "age_s", "hosts", "then", "failures"),
    [
        (S.STARTING, 599, [], S.STARTING, 0),
        (S.STARTING, 600, [], S.FAILED, 1),
        (S.CONFIGURING, 1200, [], S.FAILED, 1),
        (S.JOINING, 1199, [H.JOINING], S.JOINING, 0),
        (S.JOINING, 1200, [H.JOINING], S.FAILED, 1),
        (S.DOWN, 479, [H.DOWN], S.DOWN, 0),
        (S.DOWN, 480, [H.DOWN], S.FAILED, 0),
        (S.TERMINATING, 119, [], S.TERMINATING, 0),
        (S.IDLE, 99999, [H.UP], S.IDLE, 0),
    ],
)
def test_deadlines(state, age_s, hosts, then, failures) -> None:
    n = node("n1", state, state_since_obs=OBS - age_s, todo=(ActionKind.CHECK,) if state is S.CONFIGURING else ())
    says = Cloud.PENDING if state is S.STARTING else Cloud.ACTIVE
    d = heard(n, hosts=[host_of(n, state=known) for known in hosts], instances=[instance_of(n, says)])
    assert d.nodes["n1"].state is then
    assert d.breakers.get("r", Breaker()).failures == failures


def test_terminating_for_too_long_is_asked_for_again() -> None:
    n = node("n1", S.TERMINATING, state_since_obs=OBS - 120)
    found = after(n)
    assert (found.state, found.todo, found.state_since_obs) == (S.TERMINATING, (ActionKind.TERMINATE,), OBS)


def test_a_host_that_came_up_at_the_last_moment_is_not_given_up() -> None:
    n = node("n1", S.JOINING, state_since_obs=OBS - 9999, acted_at=VIEW_AT)
    assert after(n, hosts=[host_of(n)]).state is S.JOINING


def test_a_down_host_with_jobs_gets_the_hard_limit() -> None:
    n = node("n1", S.DOWN, state_since_obs=OBS - 1799)
    assert after(n, hosts=[host_of(n, state=H.DOWN, jobs=("7",))]).state is S.DOWN
    n = node("n1", S.DOWN, state_since_obs=OBS - 1800)
    assert after(n, hosts=[host_of(n, state=H.DOWN, jobs=("7",))]).state is S.FAILED


def test_a_node_of_a_resource_that_left_the_configuration_has_the_default_limits() -> None:
    n = node("n1", S.STARTING, "old", state_since_obs=OBS - 600)
    assert after(n, rules=policy(resource()), instances=[instance_of(n, Cloud.PENDING)]).state is S.FAILED


# -- the index of hosts -------------------------------------------------------------------------------


def test_jobs_on_a_host_are_the_union_of_job_list_and_host_list() -> None:
    view = scheduler_view(
        [running("1", "a", "b"), running("2", "a"), running("3", "c")],
        [host("a", jobs=("2", "9")), host("b"), host("d", busy=True), host("e", used=1), host("t", template=True)],
    )
    hosts = view.index
    assert hosts.jobs_on("a") == ("1", "2", "9")
    assert hosts.jobs_on("nowhere") == ()
    assert hosts.occupied == {"a", "b", "c", "d", "e"}
    assert set(hosts.by_name) == {"a", "b", "d", "e"}
    assert hosts.busy(view.hosts[0])


def test_only_hosts_that_are_listed_down_are_down() -> None:
    hosts = scheduler_view([], [host("a", state=H.DOWN), host("b")]).index
    assert [hosts.is_down(name) for name in ("a", "b", "c")] == [True, False, False]


def test_cloud_views_of_several_tenancies_are_all_heard() -> None:
    a, b = node("n1", S.STARTING), node("n2", S.STARTING, tenancy="u")
    views = {"t": cloud_view([instance_of(a)]), "u": cloud_view([instance_of(b)], tenancy="u")}
    assert {n.state for n in heard(a, b, clouds=views).nodes.values()} == {S.CONFIGURING}


@pytest.mark.parametrize("used", [0, 2])
def test_a_mark_of_a_former_node_of_the_same_name_is_taken_away(used: int) -> None:
    node = b.node("n2", NodeState.JOINING)
    stale = b.host_of(node, held=b.MARK + node.host_name, used=used)
    plan = b.plan(b.picture([node], hosts=[stale]))
    assert plan.nodes["n2"].state is (NodeState.BUSY if used else NodeState.IDLE)
    (action,) = b.actions(plan, ActionKind.RELEASE)
    assert action.mark == b.MARK + node.host_name


def test_an_adopted_node_that_is_held_stays_held() -> None:
    node = b.node("n2", NodeState.JOINING, adopted=True)
    plan = b.plan(b.picture([node], hosts=[b.host_of(node, held=b.MARK + node.host_name)]))
    assert plan.nodes["n2"].state is NodeState.HOLDING
