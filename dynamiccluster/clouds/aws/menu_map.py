"""From the lists of a menu, and what EC2 says of machine types, to its offers. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dynamiccluster.clouds.aws.request_map import ON_DEMAND, SPOT, offering_of
from dynamiccluster.clouds.aws.type_map import MachineType
from dynamiccluster.model.offer import Offer

Price = Callable[[str, str, str], float | None]
"""Of a type in a zone and a market; 0 = not known; ``None`` = it is not to be had there."""


def pattern_of(kind: str) -> tuple[str, int]:
    """An entry of a menu's list (``c5a``, ``c5a.large``, ``c5a:2``): a pattern for type names, and its priority."""
    name, _, priority = kind.partition(":")
    return (name if "." in name else f"{name}.*"), int(priority or 0)


def patterns_of(config: Mapping[str, Any]) -> frozenset[str]:
    """Everything that both lists of a menu name."""
    return frozenset(pattern_of(kind)[0] for kind in (*config["on_demand_types"], *config["spot_fleet_types"]))


def bought(configs: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Types and families of these menus, each with its market."""
    return [
        (kind, market)
        for config in configs
        for market, kinds in ((SPOT, config["spot_fleet_types"]), (ON_DEMAND, config["on_demand_types"]))
        for kind in kinds
    ]


def chosen(kinds: Iterable[str], names: Iterable[str]) -> dict[str, int]:
    """Which of the types a list means, and the priority of each (the bigger the better).

    A type that is named itself has its own priority, whatever its family's. Bare metal, which takes many minutes to
    boot, does not come with a family.
    """
    exact: dict[str, int] = {}
    families: dict[str, int] = {}
    for kind in kinds:
        pattern, priority = pattern_of(kind)
        if pattern.endswith(".*"):
            families[pattern[:-2]] = priority
        else:
            exact[pattern] = priority
    found = {}
    for name in names:
        family, _, size = name.partition(".")
        if name in exact:
            found[name] = exact[name]
        elif family in families and not size.startswith("metal"):
            found[name] = families[family]
    return found


def offers_of(
    resource: str,
    config: Mapping[str, Any],
    tenancy: str,
    types: Mapping[str, MachineType],
    zones: Mapping[str, frozenset[str]],
    price: Price,
) -> Iterator[Offer]:
    """Every machine that a menu can be, in a fixed order. ``zones``: where each type is, "" standing for anywhere."""
    for market, kinds in ((SPOT, config["spot_fleet_types"]), (ON_DEMAND, config["on_demand_types"])):
        for name, priority in sorted(chosen(kinds, types).items()):
            kind = types[name]
            if market == SPOT and not kind.spot:
                continue
            for zone in sorted(zones.get(name, ())):
                cost = price(name, zone, market)
                if cost is not None:
                    yield Offer(
                        resource,
                        kind.capacity(config["hyperthreading"]),
                        offering=offering_of(tenancy, zone, name, market),
                        gpu_type=kind.gpu_type,
                        price_per_hour=cost,
                        instance_type=name,
                        zone=zone,
                        market=market,
                        priority=-priority,
                        billed=kind.billed,
                    )


def allowed_zones(config: Mapping[str, Any], of_subnet: str | None) -> frozenset[str] | None:
    """Zones that a menu may use; ``None`` = all. ``of_subnet``: where its only subnet is, as far as that is known."""
    wanted = frozenset(config["availability_zones"])
    there = frozenset(config["subnets"]) or (frozenset({of_subnet}) if of_subnet else frozenset())
    if wanted and there:
        return wanted & there
    return wanted or there or None
