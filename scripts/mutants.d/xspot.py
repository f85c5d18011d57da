"""Mutants of menus on EC2: each breaks one rule of what is on offer, or of launching what was chosen."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_cloud_xspot.py"
"""The tests that must turn red."""

_ROOM = "clouds/aws"


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"xspot: {name}", (Edit(f"{_ROOM}/{file}", old, new),))


MUTANTS = (
    _one(
        "another type launched than was chosen",
        "request_map.py",
        '"InstanceType": instance_type or config["instance_type"],',
        '"InstanceType": config.get("instance_type") or "c5.large",',
    ),
    _one(
        "spot offers launched on demand",
        "request_map.py",
        '"InstanceMarketOptions": _spot(config) if market == SPOT else None,',
        '"InstanceMarketOptions": None,',
    ),
    _one(
        "a launch without an offer is not refused",
        "adapter.py",
        'if not instance_type and "instance_type" not in config:',
        'if False and "instance_type" not in config:',
    ),
    _one(
        "the subnet of another zone",
        "request_map.py",
        'subnet = config["subnets"].get(zone) or config.get("subnet_id")',
        'subnet = next(iter(config["subnets"].values()), None) or config.get("subnet_id")',
    ),
    _one(
        "a small priority preferred",
        "menu_map.py",
        "priority=-priority,",
        "priority=priority,",
    ),
    _one(
        "bare metal comes with its family",
        "menu_map.py",
        'elif family in families and not size.startswith("metal"):',
        "elif family in families:",
    ),
    _one(
        "lists asked for at every poll",
        "due.py",
        "if what in self._until and now < until:",
        "if False and now < until:",
    ),
    _one(
        "images of anybody",
        "menu.py",
        '            raise BadConfigError(f"the account has no image of its own with the name or tag {text!r}")\n',
        '            return "ami-12c6146b"\n',
    ),
    _one(
        "zones without a subnet offered",
        "menu_map.py",
        "    return wanted or there or None\n",
        "    return wanted or None\n",
    ),
    _one(
        "the discount forgotten",
        "prices.py",
        'return of_list * (1.0 - float(config["discount_aws"]) / 100)',
        "return of_list",
    ),
    _one(
        "tags of volumes forgotten",
        "request_map.py",
        'own = config.get("volume_tags", {}) if kind == "volume" else {}',
        "own: dict[str, str] = {}",
    ),
)
