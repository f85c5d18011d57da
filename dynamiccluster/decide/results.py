"""What came of our actions: results taken in, and the next step of every node issued."""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.decide import breaker
from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.decide.lifecycle import LEAVING_THE_SCHEDULER, NodeEvent, apply
from dynamiccluster.decide.offers import given
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.action import HOOKS, ActionKind, ActionResult, Outcome
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.launch import Launch, LaunchState
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Provisioning, Resource
from dynamiccluster.model.retry import Pause
from dynamiccluster.model.worker_node import COUNTED, HoldWhy, NodeState, WorkerNode

SCHEDULER_ACTIONS = frozenset(
    {
        ActionKind.HOST_ADD,
        ActionKind.HOST_REMOVE,
        ActionKind.HOLD,
        ActionKind.RELEASE,
        ActionKind.VACATE,
        ActionKind.EVACUATE,
    }
)
"""After one of these, only a scheduler view started later says anything about the node."""

GONE_IS_DONE = frozenset(
    {
        ActionKind.TERMINATE,
        ActionKind.NAME_REMOVE,
        ActionKind.HOST_REMOVE,
        ActionKind.RELEASE,
        ActionKind.VACATE,
        ActionKind.EVACUATE,
    }
)
"""For these, "not found" means that there is nothing left to do."""

SWITCHING = frozenset({ActionKind.WITHDRAW, ActionKind.OFFER})
"""Words about the power of hosts, one at a time."""

ASKED = "asked:"
"""Before the fingerprint of declared shapes while the scheduler has not confirmed them."""

MOST_REPEATS = 4
"""A launch whose reply is lost is asked for again so often, at growing distances; a cloud that answers none of them is
as good as down, and the jobs go elsewhere once its lists have shown nothing for long enough."""

CHECK_PAUSE_S = 5.0
"""A checker that says "not yet" is asked again at this pace until the launch deadline."""


def take_in(draft: Draft, result: ActionResult) -> None:
    """Take in one result and close its action."""
    draft.closed_actions.append(result.action_id)
    draft.open_actions.pop(result.action_id, None)
    match result.kind:
        case ActionKind.LAUNCH:
            _launch(draft, result)
        case ActionKind.DECLARE | ActionKind.UNSTICK | ActionKind.WITHDRAW | ActionKind.OFFER:
            _service_action(draft, result)
        case _:
            _node_step(draft, result)


def issue_steps(draft: Draft) -> None:
    """Issue the next step of every node that has one and has none in flight."""
    clock = draft.obs(ENGINE)
    living: set[str] = set()  # host names in use, gathered when first needed
    for node in list(draft.nodes.values()):
        if node.action_id:
            continue
        if not node.todo:
            if node.state in _EMPTIED:
                apply(draft, node.node_id, NodeEvent.STEPS_DONE, _EMPTIED[node.state])
                node = draft.nodes.get(node.node_id, node)
            if not node.todo or node.node_id not in draft.nodes:
                continue
        if node.retry_obs > clock:
            draft.wake(draft.now + node.retry_obs - clock)
            continue
        if node.todo[0] is ActionKind.NAME_REMOVE:
            living = living or {other.host_name for other in draft.nodes.values() if other.state in COUNTED}
            if node.host_name in living:  # clouds that name by address give names again
                draft.put(replace(node, todo=node.todo[1:]))
                continue
        _issue(draft, node, node.todo[0])


_EMPTIED = {
    NodeState.CONFIGURING: "known to the scheduler, waiting for it to report in",
    NodeState.EVACUATING: "its jobs are off the dead host",
    NodeState.REMOVING: "out of the scheduler",
    NodeState.FORGETTING: "cleaned up",
}
"""States whose end is the end of their steps."""


def _issue(draft: Draft, node: WorkerNode, kind: ActionKind) -> None:
    if kind is ActionKind.TERMINATE and not node.instance_id:
        # never bound: there is nothing to ask the cloud for; a late machine is swept by its launch id
        moved = draft.put(replace(node, todo=node.todo[1:]))
        apply(draft, moved.node_id, NodeEvent.SEEN_GONE, "no machine was ever bound to it")
        return
    if kind is ActionKind.EVACUATE:
        job_ids = draft.hosts.jobs_on(node.host_name)
        if not job_ids:
            draft.put(replace(node, todo=node.todo[1:]))
            return
        delete = draft.policy.dead_jobs == "delete"
        done_to = "deleted" if delete else "requeued"
        for job_id in job_ids if not node.attempts else ():
            draft.event(EventKind.JOB, f"{done_to}: its node is dead ({node.reason})", node=node, job_id=job_id)
        draft.act_on_node(node, kind, node.reason, job_ids=job_ids, delete_jobs=delete)
        return
    if kind is ActionKind.VACATE:
        if draft.hosts.started_at <= node.acted_at:
            return  # jobs may have started before the hold: wait for a view that shows them
        job_ids = draft.hosts.jobs_on(node.host_name)
        draft.act_on_node(node, kind, node.reason, job_ids=job_ids)
        return
    if kind is ActionKind.TERMINATE and node.unseen:
        node = draft.put(replace(node, unseen=False))  # asked for once: the end of the machine does not wait for it
        draft.act_on_node(node, kind, node.reason, console=True)
        return
    draft.act_on_node(node, kind, node.reason)


