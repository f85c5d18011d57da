"""Interruption and rebalance notices, from the queue to which EventBridge sends them.

Sources: EC2 user guide, "Spot Instance interruption notices" and "EC2 instance rebalance recommendations"; the rule
that fills the queue stands in ``docs/clouds/aws.md``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.due import ODD
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.instance import Instance
from dynamiccluster.model.offer import Notice, NoticeKind

log = logging.getLogger(__name__)

_KINDS = {
    "EC2 Spot Instance Interruption Warning": NoticeKind.RECLAIM,
    "EC2 Instance Rebalance Recommendation": NoticeKind.REBALANCE,
}
RECLAIM_AFTER_S = 120.0
"""From the warning to the end."""

_AT_ONCE = 10  # messages of one call, SQS's own bound
_MOST_CALLS = 5  # of one poll: a flood of others' notices must not hold up the list of machines
_IN_FORCE_S = 3600.0


class Notices:
    """Notices stay in force for an hour, so that none is lost with one failed view; others' machines' are dropped.

    A message is taken off the queue with the poll after the one that gave it out: should the service die in between,
    the queue shows it again.
    """

    def __init__(self, calls: AwsCalls, clock: Clock, queue_url: str) -> None:
        self._calls = calls
        self._clock = clock
        self._queue_url = queue_url
        self._known: dict[tuple[str, NoticeKind], tuple[float, Notice]] = {}
        self._seen: list[str] = []

    def of(self, ours: Iterable[Instance]) -> tuple[Notice, ...]:
        """The notices in force for these machines. A queue that cannot be read is no news about machines."""
        for act, said in ((self._forget, "taken off the queue"), (self._read, "read")):
            try:
                act()
            except (DynamicClusterError, *ODD) as error:
                text = str(error) if isinstance(error, DynamicClusterError) else f"odd answer: {error!r}"
                log.warning("notices cannot be %s: %s", said, text)
        last = self._clock.monotonic() - _IN_FORCE_S
        self._known = {key: value for key, value in self._known.items() if value[0] > last}
        offerings = {instance.instance_id: instance.offering for instance in ours}
        return tuple(
            replace(notice, offering=offerings[notice.instance_id])
            for _, notice in self._known.values()
            if notice.instance_id in offerings
        )

    def _read(self) -> None:
        sqs = self._calls.client("sqs")
        for _ in range(_MOST_CALLS):
            with self._calls.errors():
                reply = sqs.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=0)
            messages = reply.get("Messages", [])
            for message in messages:
                self._seen.append(str(message["ReceiptHandle"]))
                notice = parse_notice(str(message.get("Body", "")))
                if notice is not None:
                    key = (notice.instance_id, notice.kind)
                    self._known.setdefault(key, (self._clock.monotonic(), notice))
            if len(messages) < _AT_ONCE:
                return

    def _forget(self) -> None:
        sqs = self._calls.client("sqs")
        seen, self._seen = self._seen, []  # what cannot be taken off is given out again
        for first in range(0, len(seen), _AT_ONCE):
            batch = [{"Id": str(n), "ReceiptHandle": one} for n, one in enumerate(seen[first : first + _AT_ONCE])]
            with self._calls.errors():
                sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=batch)


def parse_notice(body: str) -> Notice | None:
    """A message of EventBridge; ``None`` if it is about something else."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, Mapping):
        return None
    kind = _KINDS.get(str(event.get("detail-type", "")))
    detail: Any = event.get("detail")
    if kind is None or not isinstance(detail, Mapping) or not detail.get("instance-id"):
        return None
    sent_at = _seconds(str(event.get("time", "")))
    due_at = sent_at + RECLAIM_AFTER_S if kind is NoticeKind.RECLAIM and sent_at else 0.0
    return Notice(str(detail["instance-id"]), kind, due_at)


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
