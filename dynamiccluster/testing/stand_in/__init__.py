"""What every stand-in for a scheduler's commands needs: a state on disk, a time of its own, faults, programs.

Standard library only, and little of it: each command of a stand-in is a process that must start in a blink.
"""
