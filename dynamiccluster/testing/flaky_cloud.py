"""A cloud adapter on a bad day, around any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dynamiccluster.clouds.base import AllOrNothing, Cloud
from dynamiccluster.errors import AuthError, CapacityError, QuotaError, ThrottledError
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView
from dynamiccluster.testing.faults import FaultKind, Faults
from dynamiccluster.testing.flaky import FlakyCalls, Later

LATEST_S = 600.0
"""How long after a lost request a machine may still appear."""

REFUSALS: tuple[tuple[FaultKind, type[Exception]], ...] = (
    (FaultKind.AUTH, AuthError),
    (FaultKind.THROTTLE, ThrottledError),
    (FaultKind.QUOTA, QuotaError),
    (FaultKind.CAPACITY, CapacityError),
)


class FlakyCloud:
    """Fails, loses replies and lags, as the faults of ``target`` say; otherwise like ``inner``.

    Lagging lists hide a machine for at most two polls in a row, which is fewer than it takes to believe it gone.
    """

    def __init__(self, inner: Cloud, faults: Faults, target: str, later: Later) -> None:
        self.tenancy = inner.tenancy
        self.idempotent = inner.idempotent
        self._inner = inner
        self._calls = FlakyCalls(faults, target, later, LATEST_S)
        self._rng = faults.rng
        self._hidden: dict[str, int] = {}  # machine -> polls that still miss it
        self._shown: dict[str, int] = {}  # machine -> polls that have shown it since it was hidden last
        self._lingering: dict[str, tuple[Instance, int]] = {}  # ended, as it was shown last, and for how many polls
        self._last: dict[str, Instance] = {}

    def list_instances(self) -> CloudView:
        self._calls.before_list()
        view = self._inner.list_instances()
        lagging = self._calls.strikes(FaultKind.LAG)
        if lagging or self._hidden or self._lingering:
            view = replace(view, instances=self._late(view.instances, lagging))
        self._last = {instance.instance_id: instance for instance in view.instances}
        if self._calls.strikes(FaultKind.UNKNOWN_WORDS):
            view = replace(view, instances=tuple(self._unknown(instance) for instance in view.instances))
        return view

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        for kind, error in REFUSALS:
            if self._calls.strikes(kind):
                raise error(f"{self.tenancy}: {kind}")
        if len(specs) > 1 and self._calls.strikes(FaultKind.PARTIAL):
            specs = specs[: self._rng.randint(1, len(specs) - 1)]
        return self._calls.act("launch", lambda: self._inner.launch(launch_id, resource, specs))

    def launch_whole(
        self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]
    ) -> tuple[LaunchedInstance, ...]:
        """All or none where ``inner`` can do that; else like :meth:`launch`."""
        inner = self._inner
        if not isinstance(inner, AllOrNothing):
            return self.launch(launch_id, resource, specs)
        for kind, error in REFUSALS:
            if self._calls.strikes(kind):
                raise error(f"{self.tenancy}: {kind}")
        if self._calls.strikes(FaultKind.PARTIAL):
            raise CapacityError(f"{self.tenancy}: not so many")
        return self._calls.act("launch", lambda: inner.launch_whole(launch_id, resource, specs))

    def terminate(self, instance_ids: Sequence[str]) -> None:
        if self._calls.strikes(FaultKind.THROTTLE):
            raise ThrottledError(f"{self.tenancy}: throttled")
        if self._calls.strikes(FaultKind.IGNORED):
            return
        self._calls.act("terminate", lambda: self._inner.terminate(instance_ids))

    def console_tail(self, instance_id: str) -> str:
        self._calls.before_list()
        return self._inner.console_tail(instance_id)

    def _late(self, instances: Sequence[Instance], lagging: bool) -> tuple[Instance, ...]:
        shown: list[Instance] = []
        true = {instance.instance_id: instance for instance in instances}
        for instance_id, instance in true.items():
            polls = self._hidden.pop(instance_id, 0)
            if polls == 0 and lagging and self._may_hide(instance_id):
                polls = self._rng.randint(1, 2)
            if polls > 0:
                self._shown[instance_id] = 0
                if polls > 1:
                    self._hidden[instance_id] = polls - 1
                continue
            self._shown[instance_id] = self._shown.get(instance_id, 0) + 1
            shown.append(self._as_before(instance, lagging))
        for instance_id, (instance, polls) in list(self._lingering.items()):
            if instance_id not in true and polls > 0:
                shown.append(instance)
                self._lingering[instance_id] = (instance, polls - 1)
            elif polls <= 0:
                del self._lingering[instance_id]
        return tuple(shown)

    def _may_hide(self, instance_id: str) -> bool:
        """New machines often; known ones now and then, but never soon after they were hidden."""
        polls = self._shown.get(instance_id)
        if polls is None:
            return instance_id not in self._last and self._rng.random() < 0.7
        return polls > 5 and self._rng.random() < 0.05

    def _as_before(self, instance: Instance, lagging: bool) -> Instance:
        """An ended machine is shown for some polls as it was."""
        before = self._last.get(instance.instance_id)
        kept = self._lingering.get(instance.instance_id)
        if kept is not None and kept[1] > 0:
            self._lingering[instance.instance_id] = (kept[0], kept[1] - 1)
            return kept[0]
        if kept is not None or not lagging or before is None or self._rng.random() < 0.5:
            return instance
        if instance.state is InstanceState.GONE and before.state is not InstanceState.GONE:
            self._lingering[instance.instance_id] = (before, self._rng.randint(1, 2))
            return before
        return instance

    def _unknown(self, instance: Instance) -> Instance:
        if self._rng.random() < 0.3:
            return replace(instance, state=InstanceState.UNKNOWN)
        return instance
