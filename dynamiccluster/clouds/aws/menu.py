"""Menus: resources of one tenancy that are one of many machine types, in several zones and both markets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.catalogue import Catalogue
from dynamiccluster.clouds.aws.due import Due
from dynamiccluster.clouds.aws.menu_map import allowed_zones, chosen, offers_of, patterns_of
from dynamiccluster.clouds.aws.prices import LIST_REGION, Prices
from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.offer import Offer

_ZONES_FOR_S = 86400.0
_IMAGES_FOR_S = 600.0
_NAMES_AT_ONCE = 100


class Menus:
    """``configs``: the keys of each menu, by resource. Which machines there are, where, and for how much, is EC2's."""

    def __init__(
        self,
        calls: AwsCalls,
        clock: Clock,
        tenancy: str,
        configs: Mapping[str, Mapping[str, Any]],
        catalogue: Catalogue,
    ) -> None:
        self._calls = calls
        self._due = Due(clock, tenancy)
        self._tenancy = tenancy
        self._configs = configs
        self._catalogue = catalogue
        regions = {config["region_name"] for config in configs.values()}
        self._prices = Prices(calls, calls.in_region(LIST_REGION), self._due, next(iter(regions), ""))
        self._zones: dict[str, frozenset[str]] = {}
        self._zone_of_subnet: dict[str, str] = {}
        self._images: dict[str, str] = {}

    def offers(self) -> tuple[Offer, ...]:
        """Of all menus, as far as EC2 has told."""
        if not self._configs:
            return ()
        self._learn()
        found: list[Offer] = []
        for name, config in self._configs.items():
            types = self._catalogue.types(patterns_of(config))
            allowed = allowed_zones(config, self._zone_of_subnet.get(config["subnet_id"] or ""))
            zones = {
                kind: there if allowed is None else there & allowed
                for kind, there in self._zones.items()
                if kind in types
            }
            found += offers_of(
                name,
                config,
                self._tenancy,
                types,
                zones,
                partial(self._prices.price, config),
            )
        return tuple(found)

    def image(self, text: str) -> str:
        """The AMI that a menu's ``image_id`` means: an id, a name, or a tag (``KEY/VALUE``).

        Only the account's own images are looked at for the last two: anybody may publish one under a known name.

        :raises BadConfigError: there is no such image. Also what asking may raise.
        """
        if text.startswith("ami-"):
            return text
        if text in self._images:
            self._due(f"image {text}", _IMAGES_FOR_S, lambda: self._ask_image(text))
        else:
            self._ask_image(text)
        if text not in self._images:
            raise BadConfigError(f"the account has no image of its own with the name or tag {text!r}")
        return self._images[text]

    def _learn(self) -> None:
        """A handful of calls when the service starts, and again after minutes (spot prices) to a day (the rest)."""
        spot: set[str] = set()
        every: set[str] = set()
        for config in self._configs.values():
            types = self._catalogue.types(patterns_of(config))
            spot |= {kind for kind in chosen(config["spot_fleet_types"], types) if types[kind].spot}
            on_demand = set(chosen(config["on_demand_types"], types))
            every |= spot | on_demand
            if on_demand:
                self._prices.learn_on_demand(config, on_demand)
            subnet = config["subnet_id"]
            if subnet and not config["subnets"]:
                self._due(f"subnet {subnet}", _ZONES_FOR_S, partial(self._ask_subnet, subnet))
        self._prices.learn_spot(spot)
        if every:
            missing = not every <= self._zones.keys()
            self._due("zones", _ZONES_FOR_S, lambda: self._ask_zones(sorted(every)), missing=missing)

    def _ask_zones(self, names: list[str]) -> None:
        ec2 = self._calls.client("ec2")
        found: dict[str, set[str]] = {name: set() for name in names}
        for first in range(0, len(names), _NAMES_AT_ONCE):
            filters = [{"Name": "instance-type", "Values": names[first : first + _NAMES_AT_ONCE]}]
            for one in self._calls.pages(
                ec2.describe_instance_type_offerings,
                "InstanceTypeOfferings",
                LocationType="availability-zone",
                Filters=filters,
            ):
                found.setdefault(str(one["InstanceType"]), set()).add(str(one["Location"]))
        self._zones = {name: frozenset(there) for name, there in found.items()}

    def _ask_subnet(self, subnet: str) -> None:
        with self._calls.errors():
            said = self._calls.client("ec2").describe_subnets(SubnetIds=[subnet])
        for one in said.get("Subnets", ()):
            self._zone_of_subnet[str(one["SubnetId"])] = str(one["AvailabilityZone"])

    def _ask_image(self, text: str) -> None:
        key, slash, value = text.partition("/")
        wanted = [("name", text), *([(f"tag:{key}", value)] if slash else [])]
        ec2 = self._calls.client("ec2")
        for name, content in wanted:
            images = list(
                self._calls.pages(
                    ec2.describe_images, "Images", Owners=["self"], Filters=[{"Name": name, "Values": [content]}]
                )
            )
            if images:
                self._images[text] = str(max(images, key=lambda image: str(image.get("CreationDate", "")))["ImageId"])
                return
        self._images.pop(text, None)
