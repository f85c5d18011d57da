"""From the JSON of ``condor_status -any`` to hosts. Pure.

A machine has one or more slots; all of its slots together are one host. A partitionable slot says what it has in all
(``TotalSlotCpus``) and what is left (``Cpus``); the dynamic slots cut from it are not asked for: after a slot has gone
its ad may stay in the collector for ``CLASSAD_LIFETIME`` (seen: 23.9.6 drops a slot and sends a last update at the
same time), whereas ``NumDynamicSlots`` of the partitionable slot is never out of date for longer than an update.

Machines on their way are ads of a type of our own, which :mod:`.notes` writes.

A short name that several machines share (two of them, or one that was renamed and its old ad) may be that of a node of
ours, and nobody can say which ad speaks of it: it is listed besides, as a host of which nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.job import OCCUPYING, Job
from dynamiccluster.schedulers.htcondor.ads_parse import Ad, address_of, ads, expression, instant, text, whole
from dynamiccluster.schedulers.htcondor.names_parse import HostNames
from dynamiccluster.schedulers.htcondor.requirements_parse import plain_device

NOTE = "DynamicClusterHost"
"""``MyType`` of our own ads."""

HOLD = "DynamicClusterHold"
"""Attribute of machines, and name of the setting behind it, that keeps jobs away while it is not ""."""

ATTRIBUTES = (
    *("MyType", "Name", "Machine", "MyAddress", "State", "Activity", "SlotType", "PartitionableSlot", "DynamicSlot"),
    *("BackfillSlot", "NumDynamicSlots", "Cpus", "TotalSlotCpus", "Memory", "TotalSlotMemory", "GPUs", "TotalSlotGPUs"),
    *("GPUs_DeviceName", "Start", "Draining", "DrainReason", "DrainerName", "Offline", "JobId", "LastHeardFrom"),
    *("DaemonStartTime", HOLD),
)
"""What ``condor_status -attributes`` is asked for, beside the names of features."""

_IN_USE = frozenset({"Claimed", "Preempting", "Matched"})
"""States of a slot that is given to a job, or about to be."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")

_MOST_DROPPED = 20


@dataclass(frozen=True, slots=True)
class Machines:
    """What one text of ``condor_status`` says. ``machine``: HTCondor's own name by that of the host; ``daemon``:
    where its startd is to be spoken to, ``heard``: when the collector heard of it last, both by host.
    ``prepared``: hosts that have the setting :data:`HOLD`.
    ``collector_began_at``: 0 = its ad is not among the others. ``heard_at``: when it heard last of anybody."""

    hosts: tuple[Host, ...]
    dropped: tuple[str, ...]
    names: HostNames
    machine: Mapping[str, str]
    daemon: Mapping[str, str]
    heard: Mapping[str, float]
    prepared: frozenset[str]
    collector_began_at: float = 0.0
    heard_at: float = 0.0


def parse_machines(
    output: str,
    is_ours: Callable[[str], bool],
    features: Iterable[str] = (),
    silent_s: float = 0.0,
    heard_at: float = 0.0,
) -> Machines:
    """The hosts in ``output``, and a sentence for each ad that could not be read.

    ``is_ours``: whether a hold mark is this installation's. ``features``: attributes that count as features.
    ``silent_s``: a host that the collector has not heard of for longer is unknown; 0 = never. Its time is that of what
    it heard last, in this text or before (``heard_at``): this machine's clock may differ.

    :raises ValueError: the text was cut off, or none of its ads can be read.
    """
    slots: dict[str, list[dict[str, Any]]] = {}
    notes: dict[str, dict[str, Any]] = {}
    dropped: list[str] = []
    began_at, read = 0.0, 0
    for ad in ads(output):
        if isinstance(ad, ValueError):
            dropped.append(f"a machine was left out: {ad}")
            continue
        kind, name = ad.get("MyType", "Machine"), text(ad, "Machine") or text(ad, "Name").rpartition("@")[2]
        read += 1
        heard_at = max(heard_at, instant(ad, "LastHeardFrom"))
        if kind == "Collector":
            began_at = instant(ad, "DaemonStartTime")
        elif not _NAME.fullmatch(name):
            dropped.append(f"a machine was left out: {name[:100]!r} is not the name of one; {str(ad)[:60]!r}")
        elif kind == NOTE:
            notes[name] = ad
        elif kind == "Machine" and not ad.get("BackfillSlot"):
            slots.setdefault(name, []).append(ad)
    if dropped and not read:
        raise ValueError(f"none of {len(dropped)} machines can be read: {dropped[0]}")
    reader = _Reader(is_ours, tuple(features), heard_at, silent_s)
    names = HostNames(slots)
    hosts: dict[str, Host] = {}
    machine: dict[str, str] = {}
    for name, its in slots.items():
        try:
            hosts[names.short(name)] = reader.host(names.short(name), its)
            machine[names.short(name)] = name
        except (ValueError, TypeError) as error:
            dropped.append(f"host {name[:100]} was left out: {error}")
    for name, machines in names.shared.items():
        hosts[name] = _shared(name, machines, [hosts[each] for each in machines if each in hosts])
        machine.pop(name, None)
    for name, note in notes.items():
        if name not in hosts:
            hosts[name] = _coming(name, note)
    if len(dropped) > _MOST_DROPPED:
        dropped[_MOST_DROPPED:] = [f"{len(dropped) - _MOST_DROPPED} more machines were left out"]
    daemon = {host: text(slots[name][0], "MyAddress") for host, name in machine.items()}
    prepared = frozenset(host for host, name in machine.items() if any(HOLD in ad for ad in slots[name]))
    heard = {host: max(instant(ad, "LastHeardFrom") for ad in slots[name]) for host, name in machine.items()}
    return Machines(tuple(hosts.values()), tuple(dropped), names, machine, daemon, heard, prepared, began_at, heard_at)


