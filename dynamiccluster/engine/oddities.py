"""Odd results: a reply that the decision cannot digest drops only itself, not every tick to come."""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.decide.tick import decide
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.action import ActionResult, Outcome
from dynamiccluster.model.plan import Snapshot
from dynamiccluster.model.policy import Policy


def digestible(snapshot: Snapshot, policy: Policy, now: float) -> dict[int, ActionResult | None]:
    """Replacements, by position, for results of ``snapshot`` at which the decision fails: the bare fact that the
    outcome is not known, or ``None`` where even that is too much. Empty if something else is to blame.

    Each is tried alone on a picture without views, so this is cheap beside a decision.
    """
    bare = replace(snapshot, scheduler=None, clouds={}, results=(), commands=())
    if not _works(bare, policy, now):
        return {}
    found: dict[int, ActionResult | None] = {}
    for position, result in enumerate(snapshot.results):
        if not _works(replace(bare, results=(result,)), policy, now):
            plain = _unknown(result, now)
            found[position] = plain if _works(replace(bare, results=(plain,)), policy, now) else None
    return found


def _works(snapshot: Snapshot, policy: Policy, now: float) -> bool:
    try:
        decide(snapshot, policy, now)
    except Exception:  # noqa: BLE001 - the question is just whether it raises
        return False
    return True


def _unknown(result: ActionResult, now: float) -> ActionResult:
    return ActionResult(
        action_id=result.action_id,
        kind=result.kind,
        outcome=Outcome.UNKNOWN,
        finished_at=now,
        error_class=ErrorClass.BUG,
        message="the reply could not be used",
        node_id=result.node_id,
        launch_id=result.launch_id,
        resource=result.resource,
    )
