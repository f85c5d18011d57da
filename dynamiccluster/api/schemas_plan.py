"""The shape of ``/api/v1/plan``: what a decision would do."""

from __future__ import annotations

from dynamiccluster.api.schemas import ActionDoc, CapacityDoc, Document, Instant, Text


class ShapeDoc(Document):
    """The waiting jobs of one shape, and what a decision does about them. Counts are jobs, arrays by tasks."""

    queues: list[Text]
    account: Text
    cores: int
    chunk: CapacityDoc
    chunks: int
    waiting: int
    on_free: int
    on_coming: int
    on_new: int
    unplaced: int
    never: bool
    new_nodes: dict[str, int]
    refusals: dict[str, str]
    first_jobs: list[Text]


class TransitionDoc(Document):
    node_id: str
    host_name: Text
    from_state: str
    to_state: str
    reason: Text


class PlanDoc(Document):
    sentence: Text
    actions: list[ActionDoc]
    transitions: list[TransitionDoc]
    proposals: list[Text]
    shapes: list[ShapeDoc]
    held_back: dict[str, int]
    waiting_tasks: int
    waiting_cores: int
    unplaced_tasks: int
    wake_at: Instant