# -- launches ----------------------------------------------------------------------------------------


def _launch(draft: Draft, result: ActionResult) -> None:
    launch = draft.launches.get(result.launch_id)
    if launch is None:
        return
    waiting = []
    for node in [draft.nodes[node_id] for node_id in launch.node_ids if node_id in draft.nodes]:
        if node.action_id == result.action_id:
            node = draft.put(replace(node, action_id=""))
        if node.state in (NodeState.REQUESTED, NodeState.UNSETTLED):
            waiting.append(node)
    offering = result.offering or (launch.offer.offering if launch.offer else "")
    resource = _asked(draft, launch, offering)
    for name in result.sold_out:
        breaker.sold_out(draft, _asked(draft, launch, name), result.message)
    match result.outcome:
        case Outcome.DONE:
            _launch_done(draft, result, launch, waiting, offering)
        case Outcome.REFUSED if any(node.state is NodeState.UNSETTLED for node in waiting):
            # a repeat was refused: that says nothing about the first try, so the cloud's lists must settle it; but
            # the last word is the cloud's own, however the first request ended
            draft.put_launch(replace(launch, cut_off=False))
            draft.event(
                EventKind.ACTION, f"repeat of a lost launch refused: {result.message}", resource=launch.resource
            )
        case Outcome.REFUSED:
            close(draft, launch, LaunchState.SETTLED)
            for node in waiting:
                _nothing_came(draft, node, f"{result.error_class}: {result.message}")
            breaker.launch_refused(draft, resource, result.error_class, result.message, offering)
        case Outcome.UNKNOWN:
            _launch_unknown(draft, launch, waiting, result)


def _asked(draft: Draft, launch: Launch, offering: str) -> Resource:
    """The resource as that one of the offers that the launch named; as the chosen one, if it is none of them."""
    named = launch.offer.named(offering) if launch.offer else None
    return draft.resource(launch.resource).offered(named or launch.offer)


def _launch_unknown(draft: Draft, launch: Launch, waiting: list[WorkerNode], result: ActionResult) -> None:
    """Nobody knows. Repeated where that is harmless, but not for ever: then the cloud's lists must settle it."""
    attempts = 1 + max((node.attempts for node in waiting if node.state is NodeState.UNSETTLED), default=0)
    for node in waiting:
        after = apply(draft, node.node_id, NodeEvent.LAUNCH_UNKNOWN, f"the launch reply was lost: {result.message}")
        draft.put(replace(after, attempts=attempts, acted_at=result.finished_at))
    draft.put_launch(replace(launch, cut_off=result.cut_off))
    draft.misses.pop(f"settle:{launch.launch_id}", None)  # what the last request may have made appears later than it
    if launch.tenancy in draft.policy.idempotent_clouds and attempts <= MOST_REPEATS:
        pause_s = Pause(draft.policy.failure.step_retry_s, draft.policy.failure.step_retry_max_s)
        draft.step_retry_obs[f"relaunch:{launch.launch_id}"] = draft.obs(ENGINE) + pause_s.after(attempts)


