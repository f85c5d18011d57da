"""Torque with Maui, Moab or pbs_sched, and OpenPBS: the adapter, its commands and the parsers of their output."""
