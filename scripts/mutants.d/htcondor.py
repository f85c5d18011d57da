"""Mutants of the HTCondor adapter: each breaks one rule of the scheduler's contract, which must notice."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_scheduler_htcondor.py"
"""The tests that must turn red: on the double, and on the real thing where test beds are allowed."""

_ROOM = "schedulers/htcondor"


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"htcondor: {name}", (Edit(f"{_ROOM}/{file}", old, new),))


MUTANTS = (
    _one(
        "a hold that waits for somebody's reconfiguration",
        "calls.py",
        'self._check(self._run("condor_reconfig", *self._pool, "-startd", "-addr", daemon), "condor_reconfig")',
        "del completed",
    ),
    _one("draining by somebody is no hold", "hosts_parse.py", 'if ad.get("Draining") is True:', "if False:"),
    Mutant(
        "htcondor: a machine with jobs is removed",
        (
            Edit(
                f"{_ROOM}/adapter.py",
                "        if host.busy:\n            raise BusyError(",
                "        if False:\n            raise BusyError(",
            ),
            Edit(f"{_ROOM}/adapter.py", "        if any(found.busy for found in direct):", "        if False:"),
        ),
    ),
    _one(
        "jobs that run elsewhere are ended, too",
        "adapter.py",
        "return [job_id for job_id in self._running_on(host_name) if job_id in wanted] if wanted else []",
        "return sorted(wanted)",
    ),
    _one(
        "a machine on its way is not announced",
        "adapter.py",
        '        self._calls.advertise("UPDATE_AD_GENERIC", announcement(host_name, address))\n',
        "",
    ),
    _one(
        "the announcement outlives the machine",
        "adapter.py",
        '        self._calls.advertise("INVALIDATE_ADS_GENERIC", withdrawal(host_name))\n\n    def unstick',
        "    def unstick",
    ),
    _one(
        "ads of a dead machine stay",
        "adapter.py",
        "            self._forget(machines.machine[host_name])\n",
        "            pass\n",
    ),
    _one(
        "jobs on a dead machine are asked to go, not forced",
        "adapter.py",
        '                self._calls.tell_about_jobs("condor_rm", "-forcex", *batch, harmless=_GONE)\n',
        "",
    ),
    _one(
        "a job on a lost machine still runs there",
        "jobs_parse.py",
        "if lost and state in OCCUPYING and hosts == (lost,) and lost not in self._reading.living:",
        "if False:",
    ),
    _one(
        "Requirements ask for nothing",
        "requirements_parse.py",
        'groups.append(tuple(dict.fromkeys(f"{name}={value}" if value else name for name, value in known)))',
        "pass",
    ),
    _one("a parallel job is one piece", "jobs_parse.py", "if universe == PARALLEL else 1", "if False else 1"),
    _one(
        "jobs on a held machine stay when they are to go",
        "adapter.py",
        '            self._calls.tell_about_jobs("condor_vacate_job", *batch, harmless=_NOT_RUNNING)\n\n'
        "    def evacuate",
        "            del batch\n\n    def evacuate",
    ),
)
