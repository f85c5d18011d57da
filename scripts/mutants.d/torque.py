"""Mutants of the Torque adapter: each breaks one rule of the scheduler's contract, which must notice."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_scheduler_torque.py"
"""The tests that must turn red."""

_ROOM = "schedulers/torque"


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"torque: {name}", (Edit(f"{_ROOM}/{file}", old, new),))


MUTANTS = (
    _one(
        "a hold without our mark",
        "dialects.py",
        'hold=lambda note: [("-o", "-N", note)]',
        'hold=lambda note: [("-o",)]',
    ),
    _one(
        "every hold is ours",
        "adapter.py",
        "host = node.host(lambda mark: mark.startswith(self._mark_prefix))",
        "host = node.host(lambda mark: True)",
    ),
    _one(
        "somebody else's hold is taken over",
        "adapter.py",
        "            if node.mark == mark:\n                return\n            raise BusyError(",
        "            if node.mark == mark:\n                return\n        if False:\n            raise BusyError(",
    ),
    _one(
        "a node with jobs is deleted",
        "adapter.py",
        "    if node.jobs:\n        raise BusyError",
        "    if not node:\n        raise BusyError",
    ),
    _one(
        "no placeholders",
        "placeholders.py",
        "return self._dialect.picky and self._limit > 0",
        "return False",
    ),
    _one(
        "placeholders pass for machines",
        "nodes_parse.py",
        '        name.startswith(f"{template_prefix}-"),\n',
        "        False,\n",
    ),
    _one(
        "jobs of a dead node are asked for politely",
        "calls.py",
        '("-f",) if dead else ""',
        '""',
    ),
    _one(
        "jobs that run elsewhere by now are moved",
        "adapter.py",
        "return [job_id for job_id in wanted if node is not None and job_id in node.jobs]",
        "return wanted",
    ),
    _one(
        "nodes of one slot",
        "dialects.py",
        'if node.slots != wanted.slots:\n        found.append(("np"',
        'if False:\n        found.append(("np"',
    ),
    _one(
        "jobs that Maui has deferred are left so",
        "waiting.py",
        "        if fits:\n            jobs[at] = replace(job, stuck=True)\n",
        "",
    ),
)
