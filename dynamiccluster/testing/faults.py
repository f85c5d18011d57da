"""Faults of a simulated day: a schedule made from a seed, printed as text, read back from text."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong. ``amount`` is the share of calls hit unless said otherwise."""

    POLL_FAILS = "poll-fails"  # a list cannot be had
    POLL_LOST = "poll-lost"  # a list does not come back in time
    ACT_FAILS = "act-fails"  # an action is refused for the moment
    LOST_REQUEST = "lost-request"  # no reply, and it never took effect
    LOST_REPLY = "lost-reply"  # no reply, though it took effect
    LATE_EFFECT = "late-effect"  # no reply, and it takes effect minutes later
    LAG = "lag"  # lists miss new things and keep ended ones for some polls
    UNKNOWN_WORDS = "unknown-words"  # states that no table knows
    ODD_RECORDS = "odd-records"  # hostile and absurd jobs and hosts in the list
    HOLD_UNSEEN = "hold-unseen"  # an acknowledged hold does not show in the next view or two
    CAPACITY = "capacity"
    QUOTA = "quota"
    THROTTLE = "throttle"
    AUTH = "auth"
    IGNORED = "ignored"  # terminate is answered with success and forgotten
    PARTIAL = "partial"  # fewer machines than asked
    COMMIT_FAILS = "commit-fails"  # the store cannot be written
    CLOCK_JUMP = "clock-jump"  # ``amount``: seconds, below 0 = back
    CRASH = "crash"  # killed ``amount`` steps after ``from_s``, started again at ``until_s``
    CRASH_STORE_LOST = "crash-store-lost"  # the same, and the store is empty afterwards
    STOP = "stop"  # stopped in order, started again at ``until_s``
    DEATH = "death"  # a working machine dies; ``amount`` 1: the cloud says so, 0: it does not
    RECLAIM = "reclaim"  # a working machine is taken away two minutes after that is announced
    SILENCE = "silence"  # a daemon does not answer for a while, its jobs go on
    ADMIN_DRAIN = "admin-drain"  # an administrator drains a host of ours for a while
    STALL = "stall"  # calls take longer than their time limit
    STICK = "stick"  # the scheduler gives up on a waiting job until somebody releases it
    SOLD_OUT = "sold-out"  # from here on: of one resource, all calls
    BUILD_ERROR = "build-error"
    SLOW = "slow"
    NEVER_BOOTS = "never-boots"
    NEVER_JOINS = "never-joins"
    DEAF = "deaf"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Seconds count from the start of the world; ``target`` is a source, a resource or an installation."""

    kind: FaultKind
    target: str
    from_s: float
    until_s: float
    amount: float = 1.0

    def __str__(self) -> str:
        return f"{_clock(self.from_s)} {_clock(self.until_s)} {self.kind} {self.target} {self.amount:g}"


def parse_faults(lines: Iterable[str]) -> tuple[Fault, ...]:
    """The inverse of ``str`` on each fault; empty lines and lines that begin with ``#`` are skipped."""
    found: list[Fault] = []
    for line in lines:
        words = line.split()
        if words and not words[0].startswith("#"):
            from_s, until_s, kind, target, amount = words
            found.append(Fault(FaultKind(kind), target, _seconds(from_s), _seconds(until_s), float(amount)))
    return tuple(found)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600.0 + int(minutes) * 60.0 + int(seconds)


class Faults:
    """The schedule at work: asked at each call whether a fault strikes it."""

    def __init__(self, schedule: Sequence[Fault], rng: random.Random, elapsed_s: Callable[[], float]) -> None:
        self._rng = rng
        self._elapsed_s = elapsed_s
        self._by_key: dict[tuple[FaultKind, str], list[Fault]] = {}
        for fault in schedule:
            self._by_key.setdefault((fault.kind, fault.target), []).append(fault)
        self.struck: dict[FaultKind, int] = {}
        self._last_s: dict[str, float] = {}

    @property
    def rng(self) -> random.Random:
        return self._rng

    def strikes(self, kind: FaultKind, target: str) -> bool:
        """Whether this call is hit."""
        faults = self._by_key.get((kind, target))
        if faults is None:
            return False
        now_s = self._elapsed_s()
        hit = any(fault.from_s <= now_s < fault.until_s and self._rng.random() < fault.amount for fault in faults)
        if hit:
            self.note(kind, target)
        return hit

    def note(self, kind: FaultKind, target: str) -> None:
        """Something has gone wrong with ``target`` now."""
        self.struck[kind] = self.struck.get(kind, 0) + 1
        self._last_s[target] = self._elapsed_s()

    def last_s(self, target: str) -> float:
        """When something went wrong with ``target`` last, in seconds of the schedule."""
        return self._last_s.get(target, -math.inf)


