"""The service as a whole: one page of figures, the sources, the plan of a dry run."""

from __future__ import annotations

from collections.abc import Iterable

from dynamiccluster import __version__
from dynamiccluster.api import schemas, schemas_plan
from dynamiccluster.api.pictures.common import action_doc, age, capacity_doc
from dynamiccluster.api.pictures.nodes import used_cores_of
from dynamiccluster.api.pictures.resources import cost_per_hour
from dynamiccluster.api.schemas import instant
from dynamiccluster.engine.attention import STALE_POLLS
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.plan import Demand, Plan, ShapeReport
from dynamiccluster.model.view import SourceStatus
from dynamiccluster.model.worker_node import COMING, COUNTED, WORKING

FIRST_JOBS = 20  # job ids shown per shape: enough to recognise it, while a shape may stand for 100,000
FIRST_PROPOSALS = 20
LEAST_STALE_S = 60.0  # a slow scheduler's answer may take half of this by itself


def auto_mode(model: ReadModel) -> bool:
    wish = model.snapshot.memory.auto_mode
    return model.policy.auto_mode if wish is None else wish


def not_ready(model: ReadModel) -> list[str]:
    """Why the service cannot yet decide on anything; empty = it can.

    One cloud seen is enough: a tenancy that is down must not make a service unready that runs the others.
    """
    reasons = []
    if unseen := unseen_scheduler(model):
        reasons.append(unseen)
    tenancies = sorted({resource.tenancy for resource in model.policy.resources.values()})
    if tenancies and not any(name in model.snapshot.clouds for name in tenancies):
        reasons.extend(_unseen(model, f"cloud:{name}", f"the cloud of tenancy {name}") for name in tenancies)
    if model.store_error:
        reasons.append(f"the store does not work: {model.store_error}")
    if model.decision_error:
        reasons.append(f"decisions fail: {model.decision_error}")
    return reasons


def unseen_scheduler(model: ReadModel) -> str:
    """Why nothing can be said about jobs: the scheduler was never seen; "" = it was."""
    return "" if model.snapshot.scheduler is not None else _unseen(model, "scheduler", "the scheduler")


def _unseen(model: ReadModel, source: str, what: str) -> str:
    status = model.sources.get(source)
    return f"{what} has not been seen yet" + (f": {status.error}" if status and status.error else "")


def source_doc(model: ReadModel, status: SourceStatus, now: float) -> schemas.SourceDoc:
    poll_s = model.policy.scheduler_poll_s if status.source == "scheduler" else model.policy.cloud_poll_s
    view = model.snapshot.scheduler if status.source == "scheduler" else None
    return schemas.SourceDoc(
        source=status.source,
        ok=status.ok,
        last_good_at=instant(status.last_good_at),
        age_s=age(status.last_good_at, now) if status.last_good_at else None,
        poll_s=poll_s,
        stale_after_s=max(LEAST_STALE_S, STALE_POLLS * poll_s),
        last_try_at=instant(status.last_try_at),
        failures=status.failures,
        error=status.error,
        stale_facets=list(view.stale_facets) if view else [],
        dropped=list(view.dropped) if view else [],
    )


def source_docs(model: ReadModel, now: float) -> list[schemas.SourceDoc]:
    """The scheduler first, then the clouds by name."""
    order = sorted(model.sources.values(), key=lambda status: (status.source != "scheduler", status.source))
    return [source_doc(model, status, now) for status in order]


def plugin_state(status: SourceStatus) -> schemas.PluginState:
    if status.error_class == ErrorClass.UNKNOWN_OUTCOME.value:
        return "cut-off"
    if status.error:
        return "fails"
    return "works" if status.last_good_at else "new"


def plugin_docs(statuses: Iterable[SourceStatus], now: float) -> list[schemas.PluginDoc]:
    """How plug-ins are doing, by name."""
    return [
        schemas.PluginDoc(
            name=status.source,
            ok=status.ok,
            state=plugin_state(status),
            last_good_at=instant(status.last_good_at),
            age_s=age(status.last_good_at, now) if status.last_good_at else None,
            last_try_at=instant(status.last_try_at),
            failures=status.failures,
            error=status.error,
        )
        for status in sorted(statuses, key=lambda status: status.source)
    ]