def with_lost(hosts: Iterable[Host], jobs: Iterable[Job]) -> tuple[Host, ...]:
    """The hosts, and those besides where jobs run though the collector does not know them: down.

    The collector forgets a machine that has been silent for ``CLASSAD_LIFETIME``. The schedd lets its jobs be, for as
    long as their lease and the network's own time limits last: nothing else would ever show that something is wrong.
    """
    found = {host.name: host for host in hosts}
    for job in jobs:
        for name in job.hosts if job.state in OCCUPYING else ():
            known = found.get(name)
            if known is None or known.state is HostState.JOINING:
                detail = "the collector has lost it, jobs are said to run there"
                address = known.address if known else ""
                found[name] = Host(name, HostState.DOWN, Capacity(), busy=True, address=address, detail=detail)
    return tuple(found.values())


class _Reader:
    """Makes one host of the slots of a machine."""

    def __init__(self, is_ours: Callable[[str], bool], features: tuple[str, ...], now: float, silent_s: float) -> None:
        self._is_ours = is_ours
        self._features = {name.lower(): name for name in features}
        self._now = now
        self._silent_s = silent_s

    def host(self, name: str, slots: list[dict[str, Any]]) -> Host:
        whole_slots = [ad for ad in slots if not ad.get("DynamicSlot")]
        if not whole_slots:
            raise ValueError("only slots cut from another are listed, and not that other")
        total = used = Capacity()
        jobs: dict[str, None] = {}
        busy = False
        for ad in whole_slots:
            has, left = _size(ad, "TotalSlot"), _size(ad, "")
            has = has if has.cores else left
            in_use = text(ad, "State") in _IN_USE
            total += has
            used += has if in_use and not ad.get("PartitionableSlot") else has - left
            busy = busy or in_use or whole(ad, "NumDynamicSlots") > 0
            if in_use and text(ad, "JobId"):
                jobs[text(ad, "JobId")] = None
        first = whole_slots[0]
        heard_at = max(instant(ad, "LastHeardFrom") for ad in whole_slots)
        silent = self._silent_s > 0 and heard_at > 0 and self._now - heard_at > self._silent_s
        return Host(
            name,
            HostState.UNKNOWN if silent else HostState.UP,
            total,
            used,
            tuple(jobs),
            busy or used.cores > 0,
            self._features_of(first),
            plain_device(text(first, "GPUs_DeviceName")),
            hold=self._hold(first),
            address=address_of(text(first, "MyAddress")),
            detail=f"not heard of for {self._now - heard_at:.0f} s" if silent else _detail(whole_slots),
            template=bool(first.get("Offline")),
        )

    def _hold(self, ad: Ad) -> Hold | None:
        mark = text(ad, HOLD)
        if mark:
            return Hold(mark, self._is_ours(mark))
        if ad.get("Draining") is True:
            return Hold(text(ad, "DrainReason") or "condor_drain", False, text(ad, "DrainerName"))
        if "Start" not in ad and not ad.get("Offline"):
            return Hold("condor_off -peaceful", False)
        if ad.get("Start") is False:
            return Hold("its START is false", False)
        return None

    def _features_of(self, ad: Ad) -> frozenset[str]:
        words: set[str] = set()
        for name, value in ad.items():
            spelt = self._features.get(name.lower())
            if spelt is None or expression(value) is not None:
                continue
            if value is True:
                words.add(spelt)
            elif isinstance(value, str):
                words.add(f"{spelt}={value}")
        return frozenset(words)


def _size(ad: Ad, prefix: str) -> Capacity:
    return Capacity(whole(ad, f"{prefix}Cpus"), whole(ad, f"{prefix}Memory"), whole(ad, f"{prefix}GPUs"))


def _detail(slots: list[dict[str, Any]]) -> str:
    """The state of each slot, as ``condor_status`` shows it."""
    words = dict.fromkeys(f"{text(ad, 'State')}/{text(ad, 'Activity')}" for ad in slots)
    cut = sum(whole(ad, "NumDynamicSlots") for ad in slots)
    return ", ".join(words) + (f", {cut} dynamic" if cut else "")


def _shared(name: str, machines: Iterable[str], its: Iterable[Host]) -> Host:
    """A name that several machines have: left alone until it is clear which of them is meant."""
    return Host(
        name,
        HostState.UNKNOWN,
        Capacity(),
        busy=any(host.busy for host in its),
        detail=f"more than one machine has this name: {', '.join(machines)}",
    )


def _coming(name: str, note: Ad) -> Host:
    """A machine that we announced and that has not reported in."""
    return Host(
        name,
        HostState.JOINING,
        Capacity(),
        address=address_of(text(note, "MyAddress")),
        detail="its startd has not reported to the collector yet",
    )
