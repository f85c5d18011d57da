"""Tells people what needs attention, once, and when it is over: by webhook, mail or a script."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dynamiccluster.engine.attention import Severity, attention
from dynamiccluster.engine.lost_nodes import LostNodes
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import BadConfigError, TransientError
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.kit.runner import Runner, SubprocessRunner
from dynamiccluster.model.retry import Pause
from dynamiccluster.plugins.notify_ledger import Ledger
from dynamiccluster.plugins.notify_text import Message, summary
from dynamiccluster.plugins.notify_ways import Mail, MailArguments, Script, Way, Webhook, WebhookArguments

log = logging.getLogger(__name__)

KEPT = 100
"""Messages that wait for a receiver that does not answer; beyond, the oldest goes."""

LOOK_LIMIT_S = 12.0
"""Nothing more is sent in this look after so long: a plug-in that takes 20 s counts as stuck."""

RETRY = Pause(30.0, 900.0)


@dataclass
class _Queue:
    """One way, what it has still to tell, and how it is doing."""

    way: Way
    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=KEPT))
    failures: int = 0
    next_at: float = 0.0
    error: str = ""


class Notifier:
    """Implements :class:`~dynamiccluster.plugins.base.Plugin`.

    Arguments: ``webhook`` (``url``, ``token``, ``ca_file``), ``mail`` (``to``, ``sender``, ``host``, ``port``,
    ``security``, ``username``, ``password``, ``ca_file``), ``script`` (a list of words), at least one of them;
    ``least`` (critical, warning, info), ``settle_s``, ``repeat_s``, ``interval``.

    What was told is forgotten when the service restarts: what then still needs attention is told again.
    """

    def __init__(
        self,
        webhook: Mapping[str, Any] | None = None,
        mail: Mapping[str, Any] | None = None,
        script: list[str] | None = None,
        least: str = "warning",
        settle_s: float = 60.0,
        repeat_s: float = 86400.0,
        interval: float = 15.0,
        clock: Clock | None = None,
        runner: Runner | None = None,
    ) -> None:
        """:raises BadConfigError: an argument is not usable; it is named."""
        if least not in set(Severity):
            raise BadConfigError(f"least: {least!r} is not one of {', '.join(Severity)}")
        for name, value in (("settle_s", settle_s), ("repeat_s", repeat_s)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise BadConfigError(f"{name}: {value!r} is not a number of seconds")
        self.interval_s = float(interval)
        self._clock = clock or SystemClock()
        ways: list[Way] = []
        if webhook is not None:
            ways.append(_made("webhook", lambda: Webhook(WebhookArguments(**webhook))))
        if mail is not None:
            ways.append(_made("mail", lambda: Mail(MailArguments(**mail))))
        if script is not None:
            if not (isinstance(script, list) and script and all(isinstance(word, str) and word for word in script)):
                raise BadConfigError("script: give a list of words, the program first")
            ways.append(Script(script, runner or SubprocessRunner()))
        if not ways:
            raise BadConfigError("give at least one of webhook, mail and script")
        self._queues = [_Queue(way) for way in ways]
        self._lost = LostNodes()
        self._ledger = Ledger(float(settle_s), float(repeat_s), Severity(least))

    def observe(self, readmodel: ReadModel) -> None:
        """Look, and send what is due. Raises only when no way works, so that one dead way slows no other."""
        now = self._clock.now()
        self._lost, found = self._lost.look(readmodel, now, attention(readmodel, now))
        self._ledger, words = self._ledger.look(found, now)
        if words:
            log.info("tells people: %s", summary(words))
            for queue in self._queues:
                queue.waiting.append(Message(readmodel.policy.cluster_id, now, words))
        began = self._clock.monotonic()
        for queue in self._queues:
            while queue.waiting and now >= queue.next_at and self._clock.monotonic() - began < LOOK_LIMIT_S:
                self._send(queue, now)
        if all(queue.error for queue in self._queues):
            raise TransientError("; ".join(queue.error for queue in self._queues))

    def _send(self, queue: _Queue, now: float) -> None:
        try:
            queue.way.send(queue.waiting[0])
        except TransientError as error:
            queue.failures += 1
            queue.next_at = now + RETRY.after(queue.failures)
            if not queue.error:
                log.warning("nobody is told by %s: %s", queue.way.name, error)
            queue.error = f"{queue.way.name}: {error}"
            return
        queue.waiting.popleft()
        if queue.error:
            log.info("%s works again", queue.way.name)
        queue.failures, queue.error = 0, ""

    def close(self) -> None:
        """Nothing is open between two looks."""


def _made(name: str, make: Callable[[], Way]) -> Way:
    try:
        return make()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join([name, *(str(part) for part in first["loc"])])
        raise BadConfigError(f"{key}: {first['msg'].removeprefix('Value error, ')}") from None
    except (OSError, TypeError) as error:
        raise BadConfigError(f"{name}: {error}") from None
