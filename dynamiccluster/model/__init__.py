"""What the engine knows and says: frozen, slotted dataclasses and ``StrEnum`` words. No behaviour beyond arithmetic.

Instants are ``float`` seconds since 1970-01-01 UTC and end in ``_at``; they are turned into ISO 8601 only at
the borders (REST, CLI, logs). Durations end in ``_s``. *Observed* seconds (names ending in ``_obs``) are
readings of a source's observed clock, see :mod:`dynamiccluster.model.memory`; they only ever grow, and
never by more than one poll's worth at a time.
"""
