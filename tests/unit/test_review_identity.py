"""One machine, one node, one name: after a restored backup, after an adoption by hand, and where names come again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import (
    NOW,
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
    shape,
)

from dynamiccluster.decide.lifecycle import NodeEvent, apply
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.command import Command, CommandKind
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.memory import Miss
from dynamiccluster.model.worker_node import NodeState

S = NodeState
ADOPT = Command("c", CommandKind.ADOPT, "op", "r-n1", resource="r")


def machine(node_id: str = "", name: str = "", launch_id: str = "c1-abcd0009", **more) -> Instance:
    return Instance("i-x", InstanceState.ACTIVE, launch_id, node_id, "r", name, **more)


# -- a restored backup ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "there",
    [
        {"instances": [machine("abcd0001")]},
        {"instances": [machine(name="r-abcd0001")]},
        {"instances": [machine(host_name="r-abcd0001")]},
        {"instances": [machine(launch_id="c1-abcd0001")]},
        {"hosts": [host("other-abcd0001", used=4)]},
        {"hosts": [host("other-abcd0001.example.org", used=4)]},
        {"clouds": {"t": cloud_view(), "u": cloud_view([machine("abcd0001")], tenancy="u")}},
    ],
)
def test_ids_that_anybody_shows_are_not_given_again(there) -> None:
    decided = plan(picture(jobs=[job("1", shape(4))], **there))
    (launch,) = actions(decided, ActionKind.LAUNCH)
    assert [spec.node_id for spec in launch.specs] == ["abcd0002"]
    assert decided.memory.next_serial == 3


# -- adoption by hand -----------------------------------------------------------------------------------------


def test_adoption_by_hand_finds_the_machine_of_that_name() -> None:
    n = node("n1")
    decided = plan(picture(hosts=[host_of(n)], instances=[instance_of(n)], commands=(ADOPT,)))
    (made,) = decided.nodes.values()
    assert made.instance_id == "i-n1"


def test_a_machine_that_another_node_claims_is_not_taken() -> None:
    n, other = node("n1"), node("n2", host_name="elsewhere", instance_id="i-n1")
    hosts = [host_of(n), host_of(other)]
    decided = plan(picture([other], hosts=hosts, instances=[instance_of(n)], commands=(ADOPT,)))
    made = next(found for found in decided.nodes.values() if found.host_name == "r-n1")
    assert made.instance_id == ""


@pytest.mark.parametrize("known", [False, True])
def test_a_machine_that_shows_up_later_is_bound_and_neither_doubled_nor_swept(known) -> None:
    n = node("n1")
    old = {n.launch_id: launch_of(n)} if known else {}
    snapshot = picture(hosts=[host_of(n)], instances=[], launches=old, commands=(ADOPT,))
    decided = plan(snapshot)
    for poll in range(1, 4):
        view = {"t": cloud_view([instance_of(n)], at=NOW + 20.0 * poll)}
        snapshot = after(snapshot, decided, clouds=view)
        decided = plan(snapshot, now=NOW + 20.0 * poll + 2.0)
        assert not actions(decided, ActionKind.TERMINATE)
    (made,) = after(snapshot, decided).nodes.values()
    assert (made.host_name, made.instance_id, made.adopted) == ("r-n1", "i-n1", True)


def test_a_machine_of_another_tenancy_is_not_bound() -> None:
    n = node("n1", S.IDLE, adopted=True, instance_id="")
    view = {"t": cloud_view(), "u": cloud_view([instance_of(n)], tenancy="u")}
    decided = plan(picture([n], clouds=view, launches={}))
    assert decided.nodes.get("n1", n).instance_id == ""


# -- names ----------------------------------------------------------------------------------------------------


def test_a_name_that_a_living_node_bears_is_not_removed() -> None:
    gone = node("n1", S.FORGETTING, host_name="ip-10-0-0-5", todo=(ActionKind.NAME_REMOVE,))
    alive = node("n2", S.BUSY, host_name="ip-10-0-0-5")
    snapshot = picture([gone, alive], hosts=[host("ip-10-0-0-5", used=1)])
    decided = plan(snapshot)
    assert not actions(decided, ActionKind.NAME_REMOVE)
    assert "n1" in plan(after(snapshot, decided)).forgotten_nodes
    both_gone = [gone, replace(alive, state=S.FORGETTING, todo=(ActionKind.NAME_REMOVE,))]
    assert len(actions(plan(picture(both_gone)), ActionKind.NAME_REMOVE)) == 2


# -- forgetting -----------------------------------------------------------------------------------------------


def test_a_node_is_forgotten_with_all_that_was_missed_of_it() -> None:
    kinds = ("instance", "host", "unheld", "silent")
    missed = {f"{kind}:{name}": Miss(1, 0.0) for kind in kinds for name in ("n1", "n2")}
    d = draft(picture([node("n1", S.FORGETTING)], memory=memory(misses=missed)), policy(resource()))
    apply(d, "n1", NodeEvent.STEPS_DONE, "over")
    assert set(d.misses) == {f"{kind}:n2" for kind in kinds}
