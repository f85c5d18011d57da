"""What works, but perhaps not as its operator thinks: notices, which never stop a service."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath

from dynamiccluster.config.cloud_resources import TO_FILL_IN
from dynamiccluster.config.document import Document
from dynamiccluster.config.legacy import GENERAL
from dynamiccluster.config.problems import Notice, Path
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud_aws import AwsResource
from dynamiccluster.config.schema_cloud_local import LocalResource
from dynamiccluster.config.schema_cloud_openstack import OpenstackResource
from dynamiccluster.config.schema_cloud_xspot import XspotResource, xspot_remarks
from dynamiccluster.config.schema_cluster_sge import SgeCluster, sge_remarks
from dynamiccluster.config.schema_cluster_slurm import SlurmCluster
from dynamiccluster.config.schema_cluster_torque import TorqueCluster, torque_remarks
from dynamiccluster.config.schema_general import DEFAULT_CLUSTER_ID
from dynamiccluster.config.to_policy import prefix_of

Remark = tuple[Path, str]
"""Where, and what to know about it."""

INTERFACES = FilePath("/sys/class/net")
"""Where Linux lists the network interfaces of the namespace that this process is in."""


def notices_of(settings: Settings, document: Document) -> list[Notice]:
    """All notices of a valid configuration. Looks whether the files and bridges that it names are there."""
    remarks: list[Remark] = [*_permissions(settings, document)]
    for look in _LOOKS:
        remarks.extend(look(settings, document))
    return [Notice(document.file, document.line(path), document.key(path), text) for path, text in remarks]


def _identity(settings: Settings, document: Document) -> Iterator[Remark]:
    if "cluster_id" not in settings.general.model_fields_set:
        yield (
            (GENERAL, "cluster_id"),
            f"is not given, so it is {DEFAULT_CLUSTER_ID!r}; two installations in one tenancy need different ones",
        )


def _unwatched(settings: Settings, document: Document) -> Iterator[Remark]:
    watched = settings.cluster.config.queue_to_monitor
    if not watched:
        return
    text = "names a queue that is not in queue_to_monitor, whose jobs are ignored"
    for name, item in settings.cloud.items():
        if item.reservation.queue and item.reservation.queue not in watched:
            yield ("cloud", name, "reservation", "queue"), text
        if set(item.queues) - set(watched):
            yield ("cloud", name, "queues"), text
        for queue in set(item.timers.queue_idle_s) - set(watched):
            yield ("cloud", name, "timers", "queue_idle_s", queue), text
    for queue in set(settings.general.timers.queue_idle_s) - set(watched):
        yield (GENERAL, "timers", "queue_idle_s", queue), text


def _to_fill_in(settings: Settings, document: Document) -> Iterator[Remark]:
    for name, item in settings.cloud.items():
        for key, value in item.config.model_dump().items():
            if value == TO_FILL_IN:
                yield ("cloud", name, "config", key), "is still to be filled in: `import` could not know it"


def _budgets(settings: Settings, document: Document) -> Iterator[Remark]:
    limits = settings.general.limits
    if limits.budget_per_hour or limits.budget_per_month:
        for name, item in settings.cloud.items():
            if (
                not item.price_per_hour
                and not isinstance(item, XspotResource)
                and "price_per_hour" not in item.model_fields_set
            ):
                yield ("cloud", name), "has no price_per_hour, so the budget does not limit it"


def _clouds(settings: Settings, document: Document) -> Iterator[Remark]:
    for name, item in settings.cloud.items():
        where: Path = ("cloud", name, "config")
        if "_" in prefix_of(name, item):
            yield (*where, "instance_name_prefix"), "has `_`, which many name servers refuse in host names"
        if isinstance(item, XspotResource):
            yield from (((*where, key), text) for key, text in xspot_remarks(item.config))
        if isinstance(item, AwsResource | XspotResource) and not item.config.validate_certs:
            yield (*where, "validate_certs"), "is false: anybody between here and AWS can read the credentials"
        if isinstance(item, AwsResource | XspotResource | OpenstackResource) and item.config.userdata_file:
            yield from _is_there((*where, "userdata_file"), item.config.userdata_file)
        if isinstance(item, LocalResource) and not item.config.network_namespace:
            yield from _is_joined((*where, "bridge"), item.config.bridge)


def _cluster(settings: Settings, document: Document) -> Iterator[Remark]:
    cluster = settings.cluster
    if isinstance(cluster, SlurmCluster) and cluster.config.slurm_conf:
        yield from _is_there(("cluster", "config", "slurm_conf"), cluster.config.slurm_conf)
    if isinstance(cluster, SgeCluster):
        for key, text in sge_remarks(cluster.config):
            yield ("cluster", "config", key), text
    if isinstance(cluster, TorqueCluster):
        for key, text in torque_remarks(cluster.config):
            yield ("cluster", "config", key), text


def _server(settings: Settings, document: Document) -> Iterator[Remark]:
    server = settings.general.admin_server
    if not server.bind_address and not server.socket:
        yield (GENERAL, "admin-server"), "has neither an address nor a socket: nobody can ask the service anything"


def _is_there(path: Path, file: str) -> Iterator[Remark]:
    if not FilePath(file).is_file():
        yield path, "is not a file on this machine"


def _is_joined(path: Path, bridge: str) -> Iterator[Remark]:
    if not (INTERFACES / bridge).exists():
        yield path, f"there is no bridge {bridge} on this machine, without which no worker starts; see `ip link add`"


def _permissions(settings: Settings, document: Document) -> Iterator[Remark]:
    """Secrets in the file itself, while others may read it."""
    try:
        mode = FilePath(document.file).stat().st_mode
    except (OSError, ValueError):
        return
    if not mode & stat.S_IROTH:
        return
    for name, item in settings.cloud.items():
        for key in ("password", "access_key_id", "secret_access_key"):
            where: Path = ("cloud", name, "config", key)
            written = getattr(item.config, key, None) is not None
            if written and not document.has((*where, "from_env")) and not document.has((*where, "from_file")):
                yield where, "stands in a file that every user of this machine can read"


_LOOKS: tuple[Callable[[Settings, Document], Iterator[Remark]], ...] = (
    _identity,
    _unwatched,
    _budgets,
    _to_fill_in,
    _clouds,
    _cluster,
    _server,
)
