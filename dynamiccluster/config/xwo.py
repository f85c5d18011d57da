"""XWO's simplified configuration (``slurm: Xwo:``), grouped into pools of equal machines. Pure.

Keys, names and the rules for memory and weight as in the public client of Exostellar's Workload Optimizer, in
aws-samples/aws-eda-slurm-cluster (MIT-0, ``config_schema.py`` and ``cdk_slurm_stack.py``, July 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from dynamiccluster.config.fields import Count, Flag, Name, Positive, Says, Section, SiteName, Text, matching
from dynamiccluster.config.schema_cloud_xspot import Kinds, kind_of
from dynamiccluster.errors import BadConfigError

LEAST_GB = 32
"""Types with less memory are left out: the hypervisor takes too much of them."""

MOST_GB = 1024
"""XWO has no larger virtual machines."""

MAX_MEMORY_MB: Mapping[str, Mapping[int, int]] = {
    "amd": {32: 25000, 64: 57000, 128: 120000, 256: 247000, 384: 373000, 512: 498000, 768: 751000, 1024: 1004000},
    "intel": {32: 26000, 64: 58000, 128: 122000, 256: 248000, 384: 376000, 512: 502000, 768: 758000, 1024: 1010000},
}
"""What is left for a virtual machine, measured there, by vendor and memory of the instance in GB."""

_WEIGHT_OF_CORE = {"amd": 45, "intel": 78}
_WEIGHT_OF_GB = 3

Alphanumeric = Annotated[Text, matching(r"[A-Za-z0-9]{1,64}", "only letters and digits, at most 64")]


class Image(Section):
    ImageId: Text
    ImageName: Text
    VolumeSize: Positive | None = None


class Profile(Section):
    CpuVendor: Annotated[Literal["amd", "intel"], Says("amd or intel")]
    NodeGroupName: Text
    MaxControllers: Positive
    InstanceTypes: Kinds
    SpotFleetTypes: Kinds
    EnableHyperthreading: Flag


class GivenPool(Section):
    ProfileName: Text
    PoolSize: Positive
    CPUs: Positive
    ImageName: Text | None = None
    InstanceMemory: Positive | None = None  # MB
    MaxMemory: Positive | None = None  # MB
    VolumeSize: Positive | None = None
    Weight: Count | None = None

    @model_validator(mode="after")
    def _has_memory(self) -> GivenPool:
        if self.InstanceMemory is None and self.MaxMemory is None:
            raise ValueError("needs InstanceMemory or MaxMemory")
        return self


class Machines(Section):
    """Controllers and Workers."""

    ImageId: Text | None = None
    SecurityGroupIds: tuple[Text, ...] = ()
    IdentityRole: Text | None = None
    InstanceType: Text | None = None


class Xwo(Section):
    """Everything that stands below ``slurm: Xwo:``."""

    ManagementServerStackName: Text | None = None
    ManagementServerIp: Text | None = None
    PartitionName: SiteName
    Images: tuple[Image, ...] = ()
    InstanceTypes: Kinds = ()
    SpotFleetTypes: Kinds = ()
    MaxControllers: Positive = 10
    PoolSize: Positive = 10
    EnableHyperthreading: Flag = False
    DefaultImageName: Text | None = None
    DefaultVolumeSize: Positive = 10
    Profiles: dict[Alphanumeric, Profile] = Field(default_factory=dict)
    Pools: dict[Name, GivenPool] = Field(default_factory=dict)
    AvailabilityZone: Text | None = None
    Controllers: Machines = Field(default_factory=Machines)
    Workers: Machines = Field(default_factory=Machines)
    VmRootPasswordSecret: Text | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type: what EC2 says of it."""

    name: str
    vendor: str  # "amd", "intel", or another word of EC2's
    cores: int
    vcpus: int
    memory_mib: int
    x86: bool
    spot: bool

    @property
    def memory_gb(self) -> int:
        return self.memory_mib // 1024


@dataclass(frozen=True, slots=True)
class Pool:
    """Machines that are alike, for Slurm one kind of node. ``on_demand`` and ``spot``: types with their priorities."""

    name: str
    profile: str
    vendor: str
    size: int
    cpus: int
    max_memory_mb: int
    weight: int
    image: str
    volume_gb: int
    on_demand: tuple[tuple[str, int], ...] = ()
    spot: tuple[tuple[str, int], ...] = ()