def supply_doc(model: ReadModel) -> schemas.SupplyDoc:
    return model.once("supply", lambda: _supply_doc(model))


def _supply_doc(model: ReadModel) -> schemas.SupplyDoc:
    busy = idle = booting = other = 0
    for node in model.snapshot.nodes.values():
        if node.state not in COUNTED:
            continue
        cores = model.capacity_of(node).cores
        if node.state in WORKING:
            used = min(cores, used_cores_of(model, node))
            busy += used
            idle += cores - used
        elif node.state in COMING:
            booting += cores
        else:
            other += cores
    return schemas.SupplyDoc(busy_cores=busy, idle_cores=idle, booting_cores=booting, other_cores=other)


def demand_doc(demand: Demand) -> schemas.DemandDoc:
    return schemas.DemandDoc(
        waiting_tasks=demand.waiting_tasks,
        waiting_cores=demand.waiting_cores,
        unplaced_tasks=demand.unplaced_tasks,
        held_back={why: len(ids) for why, ids in demand.held_back.items()},
    )


def _foreign_hosts(model: ReadModel) -> int:
    ours = {node.host_name for node in model.snapshot.nodes.values()}
    return sum(name not in ours and not host.template for name, host in model.hosts_by_name.items())


def status_doc(model: ReadModel, now: float, plugins: Iterable[SourceStatus] = ()) -> schemas.StatusDoc:
    reasons = not_ready(model)
    return schemas.StatusDoc(
        cluster_id=model.policy.cluster_id,
        version=__version__,
        now=instant(now),
        started_at=instant(model.started_at),
        decided_at=instant(model.at),
        decided_s_ago=age(model.at, now) if model.at else 0.0,
        tick=model.tick,
        tick_s=round(model.tick_s, 6),
        sentence=model.sentence,
        mode=schemas.ModeDoc(auto=auto_mode(model), observe_only=model.snapshot.memory.observe_only),
        ready=not reasons,
        not_ready=reasons,
        store_error=model.store_error,
        inbox_length=model.inbox_length,
        sources=source_docs(model, now),
        plugins=plugin_docs(plugins, now),
        demand=demand_doc(model.demand),
        supply=supply_doc(model),
        nodes_by_state=dict(model.nodes_by_state),
        foreign_hosts=model.once("foreign hosts", lambda: _foreign_hosts(model)),
        proposals=list(model.proposals[:FIRST_PROPOSALS]),
        cost_per_hour=cost_per_hour(model),
    )


def shape_doc(report: ShapeReport) -> schemas_plan.ShapeDoc:
    shape = report.shape
    return schemas_plan.ShapeDoc(
        queues=list(shape.queues),
        account=shape.account,
        cores=shape.cores,
        chunk=capacity_doc(shape.chunk),
        chunks=shape.chunks,
        waiting=report.waiting,
        on_free=report.on_free,
        on_coming=report.on_coming,
        on_new=report.on_new,
        unplaced=report.unplaced,
        never=report.never,
        new_nodes=dict(report.new_nodes),
        refusals={name: refusal.value for name, refusal in report.refusals.items()},
        first_jobs=list(report.job_ids[:FIRST_JOBS]),
    )


def plan_doc(model: ReadModel, plan: Plan) -> schemas_plan.PlanDoc:
    before = model.snapshot.nodes
    demand = demand_doc(plan.demand)
    return schemas_plan.PlanDoc(
        sentence=unseen_scheduler(model) or plan.sentence,
        actions=[action_doc(action) for action in plan.actions],
        transitions=[
            schemas_plan.TransitionDoc(
                node_id=node.node_id,
                host_name=node.host_name,
                from_state=before[node.node_id].state.value if node.node_id in before else "",
                to_state=node.state.value,
                reason=node.reason,
            )
            for node in plan.nodes.values()
            if node.node_id not in before or before[node.node_id].state is not node.state
        ],
        proposals=list(plan.proposals),
        shapes=[shape_doc(report) for report in plan.demand.reports],
        held_back=demand.held_back,
        waiting_tasks=demand.waiting_tasks,
        waiting_cores=demand.waiting_cores,
        unplaced_tasks=demand.unplaced_tasks,
        wake_at=instant(plan.wake_at or 0.0),
    )
