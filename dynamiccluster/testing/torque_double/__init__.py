"""A Torque that behaves as the recorded ones did: 6.1.3 with Maui, 4.2.10 with its own ``pbs_sched``.

Stand-in executables over one state (``stand_in``); texts, exit codes and delays are those of the recordings in
``tests/recorded/torque``, ``torque42`` and ``maui``, which ``tests/unit/test_torque_double_replay.py`` replays.
What no recording shows is said to be so where it is done; ``docs/testing-doubles.md`` lists it.
"""
