"""An LSF that behaves: OpenLava 4.0 as recorded, and the JSON of LSF 10.1 as documented.

Stand-in executables over one state (``stand_in``); OpenLava's texts, exit codes and delays are those of the recording
in ``tests/recorded/openlava``, which ``tests/unit/test_lsf_double_replay.py`` replays. IBM LSF was never run: its
dialect has the shapes of its documentation. What no recording shows is said to be so where it is done.
"""
