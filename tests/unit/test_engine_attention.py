"""What somebody should look at first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from live_api import NOW

from dynamiccluster.engine.attention import AttentionKind, Severity, attention
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.memory import Backoff, Memory, Spend
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.view import SourceStatus
from dynamiccluster.model.worker_node import NodeState
from dynamiccluster.testing.service_example import example_readmodel


def quiet() -> ReadModel:
    """The example without anything that needs a look."""
    model = example_readmodel(NOW)
    nodes = {name: node for name, node in model.snapshot.nodes.items() if node.state is not NodeState.DOWN}
    snapshot = replace(model.snapshot, nodes=nodes, memory=Memory(tick=41))
    return replace(model, snapshot=snapshot, sources={}, demand=replace(model.demand, reports=()))


def with_memory(memory: Memory) -> ReadModel:
    model = quiet()
    return replace(model, snapshot=replace(model.snapshot, memory=memory))


def with_refusal(refusal: Refusal) -> ReadModel:
    model = example_readmodel(NOW)
    report = replace(model.demand.reports[0], refusals={"fast": refusal})
    return replace(quiet(), demand=replace(model.demand, reports=(report,)))


def lost_node() -> ReadModel:
    model = quiet()
    nodes = {**model.snapshot.nodes, "n2": replace(model.snapshot.nodes["n2"], state=NodeState.DOWN)}
    return replace(model, snapshot=replace(model.snapshot, nodes=nodes))


def broken(name: str, error_class: str = "") -> ReadModel:
    return replace(quiet(), sources={name: SourceStatus(name, NOW - 99, NOW, 3, "refused", error_class)})


CASES = [
    ("store", replace(quiet(), store_error="disk full"), Severity.CRITICAL, AttentionKind.STORE),
    ("decision", replace(quiet(), decision_error="KeyError"), Severity.CRITICAL, AttentionKind.DECISION),
    ("mode:observe", with_memory(Memory(observe_only=True)), Severity.WARNING, AttentionKind.MODE),
    ("mode:auto", with_memory(Memory(auto_mode=False)), Severity.WARNING, AttentionKind.MODE),
    ("source:scheduler", broken("scheduler"), Severity.CRITICAL, AttentionKind.SOURCE),
    ("source:cloud:lab", broken("cloud:lab"), Severity.WARNING, AttentionKind.SOURCE),
    ("source:cloud:lab", broken("cloud:lab", "auth"), Severity.CRITICAL, AttentionKind.CREDENTIALS),
    (
        "stale:scheduler",
        replace(quiet(), sources={"scheduler": SourceStatus("scheduler", NOW - 999, NOW - 999)}),
        Severity.WARNING,
        AttentionKind.STALE,
    ),
    (
        "backoff:launch:fast",
        with_memory(Memory(backoffs={"launch:fast": Backoff(0.0, NOW + 9, error_class="auth", error="denied")})),
        Severity.CRITICAL,
        AttentionKind.CREDENTIALS,
    ),
    ("limit:quota", with_refusal(Refusal.QUOTA), Severity.WARNING, AttentionKind.LIMIT),
    ("limit:budget-hour", with_refusal(Refusal.BUDGET_HOUR), Severity.WARNING, AttentionKind.BUDGET),
    ("limit:no-price", with_refusal(Refusal.NO_PRICE), Severity.WARNING, AttentionKind.BUDGET),
    (
        "limit:budget-month",
        with_memory(Memory(spend=Spend("2023-11", 501.0, NOW))),
        Severity.CRITICAL,
        AttentionKind.BUDGET,
    ),
    ("node-lost:n2", lost_node(), Severity.CRITICAL, AttentionKind.NODE_LOST),
]


@pytest.mark.parametrize(("key", "model", "severity", "kind"), CASES, ids=[case[0] for case in CASES])
def test_each_cause_is_told_once_with_its_urgency(
    key: str, model: ReadModel, severity: Severity, kind: AttentionKind
) -> None:
    (found,) = attention(model, NOW)
    assert (found.key, found.severity, found.kind) == (key, severity, kind)
    assert found.title
    assert found.text


def test_nothing_needs_a_look_when_all_is_well() -> None:
    assert attention(quiet(), NOW) == ()


def test_pauses_that_have_passed_and_refusals_that_are_no_limits_are_left_out() -> None:
    over = with_memory(Memory(backoffs={"launch:fast": Backoff(0.0, NOW - 1, error_class="auth")}))
    assert attention(over, NOW) == ()
    assert attention(with_refusal(Refusal.CLOSED), NOW) == ()


def test_the_most_urgent_comes_first() -> None:
    found = attention(replace(example_readmodel(NOW), store_error="disk full"), NOW)
    order = list(Severity)
    assert found[0].key == "store"
    assert [order.index(one.severity) for one in found] == sorted(order.index(one.severity) for one in found)
    assert len({one.key for one in found}) == len(found)


@pytest.mark.parametrize(
    ("scope", "title"),
    [
        ("resource:sold-out", "sold-out pauses"),
        ("launch:fast", "Launches of fast pause"),
        ("offering:zone-1/large", "The offering zone-1/large pauses"),
        ("tenancy:aws:us-east-1", "The tenancy aws:us-east-1 pauses"),
        ("market:aws:us-east-1/spot", "The spot machines of tenancy aws:us-east-1 pause"),
        ("spot:menu", "Spot machines of menu pause"),
        ("unfit:menu zone-1/large/spot", "The offering zone-1/large/spot of menu pauses"),
    ],
)
def test_what_pauses_is_said_in_words(scope: str, title: str) -> None:
    (found,) = attention(with_memory(Memory(backoffs={scope: Backoff(0.0, NOW + 9, error="no")})), NOW)
    assert (found.key, found.title) == (f"backoff:{scope}", title)


def test_sources_are_said_in_words() -> None:
    def title(model: ReadModel) -> str:
        (found,) = attention(model, NOW)
        return found.title

    late = replace(quiet(), sources={"scheduler": SourceStatus("scheduler", NOW - 999, NOW - 999)})
    assert title(broken("cloud:aws:us-east-1")) == "The cloud of tenancy aws:us-east-1 does not answer"
    assert title(broken("scheduler", "auth")) == "The scheduler refuses our credentials"
    assert title(late) == "The scheduler was not asked in time"
