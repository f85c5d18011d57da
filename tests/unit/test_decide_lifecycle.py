"""The transition table: total, explained, and what moving a node brings with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import NOW, OBS, draft, host_of, node, picture, policy, resource

from dynamiccluster.decide.facts import deadline_s
from dynamiccluster.decide.lifecycle import (
    IGNORE,
    IMPOSSIBLE,
    OPERATOR,
    PLANNER,
    REFUSE,
    TABLE,
    NodeEvent,
    age_s,
    answer,
    apply,
    steps_on_entry,
)
from dynamiccluster.decide.lifecycle_page import NOTES, markdown
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.host import HostState
from dynamiccluster.model.memory import Miss, Nomination
from dynamiccluster.model.resource import Timers
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S, E, A = NodeState, NodeEvent, ActionKind
PAIRS = [(state, event) for state in NodeState for event in NodeEvent]
CLOUD_SAYS_LOST = (E.SEEN_GONE, E.SEEN_STOPPED)
ENDING = {S.FAILED, S.EVACUATING, S.REMOVING, S.TERMINATING, S.FORGETTING, S.GONE}


def at(state, **more):
    n = node("n1", state, **more)
    return draft(picture([n]), policy(forget_steps=(A.NAME_REMOVE,)))


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_pair_is_answered_and_the_answer_is_carried_out(state, event) -> None:
    d = at(state)
    said = answer(state, event)
    moved = apply(d, "n1", event, "because")
    if said is IGNORE:
        assert moved is d.snapshot.nodes["n1"]
        assert not d.events
    elif said is REFUSE:
        assert moved.state is S.QUARANTINED
        assert [e.kind for e in d.events] == [EventKind.WARNING, EventKind.NODE]
        assert "because" in d.events[0].text
    else:
        assert moved.state is said
        assert moved.reason == "because"
        (event_written,) = d.events
        assert (event_written.from_state, event_written.to_state) == (state, said)
        assert ("n1" in d.nodes) == (said is not S.GONE)


def test_no_edge_is_also_called_impossible() -> None:
    assert not [(s, e) for s, events in IMPOSSIBLE.items() for e in events if e in TABLE[s]]


def test_every_state_but_the_last_has_a_way_out_and_can_be_reached() -> None:
    assert {state for state in NodeState if not TABLE[state]} == {S.GONE}
    reached = {to for edges in TABLE.values() for to in edges.values()} | {S.REQUESTED, S.QUARANTINED}
    assert reached == set(NodeState)


def test_from_every_state_a_node_can_come_to_its_end() -> None:
    ends = {S.GONE}
    while True:
        more = {state for state, edges in TABLE.items() if set(edges.values()) & ends}
        if more <= ends:
            break
        ends |= more
    assert ends == set(NodeState)


def test_operators_and_the_cloud_never_quarantine_a_node() -> None:
    cloud = {event for event in NodeEvent if event.name.startswith("SEEN_")}
    assert not {e for events in IMPOSSIBLE.values() for e in events} & (OPERATOR | cloud)
    assert set(IMPOSSIBLE[S.IDLE]) & PLANNER


@pytest.mark.parametrize("state", sorted(set(NodeState) - ENDING - {S.QUARANTINED}))
@pytest.mark.parametrize("event", CLOUD_SAYS_LOST)
def test_a_machine_that_the_cloud_calls_lost_fails_its_node_whatever_it_did(state, event) -> None:
    assert answer(state, event) is S.FAILED


@pytest.mark.parametrize("state", [S.IDLE, S.BUSY])
def test_a_working_node_never_goes_straight_to_removal_but_when_the_scheduler_has_switched_it_off(state) -> None:
    straight = {event for event, to in TABLE[state].items() if to in (S.REMOVING, S.TERMINATING, S.HELD)}
    assert straight == {E.HOST_OFF}


def test_only_a_held_or_failed_node_or_one_that_never_worked_is_removed() -> None:
    of_ours = {s: {to for event, to in edges.items() if event is not E.HOST_OFF} for s, edges in TABLE.items()}
    assert {s for s, targets in of_ours.items() if S.REMOVING in targets} == {
        S.STARTING,
        S.CONFIGURING,
        S.JOINING,
        S.HELD,
        S.FAILED,
        S.EVACUATING,
    }
    assert {s for s, edges in TABLE.items() if S.TERMINATING in edges.values()} == {S.REMOVING, S.TERMINATING}


# -- what a state brings with it ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "todo"),
    [
        (S.HOLDING, (A.HOLD,)),
        (S.EVACUATING, (A.EVACUATE,)),
        (S.REMOVING, (A.HOST_REMOVE,)),
        (S.TERMINATING, (A.TERMINATE,)),
        (S.FORGETTING, ()),
        (S.CONFIGURING, (A.HOST_ADD,)),
        (S.IDLE, ()),
        (S.DOWN, ()),
    ],
)
def test_steps_of_a_state(state, todo) -> None:
    assert steps_on_entry(state, policy()) == todo


def test_a_new_machine_is_configured_in_full_a_forgotten_one_only_added_again() -> None:
    rules = policy(join_steps=(A.HOOK_VM_PROVISIONED, A.NAME_ADD, A.CHECK, A.HOST_ADD))

    def todo(state, event, **more):
        d = draft(picture([node("n1", state, **more)]), rules)
        return apply(d, "n1", event, "x").todo

    assert todo(S.STARTING, E.SEEN_ACTIVE) == rules.join_steps
    assert todo(S.STARTING, E.SEEN_ACTIVE, adopted=True) == (A.NAME_ADD, A.HOST_ADD)
    assert todo(S.JOINING, E.HOST_MISSING) == (A.HOST_ADD,)
    assert todo(S.IDLE, E.HOST_MISSING) == (A.HOST_ADD,)


@pytest.mark.parametrize(
    ("state", "event", "why"),
    [
        (S.IDLE, E.SHRINK, HoldWhy.SCALE_DOWN),
        (S.BUSY, E.DRAIN, HoldWhy.DRAIN),
        (S.IDLE, E.USELESS, HoldWhy.FAULT),
        (S.BUSY, E.OP_HOLD, HoldWhy.OPERATOR),
        (S.IDLE, E.OP_VACATE, HoldWhy.VACATE),
        (S.BUSY, E.OP_DELETE, HoldWhy.DELETE),
        (S.IDLE, E.HOST_HELD_EMPTY, HoldWhy.SCALE_DOWN),
    ],
)
def test_a_hold_knows_why(state, event, why) -> None:
    moved = apply(at(state), "n1", event, "x")
    assert (moved.hold_why, moved.hold_confirmed_at, moved.idle_since_obs) == (why, 0.0, None)
    assert moved.todo[0] is A.HOLD


def test_vacate_moves_the_jobs_after_the_hold() -> None:
    assert apply(at(S.BUSY), "n1", E.OP_VACATE, "x").todo == (A.HOLD, A.VACATE)
    held = at(S.HELD, hold_why=HoldWhy.OPERATOR, hold_confirmed_at=NOW)
    assert apply(held, "n1", E.OP_VACATE, "x").todo == (A.VACATE,)


def test_a_confirmed_hold_is_not_asked_for_again() -> None:
    d = at(S.HELD, hold_why=HoldWhy.SCALE_DOWN, hold_confirmed_at=NOW - 9)
    moved = apply(d, "n1", E.HOST_HELD_BUSY, "x")
    assert (moved.state, moved.todo, moved.hold_confirmed_at) == (S.HOLDING, (), NOW - 9)


def test_the_reason_of_a_hold_survives_the_host_being_down_for_a_while() -> None:
    moved = apply(at(S.DOWN, hold_why=HoldWhy.OPERATOR), "n1", E.HOST_HELD_EMPTY, "x")
    assert (moved.state, moved.hold_why) == (S.HOLDING, HoldWhy.OPERATOR)
    assert apply(at(S.DOWN), "n1", E.HOST_HELD_EMPTY, "x").hold_why is HoldWhy.SCALE_DOWN


@pytest.mark.parametrize(
    ("event", "todo"), [(E.RECALL, (A.RELEASE,)), (E.OP_UNHOLD, (A.RELEASE,)), (E.HOST_UNHELD, ())]
)
def test_leaving_a_hold_forgets_it_and_releases_the_host_unless_that_has_been_done(event, todo) -> None:
    moved = apply(at(S.HELD, hold_why=HoldWhy.SCALE_DOWN, hold_confirmed_at=NOW), "n1", event, "x")
    assert (moved.state, moved.todo, moved.hold_why, moved.hold_confirmed_at) == (S.IDLE, todo, HoldWhy.NONE, 0.0)
    assert moved.idle_since_obs == OBS


def test_moving_starts_the_clock_anew_and_forgets_tries() -> None:
    moved = apply(at(S.BUSY, attempts=3, retry_obs=OBS + 9), "n1", E.HOST_IDLE, "x")
    assert (moved.attempts, moved.retry_obs, moved.state_since_obs, moved.state_since_at) == (0, 0.0, OBS, NOW)


def test_launch_and_join_share_one_time_limit() -> None:
    d = at(S.STARTING, state_since_obs=OBS - 300)
    moved = apply(d, "n1", E.SEEN_ACTIVE, "x")
    assert moved.launch_spent_s == 300
    assert deadline_s(d, moved, d.hosts) == 900
    again = apply(at(S.IDLE, launch_spent_s=1100.0), "n1", E.HOST_MISSING, "x")
    assert again.launch_spent_s == 0


def test_changes_go_in_only_with_a_move() -> None:
    d = at(S.REQUESTED)
    assert apply(d, "n1", E.HOST_IDLE, "x", instance_id="i").instance_id == ""
    assert apply(d, "n1", E.LAUNCH_ACCEPTED, "x", instance_id="i").instance_id == "i"


def test_a_node_that_is_gone_leaves_nothing_behind() -> None:
    n = node("n1", S.FORGETTING)
    d = draft(picture([n]))
    d.nominations["n1"] = Nomination(0.0, "1")
    d.misses |= {"instance:n1": Miss(1, OBS), "host:n1": Miss(1, OBS), "host:other": Miss(1, OBS)}
    d.put(n)
    apply(d, "n1", E.STEPS_DONE, "x")
    assert (d.nodes, d.changed_nodes, d.forgotten_nodes) == ({}, {}, ["n1"])
    assert not d.nominations
    assert set(d.misses) == {"host:other"}


# -- deadlines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "more", "limit_s"),
    [
        (S.REQUESTED, {}, None),
        (S.UNSETTLED, {}, None),
        (S.STARTING, {}, 600),
        (S.STARTING, {"launch_spent_s": 700.0}, 500),
        (S.CONFIGURING, {"launch_spent_s": 200.0}, 1000),
        (S.JOINING, {}, 1200),
        (S.IDLE, {}, None),
        (S.BUSY, {}, None),
        (S.HOLDING, {}, None),
        (S.HELD, {}, None),
        (S.DOWN, {}, 480),
        (S.FAILED, {}, None),
        (S.EVACUATING, {}, None),
        (S.REMOVING, {}, None),
        (S.TERMINATING, {}, 120),
        (S.TERMINATING, {"todo": (A.TERMINATE,)}, None),
        (S.TERMINATING, {"action_id": "a"}, None),
        (S.FORGETTING, {}, None),
        (S.QUARANTINED, {}, None),
    ],
)
def test_deadline_of_each_state(state, more, limit_s) -> None:
    n = node("n1", state, **more)
    d = draft(picture([n], hosts=[host_of(n, state=HostState.DOWN)] if state is S.DOWN else None))
    assert deadline_s(d, n, d.hosts) == limit_s


def test_a_down_host_that_lists_jobs_has_the_hard_limit() -> None:
    n = node("n1", S.DOWN)
    d = draft(picture([n], hosts=[host_of(n, state=HostState.DOWN, jobs=("7",))]))
    assert deadline_s(d, n, d.hosts) == 1800


def test_without_a_boot_limit_only_the_launch_limit_counts() -> None:
    n = node("n1", S.STARTING, launch_spent_s=100.0)
    d = draft(picture([n]), policy(resource(timers=Timers(boot_s=0))))
    assert deadline_s(d, n, d.hosts) == 1100


@pytest.mark.parametrize(
    ("state", "source"), [(S.STARTING, "cloud:t"), (S.TERMINATING, "cloud:t"), (S.DOWN, "scheduler")]
)
def test_ages_are_read_on_the_clock_of_the_source_that_can_end_the_state(state, source) -> None:
    d = at(state, state_since_obs=OBS - 40)
    assert age_s(d, d.nodes["n1"]) == 40
    for name, clock in list(d.clocks.items()):
        d.clocks[name] = replace(clock, total_s=OBS + (1000 if name == source else 5))
    assert age_s(d, d.nodes["n1"]) == 1040


# -- the page -----------------------------------------------------------------------------------------


def test_the_page_has_every_state_and_every_edge() -> None:
    page = markdown()
    assert set(NOTES) == set(NodeState)
    for state, edges in TABLE.items():
        assert f"| **{state}** | {NOTES[state].meaning} |" in page
        for event, to in edges.items():
            (line,) = [part for part in page.splitlines() if part.startswith(f"    {state} --> {to}:")]
            assert str(event) in line
    assert page.count("!") >= sum(len(events) for events in IMPOSSIBLE.values())
