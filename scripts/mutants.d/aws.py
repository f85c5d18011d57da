"""Mutants of the EC2 adapter: the contract of clouds must notice each."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_cloud_aws.py"
"""The tests that must turn red."""

_ROOM = "clouds/aws"


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"aws: {name}", (Edit(f"{_ROOM}/{file}", old, new),))


MUTANTS = (
    _one(
        "others' machines are ours",
        "adapter.py",
        "if cluster_of(described) == self._cluster_id:\n                    ours",
        "if cluster_of(described):\n                    ours",
    ),
    _one(
        "others' machines are ended",
        "adapter.py",
        "if cluster_of(described) == self._cluster_id and id_of",
        "if id_of",
    ),
    _one("no client token", "request_map.py", '"ClientToken": token,', '"ClientToken": "",'),
    _one("machines do not know their launch", "instance_map.py", "LAUNCH_TAG: launch_id,", 'LAUNCH_TAG: "",'),
    _one(
        "machines of a launch are not told apart",
        "instance_map.py",
        'index, number = int(described.get("AmiLaunchIndex", 0)), 0',
        "index, number = 0, 0",
    ),
    _one("ended ones run", "instance_map.py", '"terminated": InstanceState.GONE', '"terminated": InstanceState.ACTIVE'),
    _one(
        "others do not count against the quota",
        "adapter.py",
        "if state_of(described) is not InstanceState.GONE:\n                    living",
        "if cluster_of(described) == self._cluster_id:\n                    living",
    ),
    _one("the quota is a mistake of ours", "error_map.py", '        "VcpuLimitExceeded",\n', ""),
    _one(
        "a lost reply changed nothing",
        "calls.py",
        "kind = UnknownOutcomeError if launching else TransientError",
        "kind = TransientError",
    ),
    _one("all machines or none", "request_map.py", '"MinCount": least,', '"MinCount": len(specs),'),
    _one(
        "one unknown machine spoils an end",
        "adapter.py",
        'known = [str(one["InstanceId"]) for one in self._warm.park(self._ours(instance_ids))]',
        "known = list(instance_ids)",
    ),
)
