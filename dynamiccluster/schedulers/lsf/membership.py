"""How a host comes into the cluster and leaves it: what OpenLava and LSF do most differently.

OpenLava has ``lsaddhost`` and ``lsrmhost`` for its migrant hosts (seen). LSF's dynamic hosts join by themselves as soon
as their LIM starts, and leave by ``lsadmin expire`` (10.1 fix pack 14 and later) or some time after they went silent
(documented).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dynamiccluster.errors import BadConfigError, BusyError, NotFoundError, TransientError
from dynamiccluster.schedulers.lsf.calls import LsfCalls, UnsupportedError

log = logging.getLogger(__name__)

_KNOWN = "already known to master LIM"
_STATIC = "Bad arguments"
_UNKNOWN_HOST = ("invalid hostname", "Bad host name", "not a member", "unknown host", "Unknown host", "not found")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a new host is said to be; LSF works out the rest when it has come."""

    host_type: str
    model: str
    cpu_factor: float


class MigrantHosts:
    """OpenLava's way."""

    def __init__(self, calls: LsfCalls, kind: Kind) -> None:
        self._calls = calls
        self._kind = kind
        self._slots_option = True

    def add(self, name: str, words: Sequence[str], slots: int) -> bool:
        """Make the master LIM know a host; false if it knows one of this name already.

        :raises TransientError: the name cannot be resolved on the master, which may only be a matter of time.
        """
        kind = self._kind
        arguments = ["-m", kind.model, "-t", kind.host_type, "-f", f"{kind.cpu_factor:g}"]
        if words:
            arguments += ["-R", " ".join(sorted(words))]
        try:
            said = self._add([*arguments, *self._slots(slots), name])
        except UnsupportedError:
            if not self._slots_option:
                raise
            self._slots_option = False  # early versions: slots are those of lsb.hosts
            said = self._add([*arguments, name])
        except NotFoundError as error:
            raise TransientError(f"{error}: the name must be resolvable on the master") from error
        return _KNOWN not in said

    def remove(self, name: str) -> None:
        """Make it forget an empty host.

        :raises BadConfigError: it stands in ``lsf.cluster``.
        """
        try:
            said = self._calls.tell("lsrmhost", name, harmless=(_STATIC,))
        except NotFoundError as error:
            raise BadConfigError(f"{error}: lsrmhost must be able to resolve the name; add it for this time") from error
        if _STATIC in said:
            raise BadConfigError(f"{name} stands in lsf.cluster and can only be removed there")

    def _slots(self, slots: int) -> list[str]:
        return ["-M", str(slots)] if self._slots_option and slots > 0 else []

    def _add(self, arguments: Sequence[str]) -> str:
        return self._calls.tell("lsaddhost", *arguments, harmless=(_KNOWN,))


class DynamicHosts:
    """LSF's way."""

    def __init__(self, calls: LsfCalls) -> None:
        self._calls = calls

    def add(self, name: str, words: Sequence[str], slots: int) -> bool:
        """Nothing to do: ``LSF_LOCAL_RESOURCES`` on the host says what it is."""
        return True

    def remove(self, name: str) -> None:
        """Have it expire now; where LSF cannot, it stays closed until ``LSF_DYNAMIC_HOST_TIMEOUT``."""
        try:
            self._calls.tell("lsadmin", "expire", name, harmless=_UNKNOWN_HOST)
        except UnsupportedError as error:
            log.info("%s leaves LSF's lists when LSF_DYNAMIC_HOST_TIMEOUT has passed: %s", name, error)


Membership = MigrantHosts | DynamicHosts


class Placeholders:
    """Hosts that never come, so that OpenLava accepts jobs of more slots than it has.

    It refuses a job at submission that wants more than all its hosts have together ("Too many processors requested",
    seen). A record of a host needs no machine, only a name that can be resolved. ``resolve`` makes one known with an
    address: of TEST-NET-1 (RFC 5737), as on a loopback address the master's own daemons would answer in its place.
    """

    def __init__(
        self, hosts: MigrantHosts, names: Sequence[str], resolve: Callable[[str, str], None] | None = None
    ) -> None:
        self._hosts = hosts
        self._names = tuple(names)
        self._resolve = resolve

    def provide(self, known: Mapping[str, object], slots: int, slots_of: Callable[[str], int | None]) -> None:
        """Have them all known, with so many slots each. ``slots_of``: what one has now; ``None`` = as many as are
        asked for. One with too few is made anew.

        :raises BadConfigError: one cannot be had; the others are.
        """
        problems = []
        for name in self._names:
            if name in known:
                has = slots_of(name)
                if has is None or has >= slots:
                    continue
                self._hosts.remove(name)
            if self._resolve is not None:
                self._resolve(name, address_of(name))
            try:
                self._hosts.add(name, (), slots)
            except TransientError as error:
                problems.append(f"placeholder {name}: {error}, or placeholder_hosts empty")
        if problems:
            raise BadConfigError("; ".join(problems))


def address_of(placeholder: str) -> str:
    """An address that nobody has, always the same for the same name."""
    return f"192.0.2.{hashlib.sha256(placeholder.encode()).digest()[0] % 254 + 1}"


def require_empty(name: str, jobs: int, status: str) -> None:
    """:raises BusyError: jobs are on it. ``lsrmhost`` would end them (seen: EXIT, ``lost_and_found``)."""
    if jobs:
        raise BusyError(f"{name} has jobs in {jobs} slot(s) ({status})")
