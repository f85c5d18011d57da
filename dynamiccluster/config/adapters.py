"""The types of scheduler and cloud that this release has adapters for. The keys of the others are checked already."""

from __future__ import annotations

SCHEDULERS = ("htcondor", "lsf", "sge", "simulated", "slurm", "torque")
CLOUDS = ("aws", "command", "local", "openstack", "simulated", "xspot")
