"""Where machines are: what must not change under a tenancy that has some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud import CloudResource
from dynamiccluster.config.schema_cloud_aws import AwsResource
from dynamiccluster.config.schema_cloud_openstack import OpenstackResource
from dynamiccluster.config.schema_cloud_xspot import XspotResource
from dynamiccluster.config.to_policy import cloud_kind, tenancy_of

PLACE = {
    "openstack": ("os_cloud", "project", "auth_url", "region_name"),
    "aws": ("region_name",),
    "command": ("list_command",),
    "local": ("state_dir", "network", "network_namespace"),
    "simulated": (),
}
"""Keys that say where a tenancy's machines are. Credentials are not among them: they may be renewed."""


def places(settings: Settings) -> dict[str, dict[str, object]]:
    """Each tenancy's type and the keys that say where it is; its resources agree on them."""
    return {tenancy_of(item): _place(item) for item in settings.cloud.values()}


def _place(item: CloudResource) -> dict[str, object]:
    kind = cloud_kind(item)
    return {"type": kind, **{key: getattr(item.config, key) for key in PLACE[kind]}}


def account_of(item: CloudResource) -> tuple[str | None, ...]:
    """What the cloud takes for one account in one place: of two tenancies of the same, each lists all machines.

    Empty where tenancies are told apart by their name: by scripts, and by the clouds of tests. Accounts that differ
    here may be one all the same, as one may have several keys. Holds a credential's name, never its secret half.
    """
    if isinstance(item, AwsResource | XspotResource):
        ec2, key = item.config, item.config.access_key_id
        who = (key.get_secret_value(), None) if key else (None, ec2.profile_name)
        return ("aws", ec2.endpoint_url, ec2.region_name, *who)
    if isinstance(item, OpenstackResource):
        config = item.config
        user = None if config.project or config.os_cloud else config.username
        domain = config.project_domain_name if config.project else None
        server = config.auth_url.rstrip("/") if config.auth_url else None
        credential = config.application_credential_id
        return ("openstack", config.os_cloud, server, config.region_name, config.project, domain, credential, user)
    return ()


def lost(old: Settings, new: Settings, in_use: Iterable[str]) -> Mapping[str, str]:
    """Tenancies in use that ``old`` has and ``new`` lacks or points elsewhere, and what is wrong with each."""
    before, after = places(old), places(new)
    found = {}
    for tenancy in sorted(set(in_use) & before.keys()):
        if tenancy not in after:
            found[tenancy] = "is not there any more"
        else:
            changed = [key for key, value in before[tenancy].items() if after[tenancy].get(key) != value]
            if changed:
                found[tenancy] = f"has another {', '.join(changed)}"
    return found
