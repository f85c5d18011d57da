"""How a worker node of a resource is described to Grid Engine: what it gives, its slots, its host groups. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.sge.marks import Note
from dynamiccluster.schedulers.sge.membership import Description
from dynamiccluster.schedulers.sge.request_parse import MEMORY
from dynamiccluster.schedulers.sge.site_parse import Consumed, Site

PROJECT, ACCOUNT = "project", "account"
"""What a reservation for an account is matched with: ``qsub -P``, or ``qsub -A``."""

_LIMITED_BY_DEFAULT = frozenset({"h_vmem", "s_vmem", "h_rss", "s_rss", "h_data", "s_data"})
"""Attributes that are a limit of the job at the same time: with a default of 0, jobs that do not ask are killed."""


@dataclass(frozen=True, slots=True)
class SgeSettings:
    """The site's words."""

    account_from: str = PROJECT
    hostgroups: tuple[str, ...] = ("@allhosts",)  # that nodes without a reservation for an account join
    memory_attributes: tuple[str, ...] = MEMORY
    gpu_attributes: tuple[str, ...] = ("gpu",)
    placeholder_host: str = ""  # for queues without a host; "" = the host of qmaster
    silent_s: float = 90.0  # a daemon out of reach for so long counts as down


def describe(resource: Resource, address: str, site: Site, settings: SgeSettings) -> Description:
    """How a node of this resource is described to Grid Engine.

    :raises BadConfigError: it asks for what the site does not have.
    """
    groups, features = _groups(resource, settings), {word for word in resource.features if not word.startswith("@")}
    if resource.reservation.property:
        features.add(resource.reservation.property)
    if resource.capacity.cores <= 0:
        raise BadConfigError("a resource without cores cannot be declared to Grid Engine")
    values = {"slots": str(resource.capacity.cores)}
    for name in given_memory(site, settings):
        if resource.capacity.memory_mib and not _would_kill(site, name):
            values[name] = f"{resource.capacity.memory_mib}M"
    if resource.capacity.gpus:
        name = next((name for name in settings.gpu_attributes if name in site.complexes), "")
        if not name:
            raise BadConfigError(f"it has GPUs, but Grid Engine has no attribute {settings.gpu_attributes[0]}")
        values[name] = str(resource.capacity.gpus)
    for word in sorted(features):
        known = site.complexes.get(word)
        if known is None or known.kind != "BOOL":
            raise BadConfigError(f"its feature {word} is no attribute of type BOOL (qconf -mc)")
        if known.requestable == "FORCED" and word != resource.reservation.property:
            raise BadConfigError(f"{word} is FORCED, so it must be its reservation for a property, not a feature")
        values[known.name] = "TRUE"
    for known in site.complexes.values():
        if known.relation == "EXCL":
            values[known.name] = "TRUE"
    slots = _slots(resource, groups, site)
    return Description(values, Note(resource.capacity, address), slots, groups)


def _groups(resource: Resource, settings: SgeSettings) -> tuple[str, ...]:
    """The host groups of its nodes: that of the account it is reserved for, or the usual ones."""
    account = resource.reservation.account
    own = (account if account.startswith("@") else f"@{account}",) if account else settings.hostgroups
    return (*own, *sorted(word for word in resource.features if word.startswith("@")))


def _slots(resource: Resource, groups: Sequence[str], site: Site) -> dict[str, int]:
    """Slots in each queue: all in those that it serves, none in the others that its groups belong to."""
    reached = {queue for group in groups for queue in site.queues_of_group(group)}
    reserved = resource.reservation.queue
    wanted = {reserved} if reserved else set(resource.queues or reached)
    unknown = sorted(wanted - site.queues.keys())
    if unknown:
        raise BadConfigError(f"there is no queue {', '.join(unknown)}")
    if not wanted:
        raise BadConfigError(f"no queue has the host group {', '.join(groups)} in its hostlist")
    return {queue: resource.capacity.cores if queue in wanted else 0 for queue in sorted(wanted | reached)}


def given_memory(site: Site, settings: SgeSettings) -> tuple[str, ...]:
    """The attributes that are memory and are used up."""
    return tuple(name for name in settings.memory_attributes if _is_consumed(site, name))


def _is_consumed(site: Site, name: str) -> bool:
    known = site.complexes.get(name)
    return known is not None and known.consumed is not Consumed.NOT


def _would_kill(site: Site, name: str) -> bool:
    """Whether jobs that do not ask for this attribute are given 0 of it, and killed for using more.

    Where a host gives a limit such as ``h_vmem`` that by default is 0, ``qacct`` shows them as failed with 37 (8.1.9).
    """
    known = site.complexes[name]
    if known.name not in _LIMITED_BY_DEFAULT or known.requestable == "FORCED":
        return False
    return known.default.strip("0.:KMGkmg") == ""
