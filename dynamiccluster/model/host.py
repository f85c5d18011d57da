"""Hosts: what a *scheduler* says it has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dynamiccluster.model.capacity import Capacity


class HostState(StrEnum):
    """Whether the scheduler can use the host. Idle or busy follows from its jobs, not from this word."""

    UP = "up"
    JOINING = "joining"  # declared, not yet reported in
    DOWN = "down"
    UNKNOWN = "unknown"  # e.g. not responding for the moment: left alone, given no work by us


class Power(StrEnum):
    """What a scheduler that switches hosts on and off by itself wants of one of them."""

    WANTED = "wanted"  # it waits for a machine of this name, mostly because it has given it to jobs already
    ON = "on"
    LEAVING = "leaving"  # it has let go of the machine; it gives the host to jobs again once it is off
    OFF = "off"  # without a machine, and to be given to jobs at any moment unless somebody holds it
    GIVEN_UP = "given up"  # off, and not to be given to jobs because of what became of its last machine


@dataclass(frozen=True, slots=True)
class Hold:
    """A mark that keeps new jobs away (drain, offline, closed, disabled)."""

    mark: str  # the text found there; ours starts with "dynamiccluster:"
    ours: bool  # whether it carries this installation's mark
    who: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """One host of the scheduler's list."""

    name: str
    state: HostState
    total: Capacity
    used: Capacity = Capacity()
    jobs: tuple[str, ...] = ()  # where the host list names them
    busy: bool = False  # whether the host list shows any use at all, with or without job names
    features: frozenset[str] = frozenset()
    gpu_type: str = ""
    queues: frozenset[str] = frozenset()  # empty = all
    hold: Hold | None = None
    address: str = ""
    detail: str = ""  # the scheduler's own state word(s), for people
    template: bool = False  # stands for a shape only (FUTURE node, placeholder), never for a machine
    power: Power | None = None  # None: the scheduler does not switch it
    kept: str = ""  # why the host may not be removed now although nobody holds it ("reservation x")
    free_for_s: float = 0.0  # only jobs that end within this time may start here (a reservation lies ahead); 0 = all
