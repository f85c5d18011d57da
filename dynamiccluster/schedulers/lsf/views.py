"""The questions of a poll, in the words that this version understands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from dynamiccluster.errors import TransientError
from dynamiccluster.schedulers.lsf.calls import LsfCalls, UnsupportedError
from dynamiccluster.schedulers.lsf.hosts_parse import (
    BatchHost,
    LimHost,
    Listing,
    read_bhosts_json,
    read_bhosts_long,
    read_lshosts,
    read_lsload,
)
from dynamiccluster.schedulers.lsf.json_parse import HOST_FIELDS, JOB_FIELDS, MORE_JOB_FIELDS, read_jobs
from dynamiccluster.schedulers.lsf.record import Record, Unreadable
from dynamiccluster.schedulers.lsf.site_parse import Dialect
from dynamiccluster.schedulers.lsf.uf_parse import has_details, read_uf, unwrap

log = logging.getLogger(__name__)


class Views:
    """Asks as well as it can, and remembers what the programs turned out not to understand."""

    def __init__(self, calls: LsfCalls, dialect: Dialect, account: str) -> None:
        self._calls = calls
        self._account = account
        self._more_fields = list(MORE_JOB_FIELDS)
        self._jobs: Callable[[], Iterator[Record | Unreadable]] = self._jobs_long
        self._hosts: Callable[[str], Listing[BatchHost]] = self._hosts_long
        self._flag = "-UF"
        self._end = "\n\n" if dialect is Dialect.OPENLAVA else "\n"  # seen, and in its source; LSF's is not known
        self._details = False
        if dialect is Dialect.LSF:
            self._jobs, self._hosts = self._jobs_json, self._hosts_json

    def jobs(self) -> Iterator[Record | Unreadable]:
        """All jobs that are not over. Reading them may raise :class:`ValueError`."""
        return self._jobs()

    def batch_hosts(self, name: str = "") -> Listing[BatchHost]:
        """mbatchd's hosts, or the one of that name.

        :raises NotFoundError: it knows none of that name.
        """
        try:
            return self._hosts(name)
        except ValueError as error:
            raise TransientError(str(error)) from error

    def lim_hosts(self) -> Listing[LimHost]:
        try:
            return read_lshosts(self._calls.ask("lshosts", "-w"))
        except ValueError as error:
            raise TransientError(str(error)) from error

    def loads(self) -> Listing[str]:
        try:
            return read_lsload(self._calls.ask("lsload", "-l"))
        except ValueError as error:
            raise TransientError(str(error)) from error

    def slot_limits(self) -> str:
        """The arrays, as text."""
        return self._calls.ask("bjobs", "-u", "all", "-A", "-w")

    # -- jobs ------------------------------------------------------------------------------------------

    def _jobs_long(self) -> Iterator[Record | Unreadable]:
        try:
            text = self._calls.ask("bjobs", "-u", "all", self._flag)
        except UnsupportedError:
            if self._flag == "-l":
                raise
            self._flag = "-l"  # before OpenLava 3 and LSF 9
            text = self._calls.ask("bjobs", "-u", "all", self._flag)
        self._details |= has_details(text)  # where they are missing from now on, something was cut off
        return read_uf(unwrap(text) if self._flag == "-l" else text, self._account, self._end, self._details)

    def _jobs_json(self) -> Iterator[Record | Unreadable]:
        for _ in range(len(MORE_JOB_FIELDS) + 2):
            fields = " ".join((*JOB_FIELDS, *self._more_fields))
            try:
                return read_jobs(self._calls.ask("bjobs", "-u", "all", "-o", fields, "-json"), self._account)
            except UnsupportedError as error:
                if error.field in self._more_fields:
                    self._more_fields.remove(error.field)
                elif self._more_fields:
                    self._more_fields = []
                else:
                    log.info("no JSON from this bjobs, so its long list is read: %s", error)
                    break
        self._jobs = self._jobs_long
        return self._jobs_long()

    # -- hosts -----------------------------------------------------------------------------------------

    def _hosts_long(self, name: str) -> Listing[BatchHost]:
        return read_bhosts_long(self._calls.ask("bhosts", "-l", *([name] if name else ())))

    def _hosts_json(self, name: str) -> Listing[BatchHost]:
        asked = ("-o", " ".join(HOST_FIELDS), "-json", *([name] if name else ()))
        try:
            return read_bhosts_json(self._calls.ask("bhosts", *asked))
        except (UnsupportedError, KeyError) as error:
            log.info("no JSON with comments from this bhosts, so its long list is read: %s", error)
            self._hosts = self._hosts_long
            return self._hosts_long(name)
