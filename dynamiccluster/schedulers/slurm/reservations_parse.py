"""From the text of ``scontrol -o show reservation`` to what keeps nodes for somebody, or for nobody. Pure.

Seen with 22.05.8: a reservation of all nodes (``ALL_NODES``) or of a partition's (``PART_NODES``) also takes every
node that comes later, and our FUTURE templates; any other keeps the nodes that it had when it was made. A node of a
reservation that is in force cannot be deleted ("Requested nodes are busy").
"""

from __future__ import annotations

from dataclasses import dataclass

from dynamiccluster.schedulers.slurm.shape_parse import host_names, plain

_NONE = "No reservations in the system"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nodes (or only licences) that are kept from ``starts_at`` to ``ends_at``."""

    name: str
    starts_at: float
    ends_at: float
    hosts: frozenset[str] = frozenset()
    cores: int = 0  # of these hosts together; 0 = not told
    flags: frozenset[str] = frozenset()
    partition: str = ""
    users: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    active: bool = False

    @property
    def grows(self) -> bool:
        """Whether nodes that are still to come will belong to it."""
        return bool(self.flags & {"ALL_NODES", "PART_NODES"})

    @property
    def maintenance(self) -> bool:
        return "MAINT" in self.flags

    @property
    def free_choice(self) -> bool:
        """Whether its jobs may run on nodes outside it: it is about licences, or says so."""
        return bool(self.flags & {"ANY_NODES", "FLEX"}) or not self.hosts


def parse_reservations(text: str) -> tuple[Reservation, ...]:
    """The reservations; times are epoch seconds (``SLURM_TIME_FORMAT=%s``).

    :raises ValueError: the text was cut off, or a reservation cannot be read: it might keep all nodes.
    """
    if not text.strip() or text.strip() == _NONE:
        return ()
    if not text.endswith("\n"):
        raise ValueError("the list of reservations was cut off")
    return tuple(_reservation(line) for line in text.splitlines() if line.strip())


def _reservation(line: str) -> Reservation:
    values: dict[str, str] = {}
    for word in line.split():
        key, equals, value = word.partition("=")
        if equals:
            values.setdefault(key, value)
    try:
        return Reservation(
            values["ReservationName"],
            float(values["StartTime"]),
            float(values["EndTime"]),
            frozenset(host_names(values["Nodes"])),
            int(plain(values.get("CoreCnt", "")) or 0),
            _words(values["Flags"]),
            plain(values.get("PartitionName", "")),
            tuple(sorted(_words(values.get("Users", "")))),
            tuple(sorted(_words(values.get("Accounts", "")))),
            values["State"] == "ACTIVE",
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"a reservation cannot be read ({error!r}): {line[:80]!r}") from error


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in plain(text).split(",") if word)
