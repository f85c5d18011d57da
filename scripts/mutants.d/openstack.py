"""Mutants of the OpenStack adapter: each breaks one rule that the cloud's contract or its traps ask for."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_cloud_openstack.py"
"""The tests that must turn red."""

_ROOM = "clouds/openstack"


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"openstack: {name}", (Edit(f"{_ROOM}/{file}", old, new),))


MUTANTS = (
    _one(
        "strangers are ours",
        "adapter.py",
        "            if cluster_of(server) == self._cluster_id:\n                ours.append",
        "            if cluster_of(server):\n                ours.append",
    ),
    _one(
        "machines of others are ended",
        "adapter.py",
        "        return cluster_of(server) == self._cluster_id\n",
        '        return bool(server.get("id"))\n',
    ),
    _one(
        "a server without its launch",
        "server_map.py",
        "ours = {CLUSTER: cluster_id, LAUNCH: launch_id, RESOURCE: resource, NODE: spec.node_id}",
        "ours = {CLUSTER: cluster_id, RESOURCE: resource, NODE: spec.node_id}",
    ),
    _one(
        "a lost reply taken for a refusal",
        "calls.py",
        "return UnknownOutcomeError(text) if launching and not never_sent(error) else TransientError(text)",
        "return TransientError(text)",
    ),
    _one(
        "a full quota taken for missing rights",
        "error_map.py",
        "            if _LIMIT.search(text):\n                return QuotaError\n            return ThrottledError",
        "            return ThrottledError",
    ),
    _one(
        "what was made before a refusal forgotten",
        "adapter.py",
        "                if not made:\n                    raise\n",
        "                raise\n",
    ),
    Mutant(
        "openstack: strangers do not count against the quota",
        (
            Edit(
                f"{_ROOM}/adapter.py",
                "                use.count(server)\n",
                "                cluster_of(server) == self._cluster_id and use.count(server)\n",
            ),
            Edit(
                f"{_ROOM}/catalogue.py",
                'max(int(limits.get("totalInstancesUsed") or 0), use.instances)',
                "use.instances",
            ),
        ),
    ),
    _one(
        "pages after the first left out",
        "calls.py",
        "            if not following or not found:\n",
        "            if following or not found or True:\n",
    ),
    _one(
        "servers of a silent cell passed over",
        "adapter.py",
        '                raise TransientError("a cell of the cloud does not answer: '
        'its servers are listed without their names")\n',
        "                continue\n",
    ),
    _one(
        "a list that nova refuses is empty",
        "calls.py",
        "        if reply.status_code >= 400:\n            raise mapped",
        '        if reply.status_code >= 400 and method == "GET" and "servers" in path:\n'
        '            return {"servers": []}\n'
        "        if reply.status_code >= 400:\n            raise mapped",
    ),
    _one(
        "a machine that ends is active",
        "server_map.py",
        '    if server.get("OS-EXT-STS:task_state") in ("deleting", "soft-deleting"):\n',
        "    if False:\n",
    ),
    _one(
        "ids go into paths as they are",
        "adapter.py",
        "        if not SERVER_ID.fullmatch(instance_id):\n            return False\n",
        "",
    ),
)