def _launch_done(draft: Draft, result: ActionResult, launch: Launch, waiting: list[WorkerNode], offering: str) -> None:
    """Machines came into being, perhaps fewer than asked: for what its cloud says, or else for lack of capacity."""
    resource = _asked(draft, launch, offering)
    unbound = {node.node_id: node for node in waiting}
    got: list[Offer | None] = []  # of each node that got its machine
    taken = {node.instance_id for node in draft.nodes.values() if node.instance_id and node.tenancy == launch.tenancy}
    for made in result.instances:
        if made.instance_id in taken:
            continue  # bound already by the list; or a cloud that gives one machine twice: it has one node only
        node = unbound.pop(made.node_id, None) if made.node_id else None
        if node is None and not made.node_id and unbound:
            node = unbound.pop(next(iter(unbound)))
        if node is None:
            continue  # bound already by the list, or not asked for: the list will show it
        offer = given(draft, node, made.offering)
        got.append(offer)
        apply(
            draft,
            node.node_id,
            NodeEvent.LAUNCH_ACCEPTED,
            f"accepted by the cloud as {made.instance_id}",
            instance_id=made.instance_id,
            instance_name=made.name or node.instance_name,
            address=made.address or node.address,
            host_name=made.host_name or node.host_name,
            billed_from_at=draft.now,
            offer=offer,
        )
    for node in unbound.values():
        said = f"{result.error_class}: {result.message}" if result.error_class else ""
        _nothing_came(draft, node, said or "the cloud gave fewer machines than asked")
    if unbound:
        why = result.message or "fewer machines than asked"
        breaker.launch_refused(draft, resource, result.error_class or ErrorClass.CAPACITY, why, offering)
    elif result.instances:
        for offer in dict.fromkeys(got or [launch.offer]):
            breaker.launched(draft, draft.resource(launch.resource).offered(offer))
    close(draft, launch, LaunchState.SETTLED)


def _nothing_came(draft: Draft, node: WorkerNode, why: str) -> None:
    """The refusal is certain, also where the list had not been waited for."""
    apply(draft, node.node_id, NodeEvent.LAUNCH_REFUSED, why)


def close(draft: Draft, launch: Launch, state: LaunchState) -> None:
    """End a launch's story, and what was remembered only for it."""
    draft.put_launch(replace(launch, state=state, closed_at=draft.now))
    draft.step_retry_obs.pop(f"relaunch:{launch.launch_id}", None)
    draft.misses.pop(f"settle:{launch.launch_id}", None)


def abandon(draft: Draft, launch: Launch, why: str) -> None:
    """Give a launch up whose reply was lost and of which nothing appeared: what shows up later is swept."""
    for node_id in launch.node_ids:
        node = draft.nodes.get(node_id)
        if node and node.state is NodeState.UNSETTLED:
            apply(draft, node_id, NodeEvent.LAUNCH_ABANDONED, why)
    close(draft, launch, LaunchState.ABANDONED)
    if not launch.cut_off:  # a service that was killed again and again says nothing about its clouds
        breaker.failed(draft, launch.resource, why)


# -- steps of one node -------------------------------------------------------------------------------


def _node_step(draft: Draft, result: ActionResult) -> None:
    node = draft.nodes.get(result.node_id)
    if node is None or node.action_id != result.action_id:
        return  # the node is gone, or this action is not the one it waits for
    acted_at = result.finished_at if result.kind in SCHEDULER_ACTIONS else node.acted_at
    node = draft.put(replace(node, action_id="", acted_at=max(acted_at, node.acted_at)))
    if result.kind is ActionKind.HOST_REMOVE and draft.resource(node.resource).provisioning is Provisioning.SCHEDULER:
        # the host stays when the node is forgotten: an older view must not have a machine launched for it
        draft.memory = replace(
            draft.memory, switched={**draft.memory.switched, node.host_name: max(result.finished_at, node.acted_at)}
        )
    if result.console:
        draft.event(EventKind.NODE, f"its console ended with: {result.console}", node=node)
    current = bool(node.todo) and node.todo[0] is result.kind
    outcome, error_class = result.outcome, result.error_class
    if outcome is Outcome.REFUSED and error_class == ErrorClass.NOT_FOUND and result.kind in GONE_IS_DONE:
        outcome = Outcome.DONE
    if outcome is Outcome.DONE:
        _step_done(draft, node, result, current)
    elif result.kind in HOOKS:
        draft.event(EventKind.WARNING, f"{result.kind} failed: {result.message}", node=node)
        _next(draft, node, current)  # at most once, and never in the way
    elif not current:
        return
    elif result.kind is ActionKind.HOST_REMOVE and error_class == ErrorClass.BUSY:
        _remove_busy(draft, node, result.message)
    elif result.kind is ActionKind.HOLD and error_class in (ErrorClass.BUSY, ErrorClass.NOT_FOUND):
        draft.put(replace(node, todo=()))
        apply(draft, node.node_id, NodeEvent.HOLD_REFUSED, f"hold refused: {result.message}")
    elif result.kind is ActionKind.RELEASE and error_class == ErrorClass.BUSY:
        _next(draft, node, current)  # somebody else holds it now: their mark stays
    elif result.kind is ActionKind.VACATE and error_class == ErrorClass.BUSY:
        _next(draft, node, current)
    elif result.kind in (ActionKind.HOST_ADD, ActionKind.CHECK, ActionKind.NAME_ADD) and error_class in (
        ErrorClass.BAD_CONFIG,
        ErrorClass.AUTH,
    ):
        why = f"{result.kind}: {result.message}"
        apply(draft, node.node_id, NodeEvent.STEP_FAILED, why)
        breaker.failed(draft, node.resource, why)
    else:
        _again(draft, node, result)


