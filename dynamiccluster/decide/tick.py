"""The door of this room: ``decide(snapshot, policy, now) -> Plan``.

One tick: clocks move, results of actions and facts of both sources are taken in, commands are obeyed, then demand is
packed, nodes are launched or let go, and every node's next step is issued. The same snapshot gives the same plan.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from dynamiccluster.decide import breaker, commands, explain, facts, notices, offers, orphans, results, switched
from dynamiccluster.decide.demand import Queue, sort_out
from dynamiccluster.decide.draft import ENGINE, SCHEDULER, Draft, cloud_source, start
from dynamiccluster.decide.grow import Need, grow
from dynamiccluster.decide.limits import rate_per_hour
from dynamiccluster.decide.shrink import clean_up_failed, finish_in_manual_mode, shrink
from dynamiccluster.model.action import Action, ActionKind
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.job import Job
from dynamiccluster.model.memory import ObservedClock, Spend
from dynamiccluster.model.plan import Demand, JobAnswer, Plan, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Provisioning
from dynamiccluster.model.worker_node import ORIGINAL_NAME, ORIGINAL_NUMBER

UNSTICK_AGAIN_S = 60.0
"""A job that the scheduler gives up on again and again is released at this pace."""


def decide(snapshot: Snapshot, policy: Policy, now: float) -> Plan:
    """What to store and do about this picture, and why. Pure: no I/O, no clock, no randomness.

    ``now`` is wall time for people and for money; deadlines are read on the observed clocks.
    """
    draft = start(snapshot, policy, now)
    _account(draft)
    for result in snapshot.results:
        results.take_in(draft, result)
    facts.take_in(draft)
    offers.remember(draft)
    _first_look(draft)
    breaker.advance(draft)
    for command in snapshot.commands:
        commands.obey(draft, command)
    observing = draft.memory.observe_only or not draft.memory.looked
    orphans.settle(draft, act=not observing)
    if not observing:
        orphans.sweep_and_adopt(draft)
        notices.take_in(draft)
    queue = sort_out(notices.with_displaced(draft), policy, switched.picked_queues(draft))
    if observing:
        need = _observe(draft, queue)
    else:
        need = _act(draft, queue)
    _next_decision(draft)
    return draft.to_plan(_sentence(draft, need))


def answer(snapshot: Snapshot, policy: Policy, now: float, demand: Demand, job: Job) -> JobAnswer:
    """Why a job waits, from the last plan's own report."""
    return explain.answer(start(snapshot, policy, now), demand, job)


def answers(
    snapshot: Snapshot, policy: Policy, now: float, demand: Demand, jobs: Sequence[Job]
) -> tuple[JobAnswer, ...]:
    """The same for many jobs, one answer each."""
    draft = start(snapshot, policy, now)
    known = explain.ranks(demand, frozenset(job.job_id for job in jobs))
    return tuple(explain.answer(draft, demand, job, known) for job in jobs)


def _act(draft: Draft, queue: Queue) -> Need:
    auto = draft.auto
    need = grow(draft, queue, act=auto)
    if auto:
        shrink(draft, need)
        clean_up_failed(draft)
        switched.balance(draft)
    else:
        finish_in_manual_mode(draft)
    _declare(draft)
    _unstick(draft, queue)
    results.issue_steps(draft)
    return need


def _observe(draft: Draft, queue: Queue) -> Need:
    """Decide on a copy, keep only what would have been done."""
    need = grow(draft, queue, act=False)
    trial = start(draft.snapshot, draft.policy, draft.now)
    trial.nodes, trial.memory = dict(draft.nodes), replace(draft.memory, observe_only=False)
    _act(trial, queue)
    draft.proposals = [
        f"{action.kind} {action.host_name or action.resource}: {action.reason}"
        if action.kind is not ActionKind.LAUNCH
        else f"launch {len(action.specs)} node(s) of {action.resource}: {action.reason}"
        for action in trial.actions
    ]
    return need


def _first_look(draft: Draft) -> None:
    """On the very first picture: a cluster that has hosts already, none of them ours, is only observed.

    Whose hosts they are only the clouds can tell; where there are none, no cloud needs to be waited for.
    """
    memory, snapshot = draft.memory, draft.snapshot
    if memory.looked or snapshot.scheduler is None:
        return
    ours = any(view.instances for view in snapshot.clouds.values()) or bool(draft.nodes)
    others = draft.hosts.by_name.keys() - switched.switched_hosts(draft).keys()  # what it switches it has for us
    observe = draft.policy.observe_first and bool(others) and not ours
    if observe and _unseen(draft):
        return
    draft.memory = replace(memory, looked=True, observe_only=memory.observe_only or observe)
    if observe:
        draft.event(
            EventKind.SERVICE,
            f"first start beside {len(others)} existing host(s): observe-only until told otherwise (observe off)",
        )


def _unseen(draft: Draft) -> list[str]:
    """Sources of which there is no view yet."""
    snapshot = draft.snapshot
    tenancies = {resource.tenancy for resource in draft.policy.resources.values()}
    missing = [cloud_source(tenancy) for tenancy in sorted(tenancies - snapshot.clouds.keys())]
    return [SCHEDULER, *missing] if snapshot.scheduler is None else missing


