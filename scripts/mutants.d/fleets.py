"""Mutants of launches that name several offers: each breaks one rule of what is named, or of what came of it."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/unit/test_aws_fleet.py"
"""The tests that must turn red."""


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"fleets: {name}", (Edit(f"clouds/aws/{file}", old, new),))


MUTANTS = (
    _one(
        "a machine is what was asked for first",
        "instance_map.py",
        "    if len(parts) != 3 or parts[1] != ANY:\n",
        "    if True:\n",
    ),
    _one(
        "the others of a launch beside another machine than the first",
        "fleets.py",
        'launched = run(f"{number}", first.offering, portion)',
        'launched = run(f"{number}", resource.offering, portion)',
    ),
    _one(
        "what was asked for in vain is not told",
        "fleet_map.py",
        "                    error.sold_out = tuple(offer.offering for offer in offers)\n",
        "                    error.sold_out = ()\n",
    ),
    _one(
        "another token each time",
        "fleet_map.py",
        '        "ClientToken": token,\n',
        '        "ClientToken": f"{token}-{id(overrides)}",\n',
    ),
    _one(
        "an answer that tells nothing is a lack of machines",
        "fleet_map.py",
        '    return UnknownOutcomeError("EC2 says neither',
        '    return CapacityError("EC2 says neither',
    ),
    _one(
        "templates in use are swept",
        "templates.py",
        'last_at = max(self._used.get(name, 0.0), one["CreateTime"].timestamp())',
        "last_at = 0.0",
    ),
    _one(
        "templates of others are swept",
        "templates.py",
        '"LaunchTemplates", Filters=filters)',
        '"LaunchTemplates")',
    ),
    _one(
        "the site's own templates are swept",
        "templates.py",
        "            if not name.startswith(template_prefix(self._cluster_id)):\n",
        "            if False:\n",
    ),
    _one(
        "the wrong offer is blamed",
        "fleets.py",
        "told.offering = error.offering or resource.offering",
        "told.offering = resource.offering",
    ),
    _one(
        "fleets that are not permitted close the resource",
        "fleets.py",
        'if config["launch_by"] is not None or not _only_as_a_fleet(refused, resource):',
        "if True:",
    ),
    _one(
        "a pool is named twice",
        "fleet_map.py",
        "        if pool in pools:",
        "        if False:",
    ),
)
