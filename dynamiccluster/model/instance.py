"""Instances: what a *cloud* says exists."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class InstanceState(StrEnum):
    """A cloud's view of one machine. A foreign word without translation becomes ``UNKNOWN``: it exists and costs."""

    PENDING = "pending"
    ACTIVE = "active"
    STOPPED = "stopped"  # exists, does not run (and cannot run jobs)
    ERROR = "error"
    TERMINATING = "terminating"
    GONE = "gone"  # still listed, but ended for good
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Instance:
    """One machine of ours (it carries our ``cluster_id``) in one tenancy's list."""

    instance_id: str
    state: InstanceState
    launch_id: str = ""
    node_id: str = ""  # where the cloud can carry one tag per machine; else bound by ``launch_id``
    resource: str = ""  # name of the resource it was launched for, from its tags
    name: str = ""
    host_name: str = ""
    address: str = ""
    created_at: float = 0.0
    fault: str = ""  # the cloud's text for ERROR
    fault_class: str = ""  # an ``ErrorClass``, where the text tells: over quota, no capacity
    offering: str = ""  # zone/type/market it was placed in, for back-off memory; "" = the resource as a whole
