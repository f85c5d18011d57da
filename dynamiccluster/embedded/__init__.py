"""A whole simulated site inside this process: a batch queue, hosts, clouds and the people who submit jobs.

The demo runs it in real time, the world simulation in virtual time; the adapters ``schedulers/simulated`` and
``clouds/simulated`` are the only doors that the engine uses. Nothing here runs by itself: :class:`Site` is moved on by
``advance(now)``, which works off its own agenda in time order and is deterministic from a seed.
"""
