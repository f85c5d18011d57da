"""Work whose spot instances are refused waits for them, and then goes where the resource says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import NOW, after, cloud_view, job, launch_of, node, picture, policy, resource, scheduler_view

from dynamiccluster.config.menus import FOR_EVER_S
from dynamiccluster.decide.tick import answer, decide
from dynamiccluster.model.action import Action, ActionKind, ActionResult, LaunchedInstance, Outcome
from dynamiccluster.model.launch import LaunchState
from dynamiccluster.model.memory import Override
from dynamiccluster.model.plan import Plan, Refusal, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import ResourceFlag
from dynamiccluster.model.worker_node import NodeState

TICK_S = 20.0
SPOT = "t/any/c5.large/spot"


def rules(waits_s: float) -> Policy:
    return policy(
        resource("cheap", priority=0, offering=SPOT, waits_s=waits_s), resource("dear", priority=1, tenancy="u")
    )


def answered(action: Action, at: float) -> ActionResult:
    """Spot instances are sold out; the dear ones are not."""
    done = action.resource == "dear"
    return ActionResult(
        action_id=action.action_id,
        kind=action.kind,
        outcome=Outcome.DONE if done else Outcome.REFUSED,
        finished_at=at,
        error_class="" if done else "capacity",
        launch_id=action.launch_id,
        resource=action.resource,
        instances=tuple(LaunchedInstance(f"i-{spec.node_id}", spec.node_id) for spec in action.specs) if done else (),
    )


def life(
    waits_s: float, until_s: float, snapshot: Snapshot | None = None
) -> tuple[dict[str, list[float]], Plan, Snapshot]:
    """When each resource was asked, in seconds from the start; the last plan and picture."""
    snapshot = snapshot or picture(jobs=[job("1")], clouds={"t": cloud_view(), "u": cloud_view(tenancy="u")})
    asked: dict[str, list[float]] = {"cheap": [], "dear": []}
    results: list[ActionResult] = []
    now, plan = NOW, None
    while plan is None or now < NOW + until_s:
        now += TICK_S
        clouds = {name: cloud_view(at=now - 1.5, tenancy=name) for name in ("t", "u")}
        view = scheduler_view([job("1")], (), at=now - 1.5)
        plan = decide(replace(snapshot, results=tuple(results), scheduler=view, clouds=clouds), rules(waits_s), now)
        launches = [action for action in plan.actions if action.kind is ActionKind.LAUNCH]
        for action in launches:
            asked[action.resource].append(now - NOW)
        results = [answered(action, now + 1) for action in launches]
        snapshot = after(snapshot, plan)
    return asked, plan, snapshot


def test_without_patience_the_next_resource_is_asked_at_once() -> None:
    asked, _, _ = life(0.0, 100)
    assert asked == {"cheap": [20.0], "dear": [40.0]}


def test_spot_is_asked_for_again_until_its_time_is_up_and_then_the_next_resource_is() -> None:
    asked, _, _ = life(600.0, 1000)
    assert len(asked["cheap"]) >= 2
    assert 600 < asked["dear"][0] <= 700


def test_with_no_fallback_it_waits_on_and_says_so() -> None:
    asked, plan, snapshot = life(FOR_EVER_S, 7200)
    assert asked["dear"] == []
    assert len(asked["cheap"]) > 3
    (report,) = plan.demand.reports
    assert report.refusals["dear"] is Refusal.SPOT_FIRST
    said = answer(snapshot, rules(FOR_EVER_S), NOW + 7200, plan.demand, job("1"))
    assert "spot instances of a better one" in said.refusals["dear"]


def test_a_resource_that_drains_holds_nobody_back() -> None:
    _, _, snapshot = life(FOR_EVER_S, 200)
    drained = {"cheap": Override(ResourceFlag.DRAINING, 0, 0)}
    snapshot = replace(snapshot, memory=replace(snapshot.memory, overrides=drained))
    asked, _, _ = life(FOR_EVER_S, 100, snapshot)
    assert asked == {"cheap": [], "dear": [20.0]}


def test_a_launch_that_succeeds_ends_the_wait() -> None:
    _, _, snapshot = life(600.0, 30)
    assert "spot:cheap" in snapshot.memory.backoffs
    assert not snapshot.nodes  # the refused one is gone
    done = ActionResult(
        "x",
        ActionKind.LAUNCH,
        Outcome.DONE,
        NOW + 50,
        launch_id="c1-z",
        resource="cheap",
        instances=(LaunchedInstance("i-1", "n9"),),
    )
    waits = node("n9", NodeState.REQUESTED, of="cheap", launch_id="c1-z", action_id="x")
    launch = launch_of(waits, state=LaunchState.OPEN)
    snapshot = replace(
        snapshot, nodes={"n9": waits}, launches={**snapshot.launches, launch.launch_id: launch}, results=(done,)
    )
    plan = decide(snapshot, rules(600.0), NOW + 60)
    assert "spot:cheap" not in plan.memory.backoffs


@pytest.mark.parametrize("waits_s", [600.0, FOR_EVER_S])
def test_a_wait_survives_a_restart(waits_s: float) -> None:
    _, _, snapshot = life(waits_s, 60)
    kept = snapshot.memory.backoffs["spot:cheap"]
    assert kept.until_obs > 0
    assert kept.error_class == "capacity"
