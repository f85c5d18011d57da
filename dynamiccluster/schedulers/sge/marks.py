"""What we write down about a host within Grid Engine itself.

``qmod -d`` takes no reason, so nothing tells who has disabled a host. Therefore each host that we look after carries an
attribute of ours among its ``complex_values``: ``dynamiccluster=4/4000/0/10.0.0.5/dynamiccluster:CLUSTER:NODE``, that
is the size and address that it was made known with and, while we hold it, the mark. It lives and dies with the host
object, outlives a restart of qmaster and of this service, and comes with the list of hosts at no extra cost.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.schedulers.sge.site_parse import Complex, Consumed

ATTRIBUTE = "dynamiccluster"
"""Name and shortcut of the attribute; users can not ask for it."""

DEFINITION = Complex(ATTRIBUTE, "STRING", "==", "NO", Consumed.NOT, "NONE")
"""The attribute as it must stand in the table of complexes."""

MARK = re.compile(r"[A-Za-z0-9._:-]+")
_UNKNOWN_SIZE = "-"
_PLACEHOLDER = "placeholder"


@dataclass(frozen=True, slots=True)
class Note:
    """The value of our attribute."""

    capacity: Capacity | None = None  # ``None``: the host was there before us
    address: str = ""
    mark: str = ""  # left from a hold; in force only while the host is disabled
    placeholder: bool = False

    def text(self) -> str:
        if self.placeholder:
            return _PLACEHOLDER
        if self.capacity is None:
            size = _UNKNOWN_SIZE
        else:
            size = f"{self.capacity.cores}/{self.capacity.memory_mib}/{self.capacity.gpus}"
        return "/".join((size, self.address or _UNKNOWN_SIZE, self.mark)).rstrip("/")


def read_note(text: str) -> Note:
    """The note in a value; an empty one if it is none of ours."""
    if text == _PLACEHOLDER:
        return Note(placeholder=True)
    size, *rest = text.split("/")
    capacity = None
    if size != _UNKNOWN_SIZE:
        if len(rest) < 2 or not (size.isdigit() and rest[0].isdigit() and rest[1].isdigit()):
            return Note()
        capacity = Capacity(int(size), int(rest[0]), int(rest[1]))
        rest = rest[2:]
    address, mark = (*rest, "", "")[:2]
    return Note(capacity, "" if address == _UNKNOWN_SIZE else address, mark)
