"""Interruptions: how often machines of an offering are taken away, learnt from what became of ours."""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.model.memory import Interruptions
from dynamiccluster.model.offer import SPOT
from dynamiccluster.model.worker_node import WorkerNode

HALF_LIFE_S = 7 * 86400.0
"""After so long, what was seen counts half: markets change from week to week."""

USUAL_PER_HOUR = 0.001
"""Assumed of an offering of which nothing is known yet: some of a hundred machines in a day (AWS's Spot Instance
Advisor calls less than 5 % a month "rare", and above 20 % a month "frequent", that is 0.0003 per hour)."""

USUAL_HOURS = 100.0
"""How much the assumption weighs: as much as so many hours of machines."""

MOST_OFFERINGS = 2000
"""More are not remembered; those of which nothing was heard longest go first."""


def rate_per_hour(draft: Draft, offering: str) -> float:
    """Interruptions to be expected in an hour of one machine."""
    known = draft.memory.interruptions.get(offering)
    if known is None:
        return USUAL_PER_HOUR
    faded = _faded(draft, known)
    return (faded.count + USUAL_PER_HOUR * USUAL_HOURS) / (faded.node_hours + USUAL_HOURS)


def interrupted(draft: Draft, offering: str) -> None:
    """A machine of this offering is taken away."""
    _note(draft, offering, 1.0, 0.0)


def ended(draft: Draft, node: WorkerNode) -> None:
    """A node is over: how long it ran tells, too, above all where nothing happened to it."""
    if node.offer is not None and node.offer.market == SPOT and node.billed_from_at:
        _note(draft, node.offer.offering, 0.0, max(draft.now - node.billed_from_at, 0.0) / 3600.0)


def _note(draft: Draft, offering: str, count: float, node_hours: float) -> None:
    known = dict(draft.memory.interruptions)
    faded = _faded(draft, known.pop(offering, Interruptions()))
    while len(known) >= MOST_OFFERINGS:
        known.pop(min(known, key=lambda name: known[name].as_of_obs))
    known[offering] = replace(faded, count=faded.count + count, node_hours=faded.node_hours + node_hours)
    draft.memory = replace(draft.memory, interruptions=known)


def _faded(draft: Draft, known: Interruptions) -> Interruptions:
    clock = draft.obs(ENGINE)
    part = 0.5 ** (max(clock - known.as_of_obs, 0.0) / HALF_LIFE_S)
    return Interruptions(known.count * part, known.node_hours * part, clock)