@dataclass
class Grouping:
    """``profiles``: those written and those made, by name. ``notices``: what was left out, and why."""

    xwo: Xwo
    profiles: dict[str, Profile] = field(default_factory=dict)
    pools: list[Pool] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def read(text: str) -> Xwo:
    """The section in a file with ``slurm: Xwo:``, or one that begins with ``Xwo:``.

    :raises BadConfigError: there is none, or something in it is wrong: everything at once.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadConfigError(f"line {mark.line + 1}: not YAML" if mark else "not YAML") from None
    inner = document.get("slurm", document) if isinstance(document, dict) else None
    if isinstance(inner, dict) and "Xio" in inner and "Xwo" in inner:
        raise BadConfigError("slurm: Xio and Xwo exclude each other")
    if not isinstance(inner, dict) or not isinstance(inner.get("Xwo"), dict):
        raise BadConfigError("there is no slurm: Xwo: in it")
    try:
        return Xwo.model_validate(inner["Xwo"])
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=False, include_input=False)
        said = [f"Xwo.{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in items]
        raise BadConfigError("\n".join(said)) from None


def machines_of(described: Iterable[Mapping[str, Any]]) -> dict[str, Machine]:
    """From elements of DescribeInstanceTypes, by name. Odd ones are left out."""
    found = {}
    for one in described:
        cpus, processor = one.get("VCpuInfo", {}), one.get("ProcessorInfo", {})
        vcpus = int(cpus.get("DefaultVCpus", 0))
        name = str(one.get("InstanceType", ""))
        if name and vcpus:
            found[name] = Machine(
                name,
                str(processor.get("Manufacturer", "")).lower(),
                int(cpus.get("DefaultCores") or max(1, vcpus // 2)),
                vcpus,
                int(one.get("MemoryInfo", {}).get("SizeInMiB", 0)),
                "x86_64" in processor.get("SupportedArchitectures", ()),
                "spot" in one.get("SupportedUsageClasses", ()),
            )
    return found


def patterns(xwo: Xwo) -> list[str]:
    """Every type and family (``c5a.*``) that is named."""
    lists = [xwo.InstanceTypes, xwo.SpotFleetTypes]
    lists += [kinds for profile in xwo.Profiles.values() for kinds in (profile.InstanceTypes, profile.SpotFleetTypes)]
    return sorted({kind_of(kind)[0] for kinds in lists for kind in kinds})


def max_memory_mb(vendor: str, instance_mb: int) -> int:
    """What a virtual machine may have of an instance's memory."""
    gb = instance_mb // 1024
    measured = MAX_MEMORY_MB.get(vendor, {}).get(gb)
    return measured if measured is not None else instance_mb - int((4.5 + 6.5 / 1024 * gb) * 1024)


def weight(vendor: str, cpus: int, gb: int) -> int:
    """Slurm fills nodes of the lowest weight first: small ones, and AMD's."""
    return cpus * _WEIGHT_OF_CORE[vendor] + gb * _WEIGHT_OF_GB


def grouped(xwo: Xwo, machines: Mapping[str, Machine]) -> Grouping:
    """Pools by vendor, memory and cores, of all the types that are named; then those that are written out.

    :raises BadConfigError: nothing is left, or a pool that is written out does not hold together.
    """
    made = Grouping(xwo, dict(xwo.Profiles))
    on_demand = _usable(made, xwo.InstanceTypes, machines, "InstanceTypes")
    spot = _usable(made, xwo.SpotFleetTypes, machines, "SpotFleetTypes")
    for name in sorted(name for name in spot if not machines[name].spot):
        made.notices.append(f"SpotFleetTypes: {name} is not sold as spot: left out of the spot types")
        del spot[name]
    by_shape: dict[tuple[str, int, int], list[str]] = {}
    for name in sorted({*on_demand, *spot}):
        machine = machines[name]
        cpus = machine.vcpus if xwo.EnableHyperthreading else machine.cores
        by_shape.setdefault((machine.vendor, machine.memory_gb, cpus), []).append(name)
    for (vendor, gb, cpus), names in sorted(by_shape.items()):
        _make_profile(made, vendor, machines)
        least_mb = min(machines[name].memory_mib for name in names)
        made.pools.append(
            Pool(
                f"{vendor}-{gb}g-{cpus}c",
                vendor,
                vendor,
                xwo.PoolSize,
                cpus,
                max_memory_mb(vendor, least_mb),
                weight(vendor, cpus, gb),
                xwo.DefaultImageName or "",
                _volume_gb(xwo, xwo.DefaultImageName),
                tuple((name, on_demand[name]) for name in names if name in on_demand),
                tuple((name, spot[name]) for name in names if name in spot),
            )
        )
    made.pools += [_given(made, name, pool) for name, pool in xwo.Pools.items()]
    _check(made)
    return made


