"""Sizes and prices that clouds tell fill in what the configuration leaves open."""

from __future__ import annotations

from dataclasses import replace

from builders import cloud_view, policy, resource

from dynamiccluster.decide import breaker, match
from dynamiccluster.decide.draft import start
from dynamiccluster.decide.offers import with_offers
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.plan import Refusal, Snapshot

TOLD = Offer("r", Capacity(8, 16000, 1), gpu_type="a100", price_per_hour=0.5)
OPEN = replace(resource("r"), capacity=Capacity(), gpu_type="", price_per_hour=0.0)


def views(*offers: Offer):
    view = cloud_view()
    return {view.tenancy: replace(view, offers=offers)}


def test_what_is_open_is_filled_in() -> None:
    filled = with_offers(policy(OPEN), views(TOLD)).resources["r"]
    assert (filled.capacity, filled.gpu_type, filled.price_per_hour) == (Capacity(8, 16000, 1), "a100", 0.5)


def test_what_is_configured_wins() -> None:
    given = replace(OPEN, capacity=Capacity(4, 8000), price_per_hour=0.1)
    assert with_offers(policy(given), views(TOLD)).resources["r"] == replace(given, billed=TOLD.capacity)
    rules = policy(replace(given, capacity=TOLD.capacity, gpu_type=TOLD.gpu_type))
    assert with_offers(rules, views(TOLD)) is rules


def test_offers_of_others_and_no_offers_change_nothing() -> None:
    rules = policy(OPEN)
    assert with_offers(rules, views(replace(TOLD, resource="other"))) is rules
    assert with_offers(rules, {}) is rules


def test_a_size_that_nobody_has_told_launches_nothing_and_says_so() -> None:
    draft = start(Snapshot(1, Memory(), clouds=views()), policy(OPEN), 0.0)
    assert breaker.gate(draft, OPEN) is Refusal.NO_SIZE
    assert match.too_small(Shape(), OPEN.capacity) is Refusal.NO_SIZE
    assert match.too_small(Shape(chunk=Capacity(9)), TOLD.capacity) is Refusal.CORES
