"""How a simulated scheduler is set up, and what its daemons are like."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueRules:
    """How this scheduler is set up."""

    pass_s: float = 5.0  # news leads to a scheduling pass after so long
    epilog_s: float = 3.0  # an ended job keeps its hosts for so long
    listed_s: float = 120.0  # an ended job stays in the list for so long
    notice_s: float = 120.0  # a daemon that does not answer makes its host DOWN after so long
    show_s: float = 0.0  # lists show a job that has started only after so long, or once its host's hold is acknowledged
    requeue_on_death: bool = True  # jobs of a DOWN host are requeued by the scheduler itself; else somebody must do it


@dataclass(frozen=True, slots=True)
class Daemon:
    """What runs on a machine and reports to the scheduler."""

    machine_id: str
    deaf: bool = False  # looks well, but no job ever starts there
    memory_share: float = 1.0  # of the declared memory, what it really finds