def _step_done(draft: Draft, node: WorkerNode, result: ActionResult, current: bool) -> None:
    if result.kind is ActionKind.HOLD and node.state is NodeState.HOLDING:
        node = draft.put(replace(node, hold_confirmed_at=result.finished_at))
    _next(draft, node, current)


def _next(draft: Draft, node: WorkerNode, current: bool) -> None:
    if current:
        attempts = node.attempts if node.state in LEAVING_THE_SCHEDULER else 0
        draft.put(replace(node, todo=node.todo[1:], attempts=attempts, retry_obs=0.0))


def _remove_busy(draft: Draft, node: WorkerNode, message: str) -> None:
    why = f"not removed, there are jobs on it: {message}"
    draft.put(replace(node, todo=()))
    if node.dead or draft.hosts.is_down(node.host_name):
        event = NodeEvent.REMOVE_BUSY_DEAD
    elif node.hold_why is not HoldWhy.NONE:
        event = NodeEvent.REMOVE_BUSY_HELD
    else:
        event = NodeEvent.REMOVE_BUSY_ALIVE
    after = apply(draft, node.node_id, event, why)
    if after.state is NodeState.FAILED:  # round again, after a pause
        attempts = after.attempts + 1
        rules = draft.policy.failure
        pause_s = Pause(rules.step_retry_s, rules.step_retry_max_s).after(attempts)
        draft.put(replace(after, attempts=attempts, retry_obs=draft.obs(ENGINE) + pause_s))
        draft.wake(draft.now + pause_s)
        if attempts in (3, 10) or attempts % 50 == 0:
            draft.event(EventKind.WARNING, f"its jobs cannot be moved, try {attempts}: {message}", node=after)


def _again(draft: Draft, node: WorkerNode, result: ActionResult) -> None:
    """Try the step again after a pause; say so when it starts to look bad."""
    attempts = node.attempts + 1
    rules = draft.policy.failure
    pause_s = Pause(rules.step_retry_s, rules.step_retry_max_s).after(attempts)
    if result.kind is ActionKind.CHECK and result.error_class == ErrorClass.TRANSIENT:
        pause_s = CHECK_PAUSE_S
    elif attempts in (1, 5) or attempts % 20 == 0:
        draft.event(
            EventKind.WARNING if attempts > 1 else EventKind.ACTION,
            f"{result.kind} {result.outcome} ({result.error_class}: {result.message}), try {attempts}",
            node=node,
        )
    draft.put(replace(node, attempts=attempts, retry_obs=draft.obs(ENGINE) + pause_s))
    draft.wake(draft.now + pause_s)


# -- actions of no single node -----------------------------------------------------------------------


def service_action_due(draft: Draft, kind: ActionKind) -> bool:
    """Whether an action of this kind may be issued: none is under way, and the last did not fail a moment ago."""
    if kind in draft.open_actions.values():
        return False
    due_obs = draft.step_retry_obs.get(str(kind), 0.0)
    if due_obs > draft.obs(ENGINE):
        draft.wake(draft.now + due_obs - draft.obs(ENGINE))
        return False
    return True


def _service_action(draft: Draft, result: ActionResult) -> None:
    key = str(result.kind)
    if result.kind in SWITCHING:
        switched = {name: at or result.finished_at for name, at in draft.memory.switched.items()}
        draft.memory = replace(draft.memory, switched=switched)
    if result.outcome is Outcome.DONE:
        draft.step_retry_obs.pop(key, None)
        if result.kind is ActionKind.DECLARE:
            draft.memory = replace(draft.memory, declared=draft.memory.declared.removeprefix(ASKED))
        return
    if result.kind is ActionKind.DECLARE:
        draft.memory = replace(draft.memory, declared="")
    rules = draft.policy.failure
    pause_s = rules.step_retry_s if result.kind in SWITCHING else rules.step_retry_max_s  # jobs wait for these
    draft.step_retry_obs[key] = draft.obs(ENGINE) + pause_s
    draft.event(
        EventKind.WARNING,
        f"{result.kind} {result.outcome} ({result.error_class}: {result.message}); tried again in {pause_s:.0f} s",
    )