def _account(draft: Draft) -> None:
    """Money since the last tick: machines cost while we are away, too.

    While the service runs, a tick counts no more than its observed step: a wall clock that jumps is no time in which
    machines ran. One that jumps back into an earlier month does not make what was spent in the later one undone.
    """
    spend = draft.memory.spend
    month = max(datetime.fromtimestamp(draft.now, tz=UTC).strftime("%Y-%m"), spend.month)
    hourly = rate_per_hour(draft)
    elapsed_s = max(draft.now - spend.as_of_at, 0.0) if spend.as_of_at else 0.0
    if not spend.away:
        before = draft.snapshot.memory.clocks.get(ENGINE, ObservedClock())
        elapsed_s = min(elapsed_s, draft.obs(ENGINE) - before.total_s)
    amount = hourly * elapsed_s / 3600.0
    if spend.month == month:
        amount += spend.amount
    draft.memory = replace(draft.memory, spend=Spend(month, amount, draft.now))


def _declare(draft: Draft) -> None:
    """Make the scheduler accept the shapes of our resources, whenever these have changed."""
    if not draft.policy.declare_shapes or draft.snapshot.scheduler is None:
        return
    fingerprint = shapes_fingerprint(draft.policy)
    if draft.memory.declared.removeprefix(results.ASKED) == fingerprint:
        return
    if not results.service_action_due(draft, ActionKind.DECLARE):
        return
    draft.memory = replace(draft.memory, declared=results.ASKED + fingerprint)
    draft.act(
        Action(
            action_id=draft.new_action_id(),
            kind=ActionKind.DECLARE,
            reason="the shapes that resources can give have changed",
            created_at=draft.now,
            resources=tuple(draft.policy.resources),
        )
    )


def shapes_fingerprint(policy: Policy) -> str:
    """A short word for everything about the resources that a scheduler may want to know beforehand."""
    shapes = [
        (
            *(r.name, r.capacity, sorted(r.features), r.gpu_type, sorted(r.queues), r.reservation, r.max_nodes),
            *((r.numbered(1),) if r.provisioning is Provisioning.SCHEDULER else ()),
        )
        for r in policy.resources.values()
    ]
    return hashlib.sha256(repr(shapes).encode()).hexdigest()[:16]


def _unstick(draft: Draft, queue: Queue) -> None:
    """Give jobs back to the scheduler's attention that it has given up on."""
    clock = draft.obs(ENGINE)
    recent = {job_id: at for job_id, at in draft.memory.unstuck.items() if clock - at < UNSTICK_AGAIN_S}
    due = [job_id for job_id in queue.stuck if job_id not in recent]
    if due:  # what nothing can ever hold is rightly given up
        hopeless = {job_id for report in draft.demand.reports if report.never for job_id in report.job_ids}
        due = [job_id for job_id in due if job_id not in hopeless]
    if due and results.service_action_due(draft, ActionKind.UNSTICK):
        recent.update(dict.fromkeys(due, clock))
        draft.act(
            Action(
                action_id=draft.new_action_id(),
                kind=ActionKind.UNSTICK,
                reason="the scheduler has given up on them although a resource fits",
                created_at=draft.now,
                job_ids=tuple(due),
            )
        )
    if recent != draft.memory.unstuck:
        draft.memory = replace(draft.memory, unstuck=recent)


def _next_decision(draft: Draft) -> None:
    """Never longer than the provision interval until the next look."""
    draft.wake(draft.now + draft.policy.provision_interval_s)
    clock = draft.obs(ENGINE)
    expired = [key for key, at in draft.step_retry_obs.items() if key.startswith("sweep:") and at < clock]
    for key in expired:
        del draft.step_retry_obs[key]


def _sentence(draft: Draft, need: Need) -> str:
    """One line about the tick: demand, supply, what was done, what binds."""
    demand = draft.demand
    states = Counter(ORIGINAL_NAME[ORIGINAL_NUMBER[node.state]].lower() for node in draft.nodes.values())
    kinds = Counter(str(action.kind) for action in draft.actions)
    binding = Counter(
        refusal for outcome in need.packing.outcomes if outcome.unplaced for refusal in set(outcome.refusals.values())
    )
    parts = [
        f"{demand.waiting_tasks} waiting task(s) of {demand.waiting_cores} cores",
        "nodes " + (", ".join(f"{count} {name}" for name, count in sorted(states.items())) or "none"),
        "doing " + ", ".join(f"{count} {name}" for name, count in sorted(kinds.items())) if kinds else "",
        f"{demand.unplaced_tasks} without a place ({', '.join(sorted(binding)) or 'named hosts'})"
        if demand.unplaced_tasks
        else "",
        "observe-only" if draft.memory.observe_only else "" if draft.auto else "manual mode",
        "" if draft.memory.looked else f"waiting for a first view of {', '.join(_unseen(draft))}",
    ]
    return f"decision {draft.tick}: " + "; ".join(part for part in parts if part)
