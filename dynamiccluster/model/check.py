"""Checks of a configuration against what is really there: its commands, and what its clouds have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CheckState(StrEnum):
    """What came of trying one command."""

    OK = "ok"
    MISSING = "missing"  # there is no such program
    DENIED = "not permitted"  # it may not be run, or says that this user may not
    SLOW = "too slow"  # it did not end in time, or takes longer than the time between two polls
    FAILED = "failed"  # it ended otherwise than it should, or answered something else


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """One command of the configuration, and a way to try it that changes nothing.

    An answer is good if the program ends with 0, or with one of ``harmless`` in what it complains of, and prints
    something that matches the regular expression ``expects``. ``look_only``: running it would change something, so
    it is only looked for.
    """

    key: str  # in the configuration, such as "cluster.config.squeue_command"
    argv: tuple[str, ...]
    proves: str  # what is known once it has worked; a sentence for people
    env: Mapping[str, str] = field(default_factory=dict)
    harmless: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()  # complaints that mean "not permitted", beside the usual ones
    expects: str = ""
    look_only: bool = False
    optional: bool = False  # it may be missing: which of several programs is needed turns out later


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of it."""

    check: CommandCheck
    state: CheckState
    message: str  # "" if it is all right
    seconds: float = 0.0


class FindingState(StrEnum):
    """How one thing is that launches of a resource need."""

    OK = "ok"
    WRONG = "wrong"  # launches would fail, or give other machines than are meant
    DENIED = "not permitted"  # the credentials may not do it
    UNKNOWN = "not known"  # it could not be looked at, which keeps no launch from working


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at a cloud has shown of one thing that a resource needs, without launching anything."""

    subject: str  # what was looked at: "credentials", "image ami-0123"
    state: FindingState
    message: str  # what is there, or what is wrong with it
    fix: str = ""  # what a person can do about it
