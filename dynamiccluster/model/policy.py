"""Policy: the configuration as the decision code sees it. Built by ``config/load``, replaced whole on reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.resource import Resource


class DeadJobs(StrEnum):
    """What becomes of the jobs of a node that is dead."""

    REQUEUE = "requeue"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the whole installation. 0 = none."""

    max_nodes: int = 0
    max_cores: int = 0
    launches_per_minute: float = 0.0  # a token bucket; gangs may overdraw it once
    launch_batch: int = 100  # nodes per launch request
    budget_per_hour: float = 0.0
    budget_per_month: float = 0.0


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """How failing resources are treated (constants with their sources: ``docs/clocks.md``)."""

    breaker_failures: int = 5  # in a row
    breaker_open_s: float = 1800.0  # doubles with each failed trial, up to ``breaker_max_s``
    breaker_max_s: float = 14400.0
    backoff_s: float = 180.0  # capacity and quota; doubles up to ``backoff_max_s``
    backoff_max_s: float = 1800.0
    throttle_s: float = 30.0
    step_retry_s: float = 10.0  # first pause before a failed step is tried again; doubles up to ``step_retry_max_s``
    step_retry_max_s: float = 300.0
    missing_polls: int = 3  # an instance is believed gone after so many good lists without it ...
    missing_s: float = 120.0  # ... and at least so long
    host_missing_polls: int = 2
    settle_polls: int = 3  # a lost launch is abandoned after so many good lists without it ...
    settle_s: float = 120.0  # ... and at least so long
    orphan_polls: int = 2  # a machine of an abandoned launch is swept after being seen so often


@dataclass(frozen=True, slots=True)
class Policy:
    cluster_id: str
    resources: Mapping[str, Resource]
    auto_mode: bool = True
    observe_first: bool = True  # first start on a cluster that already has hosts: observe-only until told otherwise
    queues: tuple[str, ...] = ()  # monitored queues; empty = all
    scheduler_poll_s: float = 10.0
    cloud_poll_s: float = 20.0
    provision_interval_s: float = 60.0  # longest gap between two decisions on unchanged demand
    limits: Limits = field(default_factory=Limits)
    failure: FailurePolicy = field(default_factory=FailurePolicy)
    dead_jobs: DeadJobs = DeadJobs.REQUEUE
    nomination_s: float = 300.0
    join_steps: tuple[ActionKind, ...] = (ActionKind.HOST_ADD,)  # in order, on entering CONFIGURING
    remove_steps: tuple[ActionKind, ...] = (ActionKind.HOST_REMOVE,)  # on entering REMOVING
    forget_steps: tuple[ActionKind, ...] = ()  # on entering FORGETTING: name-remove, hook
    declare_shapes: bool = True  # whether the scheduler wants shapes declared beforehand
    idempotent_clouds: frozenset[str] = frozenset()  # tenancies whose launch may be repeated under the same launch_id
    tombstone_s: float = 604800.0  # how long closed launches are remembered, so that late machines are known

    @property
    def hold_mark_prefix(self) -> str:
        """Start of every hold mark that is ours: ``dynamiccluster:CLUSTER_ID:``."""
        return f"dynamiccluster:{self.cluster_id}:"
