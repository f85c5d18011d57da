"""What somebody should look at, as documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dynamiccluster.api.pictures.service import plugin_state
from dynamiccluster.api.schemas import instant
from dynamiccluster.api.schemas_watch import AttentionDoc
from dynamiccluster.engine.attention import Attention, Severity, attention
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.view import SourceStatus

PLUGIN_FAILURES = 2
"""Failed looks in a row that somebody should see: one alone is a receiver that restarts."""


def attention_docs(
    model: ReadModel, now: float, plugins: Iterable[SourceStatus] = (), lost: Iterable[Attention] = ()
) -> list[AttentionDoc]:
    """The most urgent first. ``lost``: nodes that the present picture may show no more."""
    by_key = {one.key: one for one in (*lost, *attention(model, now))}
    found = [
        AttentionDoc(
            key=one.key,
            severity=one.severity.value,
            kind=one.kind.value,
            title=one.title,
            text=one.text,
            node_id=one.node_id,
            resource=one.resource,
            source=one.source,
            count=one.count,
            since_at=instant(one.since_at),
        )
        for one in by_key.values()
    ]
    order = [severity.value for severity in Severity]
    return sorted([*found, *_plugins(plugins)], key=lambda one: order.index(one.severity))


def _plugins(statuses: Iterable[SourceStatus]) -> Iterator[AttentionDoc]:
    """Those that the service goes on without."""
    for status in sorted(statuses, key=lambda status: status.source):
        cut_off = plugin_state(status) == "cut-off"
        if cut_off or status.failures >= PLUGIN_FAILURES:
            yield AttentionDoc(
                key=f"plugin:{status.source}",
                severity=Severity.WARNING.value,
                kind="plugin",
                title=f"The plug-in {status.source} {'is cut off' if cut_off else 'fails'}",
                text=f"All else goes on without it: {status.error}",
                count=status.failures,
                since_at=instant(status.last_good_at),
            )
