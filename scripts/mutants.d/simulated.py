"""Mutants of the embedded cloud: the contract of clouds must notice each."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_cloud_simulated.py"
"""The tests that must turn red."""


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"simulated: {name}", (Edit(file, old, new),))


MUTANTS = (
    _one(
        "others' machines are ours",
        "clouds/simulated.py",
        "for machine in machines if machine.cluster_id == self._cluster_id)\n            strangers",
        "for machine in machines if machine.cluster_id)\n            strangers",
    ),
    _one(
        "strangers are not counted",
        "clouds/simulated.py",
        "if machine.cluster_id != self._cluster_id and machine.exists)",
        'if machine.cluster_id == "" and machine.exists)',
    ),
    _one(
        "others' machines are ended",
        "embedded/tenancy.py",
        "if machine is not None and machine.cluster_id == cluster_id:\n                self._end",
        "if machine is not None:\n                self._end",
    ),
    _one(
        "others' consoles are read",
        "clouds/simulated.py",
        "if machine is None or machine.cluster_id != self._cluster_id or not machine.running:",
        "if machine is None or not machine.running:",
    ),
    _one(
        "an unknown machine spoils an end",
        "embedded/tenancy.py",
        "            machine = self.machines.get(instance_id)\n"
        "            if machine is not None and machine.cluster_id == cluster_id:",
        "            machine = self.machines[instance_id]\n            if machine.cluster_id == cluster_id:",
    ),
    _one(
        "a repeated launch makes machines again",
        "embedded/tenancy.py",
        "if idempotent and (cluster_id, launch_id) in self._launches:",
        "if idempotent and launch_id in self._launches:",
    ),
    _one(
        "a launch that may not be repeated gives those of the first",
        "embedded/tenancy.py",
        "if idempotent and (cluster_id, launch_id) in self._launches:",
        "if (cluster_id, launch_id) in self._launches:",
    ),
    _one("all machines or none", "clouds/simulated.py", "resource, specs, 1)", "resource, specs, len(specs))"),
    _one("the quota does not hold", "embedded/tenancy.py", "if by_quota < least:", "if by_quota < -1000:"),
    _one(
        "ended machines use the quota",
        "embedded/tenancy.py",
        "here = [machine for machine in self.machines.values() if machine.exists]",
        "here = list(self.machines.values())",
    ),
    _one(
        "machines do not know their launch",
        "clouds/simulated.py",
        "                machine.state,\n                machine.launch_id,\n",
        '                machine.state,\n                "",\n',
    ),
    _one(
        "an end is forgotten",
        "embedded/tenancy.py",
        "                self._end(machine)\n\n    def quota",
        "                machine.terminate_asked_at = self.agenda.now\n\n    def quota",
    ),
    _one(
        "a list shows machines as they were",
        "embedded/tenancy.py",
        "        machine.state = state\n        machine.picture = None\n",
        "        machine.state = state\n",
    ),
)
