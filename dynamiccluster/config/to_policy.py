"""Builds the policy, which is all that the decision code knows of the configuration. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from dynamiccluster.config.menus import menu_of, own_timers, waits_of
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud import CloudResource
from dynamiccluster.config.schema_cloud_aws import AwsResource
from dynamiccluster.config.schema_cloud_openstack import OpenstackResource
from dynamiccluster.config.schema_cloud_xspot import XspotResource
from dynamiccluster.config.schema_general import General
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.policy import FailurePolicy, Limits, Policy
from dynamiccluster.model.resource import Reservation, Resource, Timers


def policy_of(settings: Settings) -> Policy:
    """The policy that a valid configuration asks for."""
    general = settings.general
    return Policy(
        cluster_id=general.cluster_id,
        resources={name: resource_of(name, item, general) for name, item in settings.cloud.items()},
        auto_mode=general.auto_mode,
        observe_first=general.observe_first,
        queues=settings.cluster.config.queue_to_monitor,
        scheduler_poll_s=general.cluster_poller_interval,
        cloud_poll_s=general.cloud_poller_interval,
        provision_interval_s=general.auto_provision_interval,
        limits=Limits(**general.limits.model_dump()),
        failure=FailurePolicy(**general.failure.model_dump()),
        dead_jobs=general.dead_jobs,
        nomination_s=general.nomination_s,
        join_steps=_join_steps(settings),
        remove_steps=_remove_steps(settings),
        forget_steps=_forget_steps(settings),
        tombstone_s=general.tombstone_s,
    )


def resource_of(name: str, item: CloudResource, general: General) -> Resource:
    """One entry of the ``cloud:`` section. A reserved property is one of the features of its nodes."""
    reserved = item.reservation
    return Resource(
        name=name,
        cloud=item.type,
        tenancy=tenancy_of(item),
        capacity=Capacity(item.capacity.cores, item.capacity.memory_mib, item.capacity.gpus),
        min_nodes=item.quantity.min,
        max_nodes=item.quantity.max,
        priority=item.priority,
        reservation=Reservation(reserved.queue or "", reserved.account or "", reserved.property or ""),
        features=frozenset(item.features) | ({reserved.property} if reserved.property else set()),
        gpu_type=item.capacity.gpu_type,
        queues=frozenset(item.queues) or (frozenset({reserved.queue}) if reserved.queue else frozenset()),
        price_per_hour=item.price_per_hour,
        name_prefix=prefix_of(name, item),
        timers=timers_of(item, general),
        queue_idle_s=tuple(sorted({**general.timers.queue_idle_s, **item.timers.queue_idle_s}.items())),
        max_starting=item.max_starting,
        drain_at_risk=item.drain_at_risk,
        provisioning=item.provisioning,
        offering=offering_of(item),
        menu=menu_of(item),
        waits_s=waits_of(item),
    )


def hook_commands(settings: Settings) -> dict[ActionKind, str]:
    """The site's scripts that are configured: command templates with {0} host name, {1} address, {2} instance
    name, {3} resource."""
    general, cluster = settings.general, settings.cluster.config
    found = {
        ActionKind.HOOK_VM_PROVISIONED: general.post_vm_provision_command,
        ActionKind.HOOK_VM_DESTROYED: general.post_vm_destroy_command,
        ActionKind.HOOK_NODE_ADDED: cluster.post_add_node_command,
        ActionKind.HOOK_NODE_REMOVED: cluster.post_remove_node_command,
    }
    return {kind: command for kind, command in found.items() if command}


def _join_steps(settings: Settings) -> tuple[ActionKind, ...]:
    """The machine's own script first, then its name, without which it may not be reached to be checked."""
    hooks = hook_commands(settings)
    steps = {
        ActionKind.HOOK_VM_PROVISIONED: ActionKind.HOOK_VM_PROVISIONED in hooks,
        ActionKind.NAME_ADD: settings.general.names.method != "already",
        ActionKind.CHECK: settings.general.config_checker is not None,
        ActionKind.HOST_ADD: True,
        ActionKind.HOOK_NODE_ADDED: ActionKind.HOOK_NODE_ADDED in hooks,
    }
    return tuple(kind for kind, wanted in steps.items() if wanted)


