"""What a region's machines have and cost, and how many an account may have: asked seldom, kept for hours."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.due import ODD, Due
from dynamiccluster.clouds.aws.limits_map import limit_of
from dynamiccluster.clouds.aws.request_map import ON_DEMAND, SPOT, markets, offering_of, zones
from dynamiccluster.clouds.aws.type_map import MachineType, to_type
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.view import Quota

log = logging.getLogger(__name__)

_TYPES_FOR_S = 86400.0
_QUOTA_FOR_S = 3600.0
_TYPES_AT_ONCE = 100


class Catalogue:
    """Descriptions for the resources of one tenancy. A failure to ask leaves what is known, and is tried again.

    ``configs``: of resources with one machine type. ``menus``: types and families that others beside them buy, each
    with its market.
    """

    def __init__(
        self,
        calls: AwsCalls,
        clock: Clock,
        tenancy: str,
        configs: Mapping[str, Mapping[str, Any]],
        *,
        menus: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._calls = calls
        self._due = Due(clock, tenancy)
        self._tenancy = tenancy
        self._configs = configs
        self._types: dict[str, MachineType] = {}
        self._most_vcpus: int | None = None
        limits = {
            limit_of(config["instance_type"], market) for config in configs.values() for market in markets(config)
        }
        limits |= {limit_of(kind, market) for kind, market in menus}
        self._limit = limits.pop() if len(limits) == 1 else ""

    def type(self, name: str) -> MachineType | None:
        """One machine type; ``None`` while EC2 has not told."""
        if name not in self._types:
            self.types([name])
        return self._types.get(name)

    def types(self, patterns: Iterable[str]) -> dict[str, MachineType]:
        """The types of these names or patterns (``c5a.*``), as EC2 told them last; fewer while it has not."""
        wanted = frozenset(patterns)
        self._due(f"types {sorted(wanted)}", _TYPES_FOR_S, lambda: self._ask_types(wanted))
        return {name: kind for name, kind in self._types.items() if any(fnmatchcase(name, one) for one in wanted)}

    def offers(self) -> tuple[Offer, ...]:
        """One for each resource whose type is known, and each of its zones and markets. Of prices only the most that is
        paid for spot is known here."""
        self._learn_types()
        found = []
        for name, config in self._configs.items():
            kind = self._types.get(config["instance_type"])
            if kind is None:
                continue
            found += [
                Offer(
                    name,
                    kind.capacity(config["hyperthreading"]),
                    offering=offering_of(self._tenancy, zone, kind.name, market),
                    gpu_type=kind.gpu_type,
                    price_per_hour=(config["spot_bid"] or 0.0) if market == SPOT else 0.0,
                    instance_type=kind.name,
                    zone=zone,
                    market=market,
                    billed=kind.billed,
                )
                for market in markets(config)
                for zone in zones(config)
            ]
        return tuple(found)

    def quota(self, living: Sequence[Mapping[str, Any]]) -> Quota:
        """The limit of vCPUs that all of the tenancy's resources count against. Where they count against several, none
        holds for all of them, and each shows when a launch is refused."""
        if not self._limit:
            return Quota(None, len(living))
        self._due("quota", _QUOTA_FOR_S, self._learn_quota)
        used = sum(self._vcpus(described) for described in living if _limit(described) == self._limit)
        return Quota(None, len(living), self._most_vcpus, used)

    def cores_without_hyperthreading(self, config: Mapping[str, Any], instance_type: str) -> int:
        """Physical cores of the type where its second threads are to be off; 0 where they stay."""
        if config["hyperthreading"]:
            return 0
        kind = self.type(instance_type or config["instance_type"])
        return kind.cores if kind is not None and kind.cores != kind.vcpus else 0

    def _vcpus(self, described: Mapping[str, Any]) -> int:
        """Those of the type, which count also where second threads are off."""
        kind = self._types.get(str(described.get("InstanceType", "")))
        if kind is not None:
            return kind.vcpus
        cpus = described.get("CpuOptions") or {}
        return int(cpus.get("CoreCount") or 1) * int(cpus.get("ThreadsPerCore") or 1)

    def _learn_types(self) -> None:
        wanted = {config["instance_type"] for config in self._configs.values()}
        self._due("types", _TYPES_FOR_S, lambda: self._ask_types(wanted), missing=bool(wanted - self._types.keys()))

    def _ask_types(self, wanted: Iterable[str]) -> None:
        names = sorted(wanted)
        ec2 = self._calls.client("ec2")
        for first in range(0, len(names), _TYPES_AT_ONCE):
            filters = [{"Name": "instance-type", "Values": names[first : first + _TYPES_AT_ONCE]}]
            for described in self._calls.pages(ec2.describe_instance_types, "InstanceTypes", Filters=filters):
                try:
                    kind = to_type(described)
                except ODD as error:
                    log.warning("%s: a machine type cannot be read: %r", self._tenancy, error)
                else:
                    self._types[kind.name] = kind

    def _learn_quota(self) -> None:
        with self._calls.errors():
            said = self._calls.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=self._limit)
        self._most_vcpus = int(said["Quota"]["Value"])


def _limit(described: Mapping[str, Any]) -> str:
    """What a machine counts against; "" while it does not run."""
    if described.get("State", {}).get("Name") not in ("pending", "running"):
        return ""
    market = SPOT if described.get("InstanceLifecycle") == "spot" else ON_DEMAND
    return limit_of(str(described.get("InstanceType", "")), market)
