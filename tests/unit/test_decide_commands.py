"""What an operator may ask for, in which state, and the answer."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOW, OBS, draft, host, host_of, memory, node, picture, policy, resource

from dynamiccluster.decide import commands
from dynamiccluster.decide.draft import Draft
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.command import Command, CommandKind, ReplyCode
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState, Override
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.resource import ResourceFlag
from dynamiccluster.model.worker_node import HoldWhy, NodeState

S, K, R = NodeState, CommandKind, ReplyCode
OK, NO, LOST, CONFLICT = R.OK, R.NOT_ALLOWED, R.NOT_FOUND, R.CONFLICT


def ask(kind: CommandKind, target: str = "", *nodes: Any, rules=None, memory=None, hosts=None, **more: Any) -> Draft:
    given = {"memory": memory} if memory else {}
    d = draft(picture(nodes, hosts=hosts, **given), rules)
    commands.obey(d, Command("c1", kind, "ann", target, **more))
    (event,) = [e for e in d.events if e.kind is EventKind.COMMAND]
    assert event.actor == "ann"
    assert d.replies[0].message in event.text
    return d


def code(d: Draft) -> ReplyCode:
    (reply,) = d.replies
    assert reply.command_id == "c1"
    assert reply.message
    return reply.code


# -- nodes --------------------------------------------------------------------------------------------

HOLDABLE = {S.IDLE, S.BUSY, S.HOLDING, S.HELD}
THEN = {
    K.HOLD: dict.fromkeys(HOLDABLE, S.HOLDING),
    K.VACATE: dict.fromkeys(HOLDABLE, S.HOLDING),
    K.UNHOLD: dict.fromkeys((S.HOLDING, S.HELD, S.QUARANTINED), S.IDLE),
    K.DELETE: {
        S.STARTING: S.REMOVING,
        S.CONFIGURING: S.REMOVING,
        S.JOINING: S.REMOVING,
        S.HELD: S.REMOVING,
        S.DOWN: S.FAILED,
        S.FAILED: S.FAILED,  # the next clean-up takes it, also in manual mode
        S.QUARANTINED: S.FAILED,
    },
}


@pytest.mark.parametrize("kind", THEN)
@pytest.mark.parametrize("state", NodeState)
def test_node_commands_are_carried_out_or_refused_by_state(kind, state) -> None:
    d = ask(kind, "n1", node("n1", state))
    then = THEN[kind].get(state)
    assert code(d) is (OK if then else NO)
    assert d.nodes["n1"].state is (then or state)
    if then:
        assert d.replies[0].node_ids == ("n1",)
        assert f"now {then}" in d.replies[0].message


@pytest.mark.parametrize("state", [S.IDLE, S.BUSY, S.HOLDING])
def test_a_forced_delete_holds_a_working_node_and_never_removes_it_at_once(state) -> None:
    d = ask(K.DELETE, "n1", node("n1", state), force=True)
    assert code(d) is OK
    assert (d.nodes["n1"].state, d.nodes["n1"].hold_why) == (S.HOLDING, HoldWhy.DELETE)


@pytest.mark.parametrize("state", [S.REQUESTED, S.UNSETTLED, S.REMOVING, S.TERMINATING, S.EVACUATING])
def test_force_does_not_help_where_delete_makes_no_sense(state) -> None:
    assert code(ask(K.DELETE, "n1", node("n1", state), force=True)) is NO


@pytest.mark.parametrize(
    ("state", "hint"), [(S.IDLE, "on hold first"), (S.HOLDING, "not shown empty yet"), (S.REMOVING, "is removing")]
)
def test_a_refused_delete_says_what_to_do_instead(state, hint) -> None:
    assert hint in ask(K.DELETE, "n1", node("n1", state)).replies[0].message


def test_nodes_are_found_by_id_or_host_name() -> None:
    assert code(ask(K.HOLD, "r-n1", node("n1"))) is OK
    assert code(ask(K.HOLD, "n9", node("n1"))) is LOST
    assert code(ask(K.HOLD, "", node("n1", host_name=""))) is LOST


def test_the_command_is_written_with_the_node_it_was_about() -> None:
    d = ask(K.HOLD, "r-n1", node("n1"))
    assert [(e.kind, e.node_id, e.actor) for e in d.events] == [
        (EventKind.NODE, "n1", "ann"),
        (EventKind.COMMAND, "n1", "ann"),
    ]


# -- resources ----------------------------------------------------------------------------------------


def test_launching_by_hand() -> None:
    d = ask(K.LAUNCH, "r", count=3)
    assert code(d) is OK
    assert set(d.replies[0].node_ids) == set(d.nodes)
    (action,) = d.actions
    assert (action.kind, action.actor, len(action.specs)) == (ActionKind.LAUNCH, "ann", 3)
    assert not d.nominations


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "at least 1"),
        (-1, "at least 1"),
        (
            99,
            "99 nodes of r are too many: 10 more nodes can be launched now, then it has its maximum number of nodes "
            "(10)",
        ),
    ],
)
def test_no_more_than_the_limits_allow(count, said) -> None:
    d = ask(K.LAUNCH, "r", count=count)
    assert code(d) is NO
    assert said in d.replies[0].message
    assert not d.nodes


def test_a_full_resource_says_so() -> None:
    d = ask(K.LAUNCH, "r", node("n1"), count=2, rules=policy(resource(max_nodes=1)))
    assert d.replies[0].message == ("no more nodes of r can be launched now: it has its maximum number of nodes (1)")


def test_several_launches_in_one_tick_share_the_limit() -> None:
    d = draft(picture(), policy(limits=Limits(max_nodes=3)))
    for number, count in enumerate((2, 2, 1)):
        commands.obey(d, Command(f"c{number}", K.LAUNCH, "ann", "r", count))
    assert [reply.code for reply in d.replies] == [OK, NO, OK]


def test_freeze_keeps_what_there_is() -> None:
    nodes = [node("n1"), node("n2", S.STARTING), node("n3", S.FORGETTING), node("n4", of="s")]
    d = ask(K.FREEZE, "r", *nodes, rules=policy(resource(), resource("s")))
    assert code(d) is OK
    assert d.overrides == {"r": Override(ResourceFlag.FROZEN, 2, 2)}
    assert code(ask(K.LAUNCH, "r", *nodes, memory=memory(overrides=d.overrides))) is NO


def test_drain_and_restore() -> None:
    d = ask(K.DRAIN, "r")
    assert d.overrides == {"r": Override(ResourceFlag.DRAINING, 0, 0)}
    back = ask(K.RESTORE, "r", memory=memory(overrides=d.overrides))
    assert code(back) is OK
    assert back.overrides == {}
    assert "0 to 10" in back.replies[0].message
    assert code(ask(K.RESTORE, "r")) is OK


def test_reset_opens_a_closed_resource() -> None:
    known = memory(breakers={"r": Breaker(BreakerState.OPEN, 5)}, backoffs={"resource:r": Backoff(OBS + 9, NOW)})
    d = ask(K.RESET, "r", memory=known)
    assert code(d) is OK
    assert not d.breakers
    assert not d.backoffs
    assert d.events[-1].resource == "r"


@pytest.mark.parametrize("kind", [K.LAUNCH, K.FREEZE, K.RESTORE, K.DRAIN, K.RESET])
def test_unknown_resources(kind) -> None:
    d = ask(kind, "nowhere", rules=policy(resource("small"), resource("somewhere")))
    assert code(d) is LOST
    assert d.replies[0].message.endswith("there are small, somewhere; did you mean somewhere?")


# -- modes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (K.AUTO_ON, "auto_mode", True),
        (K.AUTO_OFF, "auto_mode", False),
        (K.OBSERVE_ON, "observe_only", True),
        (K.OBSERVE_OFF, "observe_only", False),
    ],
)
@pytest.mark.parametrize("observing", [True, False])
def test_modes_are_set_whatever_they_were(kind, field, value, observing) -> None:
    d = ask(kind, memory=memory(observe_only=observing))
    assert code(d) is OK
    assert getattr(d.memory, field) is value


@pytest.mark.parametrize("kind", sorted(set(K) - {K.AUTO_ON, K.AUTO_OFF, K.OBSERVE_ON, K.OBSERVE_OFF, K.ADOPT}))
def test_while_observing_nothing_is_changed(kind) -> None:
    d = ask(kind, "n1", node("n1"), memory=memory(observe_only=True))
    assert code(d) is CONFLICT
    assert not d.changed_nodes
    assert not d.actions


# -- adoption -----------------------------------------------------------------------------------------


def adopt(*nodes, observing=False, target="old-1", of="r"):
    hosts = [host("old-1", address="10.0.0.7"), *(host_of(n) for n in nodes)]
    known = memory(observe_only=observing)
    return ask(K.ADOPT, target, *nodes, hosts=hosts, memory=known, resource=of, instance_id="i-old")


@pytest.mark.parametrize("observing", [True, False])
def test_a_host_is_adopted_by_name(observing) -> None:
    d = adopt(observing=observing)
    assert code(d) is OK
    (n,) = d.nodes.values()
    assert (n.host_name, n.address, n.instance_id, n.state) == ("old-1", "10.0.0.7", "i-old", S.JOINING)
    assert (n.adopted, n.resource, n.tenancy) == (True, "r", "t")
    assert d.launches[n.launch_id].adopted
    assert d.replies[0].node_ids == (n.node_id,)


def test_what_cannot_be_adopted() -> None:
    assert code(adopt(of="nowhere")) is LOST
    assert code(adopt(target="unheard-of")) is LOST
    assert code(adopt(node("n1"), target="r-n1")) is NO