def _usable(made: Grouping, kinds: tuple[str, ...], machines: Mapping[str, Machine], where: str) -> dict[str, int]:
    """The types that a list means and that can be used, with their priorities; a type's own wins over its family's."""
    found: dict[str, int] = {}
    for kind in sorted(kinds, key=lambda kind: "." in kind):
        pattern, priority = kind_of(kind)
        named = [name for name in sorted(machines) if fnmatchcase(name, pattern)]
        if not named:
            made.notices.append(f"{where}: {kind} is no machine type that EC2 described")
        for name in named:
            reason = _unusable(machines[name])
            if reason:
                notice = f"{name} {reason}: left out"
                if notice not in made.notices:
                    made.notices.append(notice)
            elif name == pattern or ".metal" not in name:
                found[name] = priority
    return found


def _unusable(machine: Machine) -> str:
    if not machine.x86 or machine.vendor not in MAX_MEMORY_MB:
        return "is neither Intel's nor AMD's"
    if machine.memory_mib < LEAST_GB * 1024:
        return f"has less than {LEAST_GB} GB"
    return f"has more than {MOST_GB} GB" if machine.memory_mib > MOST_GB * 1024 else ""


def _make_profile(made: Grouping, vendor: str, machines: Mapping[str, Machine]) -> None:
    """One profile for each vendor, as pools do not mix them."""
    if vendor in made.profiles:
        return
    xwo = made.xwo

    names = [name for name, machine in machines.items() if machine.vendor == vendor]

    def of_vendor(kinds: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(kind for kind in kinds if any(fnmatchcase(name, kind_of(kind)[0]) for name in names))

    made.profiles[vendor] = Profile(
        CpuVendor="amd" if vendor == "amd" else "intel",
        NodeGroupName=vendor,
        MaxControllers=xwo.MaxControllers,
        InstanceTypes=of_vendor(xwo.InstanceTypes),
        SpotFleetTypes=of_vendor(xwo.SpotFleetTypes),
        EnableHyperthreading=xwo.EnableHyperthreading,
    )


def _given(made: Grouping, name: str, pool: GivenPool) -> Pool:
    xwo = made.xwo
    profile = made.profiles.get(pool.ProfileName)
    if profile is None:
        raise BadConfigError(
            f"Xwo.Pools.{name}.ProfileName: there is no such profile: {', '.join(made.profiles) or '-'}"
        )
    vendor = profile.CpuVendor
    memory_mb = pool.InstanceMemory or pool.MaxMemory or 0
    if memory_mb > MOST_GB * 1024:
        raise BadConfigError(f"Xwo.Pools.{name}: virtual machines of more than {MOST_GB} GB are not supported")
    image = pool.ImageName or xwo.DefaultImageName
    return Pool(
        name,
        pool.ProfileName,
        vendor,
        pool.PoolSize,
        pool.CPUs,
        pool.MaxMemory or max_memory_mb(vendor, memory_mb),
        weight(vendor, pool.CPUs, memory_mb // 1024) if pool.Weight is None else pool.Weight,
        image or "",
        pool.VolumeSize or _volume_gb(xwo, image),
    )


def _volume_gb(xwo: Xwo, image: str | None) -> int:
    sizes = {one.ImageName: one.VolumeSize for one in xwo.Images}
    return sizes.get(image or "") or xwo.DefaultVolumeSize


def _check(made: Grouping) -> None:
    names = [pool.name for pool in made.pools]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadConfigError(f"Xwo.Pools: {', '.join(twice)} is there already, made of the types")
    if not names:
        raise BadConfigError("no pool comes of it: no machine type is left\n" + "\n".join(made.notices))
    known = {image.ImageName for image in made.xwo.Images}
    for pool in made.pools:
        if not pool.image:
            raise BadConfigError(f"pool {pool.name} has no image: give DefaultImageName")
        if known and pool.image not in known:
            raise BadConfigError(f"pool {pool.name}: its image {pool.image} is not among Images")
