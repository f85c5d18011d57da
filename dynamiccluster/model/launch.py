"""Launches: one request for N nodes of one resource."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dynamiccluster.model.offer import Offer


class LaunchState(StrEnum):
    OPEN = "open"  # requested, not answered, or answer lost and not yet settled
    SETTLED = "settled"  # every machine of it is bound or known not to exist
    ABANDONED = "abandoned"  # the reply was lost and nothing appeared in time: whatever shows up later is swept


@dataclass(frozen=True, slots=True)
class Launch:
    """Kept after its nodes are gone for as long as a late machine may still appear."""

    launch_id: str  # AWS client token and tag, OpenStack metadata
    resource: str
    tenancy: str
    node_ids: tuple[str, ...]
    state: LaunchState
    requested_at: float
    closed_at: float = 0.0
    offer: Offer | None = None  # what was chosen from a menu, for a repeat must ask for the same
    whole: bool = False  # its machines are of use only together
    cut_off: bool = False  # the service ended before the reply to its last request: perhaps nothing was ever sent
    adopted: bool = False  # made up for machines found after the store was lost; more of them may turn up
