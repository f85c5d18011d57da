"""What Slurm's power saving wants of a node, from the words of its state. Pure. Seen with 22.05.8.

======================================== =========================================================================
``ALLOCATED+CLOUD+POWERED_DOWN``         given to a job a moment ago, before the resume program is called
``MIXED+CLOUD+NOT_RESPONDING+POWERING_UP`` resumed; its job is CONFIGURING. ``IDLE+...`` where the job is gone already
``IDLE+CLOUD``                           up
``IDLE+CLOUD+POWER_DOWN``                to be suspended as soon as it is free
``IDLE+CLOUD+POWERING_DOWN``             suspended, for ``SuspendTimeout``; then at once given to the next job
``IDLE+CLOUD+POWERED_DOWN``              off
``DOWN+CLOUD+POWERED_DOWN``              off after it was down, or was not up in time ("ResumeTimeout reached")
``IDLE+CLOUD+POWERED_DOWN+NOT_RESPONDING`` off after somebody resumed it; unusable after the next restart of slurmctld
======================================== =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable

from dynamiccluster.model.host import Power

BUSY_BASES = frozenset({"ALLOCATED", "MIXED"})

SLURMS_OWN_REASONS = (
    "ResumeTimeout reached",  # seen
    "Not responding",  # seen
    "Node unexpectedly rebooted",
    "Low ",  # RealMemory, CPUs, socket*core*thread count, TmpDisk
    "gres/",
    "Prolog error",
    "Epilog error",
    "Kill task failed",
    "Duplicate jobid",
    "batch job complete failure",
)
"""Beginnings of what Slurm itself says of a node's last machine, which does not outlive that machine."""


def power_of(base: str, flags: frozenset[str], reason: str, is_ours: Callable[[str], bool]) -> Power | None:
    """What Slurm wants of a node with this state and reason; ``None`` if it is not one of the cloud's."""
    if "CLOUD" not in flags:
        return None
    if "POWERING_DOWN" in flags:
        return Power.LEAVING
    if "POWERING_UP" in flags or "POWER_UP" in flags:
        # told to go down before it was up: it would hang between both until ResumeTimeout
        nobody = base not in BUSY_BASES and "POWER_DOWN" in flags
        return Power.LEAVING if nobody else Power.WANTED
    if "POWERED_DOWN" not in flags:
        return Power.ON
    if base in BUSY_BASES:
        return Power.WANTED
    if base == "DOWN":
        own = not reason or is_ours(reason) or reason.startswith(SLURMS_OWN_REASONS)
        return Power.GIVEN_UP if own else Power.OFF
    drained = bool(flags & {"DRAIN", "DRAINING", "DRAINED"})
    return Power.GIVEN_UP if "NOT_RESPONDING" in flags and not drained else Power.OFF


_SHOWS_NODES_THAT_ARE_OFF = (23, 2)
"""Since this release ``PrivateData=cloud`` is accepted, shown no more (seen with 24.11.5), and not needed."""


def _release(version: str) -> tuple[int, ...]:
    """``24.11.5`` as numbers to compare; what cannot be read is the oldest."""
    words = version.split(".")[:2]
    return tuple(int(word) for word in words) if all(word.isdigit() for word in words) else ()


def parse_power_config(text: str) -> list[str]:
    """What is wrong with the settings of power saving in the output of ``scontrol show config``."""
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in text.splitlines())}
    problems = []
    hides = _release(values.get("SLURM_VERSION", "")) < _SHOWS_NODES_THAT_ARE_OFF
    if hides and "cloud" not in values.get("PrivateData", "").split(","):
        problems.append("PrivateData=cloud is missing in slurm.conf: Slurm hides nodes that are off")
    off = [name for name in ("ResumeProgram", "SuspendProgram") if values.get(name, "(null)") == "(null)"]
    if values.get("SuspendTime", "INFINITE").split(" ")[0] in ("INFINITE", "NONE", "-1"):
        off.append("SuspendTime (other than INFINITE)")
    if off:
        problems.append(
            f"{', '.join(off)} missing in slurm.conf: Slurm gives jobs to nodes that are off, and never wakes them"
        )
    return problems
