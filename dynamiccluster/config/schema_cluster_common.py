"""The keys of the ``cluster:`` section that every type of scheduler has."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dynamiccluster.config.fields import (
    Command4,
    Count,
    Interval,
    Section,
    SiteNames,
)


def lower(value: Any) -> Any:
    """Types were never case-sensitive."""
    return value.lower() if isinstance(value, str) else value


def type_tag(value: Any) -> str:
    """Which class of a union a ``type:`` key asks for; the prefix keeps it apart from keys in error paths."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"type={lower(kind)}" if isinstance(kind, str) else "type="


class CommonCluster(Section):
    """Keys that every scheduler has."""

    queue_to_monitor: SiteNames = Field(
        (),
        description="The queues to look after; jobs in others are ignored. Empty: all.",
        examples=[["short", "long"]],
    )
    queued_job_number_to_display: Count = Field(
        30,
        description="How many queued jobs are shown. All are counted and served. 0: all.",
        examples=[30],
    )
    post_add_node_command: Command4 | None = Field(
        None,
        description="Runs when a node has joined the scheduler: {0} host name, {1} address, {2} instance name, "
        "{3} resource. It is split into words without a shell.",
        examples=["/usr/local/sbin/node-added {0} {1}"],
    )
    post_remove_node_command: Command4 | None = Field(
        None,
        description="Runs when a node has left the scheduler, with the same values.",
        examples=["/usr/local/sbin/node-removed {0} {1}"],
    )
    command_timeout_s: Interval = Field(
        30.0, description="How long one command of the scheduler may take.", examples=[30]
    )
