"""From the text of ``scontrol -o show assoc_mgr`` to the limits of accounts, users and QOS, and their use. Pure.

A limit stands as ``GrpTRES=cpu=8(1),mem=N(100)``: 8 cores, of which 1 is in use; memory without a limit. Limits of
one job have no use (``MaxTRESPJ=cpu=2``, ``MaxWallPJ=1440``). Memory is in MiB, times in minutes. Source: recordings
of a real 22.05.8 with slurmdbd; the meaning is that of ``sacctmgr(1)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_AMOUNT = re.compile(r"(N|\d+(?:\.\d+)?)(?:\(([\d.]+)\))?")
_NUMBERED = re.compile(r"(.*)\((\d+)\)")
_SHARE = re.compile(r"(\S+)=\{([^{}]*)\}")
_LISTS = "TRES"


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit: so much, of which so much is in use."""

    limit: float
    used: float = 0.0


Bounds = Mapping[str, Bound]
"""Limits by name, ``GrpJobs`` or ``GrpTRES cpu``. Where there is no limit, there is no entry."""


@dataclass(frozen=True, slots=True)
class Association:
    """An account (``user`` is "") or a user in one."""

    account: str
    user: str
    partition: str
    parent: str  # the account above; "" for a user, whose account that is, and for the root
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Qos:
    bounds: Bounds
    of_account: Mapping[str, Bounds] = field(default_factory=dict)
    of_user: Mapping[str, Bounds] = field(default_factory=dict)  # by number, as text


@dataclass(frozen=True, slots=True)
class Limits:
    """Everything that one text says."""

    associations: Mapping[tuple[str, str, str], Association] = field(default_factory=dict)  # account, user, partition
    qos: Mapping[str, Qos] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)  # user name -> number


def parse_limits(text: str) -> Limits:
    """The limits in the output of ``scontrol -o show assoc_mgr flags=assoc,qos``.

    :raises ValueError: it does not look like that.
    """
    if "Association Records" not in text and "QOS Records" not in text:
        raise ValueError(f"no list of limits: {text[:80]!r}")
    associations: dict[tuple[str, str, str], Association] = {}
    qos: dict[str, Qos] = {}
    numbers: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("ClusterName="):
            record, number = _association(line)
            associations[record.account, record.user, record.partition] = record
            if number:
                numbers[record.user] = number
        elif line.startswith("QOS="):
            name, found = _qos(line)
            qos[name] = found
    return Limits(associations, qos, numbers)


def _association(line: str) -> tuple[Association, str]:
    values = _values(line)
    user, number = _numbered(values.get("UserName", ""))
    parent, _ = _numbered(values.get("ParentAccount", ""))
    partition = values.get("Partition", "")
    return Association(values.get("Account", ""), user, partition, parent, _bounds(values)), number


def _qos(line: str) -> tuple[str, Qos]:
    common, _, rest = line.partition(" Account Limits=")
    accounts, _, users = rest.partition(" User Limits=")
    values = _values(common)
    name, _ = _numbered(values["QOS"])
    by_number = {_numbered(user)[1] or user: bounds for user, bounds in _shares(users).items()}  # 24.11: root(0)={...}
    return name, Qos(_bounds(values), _shares(accounts), by_number)


def _shares(text: str) -> dict[str, Bounds]:
    """``chem={MaxJobsPA=2(1) ...} phys={...}``; those that have any limit."""
    shares = {owner: _bounds(_values(inner)) for owner, inner in _SHARE.findall(text)}
    return {owner: bounds for owner, bounds in shares.items() if bounds}


def _values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if equals:
            values.setdefault(key, value)
    return values


def _numbered(text: str) -> tuple[str, str]:
    """``alice(1001)`` as name and number."""
    found = _NUMBERED.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def _bounds(values: Mapping[str, str]) -> dict[str, Bound]:
    found: dict[str, Bound] = {}
    for key, value in values.items():
        if not key.startswith(("Grp", "Max")):
            continue
        parts = [(key, value)]
        if _LISTS in key:
            pairs = (part.partition("=") for part in value.split(","))
            parts = [(f"{key} {name}", amount) for name, _, amount in pairs]
        for name, amount in parts:
            shown = _AMOUNT.fullmatch(amount)
            if shown is not None and shown[1] != "N":
                found[name] = Bound(float(shown[1]), float(shown[2] or 0))
    return found
