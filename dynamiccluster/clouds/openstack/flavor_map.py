"""From nova's description of a flavor to what jobs can use. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamiccluster.model.capacity import Capacity

_SYSTEM_MIB = 512
"""Memory that kernel and daemons keep of a machine of common size; of large ones a share."""

_SYSTEM_SHARE = 0.03
_VIRTUAL_GPUS = re.compile(r"resources\d*:(VGPU|PGPU)")
_DEVICES = "pci_passthrough:alias"


@dataclass(frozen=True, slots=True)
class Flavor:
    flavor_id: str
    name: str
    vcpus: int
    memory_mib: int
    disk_gb: int = 0
    gpus: int = 0
    gpu_type: str = ""

    @property
    def capacity(self) -> Capacity:
        """What a node offers to jobs. A booted system shows a little less memory than the flavor has."""
        kept = min(max(_SYSTEM_MIB, self.memory_mib * _SYSTEM_SHARE), self.memory_mib / 4)
        return Capacity(max(1, self.vcpus), max(1, int(self.memory_mib - kept)), self.gpus)

    @property
    def billed(self) -> Capacity:
        """What counts against the project's quota: all of it."""
        return Capacity(self.vcpus, self.memory_mib, self.gpus)


def to_flavor(described: Mapping[str, Any]) -> Flavor:
    """One element of the list of flavors."""
    specs = described.get("extra_specs")
    gpus, gpu_type = _gpus(specs if isinstance(specs, Mapping) else {})
    return Flavor(
        str(described["id"]),
        str(described.get("name", "")),
        int(described.get("vcpus") or 0),
        int(described.get("ram") or 0),
        int(described.get("disk") or 0),
        gpus,
        gpu_type,
    )


def _gpus(specs: Mapping[str, Any]) -> tuple[int, str]:
    """Number and type. PCI devices are named by the site, ``NAME:COUNT``: those with "gpu" or an accelerator's name."""
    count, kind = 0, ""
    for key, value in specs.items():
        if _VIRTUAL_GPUS.fullmatch(str(key)):
            count += _number(value)
    for part in str(specs.get(_DEVICES, "")).split(","):
        name, _, number = part.strip().partition(":")
        if _ACCELERATOR.search(name):
            count += _number(number or "1")
            kind = kind or name.lower()
    return count, kind


_ACCELERATOR = re.compile(r"gpu|nvidia|tesla|\b[abhlvptm]\d{1,3}s?\b|mi\d{2,3}", re.IGNORECASE)


def _number(value: object) -> int:
    text = str(value).strip()
    return int(text) if text.isdecimal() else 0
