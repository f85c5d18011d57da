"""Matching and the order in which resources are tried, as the deployment guide's cloud variables describe it."""

from __future__ import annotations

import pytest
from builders import host, launches, picture, plan, policy, resource, shape
from builders import job as waiting

from dynamiccluster.decide import match
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Reservation


@pytest.mark.parametrize(
    ("reserved", "wants", "refusal"),
    [
        ({}, {}, None),
        ({"queue": "q"}, {}, None),
        ({"queue": "other"}, {}, Refusal.QUEUE),
        ({"queue": "b"}, {"queues": ("a", "b")}, None),
        ({"queue": "q"}, {"queues": ()}, Refusal.QUEUE),
        ({"account": "physics"}, {"account": "physics"}, None),
        ({"account": "physics"}, {"account": "chem"}, Refusal.ACCOUNT),
        ({"account": "physics"}, {}, Refusal.ACCOUNT),
        ({"prop": "big"}, {"features": (("big",),)}, None),
        ({"prop": "big"}, {"features": (("small", "big"),)}, None),
        ({"prop": "big"}, {}, Refusal.PROPERTY),
        ({"prop": "big"}, {"features": (("small",),)}, Refusal.PROPERTY),
        ({"queue": "q", "account": "physics"}, {"account": "chem"}, Refusal.ACCOUNT),
        ({"queue": "other", "account": "physics"}, {}, Refusal.QUEUE),
    ],
)
def test_a_reserved_resource_takes_only_jobs_that_match_all_of_its_reservation(reserved, wants, refusal) -> None:
    assert match.misfit(shape(**wants), resource(**reserved)) is refusal


@pytest.mark.parametrize(
    ("has", "wants", "refusal"),
    [
        ({"queues": frozenset({"x"})}, {}, Refusal.QUEUE),
        ({"queues": frozenset({"x", "q"})}, {}, None),
        ({}, {"features": (("ib",),)}, Refusal.FEATURES),
        ({"features": frozenset({"ib"})}, {"features": (("ib",),)}, None),
        ({"features": frozenset({"ib"})}, {"features": (("ib",), ("ssd",))}, Refusal.FEATURES),
        ({"features": frozenset({"ib"}), "prop": "big"}, {"features": (("ib",), ("big",))}, None),
        ({"gpu_type": "a100"}, {"gpu_type": "a100"}, None),
        ({"gpu_type": "a100"}, {"gpu_type": "h100"}, Refusal.GPU_TYPE),
        ({}, {"gpu_type": "h100"}, Refusal.GPU_TYPE),
        ({"gpu_type": "a100"}, {}, None),
    ],
)
def test_the_kind_of_node_must_fit(has, wants, refusal) -> None:
    assert match.misfit(shape(**wants), resource(**has)) is refusal


@pytest.mark.parametrize(
    ("wants", "refusal"),
    [
        (shape(4, 8192, 1), None),
        (shape(5), Refusal.CORES),
        (shape(1, 8193), Refusal.MEMORY),
        (shape(1, 4096, memory_per_host_mib=4097), Refusal.MEMORY),
        (shape(1, gpus=2), Refusal.GPUS),
        (shape(5, 9000, 9), Refusal.CORES),
    ],
)
def test_one_piece_must_fit_an_empty_node(wants, refusal) -> None:
    assert match.too_small(wants, Capacity(4, 8192, 1)) is refusal


def test_hosts_of_ours_are_reserved_like_their_resource_and_strangers_are_not() -> None:
    reserved = resource(account="physics", queues=frozenset({"q"}), features=frozenset({"ib"}), gpu_type="a100")
    there = host("h")
    assert match.host_takes(shape(), there, None)
    assert not match.host_takes(shape(), there, reserved)
    assert match.host_takes(shape(account="physics", features=(("ib",),), gpu_type="a100"), there, reserved)
    assert not match.host_takes(shape(account="physics", queues=("x",)), there, reserved)
    assert not match.host_takes(shape(features=(("ib",),)), there, None)
    assert not match.host_takes(shape(gpu_type="a100"), there, None)


