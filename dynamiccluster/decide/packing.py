"""What packing comes to: what became of every group, what is bought, and which nodes are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dynamiccluster.decide import match
from dynamiccluster.decide.eligible import Offer
from dynamiccluster.decide.limits import Ledger
from dynamiccluster.model.job import Shape
from dynamiccluster.model.offer import Offer as CloudOffer
from dynamiccluster.model.plan import Refusal


@dataclass(slots=True)
class Outcome:
    """What became of one group. Counts are tasks."""

    on_free: int = 0
    on_coming: int = 0
    on_new: int = 0
    unplaced: int = 0
    new_nodes: dict[str, int] = field(default_factory=dict)  # resource -> nodes bought for it
    refusals: Mapping[str, Refusal] = field(default_factory=dict)  # limits only; misfits stand in the lot


@dataclass(frozen=True, slots=True)
class Purchase:
    """New nodes bought for the jobs of one group."""

    resource: str
    count: int
    group: int
    offer: CloudOffer | None = None  # of a menu


@dataclass(slots=True)
class Packing:
    outcomes: list[Outcome]
    purchases: list[Purchase] = field(default_factory=list)
    limited: bool = False  # a limit, not the kind of resource, left some job without a place
    wanted: frozenset[str] = frozenset()  # node ids and host names that jobs were placed on
    startable: frozenset[str] = frozenset()  # those of them on which whole jobs could start as things are
    recalled: frozenset[str] = frozenset()  # node ids held for scale-down that jobs were placed on


def pieces_of_one_job(shape: Shape, offer: Offer) -> int:
    """How many pieces of one job an empty node takes."""
    return 1 if shape.distinct else match.pieces_per_node(shape, offer.capacity)


def shares_of(
    shape: Shape, lacking: int, offers: Sequence[Offer], ledger: Ledger, *, book: bool = False
) -> list[tuple[Offer, int, int]]:
    """Nodes and pieces by offer, as each alone has room; with ``book``, as all together have. Empty if too little."""
    shares: list[tuple[Offer, int, int]] = []
    for offer in offers:
        per_node = pieces_of_one_job(shape, offer)
        nodes = -(-lacking // per_node)
        nodes = min(nodes, ledger.room(offer.resource, nodes)[0])
        if nodes <= 0:
            continue
        if book:
            ledger.take(offer.resource, nodes)
        pieces = min(lacking, nodes * per_node)
        shares.append((offer, nodes, pieces))
        lacking -= pieces
        if not lacking:
            return shares
    return []
