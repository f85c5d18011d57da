"""Reads Grid Engine's configuration, as far as placement depends on it, and remembers it for a while.

It takes a command per parallel environment and per host group of a queue, so it is not part of every poll.
"""

from __future__ import annotations

import logging

from dynamiccluster.errors import DynamicClusterError, TransientError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.schedulers.sge.commands import SgeCommands
from dynamiccluster.schedulers.sge.site_parse import (
    ParallelEnvironment,
    Site,
    parse_access_list,
    parse_complexes,
    parse_environment,
    parse_group_tree,
    parse_list,
    parse_queues,
)

log = logging.getLogger(__name__)

KEEP_S = 300.0
"""An administrator's change of a queue or a parallel environment is seen after so long at the latest."""


class Sites:
    """The last configuration read."""

    def __init__(self, commands: SgeCommands, clock: Clock) -> None:
        self._commands = commands
        self._clock = clock
        self._site: Site | None = None
        self._read_at = 0.0

    def get(self) -> Site:
        """The configuration, read anew if it is old."""
        if self._site is None or self._clock.monotonic() - self._read_at > KEEP_S:
            site = self._read()  # a failure leaves the old one for the next time
            self._site, self._read_at = site, self._clock.monotonic()
        return self._site

    def forget(self) -> None:
        """Read it anew the next time."""
        self._site = None

    def _read(self) -> Site:
        try:
            complexes = parse_complexes(self._commands.ask("-sc"))
            queues = parse_queues(self._queues())
        except ValueError as error:
            raise TransientError(f"qconf: {error}") from error
        members: dict[str, frozenset[str]] = {}
        for group in sorted({group for queue in queues.values() for group in queue.groups}):
            members[group], _ = parse_group_tree(self._commands.ask("-shgrp_tree", group))
        lists: dict[str, frozenset[str]] = {}
        for name in sorted({name for queue in queues.values() for name in queue.users | queue.not_users}):
            lists[name] = parse_access_list(self._commands.ask("-su", name))
        return Site(complexes, queues, self._environments(), members, lists, self._has_quotas())

    def _has_quotas(self) -> bool:
        try:
            return bool(parse_list(self._commands.ask("-srqsl")))
        except DynamicClusterError as error:
            if "no resource quota set list defined" in str(error).lower():
                return False
            raise

    def _queues(self) -> str:
        try:
            return self._commands.ask("-sq", "*")
        except DynamicClusterError as error:
            if "no cluster queue" in str(error).lower() or "not match" in str(error).lower():
                return ""  # there is none yet
            raise

    def _environments(self) -> dict[str, ParallelEnvironment]:
        found: dict[str, ParallelEnvironment] = {}
        try:
            names = parse_list(self._commands.ask_environments())
        except DynamicClusterError as error:
            if "no parallel environment" in str(error).lower():
                return found
            raise
        for name in names:
            try:
                found[name] = parse_environment(name, self._commands.ask_environment(name))
            except ValueError as error:
                log.warning("jobs of the parallel environment %s are not served: %s", name, error)
        return found
