"""Mutants of the Grid Engine adapter: each breaks one rule of the scheduler's contract, which must notice."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_scheduler_sge.py"
"""The tests that must turn red: on the double, and on the real thing where test beds are allowed."""

_ROOM = "schedulers/sge"


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"sge: {name}", (Edit(f"{_ROOM}/{file}", old, new),))


MUTANTS = (
    _one("only the service's own jobs are listed", "command_lines.py", '"-r": (), "-u": ("*",)}', '"-r": ()}'),
    _one(
        "the mark is not written down",
        "adapter.py",
        "        self._membership.write_note(host_name, replace(note, mark=mark))\n",
        "",
    ),
    _one(
        "somebody else's hold is taken for ours",
        "adapter.py",
        "            if host.hold.mark == mark:\n                return\n",
        "            if host.hold:\n                return\n",
    ),
    _one("a host with jobs is taken apart", "adapter.py", "        if host.busy:\n", "        if False:\n"),
    _one(
        "jobs that run elsewhere are touched, too",
        "adapter.py",
        "if host is not None and job_id in host.jobs]",
        "if host is not None]",
    ),
    _one(
        "a running job is deleted by force",
        "adapter.py",
        "            self._commands.reschedule(here, force=True)\n",
        "",
    ),
    _one(
        "a dead host stays open",
        "adapter.py",
        '        self._switch("-d", host_name)\n        if not delete_jobs:\n',
        "        if not delete_jobs:\n",
    ),
    _one(
        "a removed host's daemon may report in again",
        "membership.py",
        '            tell("-dh", host_name, harmless=gone)\n',
        "            pass\n",
    ),
    _one(
        "queues without a host refuse their jobs",
        "adapter.py",
        "            self._membership.hold_open(missing, require_host_name(placeholder))\n",
        "            require_host_name(placeholder)\n",
    ),
    _one(
        "a restart of qmaster is the death of all hosts",
        "adapter.py",
        "        return host if silent_s >= self._settings.silent_s else replace(host, state=HostState.UNKNOWN)\n",
        "        return host if silent_s >= 0 else replace(host, state=HostState.UNKNOWN)\n",
    ),
    _one(
        "a node for one queue serves all",
        "descriptions.py",
        "resource.capacity.cores if queue in wanted else 0",
        "resource.capacity.cores",
    ),
    _one("pieces of one job share a host", "request_parse.py", "            distinct = pieces > 1\n", ""),
    _one(
        "held jobs are demand",
        "jobs_parse.py",
        'if "h" in letters or "E" in letters or "d" in letters:',
        'if "E" in letters or "d" in letters:',
    ),
    _one(
        "what no node gives is demand",
        "request_parse.py",
        '            self._hinder(f"it asks for {known.name}={value}, which no resource gives")\n',
        "            pass\n",
    ),
    _one(
        "a host that never reported is down",
        "states.py",
        "return HostState.DOWN if reported else HostState.JOINING",
        "return HostState.DOWN",
    ),
    _one(
        "licences are given out twice", "shared_parse.py", "            if enough < tasks:\n", "            if False:\n"
    ),
)
