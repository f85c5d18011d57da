"""Odd records: what a queue shows when users, or the scheduler itself, are at their worst."""

from __future__ import annotations

import math
import random

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.job import Job, JobState, Shape, Wait

TEXTS = (
    "line\nbreak",
    "$(reboot)",
    "`reboot`",
    "; rm -rf /",
    "\x1b[31mred\x07",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "%s%n{0}",
    "'\"\\",
    " ",
    "x" * 5000,
)
ABSURD_SHAPES = (
    Shape(chunk=Capacity(10**12, 10**15, 0)),
    Shape(chunk=Capacity(1), chunks=10**9, distinct=True),
    Shape(chunk=Capacity(0, 0, 0), chunks=0),
    Shape(chunk=Capacity(-4, -4000, -1)),
    Shape(chunk=Capacity(1), features=((),)),
    Shape(chunk=Capacity(1), features=(("$(reboot)",), ("a\nb", ""))),
    Shape(queues=("no such queue\n",), account="'; drop table jobs; --", chunk=Capacity(1)),
    Shape(chunk=Capacity(1, 0, 10**6), gpu_type="\x00"),
    Shape(chunk=Capacity(1), hosts=("../host",), walltime_s=-1),
    Shape(chunk=Capacity(1), memory_per_host_mib=10**15, exclusive=True),
)
NUMBERS = (0.0, -1.0, 1e18, -1e18, math.inf, -math.inf, math.nan)


def odd_job(rng: random.Random, serial: int) -> Job:
    """A job that no honest user hands in. None of them can run, so none of them is worth a node."""
    state = rng.choice((JobState.PENDING, JobState.PENDING, JobState.RUNNING, JobState.UNKNOWN, JobState.DONE))
    return Job(
        f"odd-{serial}{rng.choice(TEXTS)}",
        state,
        rng.choice(ABSURD_SHAPES),
        rng.choice(TEXTS),
        rng.choice(TEXTS),
        rng.choice(NUMBERS),
        rng.choice(NUMBERS),
        rng.choice(tuple(Wait)),
        rng.choice(TEXTS),
        rng.choice((0, 1, -7, 10**9)),
        rng.choice((0, -1, 10**9)),
        rng.choice((0, -1, 10**9)),
        rng.choice(NUMBERS),
        rng.choice(NUMBERS),
        (rng.choice(TEXTS),) if state is JobState.RUNNING else (),
    )


def odd_host(rng: random.Random, serial: int) -> Host:
    """A host that is not ours and makes no sense."""
    return Host(
        f"odd-{serial}{rng.choice(TEXTS)}",
        rng.choice(tuple(HostState)),
        rng.choice((Capacity(0, 0, 0), Capacity(-1, -1, -1))),
        rng.choice((Capacity(), Capacity(10**9, 10**12, 5))),
        (rng.choice(TEXTS),),
        rng.random() < 0.5,
        frozenset({rng.choice(TEXTS)}),
        hold=rng.choice((None, Hold(rng.choice(TEXTS), ours=False), Hold("dynamiccluster:", ours=False))),
        address=rng.choice(TEXTS),
        template=rng.random() < 0.2,
    )
