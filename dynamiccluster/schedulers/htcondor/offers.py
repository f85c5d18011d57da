"""What machines of our resources will be to HTCondor, and which of them a job's Requirements allow. Pure.

A resource says what a machine is by its size, its features (``NAME`` is a true attribute of the machine's ad,
``NAME=VALUE`` a text) and the ``machine_attributes`` of the configuration. Requirements that features can say are put
as features. For others there is a word for each resource that meets them, which all nodes of that resource have
(:attr:`Resource.word`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.htcondor.cloud_words import wishes
from dynamiccluster.schedulers.htcondor.requirements_parse import Requirements

AttributeValue = str | int | float | bool

_EVERY_MACHINE: dict[str, AttributeValue] = {
    "MyType": "Machine",
    "Arch": "X86_64",
    "OpSys": "LINUX",
    "HasFileTransfer": True,
    "HasJobDeferral": True,
    "PartitionableSlot": True,
    "SlotType": "Partitionable",
    "State": "Unclaimed",
    "Activity": "Idle",
}
"""What a worker node's ad has unless ``machine_attributes`` say otherwise."""


class Evaluates(Protocol):
    """The part of :class:`~dynamiccluster.schedulers.htcondor.classads.Evaluator` that is needed here."""

    def holds(self, text: str, job: Mapping[str, Any], machine: Mapping[str, Any]) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an expression says of all resources. ``words``: of those that meet it. ``unknown``: of some it cannot be
    said."""

    words: tuple[str, ...]
    unknown: bool


class Offers:
    """The resources, as the ads of machines to come."""

    def __init__(
        self,
        resources: Iterable[Resource] = (),
        machine_attributes: Mapping[str, Mapping[str, AttributeValue]] | None = None,
    ) -> None:
        given = machine_attributes or {}
        self._ads: dict[str, dict[str, AttributeValue]] = {}
        self._features: dict[str, frozenset[str]] = {}
        self._spelling: dict[str, str] = {}
        for resource in resources:
            features = resource.features
            if resource.reservation.property:
                features |= {resource.reservation.property}
            self._features[resource.word] = features
            own = _attributes(features) | dict(given.get(resource.name, {}))
            self._ads[resource.word] = _EVERY_MACHINE | _sizes(resource) | own
            self._spelling |= {name.lower(): name for name in own}
        self._lower = {word: {name.lower(): value for name, value in ad.items()} for word, ad in self._ads.items()}

    @property
    def attributes(self) -> frozenset[str]:
        """Names of attributes that tell machines apart."""
        return frozenset(self._spelling.values())

    def groups(self, requirements: Requirements, disk_kib: int) -> tuple[tuple[str, ...], ...]:
        """The features that a job needs: those it names, and the words of resources that have what it asks for."""
        groups = [self._group(group) for group in requirements.groups]
        needed = max(disk_kib, requirements.disk_kib)
        large = [word for word, ad in self._lower.items() if _number(ad.get("disk"), needed) >= needed]
        if len(large) < len(self._ads):
            groups.append(tuple(large) or (f"Disk>={needed}",))
        return tuple(dict.fromkeys(groups))

    def chosen(self, special: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
        """The features that a job asks for in Cloud Scheduler's way."""
        return tuple(self._group(group) for group in wishes(special, self.attributes))

    def verdict(self, evaluator: Evaluates, text: str, job: Mapping[str, Any]) -> Verdict:
        """Which resources an expression allows."""
        answers = {word: evaluator.holds(text, job, ad) for word, ad in self._ads.items()}
        return Verdict(
            tuple(word for word, answer in answers.items() if answer),
            not answers or any(answer is None for answer in answers.values()),
        )

    def _group(self, group: Sequence[str]) -> tuple[str, ...]:
        words = [self._spelt(word) for word in group]
        having = [
            resource
            for resource, features in self._features.items()
            if features.isdisjoint(words) and any(self._has(resource, word) for word in group)
        ]
        return tuple(dict.fromkeys((*words, *having)))

    def _spelt(self, word: str) -> str:
        """Names of attributes are not case-sensitive: as the configuration spells it."""
        name, equals, value = word.partition("=")
        return f"{self._spelling.get(name.lower(), name)}{equals}{value}"

    def _has(self, resource: str, word: str) -> bool:
        name, equals, value = word.partition("=")
        found = self._lower[resource].get(name.lower())
        return str(found).lower() == value.lower() if equals else found is True


def _attributes(features: Iterable[str]) -> dict[str, AttributeValue]:
    pieces = (word.partition("=") for word in features)
    return {name: value if equals else True for name, equals, value in pieces}


def _sizes(resource: Resource) -> dict[str, AttributeValue]:
    size = resource.capacity
    cores: dict[str, AttributeValue] = dict.fromkeys(("Cpus", "TotalCpus", "TotalSlotCpus", "DetectedCpus"), size.cores)
    memory = dict.fromkeys(("Memory", "TotalMemory", "TotalSlotMemory", "DetectedMemory"), size.memory_mib)
    return cores | memory | dict.fromkeys(("GPUs", "TotalGPUs", "TotalSlotGPUs"), size.gpus)


def _number(value: AttributeValue | None, default: int) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default
