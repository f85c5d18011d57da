"""What both dialects say of a job, before it is made into one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Request(NamedTuple):
    """All that decides on a job's shape, as texts. A tuple, as many jobs share one and it is looked up for each."""

    queue: str
    account: str
    slots: str  # "4", "2-8"; "" = 1
    resreq: str
    exclusive: bool
    hosts: tuple[str, ...]  # -m: hosts, groups, "others"
    run_limit_min: str  # minutes, "" = none
    gpus: str = ""  # -gpu: for each host


class Record(NamedTuple):
    """One job, or one element of an array. A tuple, because there are many."""

    job_id: str  # "108", "108[3]"
    state: str  # LSF's word
    name: str
    user: str
    request: Request
    submitted: str  # instants as LSF writes them
    begins: str = ""  # -b
    started: str = ""
    hosts: tuple[str, ...] = ()
    reasons: str = ""
    priority: str = ""


class Unreadable(NamedTuple):
    """A record that could not be read, and why."""

    what: str


Records = Iterator[Record | Unreadable]