SCHEDULER_KINDS = (
    FaultKind.POLL_FAILS,
    FaultKind.POLL_LOST,
    FaultKind.ACT_FAILS,
    FaultKind.LOST_REQUEST,
    FaultKind.LOST_REPLY,
    FaultKind.LATE_EFFECT,
    FaultKind.LAG,
    FaultKind.UNKNOWN_WORDS,
    FaultKind.ODD_RECORDS,
    FaultKind.HOLD_UNSEEN,
)
CLOUD_KINDS = (
    FaultKind.POLL_FAILS,
    FaultKind.POLL_LOST,
    FaultKind.ACT_FAILS,
    FaultKind.LOST_REQUEST,
    FaultKind.LOST_REPLY,
    FaultKind.LATE_EFFECT,
    FaultKind.LAG,
    FaultKind.UNKNOWN_WORDS,
    FaultKind.CAPACITY,
    FaultKind.QUOTA,
    FaultKind.THROTTLE,
    FaultKind.PARTIAL,
    FaultKind.IGNORED,
)
RESOURCE_KINDS = (
    FaultKind.SOLD_OUT,
    FaultKind.BUILD_ERROR,
    FaultKind.SLOW,
    FaultKind.NEVER_BOOTS,
    FaultKind.NEVER_JOINS,
    FaultKind.DEAF,
)


def random_schedule(
    rng: random.Random,
    span_s: float,
    installations: Sequence[str],
    tenancies: Sequence[str],
    resources: Sequence[str],
) -> tuple[Fault, ...]:
    """A bad day: every hour or so something goes wrong somewhere. All of it is over at ``span_s``."""
    found: list[Fault] = []

    def put(kind: FaultKind, target: str, longest_s: float, amount: float) -> None:
        from_s = float(round(rng.uniform(0.0, max(span_s - 60.0, 0.0))))
        until_s = float(round(min(span_s, from_s + rng.uniform(60.0, longest_s))))
        found.append(Fault(kind, target, from_s, until_s, round(amount, 3)))

    def some(per_day: float) -> range:
        whole = per_day * span_s / 86400.0
        return range(int(whole) + (rng.random() < whole % 1.0))

    for name in installations:
        for _ in some(10):
            put(rng.choice(SCHEDULER_KINDS), f"scheduler:{name}", 2400.0, rng.choice((0.1, 0.3, 0.6, 1.0)))
        for _ in some(5):
            kind = rng.choice((FaultKind.CRASH, FaultKind.CRASH, FaultKind.CRASH, FaultKind.STOP))
            put(kind, name, rng.choice((70.0, 1800.0)), float(rng.randint(0, 12)))
        if rng.random() < 0.2:
            put(FaultKind.CRASH_STORE_LOST, name, 900.0, float(rng.randint(0, 12)))
        for _ in some(1):
            put(FaultKind.COMMIT_FAILS, name, 900.0, rng.choice((0.5, 1.0)))
        for _ in some(2):
            put(FaultKind.STICK, name, 61.0, 1.0)
        for _ in some(6):
            put(FaultKind.SILENCE, name, 600.0, 1.0)
        for _ in some(1):
            put(FaultKind.ADMIN_DRAIN, name, 3600.0, 1.0)
        for _ in some(2):
            put(FaultKind.STALL, name, 1800.0, rng.choice((0.02, 0.2)))
        for _ in some(6):
            put(FaultKind.DEATH, name, 61.0, float(rng.randint(0, 1)))
    for name in tenancies:
        for _ in some(8):
            put(rng.choice(CLOUD_KINDS), f"cloud:{name}", 2400.0, rng.choice((0.1, 0.3, 0.6, 1.0)))
    for name in resources:
        for _ in some(1.5):
            put(rng.choice(RESOURCE_KINDS), name, 5400.0, 1.0)
    for _ in some(1):
        put(FaultKind.CLOCK_JUMP, "clock", 61.0, float(rng.choice((-7200, -3600, -600, -30, 30, 600, 3600, 90000))))
    for name in installations:
        for _ in some(6):
            put(FaultKind.RECLAIM, name, 61.0, 1.0)
    return tuple(sorted(found, key=lambda fault: fault.from_s))