def test_what_the_scheduler_says_of_a_host_counts_before_the_configuration() -> None:
    of = resource(queues=frozenset({"q"}), gpu_type="a100")
    assert not match.host_takes(shape(), host("h", queues=frozenset({"x"})), of)
    assert not match.host_takes(shape(gpu_type="a100"), host("h", gpu_type="h100"), of)


def test_own_reservation_first_then_priority() -> None:
    listed = [
        resource("open1", priority=1),
        resource("mine9", queue="q", priority=9),
        resource("open0", priority=0),
        resource("mine2", account="a", priority=2),
    ]
    names = [r.name for r in sorted(listed, key=match.preference)]
    assert names == ["mine2", "mine9", "open0", "open1"]


def test_equals_by_fewer_nodes_then_price_then_name() -> None:
    listed = [resource("b", price_per_hour=1.0), resource("c", price_per_hour=0.5), resource("a", price_per_hour=0.5)]
    assert min(listed, key=lambda r: match.tie_break(r, {"a": 1})).name == "c"
    assert min(listed, key=lambda r: match.tie_break(r, {})).name == "a"
    assert min(listed, key=lambda r: match.tie_break(r, {"a": 3, "c": 3, "b": 2})).name == "b"


@pytest.mark.parametrize(
    ("wants", "jobs", "pieces", "nodes"),
    [
        (shape(1), 9, 4, 3),
        (shape(3), 2, 1, 2),
        (shape(1, 4096), 4, 2, 2),
        (shape(1, 0, 1), 4, 2, 2),
        (shape(0), 5, 1, 5),
        (shape(1, chunks=6), 2, 4, 3),  # pieces of two jobs share a node
        (shape(1, chunks=6, distinct=True), 1, 4, 6),
        (shape(1, chunks=3, distinct=True), 8, 4, 6),
        (shape(1, exclusive=True), 3, 4, 3),
        (shape(1, chunks=6, exclusive=True), 2, 4, 4),
        (shape(1, chunks=3, distinct=True, exclusive=True), 2, 1, 6),
        (shape(1, 1024, chunks=4, memory_per_host_mib=4096), 1, 4, 1),
        (shape(1, 1024, memory_per_host_mib=4096), 2, 1, 2),
        (shape(9), 1, 0, 1 << 30),
    ],
)
def test_pieces_per_node_and_nodes_needed(wants, jobs, pieces, nodes) -> None:
    has = Capacity(4, 8192, 2)
    assert match.pieces_per_node(wants, has) == pieces
    assert match.nodes_needed(wants, has, jobs) == nodes


def test_words_and_features_of_a_reserved_property() -> None:
    assert match.words(shape(features=(("a", "b"), ("c",)))) == {"a", "b", "c"}
    assert match.features_of(resource(features=frozenset({"ib"}), prop="big")) == {"ib", "big", "resource:r"}
    assert not Reservation()


def test_each_job_goes_to_the_resource_reserved_for_it() -> None:
    rules = policy(
        resource("open", priority=0),
        resource("physics", account="physics", priority=5),
        resource("night", queue="night", priority=5),
        resource("big", prop="big", priority=5),
    )
    queue = [
        waiting("1", shape(4, account="physics")),
        waiting("2", shape(4, queues=("night",))),
        waiting("3", shape(4, features=(("big",),))),
        waiting("4", shape(4)),
    ]
    assert launches(plan(picture(jobs=queue), rules)) == {"open": 1, "physics": 1, "night": 1, "big": 1}


def test_a_full_own_resource_overflows_into_an_open_one() -> None:
    rules = policy(resource("open"), resource("physics", account="physics", max_nodes=1))
    queue = [waiting(str(i), shape(4, account="physics")) for i in range(3)]
    assert launches(plan(picture(jobs=queue), rules)) == {"physics": 1, "open": 2}


def test_equal_resources_grow_evenly() -> None:
    rules = policy(resource("a"), resource("b"))
    queue = [waiting(str(i), shape(4)) for i in range(6)]
    assert launches(plan(picture(jobs=queue), rules)) == {"a": 3, "b": 3}