def _remove_steps(settings: Settings) -> tuple[ActionKind, ...]:
    hook = ActionKind.HOOK_NODE_REMOVED
    return (ActionKind.HOST_REMOVE, *((hook,) if hook in hook_commands(settings) else ()))


def _forget_steps(settings: Settings) -> tuple[ActionKind, ...]:
    hook = ActionKind.HOOK_VM_DESTROYED
    named = settings.general.names.method != "already"
    return (
        *((ActionKind.NAME_REMOVE,) if named else ()),
        *((hook,) if hook in hook_commands(settings) else ()),
    )


def timers_of(item: CloudResource, general: General) -> Timers:
    """The resource's time limits, where not given the installation's; soft limits never outlast their hard ones."""
    own, common = item.timers, general.timers
    if isinstance(item, XspotResource):
        own = own.model_copy(update=own_timers(item))
    default = Timers()
    launch_s = general.max_launch_time if own.launch_s is None else own.launch_s
    down_s = general.max_down_time if own.down_s is None else own.down_s
    boot_s = common.boot_s if own.boot_s is None else own.boot_s
    down_hard_s = common.down_hard_s if own.down_hard_s is None else own.down_hard_s
    return Timers(
        idle_s=general.max_idle_time if own.idle_s is None else own.idle_s,
        down_s=down_s,
        down_hard_s=max(default.down_hard_s, down_s) if down_hard_s is None else down_hard_s,
        launch_s=launch_s,
        boot_s=min(default.boot_s, launch_s) if boot_s is None else boot_s,
        first_job_s=common.first_job_s if own.first_job_s is None else own.first_job_s,
        min_lifetime_s=common.min_lifetime_s if own.min_lifetime_s is None else own.min_lifetime_s,
        terminate_s=common.terminate_s if own.terminate_s is None else own.terminate_s,
    )


def prefix_of(name: str, item: CloudResource) -> str:
    """What instance and host names begin with."""
    if item.config.instance_name_prefix:
        return item.config.instance_name_prefix
    cleaned = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:54].strip("-")
    return cleaned if cleaned[:1].isalpha() else f"wn-{cleaned}"[:54].strip("-")


def cloud_kind(item: CloudResource) -> str:
    """Which adapter's the resource is: menus are machines of EC2's, and share tenancies with single kinds of them."""
    return "aws" if isinstance(item, XspotResource) else item.type


def tenancy_of(item: CloudResource) -> str:
    """The account or project that pays, as configured or as the cloud's keys tell it. Never holds a credential."""
    if item.tenancy:
        return item.tenancy
    if isinstance(item, OpenstackResource):
        config = item.config
        host = urlsplit(config.auth_url).hostname if config.auth_url else ""
        return ":".join(
            part for part in ("openstack", config.os_cloud or config.project, host, config.region_name) if part
        )
    if isinstance(item, AwsResource | XspotResource):
        return f"aws:{item.config.region_name}"
    return item.type


def offering_of(item: CloudResource) -> str:
    """What runs out of capacity together: zone, machine type and market."""
    if menu_of(item) is not None:
        return ""
    if item.offering:
        return item.offering
    if isinstance(item, OpenstackResource):
        return f"{tenancy_of(item)}/{item.config.availability_zone or 'any'}/{item.config.flavor}"
    if isinstance(item, AwsResource):
        market = "on-demand" if item.config.spot_bid is None else "spot"
        zone = item.config.availability_zone or next(iter(item.config.subnets), "any")
        return f"{tenancy_of(item)}/{zone}/{item.config.instance_type}/{market}"
    return ""
