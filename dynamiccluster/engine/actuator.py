"""The actuator: carries committed actions out, each within a time limit, and reports what came of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dynamiccluster.checkers.base import Checker
from dynamiccluster.clouds.base import AllOrNothing, Cloud
from dynamiccluster.engine.lastwords import MOST_CONSOLES, last_words
from dynamiccluster.errors import (
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    ErrorClass,
    NotFoundError,
    TransientError,
    classify,
)
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.action import (
    HOOKS,
    Action,
    ActionKind,
    ActionResult,
    LaunchedInstance,
    Outcome,
    PartialLaunch,
)
from dynamiccluster.model.resource import Resource
from dynamiccluster.names.base import Names
from dynamiccluster.plugins.scripts import Hooks
from dynamiccluster.schedulers.base import PowerSaving, Scheduler

log = logging.getLogger(__name__)

TIME_LIMIT_S: dict[ActionKind, float] = {
    ActionKind.LAUNCH: 180.0,
    ActionKind.TERMINATE: 120.0,
    ActionKind.CHECK: 30.0,
    ActionKind.DECLARE: 120.0,
}
"""How long an action may take before its outcome counts as unknown."""

SAME_FOR_ALL = frozenset({ErrorClass.THROTTLED, ErrorClass.AUTH})
"""Refusals of a batch that are not for the sake of one machine in it. Bad configuration is none of them: one machine
that is protected against its end (EC2: OperationNotPermitted) must not keep all others alive."""

DEFAULT_LIMIT_S = 60.0
HOOK_MARGIN_S = 10.0

Probe = Callable[[str], None]
Redact = Callable[[str], str]
"""Hides known secrets: what adapters say of their failures goes into the history, which everybody may read."""


@dataclass(slots=True)
class Hands:
    """What the actuator works with; replaced whole on reload."""

    scheduler: Scheduler
    clouds: Mapping[str, Cloud]
    resources: Mapping[str, Resource]
    checker: Checker | None = None
    names: Names | None = None
    hooks: Hooks | None = None
    hook_timeout_s: float = field(default=60.0)


class Actuator:
    """Starts each action as a task of its own; the bridge bounds how many reach one provider at a time."""

    def __init__(
        self,
        hands: Hands,
        bridge: Bridge,
        clock: Clock,
        on_result: Callable[[ActionResult], None],
        probe: Probe,
        redact: Redact,
    ) -> None:
        self.hands = hands
        self._bridge = bridge
        self._clock = clock
        self._on_result = on_result
        self._probe = probe
        self._redact = redact
        self._tasks: set[asyncio.Task[None]] = set()

    def carry_out(self, actions: Iterable[Action]) -> None:
        """Start these committed actions. Terminations of one tenancy go out as one call."""
        terminations: dict[str, list[Action]] = {}
        for action in actions:
            if action.kind is ActionKind.TERMINATE:
                terminations.setdefault(action.tenancy, []).append(action)
            else:
                self._start(self._carry(action))
        for batch in terminations.values():
            asked = [action for action in batch if action.console][:MOST_CONSOLES]
            others = [action for action in batch if action not in asked]
            if others:
                self._start(self._terminate(others))
            if asked:
                self._start(self._terminate_after_consoles(asked))

    @property
    def busy(self) -> int:
        """Actions under way."""
        return len(self._tasks)

    async def stop(self) -> None:
        """Let go of what is under way: its outcome will be unknown to the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[object, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            log.error("an action ended without a result; the next start looks into it", exc_info=error)

    async def _terminate_after_consoles(self, batch: list[Action]) -> None:
        consoles = await last_words(batch, self.hands.clouds, self._bridge, self._redact)
        await self._terminate(batch, consoles)

    async def _terminate(self, batch: list[Action], consoles: Mapping[str, str] = MappingProxyType({})) -> None:
        """One call for all; if it is refused, one for each, so that a machine that cannot be ended keeps no other."""
        together = await self._end(batch)
        self._probe("before-record")
        repeat = len(batch) > 1 and together[0] is Outcome.REFUSED and together[1] not in SAME_FOR_ALL
        for action in batch:
            outcome = await self._end([action]) if repeat else together
            repeat = repeat and outcome[0] is not Outcome.UNKNOWN  # a time-out for each of them would take for ever
            self._report(action, *outcome, console=consoles.get(action.action_id, ""))

    async def _end(self, batch: list[Action]) -> tuple[Outcome, str, str]:
        ids = [action.instance_id for action in batch]

        def call() -> None:
            self._cloud(batch[0].tenancy).terminate(ids)

        text = f"terminate {len(ids)} machine(s)"
        outcome = await self._call(f"cloud:{batch[0].tenancy}/end", ActionKind.TERMINATE, text, call)
        return outcome[:3]

    async def _carry(self, action: Action) -> None:
        made: list[LaunchedInstance] = []
        lacking: list[Exception] = []
        sold_out: list[str] = []

        def call() -> None:
            try:
                reply = self._do(action)
            except CapacityError as error:
                sold_out.extend(error.sold_out)
                raise
            made.extend(_machines(reply))
            if isinstance(reply, PartialLaunch):
                lacking.append(reply.error)
                sold_out.extend(reply.error.sold_out if isinstance(reply.error, CapacityError) else ())

        text = f"{action.kind} {action.host_name or action.resource}".strip()
        outcome, error_class, message, offering = await self._call(self._group(action), action.kind, text, call)
        for error in lacking if outcome is Outcome.DONE else ():
            error_class, message = str(classify(error)), self._redact(str(error))
            offering = error.offering if isinstance(error, DynamicClusterError) else ""
            log.warning("%s: %d of %d machines: %s: %s", text, len(made), len(action.specs), error_class, message)
        self._probe("before-record")
        self._report(action, outcome, error_class, message, tuple(made), offering, sold_out=tuple(sold_out))

    async def _call(
        self, group: str, kind: ActionKind, text: str, call: Callable[[], None]
    ) -> tuple[Outcome, str, str, str]:
        limit_s = TIME_LIMIT_S.get(kind, DEFAULT_LIMIT_S)
        if kind in HOOKS:
            limit_s = self.hands.hook_timeout_s + HOOK_MARGIN_S
        self._probe(f"before-call:{kind}")
        try:
            await self._bridge.call(group, text, limit_s, call)
        except DynamicClusterError as error:
            unknown = error.error_class is ErrorClass.UNKNOWN_OUTCOME
            log.warning("%s: %s: %s", text, error.error_class, error)
            outcome = Outcome.UNKNOWN if unknown else Outcome.REFUSED
            message = self._redact(str(error))
            result = (outcome, str(error.error_class), message, error.offering)
        except Exception as error:
            log.exception("%s: unexpected", text)
            message = self._redact(f"{type(error).__name__}: {error}")
            result = (Outcome.UNKNOWN, str(ErrorClass.BUG), message, "")
        else:
            result = (Outcome.DONE, "", "", "")
        self._probe(f"after-call:{kind}")
        return result

    def _report(
        self,
        action: Action,
        outcome: Outcome,
        error_class: str,
        message: str,
        instances: tuple[LaunchedInstance, ...] = (),
        offering: str = "",
        console: str = "",
        sold_out: tuple[str, ...] = (),
    ) -> None:
        self._on_result(
            ActionResult(
                action_id=action.action_id,
                kind=action.kind,
                outcome=outcome,
                finished_at=self._clock.now(),
                error_class=error_class,
                message=message,
                node_id=action.node_id,
                launch_id=action.launch_id,
                resource=action.resource,
                instances=instances,
                offering=offering,
                console=console,
                sold_out=sold_out,
            )
        )

    # -- what each kind of action is --------------------------------------------------------------------

    def _group(self, action: Action) -> str:
        if action.kind is ActionKind.LAUNCH:
            return f"cloud:{action.tenancy}"
        if action.kind in HOOKS:
            return "hooks"
        if action.kind in (ActionKind.NAME_ADD, ActionKind.NAME_REMOVE):
            return "names"
        return "checker" if action.kind is ActionKind.CHECK else "scheduler"

    def _cloud(self, tenancy: str) -> Cloud:
        cloud = self.hands.clouds.get(tenancy)
        if cloud is None:
            raise BadConfigError(f"tenancy {tenancy!r} is not in the configuration (any more)")
        return cloud

    def _resource(self, name: str) -> Resource:
        resource = self.hands.resources.get(name)
        if resource is None:
            raise BadConfigError(f"resource {name!r} is not in the configuration (any more)")
        return resource

    def _do(self, action: Action) -> tuple[LaunchedInstance, ...] | None:
        """Runs in a thread of the provider's pool."""
        hands, scheduler = self.hands, self.hands.scheduler
        match action.kind:
            case ActionKind.LAUNCH:
                resource = self._resource(action.resource).offered(action.offer)
                cloud = self._cloud(action.tenancy)
                if action.whole and isinstance(cloud, AllOrNothing):
                    return cloud.launch_whole(action.launch_id, resource, action.specs)
                return cloud.launch(action.launch_id, resource, action.specs)
            case ActionKind.NAME_ADD if hands.names:
                hands.names.add(action.host_name, action.address)
            case ActionKind.NAME_REMOVE if hands.names:
                hands.names.remove(action.host_name)
            case ActionKind.CHECK if hands.checker:
                hands.checker.check(action.host_name, action.address, action.instance_name)
            case ActionKind.HOST_ADD:
                resource = self._resource(action.resource).offered(action.offer)
                if resource.capacity.cores < 1:
                    raise TransientError(f"the size of {resource.name} is not known yet: its cloud has not told it")
                scheduler.add(action.host_name, action.address, resource)
            case ActionKind.HOST_REMOVE:
                scheduler.remove(action.host_name)
            case ActionKind.HOLD:
                scheduler.hold(action.host_name, action.mark)
            case ActionKind.RELEASE:
                scheduler.release(action.host_name, action.mark)
            case ActionKind.VACATE:
                scheduler.vacate(action.host_name, action.job_ids)
            case ActionKind.EVACUATE:
                scheduler.evacuate(action.host_name, action.job_ids, action.delete_jobs)
            case ActionKind.UNSTICK:
                scheduler.unstick(action.job_ids)
            case ActionKind.WITHDRAW if isinstance(scheduler, PowerSaving):
                scheduler.withdraw(action.host_names, action.mark)
            case ActionKind.OFFER if isinstance(scheduler, PowerSaving):
                scheduler.offer(action.host_names)
            case ActionKind.DECLARE:
                known = [hands.resources[name] for name in action.resources if name in hands.resources]
                scheduler.declare([resource for resource in known if resource.capacity.cores > 0])
            case kind if kind in HOOKS and hands.hooks:
                hands.hooks.run(kind, action.host_name, action.address, action.instance_name, action.resource)
            case _:
                raise NotFoundError(f"nothing is configured for {action.kind}")
        return None


def _machines(reply: object) -> tuple[LaunchedInstance, ...]:
    """The machines of a launch reply. Anything else is a bug of the adapter, and must not come near a decision."""
    if reply is None:
        return ()
    if not isinstance(reply, tuple | list) or not all(isinstance(one, LaunchedInstance) for one in reply):
        raise TypeError(f"a launch is answered with machines, not with {type(reply).__name__}")
    return tuple(reply)
