"""What a region's machines have and cost, and how many an account may have: asked seldom, kept for hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.due import Due
from dynamiccluster.clouds.aws.request_map import ON_DEMAND, SPOT, offering_of
from dynamiccluster.clouds.aws.type_map import MachineType, to_type
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.view import Quota

_TYPES_FOR_S = 86400.0
_QUOTA_FOR_S = 3600.0
_TYPES_AT_ONCE = 100
_STANDARD = "L-1216C47A"
"""Quota code: vCPUs of running on-demand instances of the families A, C, D, H, I, M, R, T and Z."""

_STANDARD_FAMILIES = frozenset("acdhimrtz")


class Catalogue:
    """Descriptions for the resources of one tenancy. A failure to ask leaves what is known, and is tried again."""

    def __init__(self, calls: AwsCalls, clock: Clock, tenancy: str, configs: Mapping[str, Mapping[str, Any]]) -> None:
        self._calls = calls
        self._due = Due(clock, tenancy)
        self._tenancy = tenancy
        self._configs = configs
        self._types: dict[str, MachineType] = {}
        self._most_vcpus: int | None = None

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
        """One per resource whose type is known. Prices come from the configuration: EC2's list has none."""
        self._learn_types()
        found = []
        for name, config in self._configs.items():
            kind = self._types.get(config["instance_type"])
            if kind is None:
                continue
            market = ON_DEMAND if config["spot_bid"] is None else SPOT
            zone = config["availability_zone"] or ""
            found.append(
                Offer(
                    name,
                    kind.capacity(config["hyperthreading"]),
                    offering=offering_of(self._tenancy, zone, kind.name, market),
                    gpu_type=kind.gpu_type,
                    instance_type=kind.name,
                    zone=zone,
                    market=market,
                )
            )
        return tuple(found)

    def quota(self, living: Sequence[Mapping[str, Any]]) -> Quota:
        """vCPUs of on-demand instances in the standard families, which most nodes are; the other limits show when a
        launch is refused."""
        self._due("quota", _QUOTA_FOR_S, self._learn_quota)
        used = sum(_vcpus(described) for described in living if _is_standard_on_demand(described))
        return Quota(None, len(living), self._most_vcpus, used)

    def cores_without_hyperthreading(self, config: Mapping[str, Any], instance_type: str) -> int:
        """Physical cores of the type where its second threads are to be off; 0 where they stay."""
        if config["hyperthreading"]:
            return 0
        kind = self.type(instance_type or config["instance_type"])
        return kind.cores if kind is not None and kind.cores != kind.vcpus else 0

    def _learn_types(self) -> None:
        wanted = {config["instance_type"] for config in self._configs.values()}
        self._due("types", _TYPES_FOR_S, lambda: self._ask_types(wanted), missing=bool(wanted - self._types.keys()))

    def _ask_types(self, wanted: Iterable[str]) -> None:
        names = sorted(wanted)
        ec2 = self._calls.client("ec2")
        for first in range(0, len(names), _TYPES_AT_ONCE):
            filters = [{"Name": "instance-type", "Values": names[first : first + _TYPES_AT_ONCE]}]
            for described in self._calls.pages(ec2.describe_instance_types, "InstanceTypes", Filters=filters):
                kind = to_type(described)
                self._types[kind.name] = kind

    def _learn_quota(self) -> None:
        with self._calls.errors():
            said = self._calls.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=_STANDARD)
        self._most_vcpus = int(said["Quota"]["Value"])


def _vcpus(described: Mapping[str, Any]) -> int:
    cpus = described.get("CpuOptions") or {}
    return int(cpus.get("CoreCount") or 1) * int(cpus.get("ThreadsPerCore") or 1)


def _is_standard_on_demand(described: Mapping[str, Any]) -> bool:
    family = str(described.get("InstanceType", ""))[:1]
    running = described.get("State", {}).get("Name") in ("pending", "running")
    return running and described.get("InstanceLifecycle") != "spot" and family in _STANDARD_FAMILIES
