"""The promises, as checks on one installation. The numbers are those of ``docs/promises.md``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dynamiccluster.embedded.jobs import Cause
from dynamiccluster.embedded.queue import BatchQueue
from dynamiccluster.embedded.site import Site
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.host import HostState
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.job import OCCUPYING
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.view import CloudView, SchedulerView
from dynamiccluster.model.worker_node import COMING, COUNTED, NodeState, WorkerNode
from dynamiccluster.store.base import Stored

STRAY_POLLS = 25
"""A machine of ours that no node accounts for is gone after so many good lists that show it (faults apart)."""

QUIET_S = 900.0
"""Lists count only if no fault has struck their tenancy for so long: a command that failed waits up to five minutes
before it is tried again, and may then fail once more."""

REMEMBERED_VIEWS = 100
"""While the store fails the engine shows an old picture for as long as that takes."""

POLLS_PER_LOOK = 3
"""A gap between two good lists counts as at most so many poll intervals."""

GIVEN_UP = frozenset({NodeState.FAILED, NodeState.REMOVING})

ENDING = frozenset({InstanceState.TERMINATING, InstanceState.GONE})


@dataclass(frozen=True, slots=True)
class Breach:
    """One broken promise."""

    promise: int
    at: float  # site time
    cluster_id: str
    text: str

    def __str__(self) -> str:
        return f"promise {self.promise} broken by {self.cluster_id}: {self.text}"


class Invariants:
    """What one installation has been shown and has stored, against what is really so at the site."""

    def __init__(
        self,
        cluster_id: str,
        site: Site,
        policy: Policy,
        breach: Callable[[Breach], None],
        last_fault_at: Callable[[str], float],
    ) -> None:
        self.cluster_id = cluster_id
        self.nodes: dict[str, WorkerNode] = {}  # as committed
        self.view: SchedulerView | None = None  # as delivered last
        self.clouds: dict[str, CloudView] = {}
        self._site = site
        self._queue: BatchQueue = site.queues[cluster_id]
        self._policy = policy
        self._breach = breach
        self._last_fault_at = last_fault_at
        self._delivered: dict[str, list[Any]] = {}  # source -> its last views
        self._launches: set[str] = set()  # ever committed
        self._unanswered: dict[str, tuple[str, int]] = {}  # launch -> tenancy, good lists of it before the call
        self._lists: dict[str, int] = {}  # tenancy -> good lists so far
        self._views = 0  # good polls of the scheduler so far
        self._at_birth: dict[str, tuple[int, int]] = {}  # node -> good lists of its tenancy, and polls, before it
        self._strays: dict[str, int] = {}  # machine -> good lists in which nobody accounted for it
        self._judged = 0  # interruptions looked at so far
        self._observe_only = True

    def broken(self, promise: int, text: str) -> None:
        self._breach(Breach(promise, self._site.now, self.cluster_id, text))

    # -- what the engine was shown ----------------------------------------------------------------------------

    def delivered(self, name: str, result: object) -> None:
        """The engine has received the result of a call."""
        if isinstance(result, SchedulerView):
            self.view = result
            self._views += 1
            self._remember("scheduler", result)
            self._judge_interruptions()
        elif isinstance(result, CloudView):
            self.clouds[result.tenancy] = result
            self._lists[result.tenancy] = self._lists.get(result.tenancy, 0) + 1
            self._remember(f"cloud:{result.tenancy}", result)
            self._look_for_strays(result)

    def shows(self, scheduler: SchedulerView | None, clouds: Iterable[CloudView]) -> None:
        """Promise 4: the engine decides on views that its sources have delivered, and on nothing else."""
        known = self._delivered.get("scheduler", ())
        if scheduler is not None and not any(scheduler.jobs is v.jobs and scheduler.hosts is v.hosts for v in known):
            self.broken(4, "the picture of the scheduler is none that was delivered")
        for view in clouds:
            known = self._delivered.get(f"cloud:{view.tenancy}", ())
            if not any(view.instances is each.instances and view.quota is each.quota for each in known):
                self.broken(4, f"the picture of {view.tenancy} is none that was delivered")

    # -- what the engine stores -------------------------------------------------------------------------------

    def loaded(self, stored: Stored) -> None:
        self.nodes = dict(stored.nodes)
        self._launches.update(stored.launches)
        self._delivered.clear()
        self._observe_only = stored.memory.observe_only or not stored.memory.looked

    def committed(self, plan: Plan) -> None:
        """Everything that can be judged from the stored intent."""
        before = self.nodes
        for node_id in plan.forgotten_nodes:
            node = before.get(node_id)
            if node is not None:
                self._forgotten(node)
        self.nodes = {**before, **plan.nodes}
        for node_id in plan.forgotten_nodes:
            self.nodes.pop(node_id, None)
        launched = {
            action.resource
            for action in plan.actions
            if action.kind is ActionKind.LAUNCH and action.launch_id not in self._launches  # else asked once more
        }
        self._launches.update(plan.launches)
        for node_id in plan.nodes.keys() - before.keys():
            self._at_birth[node_id] = (self._lists.get(plan.nodes[node_id].tenancy, 0), self._views)
        self._observe_only = plan.memory.observe_only or not plan.memory.looked  # nothing is adopted either
        if self._observe_only and plan.actions:
            self.broken(1, f"acts while it is to observe only: {plan.actions[0].kind} ({plan.actions[0].reason})")
        for node in plan.nodes.values():
            if node.state is NodeState.QUARANTINED and before.get(node.node_id) != node:
                self.broken(5, f"{node.host_name} is quarantined: {node.reason}")
        if launched:
            self._within_limits(launched)
        for node in plan.nodes.values():
            was = before.get(node.node_id)
            if node.state is NodeState.REMOVING and (was is None or was.state is not NodeState.REMOVING):
                self._removal_is_proven(node)
            if node.state in GIVEN_UP and was is not None and was.state in COMING:
                self._had_its_time(node)

    def _forgotten(self, node: WorkerNode) -> None:
        """Promise 2: a launch whose reply was lost keeps its nodes until lists have failed to show its machines."""
        unanswered = self._unanswered.get(node.launch_id)
        if unanswered is None or node.instance_id:
            return
        tenancy, lists_before = unanswered
        lists = self._lists.get(tenancy, 0) - lists_before
        if lists < self._policy.failure.settle_polls:
            self.broken(2, f"{node.host_name}, whose launch was not answered, is forgotten after {lists} list(s)")

    def _within_limits(self, launched: set[str]) -> None:
        """Promise 3, by a count of our own on the stored intents and the last list."""
        counted = [node for node in self.nodes.values() if node.state in COUNTED]
        resources, limits = self._policy.resources, self._policy.limits
        for name in launched:
            count = sum(node.resource == name for node in counted)
            if count > resources[name].max_nodes:
                self.broken(3, f"{count} nodes of {name}, at most {resources[name].max_nodes} are allowed")
        if limits.max_nodes and len(counted) > limits.max_nodes:
            self.broken(3, f"{len(counted)} nodes, at most {limits.max_nodes} are allowed")
        kinds = [node.offer or resources[node.resource] for node in counted if node.resource in resources]
        cores = sum(kind.capacity.cores for kind in kinds)
        if limits.max_cores and cores > limits.max_cores:
            self.broken(3, f"{cores} cores, at most {limits.max_cores} are allowed")
        price = sum(kind.price_per_hour for kind in kinds)
        billable = any(resources[name].billable or resources[name].menu for name in launched)
        if billable and limits.budget_per_hour and price > limits.budget_per_hour + 1e-6:
            self.broken(3, f"{price:.2f} an hour, the budget is {limits.budget_per_hour:.2f}")
        for tenancy in {resources[name].tenancy for name in launched}:
            self._within_quota(tenancy, [node for node in counted if node.tenancy == tenancy])

    def _within_quota(self, tenancy: str, counted: Sequence[WorkerNode]) -> None:
        view = self.clouds.get(tenancy)
        if view is None:
            self.broken(3, f"launches in {tenancy} without ever having seen it")
            return
        listed = {instance.instance_id for instance in view.instances}
        tagged = {instance.node_id for instance in view.instances if instance.node_id}
        launches = {instance.launch_id for instance in view.instances if not instance.node_id}
        unseen = [
            node
            for node in counted
            if node.state is not NodeState.TERMINATING
            and node.instance_id not in listed
            and not (not node.instance_id and (node.node_id in tagged or node.launch_id in launches))
        ]
        instances = view.quota.used_instances + len(unseen)
        if view.quota.max_instances is not None and instances > view.quota.max_instances:
            self.broken(3, f"{instances} machines in {tenancy}, the quota is {view.quota.max_instances}")
        cores = view.quota.used_cores + sum(
            (n.offer or self._policy.resources[n.resource]).capacity.cores for n in unseen
        )
        if view.quota.max_cores is not None and cores > view.quota.max_cores:
            self.broken(3, f"{cores} cores in {tenancy}, the quota is {view.quota.max_cores}")

    def _removal_is_proven(self, node: WorkerNode) -> None:
        """Promise 1: a living host leaves only after a view has shown it held by us and empty."""
        host = self._queue.hosts.get(node.host_name)
        if host is None or not host.machine_id or host.state is not HostState.UP or self.view is None:
            return
        shown = next((each for each in self.view.hosts if each.name == node.host_name), None)
        if shown is None or shown.state is not HostState.UP:
            return
        if shown.hold is None or not shown.hold.ours:
            self.broken(1, f"{host.name} is to be removed while the last view shows it up and not held")
        elif shown.busy or shown.jobs or any(host.name in j.hosts for j in self.view.jobs if j.state in OCCUPYING):
            self.broken(1, f"{host.name} is to be removed while the last view shows work on it")
        elif host.mark == shown.hold.mark and host.runs:
            self.broken(1, f"{host.name} is to be removed while {', '.join(host.runs)} run(s) on it")

    def _had_its_time(self, node: WorkerNode) -> None:
        """Promise 4: time in which nobody watched does not count against a machine that is on its way."""
        machine = self._site.tenancies[node.tenancy].machines.get(node.instance_id)
        if machine is None or machine.state not in (InstanceState.PENDING, InstanceState.ACTIVE):
            return
        born_lists, born_views = self._at_birth.get(node.node_id, (0, 0))
        lists, views = self._lists.get(node.tenancy, 0) - born_lists, self._views - born_views
        timers = self._policy.resources[node.resource].timers
        watched_s = POLLS_PER_LOOK * (lists * self._policy.cloud_poll_s + views * self._policy.scheduler_poll_s)
        if watched_s < min(timers.boot_s, timers.launch_s):
            self.broken(4, f"{node.host_name} is given up after {lists + views} poll(s): {node.reason}")

    def kept_failing(self, resource: str, from_at: float, until_at: float) -> None:
        """Promise 6: a resource whose machines all fail is not asked for ever more."""
        kind = self._policy.resources[resource]
        rules = self._policy.failure
        times = self._site.tenancies[kind.tenancy].built_at.get(resource, ())
        count = sum(from_at <= at < until_at for at in times)
        trials = 2 + (until_at - from_at) / rules.breaker_open_s
        most = 2 * (rules.breaker_failures + kind.max_nodes) + trials
        if count > most:
            self.broken(6, f"{count} machines of {resource} were built in {until_at - from_at:.0f} s, none of any use")

    # -- what the engine asks ---------------------------------------------------------------------------------

    def touches_host(self, verb: str, host_name: str) -> None:
        """Promise 9: hosts of others are none of our business."""
        host = self._queue.hosts.get(host_name)
        if host is not None and host.physical:
            self.broken(9, f"{verb} of {host_name}, which is not ours")

    def launch_asked(self, tenancy: str, launch_id: str) -> None:
        if launch_id not in self._launches:
            self.broken(2, f"launch {launch_id} is asked for before it is stored")
        self._unanswered[launch_id] = (tenancy, self._lists.get(tenancy, 0))

    def launch_answered(self, launch_id: str) -> None:
        self._unanswered.pop(launch_id, None)

    def terminate_asked(self, tenancy: str, instance_ids: Sequence[str]) -> None:
        for instance_id in instance_ids:
            machine = self._site.tenancies[tenancy].machines.get(instance_id)
            if machine is None:
                continue
            if machine.cluster_id != self.cluster_id:
                self.broken(9, f"terminate of {instance_id}, which belongs to {machine.cluster_id or 'a stranger'}")
                continue
            host = self._queue.hosts.get(machine.host_name)
            if (
                host is not None
                and host.machine_id == instance_id
                and host.state is HostState.UP
                and host.silent_since is None
            ):
                self.broken(1, f"terminate of {host.name}, which the scheduler still uses")

    def closing(self) -> None:
        """At the end of the world: no job was lost."""
        self._judge_interruptions()
        for job in self._queue.ended.values():
            if job.deleted and (job.request.rerunnable or not job.interruptions):
                self.broken(1, f"job {job.job_id} was lost")

    # -- what is really so ------------------------------------------------------------------------------------

    def _remember(self, source: str, view: SchedulerView | CloudView) -> None:
        known = self._delivered.setdefault(source, [])
        known.append(view)
        del known[:-REMEMBERED_VIEWS]

    def _judge_interruptions(self) -> None:
        """Promise 1: no run of a job ended because of us on a machine that lived."""
        entries = self._queue.interruptions
        while self._judged < len(entries):
            entry = entries[self._judged]
            self._judged += 1
            resource = self._policy.resources.get(entry.resource)
            hard_s = resource.timers.down_hard_s if resource else 0.0
            if entry.cause is Cause.NODE_LOST or not entry.living or (resource and entry.silent_s >= hard_s):
                continue
            if any(not tenancy.announced.isdisjoint(entry.hosts) for tenancy in self._site.tenancies.values()):
                continue  # a machine under it is taken away in any case
            self.broken(1, f"job {entry.job_id} was ended on living {entry.host_name}: {entry.cause}")

    def _look_for_strays(self, view: CloudView) -> None:
        """Promise 2: a machine that no node accounts for does not stay."""
        by_instance = {node.instance_id for node in self.nodes.values() if node.instance_id}
        waiting = {node.node_id for node in self.nodes.values() if not node.instance_id}
        waiting |= {node.launch_id for node in self.nodes.values() if not node.instance_id}
        source = f"cloud:{view.tenancy}"
        quiet = self._site.now - self._last_fault_at(source) > QUIET_S and not self._observe_only
        machines = self._site.tenancies[view.tenancy].machines
        for instance in view.instances:
            key = instance.instance_id
            machine = machines.get(key)
            ending = machine is None or machine.state in ENDING or instance.state in ENDING
            if ending or key in by_instance or instance.node_id in waiting or instance.launch_id in waiting:
                self._strays.pop(key, None)
            elif quiet:
                self._strays[key] = self._strays.get(key, 0) + 1
                if self._strays[key] == STRAY_POLLS:
                    self.broken(2, f"machine {key} ({instance.host_name}) belongs to no node, {STRAY_POLLS} lists long")

    def at_rest(self) -> list[str]:
        """What is still not as it should be when nothing goes wrong any more; empty = all is well."""
        wrong: list[str] = []
        waiting = [job for job in self._queue.jobs.values() if job.job_id not in self._queue.ended and job.tasks > 0]
        if waiting:
            job = waiting[0]
            wrong.append(f"{len(waiting)} job(s) not done, such as {job.job_id} ({job.state}, {job.reason})")
        for name, resource in self._policy.resources.items():
            states = [node.state for node in self.nodes.values() if node.resource == name]
            usable = sum(state in (NodeState.IDLE, NodeState.BUSY) for state in states)
            if usable != resource.min_nodes or len(states) != usable:
                words = ", ".join(sorted(map(str, states)))
                wrong.append(f"{name} should have {resource.min_nodes} usable node(s), has: {words or 'none'}")
        known = {node.instance_id for node in self.nodes.values()}
        for tenancy in self._site.tenancies.values():
            wrong.extend(
                f"machine {machine.instance_id} of nobody"
                for machine in tenancy.machines.values()
                if machine.cluster_id == self.cluster_id and machine.exists and machine.instance_id not in known
            )
        names = {node.host_name for node in self.nodes.values()}
        for host in self._queue.hosts.values():
            if not host.physical and host.name not in names:
                wrong.append(f"host {host.name} of nobody")
            elif not host.physical and host.mark:
                wrong.append(f"host {host.name} is held")
        return wrong
