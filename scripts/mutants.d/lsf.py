"""Mutants of the LSF adapter: the contract of schedulers must notice each."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_scheduler_lsf.py"
"""The tests that must turn red."""

_ROOM = "schedulers/lsf"


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"lsf: {name}", (Edit(f"{_ROOM}/{file}", old, new),))


MUTANTS = (
    _one("no jobs is a failure", "calls.py", "or found_nothing(completed)", "or False"),
    _one(
        "a host of which mbatchd speaks well is up",
        "hosts_parse.py",
        "    if not reported:\n        return HostState.JOINING\n",
        "",
    ),
    _one(
        "a closed host is not held",
        "hosts_parse.py",
        '    closed = host.status == "closed_Adm" or',
        '    closed = host.status == "closed" or',
    ),
    _one(
        "closed without a mark",
        "adapter.py",
        'self._control("hclose", "-C", mark, host_name)',
        'self._control("hclose", host_name)',
    ),
    _one(
        "another's hold is opened", "adapter.py", "        if host.message != mark:\n", "        if not host.message:\n"
    ),
    _one(
        "another's hold is taken over",
        "adapter.py",
        "            if hold.mark == mark:\n                return\n            raise",
        "            if hold.mark:\n                return\n            raise",
    ),
    _one(
        "hosts go with their jobs",
        "membership.py",
        "    if jobs:\n        raise BusyError",
        "    if jobs < 0:\n        raise BusyError",
    ),
    _one(
        "jobs are taken from wherever they run",
        "adapter.py",
        "            if host_name in _place_of(text, job_id):\n",
        "            if text:\n",
    ),
    _one(
        "a dead host is asked to let go of its jobs",
        "adapter.py",
        'self._calls.tell_about_jobs("bkill", batch, _GONE, "-r")',
        'self._calls.tell_about_jobs("bkill", batch, _GONE)',
    ),
    _one("jobs of dead hosts go back or not", "adapter.py", "if not delete_jobs:", "if delete_jobs:"),
    _one(
        "a silent host is a failure",
        "adapter.py",
        '"bkill" if delete_jobs else "brequeue", batch, (*_GONE, *_SILENT))',
        '"bkill" if delete_jobs else "brequeue", batch, _GONE)',
    ),
    _one(
        "vacate does nothing",
        "adapter.py",
        '            self._calls.tell_about_jobs("brequeue", batch, _GONE)\n',
        "            del batch\n",
    ),
    _one(
        "hosts are added without their words",
        "membership.py",
        '            arguments += ["-R", " ".join(sorted(words))]\n',
        "            pass\n",
    ),
    _one(
        "select is not read",
        "shape_parse.py",
        "        features=_features(wanted.words, rules),\n",
        "        features=(),\n",
    ),
    _one("ptile is not read", "shape_parse.py", "    if wanted.ptile:\n", "    if wanted.ptile > 999:\n"),
    _one(
        "placeholders are hosts",
        "adapter.py",
        "                frozenset(self._settings.placeholder_hosts),\n",
        "                frozenset(),\n",
    ),
)
