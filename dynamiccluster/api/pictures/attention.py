"""What somebody should look at, as documents."""

from __future__ import annotations

from dynamiccluster.api.schemas import instant
from dynamiccluster.api.schemas_watch import AttentionDoc
from dynamiccluster.engine.attention import attention
from dynamiccluster.engine.readmodel import ReadModel


def attention_docs(model: ReadModel, now: float) -> list[AttentionDoc]:
    """The most urgent first."""
    return [
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
        for one in attention(model, now)
    ]
