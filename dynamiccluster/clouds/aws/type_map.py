"""From EC2's description of a machine type to what jobs can use. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamiccluster.model.capacity import Capacity

SYSTEM_MIB = 1024
"""Memory that kernel, daemons and hypervisor keep of a small machine; of large ones a share."""

_SYSTEM_SHARE = 0.03


@dataclass(frozen=True, slots=True)
class MachineType:
    """``vcpus`` are hardware threads, ``cores`` physical ones."""

    name: str
    vcpus: int
    cores: int
    memory_mib: int
    gpus: int = 0
    gpu_type: str = ""
    spot: bool = True
    architecture: str = ""
    hibernation: bool = False

    def capacity(self, hyperthreading: bool) -> Capacity:
        """What a node offers to jobs: a core per thread, or per physical core; memory less what the system needs."""
        cores = self.vcpus if hyperthreading else self.cores
        return Capacity(max(1, cores), usable_mib(self.memory_mib), self.gpus)

    @property
    def billed(self) -> Capacity:
        """What counts against the account's limits: every vCPU, also where second threads are off."""
        return Capacity(self.vcpus, self.memory_mib, self.gpus)


def usable_mib(memory_mib: int) -> int:
    """What a booted system shows of the memory on the data sheet: a little less, and jobs must not count on it."""
    return max(1, int(memory_mib - max(SYSTEM_MIB / 2, memory_mib * _SYSTEM_SHARE)))


def to_type(described: Mapping[str, Any]) -> MachineType:
    """One element of DescribeInstanceTypes."""
    cpus = described.get("VCpuInfo", {})
    vcpus = int(cpus.get("DefaultVCpus", 0))
    gpus = described.get("GpuInfo", {}).get("Gpus", [])
    architectures = described.get("ProcessorInfo", {}).get("SupportedArchitectures", [])
    return MachineType(
        str(described["InstanceType"]),
        vcpus,
        int(cpus.get("DefaultCores") or max(1, vcpus // 2)),
        int(described.get("MemoryInfo", {}).get("SizeInMiB", 0)),
        sum(int(gpu.get("Count", 0)) for gpu in gpus),
        str(gpus[0].get("Name", "")).lower() if gpus else "",
        "spot" in described.get("SupportedUsageClasses", ()),
        "arm64" if "arm64" in architectures else "x86_64" if "x86_64" in architectures else "",
        bool(described.get("HibernationSupported")),
    )
